"""Every model type of transformers: one vector an image, the same at every pass and load, that its own head reads.

A type of a newer transformers that this file does not know must be put into one of the tables of `tiny_types.py`.
"""

from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import CONFIG_MAPPING, PreTrainedModel
from transformers.models.auto import modeling_auto

from lead_hub.checkpoint_outputs.checkpoint_folder import model_class
from lead_hub.checkpoint_outputs.loaded_checkpoint import LoadedCheckpoint, load_checkpoint
from lead_hub.errors import CandidateError
from tests.checkpoint_outputs.tiny_types import NOT_BUILT, OTHER_FAMILIES, SAME_OR_GENERAL, WITHOUT_VECTOR
from tests.tiny_checkpoints import TinyFamily, random_images, save_checkpoint, save_timm, some_pixels
from tests.tiny_families import FAMILIES, SIGLIP2, TWO_TOWERS

BUILT = FAMILIES | TWO_TOWERS | OTHER_FAMILIES | SAME_OR_GENERAL | {"siglip2": SIGLIP2}
LISTED = {**modeling_auto.MODEL_MAPPING_NAMES, **modeling_auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES}
# Its head reads something else than the vector: what, and why the vector is not that.
OTHER_HEADS = {
    **dict.fromkeys(
        ("clip", "metaclip_2", "siglip", "siglip2"),
        "the mean of the patches; these are trained and probed by their image embedding",
    )
}


def accepted_types() -> list[str]:
    """The model types that are not refused by their config alone."""
    found = []
    for model_type in sorted(LISTED):
        try:
            model_class(CONFIG_MAPPING[model_type]())
        except (CandidateError, ImportError, ValueError):  # the last two: tables of names without a model of that name
            continue
        found.append(model_type)
    return found


def types_of(families: dict[str, TinyFamily]) -> set[str]:
    return {family.tiny_config().model_type for family in families.values()}


@pytest.mark.slow
def test_every_model_type_is_accounted_for() -> None:
    built = types_of(BUILT) | set(BUILT) | {"timm_wrapper", "siglip2_vision_model"}
    known = built | set(NOT_BUILT) | set(WITHOUT_VECTOR)
    assert set(accepted_types()) - known == set()
    assert built & set(NOT_BUILT) == set()


def saved(folder: Path, family: TinyFamily, *, head: bool) -> tuple[PreTrainedModel, LoadedCheckpoint]:
    model = family.build(head=head)
    save_checkpoint(folder, model, family.image_processor())
    return model, load_checkpoint(folder)


@pytest.mark.slow
@pytest.mark.parametrize("name", BUILT)
def test_two_passes_and_two_loads_agree(name: str, tmp_path: Path) -> None:
    torch.manual_seed(1)
    _, first = saved(tmp_path, BUILT[name], head=False)
    torch.manual_seed(2)
    second = load_checkpoint(tmp_path)
    pixels = first.prepare(random_images(4))
    features, _ = first.forward(pixels)
    assert features.shape[0] == 4
    assert features.std(dim=0).mean() > 1e-4, "the images must differ in their vectors"
    assert torch.equal(first.forward(pixels)[0], features)
    assert torch.equal(second.forward(pixels)[0], features)


def test_two_passes_and_two_loads_of_timm_agree(tmp_path: Path) -> None:
    save_timm(tmp_path, "test_resnet", classes=3)
    first, second = load_checkpoint(tmp_path), load_checkpoint(tmp_path)
    pixels = first.prepare(random_images(4))
    assert torch.equal(first.forward(pixels)[0], second.forward(pixels)[0])


@pytest.mark.parametrize("name", WITHOUT_VECTOR)
def test_what_has_no_vector_is_refused_in_words(name: str, tmp_path: Path) -> None:
    family, words = WITHOUT_VECTOR[name]
    _, checkpoint = saved(tmp_path, family, head=False)
    with pytest.raises(CandidateError, match=words.split(": ")[-1]):
        checkpoint.forward(checkpoint.prepare(random_images(3)))


def unexplained(logits: Tensor, features: Tensor) -> float:
    """The largest part of the logits that no affine map of the features gives, in deviations of the logits."""
    features, logits = features.double(), logits.double()
    inputs = torch.cat([features, torch.ones(len(features), 1, dtype=torch.float64)], dim=1)
    left = logits - inputs @ torch.linalg.lstsq(inputs, logits, driver="gelsd").solution
    return float(left.abs().max() / logits.std())


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, family in BUILT.items() if family.classifier])
def test_the_own_head_is_an_affine_map_of_the_vector(name: str, tmp_path: Path) -> None:
    if name in OTHER_HEADS:
        assert OTHER_HEADS[name]
        return
    family = BUILT[name]
    model, checkpoint = saved(tmp_path, family, head=True)
    width = checkpoint.forward(some_pixels(family.image_size_px, torch.Generator().manual_seed(0)))[0].shape[1]
    batches = [
        some_pixels(family.image_size_px, torch.Generator().manual_seed(seed)) for seed in range(1, 3 + width // 8)
    ]
    with torch.no_grad():
        logits = torch.cat([model(pixels).logits for pixels in batches])
    features = torch.cat([checkpoint.forward(pixels)[0] for pixels in batches])
    assert len(features) > width + 16, "with as many images as features every map fits"
    assert unexplained(logits, features) < 1e-3
    others = torch.randn(features.shape, generator=torch.Generator().manual_seed(0))
    assert unexplained(logits, others) > 0.1, "a vector without the answer in it must be told"
