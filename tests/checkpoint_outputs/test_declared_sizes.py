"""What a stranger's config.json asks for is refused before it costs memory or time."""

import resource
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lead_hub.checkpoint_outputs.declared_sizes import check_declared
from lead_hub.checkpoint_outputs.loaded_checkpoint import load_checkpoint
from lead_hub.errors import CandidateError
from tests.checkpoint_outputs.damaged_checkpoints import edit, edit_weights, refusal, vit_classifier
from tests.tiny_checkpoints import save_checkpoint
from tests.tiny_families import FAMILIES

ANOTHER = "config.json must describe the model whose weights are in the file"
TOO_LARGE = [
    ("vit", {"num_hidden_layers": 90_000}, ANOTHER),
    ("vit", {"num_hidden_layers": 10_000_000}, "num_hidden_layers in config.json must be at most 100,000"),
    ("vit", {"num_hidden_layers": 10**30}, "must be at most 100,000"),
    ("vit", {"hidden_size": 200_000}, ANOTHER),
    ("vit", {"intermediate_size": 9_000_000}, ANOTHER),
    ("vit", {"image_size": 100_000}, "image_size in config.json must be at most 4,096"),
    ("resnet", {"hidden_sizes": [8, 12, 2_000_000]}, ANOTHER),
    ("resnet", {"depths": [1, 1, 10_000_000]}, "depths in config.json must be at most 100,000"),
    ("efficientnet", {"depth_coefficient": 1e9}, ANOTHER),
    ("efficientnet", {"width_coefficient": 1e6}, ANOTHER),
    ("swin", {"window_size": 3000}, ANOTHER),
    ("swinv2", {"window_size": 3000, "image_size": 4000}, "tables of more than"),
    ("dinov2", {"id2label": {str(number): "x" for number in range(100_000)}}, ANOTHER),
    ("levit", {"image_size": 4000}, "image_size in config.json must be at most 512"),
    ("clip_vision_model", {"num_hidden_layers": 90_000}, ANOTHER),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "changes", "words"), TOO_LARGE)
def test_far_more_than_the_file_holds_is_not_built(
    name: str, changes: dict[str, object], words: str, tmp_path: Path
) -> None:
    family = FAMILIES[name]
    folder = save_checkpoint(tmp_path, family.build(head=family.classifier is not None), family.image_processor())
    edit(folder, "config.json", **changes)
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert words in refusal(folder)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 300 * 1024


def test_the_file_and_what_is_asked_for_are_named(tmp_path: Path) -> None:
    folder = vit_classifier(tmp_path / "checkpoint")
    edit(folder, "config.json", hidden_size=1_000_000)
    message = refusal(folder)
    n_held = sum(weight.numel() for weight in load_file(folder / "model.safetensors").values())
    # 3 channels of patches of 16 x 16 px, each to a million features, is more than any slack.
    assert "numbers in" in message
    assert f"the file holds {n_held:,} numbers" in message
    assert str(folder) in message


def test_an_untrained_head_for_many_classes_may_be_missing(tmp_path: Path) -> None:
    """A bare backbone saved under the config of its classifier, of 21,843 classes."""
    folder = save_checkpoint(tmp_path, FAMILIES["vit"].build(head=False))
    labels = {str(number): f"class {number}" for number in range(21_843)}
    edit(folder, "config.json", architectures=["ViTForImageClassification"], id2label=labels, label2id=None)
    assert load_checkpoint(folder).source_classes is None


def test_numbers_that_build_nothing_may_be_large(tmp_path: Path) -> None:
    folder = vit_classifier(tmp_path / "checkpoint")
    edit(folder, "config.json", num_params=86_567_656, seed=3_407_000_000, rope_theta=10**9, total_flos=10**18)
    assert load_checkpoint(folder).family == "vit"


def test_nesting_beyond_measure_is_refused(tmp_path: Path) -> None:
    nested: object = 1
    for _ in range(40):
        nested = {"inner": [nested]}
    with pytest.raises(CandidateError, match="nested at most 32 levels deep"):
        check_declared({"model_type": "vit", "more": nested}, tmp_path)


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.int32, torch.bool, torch.float8_e4m3fn])
def test_packed_numbers_without_a_word_of_how_are_refused(dtype: torch.dtype, tmp_path: Path) -> None:
    folder = vit_classifier(tmp_path / "checkpoint")
    name = next(name for name in load_file(folder / "model.safetensors") if name.endswith("query.weight"))
    edit_weights(folder, lambda weights: weights | {name: weights[name].to(dtype)})
    message = refusal(folder)
    assert "weights must be plain numbers" in message
    assert name in message


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_plain_numbers_of_any_length_are_read(dtype: torch.dtype, tmp_path: Path) -> None:
    folder = vit_classifier(tmp_path / "checkpoint")
    counters = {"vit.embeddings.position_ids": torch.arange(17)[None], "ema.num_updates": torch.tensor(7)}
    edit_weights(folder, lambda weights: {name: weight.to(dtype) for name, weight in weights.items()} | counters)
    assert {weight.dtype for weight in load_checkpoint(folder).model.parameters()} == {torch.float32}
