"""timm checkpoints through transformers' wrapper: features, logits, settings, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from lead_hub.checkpoint_outputs.image_preparation import processor_settings
from lead_hub.checkpoint_outputs.loaded_checkpoint import load_checkpoint
from tests.checkpoint_outputs.damaged_checkpoints import edit, refusal
from tests.tiny_checkpoints import random_images, save_timm

TIMM_ARCHITECTURES = ("test_resnet", "test_vit", "test_convnext", "test_efficientnet", "test_byobnet", "test_vit4")


@pytest.mark.slow
@pytest.mark.parametrize("architecture", TIMM_ARCHITECTURES)
def test_timm_classifier(architecture: str, tmp_path: Path) -> None:
    model = save_timm(tmp_path, architecture, classes=4)
    checkpoint = load_checkpoint(tmp_path)
    pixels = checkpoint.prepare(random_images())
    features, logits = checkpoint.forward(pixels)
    seen = []
    classifier = model.timm_model.get_classifier()
    classifier.register_forward_hook(lambda _module, inputs, _output: seen.append(inputs[0]))
    with torch.no_grad():
        expected = model(pixels).logits
    torch.testing.assert_close(features, seen[0], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-5)
    assert checkpoint.family == f"timm:{architecture}"
    assert checkpoint.source_classes == ("class 0", "class 1", "class 2", "class 3")


@pytest.mark.slow
@pytest.mark.parametrize("architecture", TIMM_ARCHITECTURES)
def test_timm_backbone_without_classifier(architecture: str, tmp_path: Path) -> None:
    model = save_timm(tmp_path, architecture, classes=0)
    checkpoint = load_checkpoint(tmp_path)
    pixels = checkpoint.prepare(random_images())
    features, logits = checkpoint.forward(pixels)
    with torch.no_grad():
        expected = model(pixels).pooler_output
    torch.testing.assert_close(features, expected, rtol=1e-5, atol=1e-5)
    assert logits is None


def save_as_on_the_hub(folder: Path, *, classes: int) -> torch.nn.Module:
    """A timm repository as timm itself pushes it: no model_type, no prefix in the names of the weights."""
    torch.manual_seed(0)
    model = timm.create_model("test_resnet", num_classes=1000).eval()
    save_file(model.state_dict(), folder / "model.safetensors", metadata={"format": "pt"})
    settings = {"input_size": [3, 64, 64], "mean": [0.5] * 3, "std": [0.5] * 3, "crop_pct": 1.0}
    config = {"architecture": "test_resnet", "num_classes": classes, "pretrained_cfg": settings}
    (folder / "config.json").write_text(json.dumps(config))
    return model


def test_timm_repository_without_transformers_config(tmp_path: Path) -> None:
    model = save_as_on_the_hub(tmp_path, classes=1000)
    checkpoint = load_checkpoint(tmp_path)
    pixels = checkpoint.prepare(random_images())
    features, logits = checkpoint.forward(pixels)
    with torch.no_grad():
        torch.testing.assert_close(logits, model(pixels), rtol=1e-5, atol=1e-5)
    assert checkpoint.source_classes is not None
    assert checkpoint.source_classes[1].startswith("goldfish")
    save_as_on_the_hub(tmp_path, classes=0)
    headless, none = load_checkpoint(tmp_path).forward(pixels)
    assert torch.equal(headless, features)
    assert none is None


@pytest.mark.parametrize("architecture", ["hf-hub:org/name", "local-dir:/etc", "no_such_net", ""])
def test_timm_architecture_must_be_known(architecture: str, tmp_path: Path) -> None:
    save_as_on_the_hub(tmp_path, classes=10)
    edit(tmp_path, "config.json", architecture=architecture)
    assert "architecture must be one that timm" in refusal(tmp_path)


def test_timm_arguments_cannot_read_other_files(tmp_path: Path) -> None:
    save_as_on_the_hub(tmp_path, classes=1000)
    edit(tmp_path, "config.json", model_args={"checkpoint_path": "elsewhere.pth"})
    assert "checkpoint_path" in refusal(tmp_path)


def test_timm_settings_are_not_filled_in(tmp_path: Path) -> None:
    save_as_on_the_hub(tmp_path, classes=1000)
    edit(tmp_path, "config.json", pretrained_cfg={"input_size": [3, 64, 64]})
    assert "own image processor" in refusal(tmp_path)


def test_timm_uses_its_evaluation_transform(tmp_path: Path) -> None:
    """Resize the short side by bicubic interpolation, crop the centre, normalise: written out with PIL."""
    save_timm(tmp_path, "test_resnet", classes=0)
    checkpoint = load_checkpoint(tmp_path)
    image = random_images(1)[0][:40, :30]
    resized = Image.fromarray(image).resize((64, round(64 * 40 / 30)), Image.Resampling.BICUBIC)
    top = round((resized.height - 64) / 2)
    square = np.asarray(resized, dtype=np.float32)[top : top + 64] / 255
    expected = (square - [0.4, 0.5, 0.6]) / [0.2, 0.3, 0.25]
    pixels = checkpoint.prepare([image])
    torch.testing.assert_close(pixels[0].permute(1, 2, 0).double(), torch.as_tensor(expected), rtol=0, atol=1e-5)
    assert torch.equal(checkpoint.prepare([image]), pixels)


def test_timm_settings_are_json(tmp_path: Path) -> None:
    save_timm(tmp_path, "test_resnet", classes=0)
    settings = processor_settings(tmp_path)
    assert settings["class"] == "TimmWrapperImageProcessor"
    assert settings["data_config"]["mean"] == [0.4, 0.5, 0.6]
    assert json.loads(json.dumps(settings)) == settings
