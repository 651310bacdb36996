"""CheckpointOutputs on disk: whole or not at all, and never believed when damaged."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lead_hub.checkpoint_outputs.frozen_outputs import CheckpointOutputs
from lead_hub.checkpoint_outputs.outputs_cache import OutputsCache, outputs_key
from lead_hub.errors import CandidateError


def some_outputs(
    *, logits: bool = True, n_images: int = 5, scale: float = 1.0, depths: bool = True
) -> CheckpointOutputs:
    features = scale * torch.arange(n_images * 3, dtype=torch.float32).reshape(n_images, 3)
    return CheckpointOutputs(
        features=features,
        logits=-features[:, :2] if logits else None,
        family="resnet",
        parameters=1234,
        pooling="mean over space",
        processor="ConvNextImageProcessor",
        dtype="float32",
        device="cpu",
        depth_kernel=torch.arange(n_images * (n_images + 1) // 2).float() if depths else None,
        depths="blocks 1, 2 of 2" if depths else "none: for a reason",
    )


def assert_equal(left: CheckpointOutputs, right: CheckpointOutputs) -> None:
    for name in ("features", "logits", "depth_kernel"):
        first, second = getattr(left, name), getattr(right, name)
        assert (first is None and second is None) or torch.equal(first, second)
    for name in ("family", "parameters", "pooling", "processor", "dtype", "device", "depths"):
        assert getattr(left, name) == getattr(right, name)


@pytest.mark.parametrize("logits", [True, False])
@pytest.mark.parametrize("depths", [True, False])
def test_what_was_written_is_read(tmp_path: Path, logits: bool, depths: bool) -> None:
    cache = OutputsCache(tmp_path / "new")
    assert cache.read("key", n_images=5) is None
    cache.write("key", some_outputs(logits=logits, depths=depths))
    read = cache.read("key", n_images=5)
    assert read is not None
    assert_equal(read, some_outputs(logits=logits, depths=depths))
    assert [path.name for path in cache.folder.iterdir()] == ["key.safetensors"]


def test_every_fact_changes_the_key_and_their_order_does_not() -> None:
    facts: dict[str, object] = {"checkpoint": "a", "rows": "b", "processor": {"size": 224, "mean": [0.5]}}
    reordered = {name: facts[name] for name in reversed(facts)}
    assert outputs_key(facts) == outputs_key(reordered)
    changed = [{**facts, name: "other"} for name in facts] + [{**facts, "more": 1}]
    assert len({outputs_key(facts), *map(outputs_key, changed)}) == 1 + len(changed)


def flip_last_bit(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


@pytest.mark.parametrize(
    "damage",
    [lambda content: content[: len(content) // 2], flip_last_bit, lambda _: b"", lambda _: b"not a safetensors file"],
    ids=["cut short", "one bit", "empty", "another file"],
)
def test_a_damaged_file_is_a_warning_and_is_replaced(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    cache = OutputsCache(tmp_path)
    cache.write("key", some_outputs())
    path = cache.path("key")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.warns(UserWarning, match="damaged and is computed again"):
        assert cache.read("key", n_images=5) is None
    cache.write("key", some_outputs())
    read = cache.read("key", n_images=5)
    assert read is not None
    assert_equal(read, some_outputs())


def test_outputs_of_another_number_of_images_are_not_used(tmp_path: Path) -> None:
    cache = OutputsCache(tmp_path)
    cache.write("key", some_outputs(n_images=4))
    with pytest.warns(UserWarning, match="holds 4 images instead of 5"):
        assert cache.read("key", n_images=5) is None


def test_a_place_that_cannot_be_written_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.warns(UserWarning, match="could not be kept"):
        OutputsCache(tmp_path / "file").write("key", some_outputs())


@pytest.mark.slow
def test_two_writers_of_one_key_leave_one_whole_file(tmp_path: Path) -> None:
    writer = """
import sys, torch
from pathlib import Path
from tests.checkpoint_outputs.test_outputs_cache import some_outputs
from lead_hub.checkpoint_outputs.outputs_cache import OutputsCache
cache = OutputsCache(Path(sys.argv[1]))
for _ in range(40):
    cache.write("key", some_outputs(n_images=2000, scale=float(sys.argv[2]), depths=False))
    assert cache.read("key", n_images=2000) is not None
"""
    writers = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", writer, str(tmp_path), scale], cwd=Path(__file__).parents[2]
        )
        for scale in ("1", "2")
    ]
    assert [process.wait(timeout=600) for process in writers] == [0, 0]
    assert [path.name for path in tmp_path.iterdir()] == ["key.safetensors"]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_outputs_must_be_finite(bad: float) -> None:
    features = torch.zeros(3, 2)
    features[1, 0] = bad
    with pytest.raises(CandidateError, match="NaN or infinity for 1 of 3 images") as caught:
        CheckpointOutputs(
            features=features,
            logits=None,
            family="vit",
            parameters=1,
            pooling="class token",
            processor="ViTImageProcessor",
            dtype="float16",
            device="cpu",
        )
    assert caught.value.stage == "extract"


@pytest.mark.parametrize("last_digit", [False, True])
def test_features_must_tell_images_apart(last_digit: bool) -> None:
    """As of weights that are all zero; the last digit may depend on the batch that an image was in."""
    features = torch.full((5, 3), 0.75)
    if last_digit:
        features[4] = torch.nextafter(features[4], torch.tensor(1.0))
    with pytest.raises(CandidateError, match="found the same 3 numbers for all 5 images") as caught:
        replace(some_outputs(), features=features)
    assert caught.value.stage == "extract"
    one = replace(some_outputs(n_images=1), features=features[:1])  # one image has none to be told from
    assert one.features.shape == (1, 3)


def test_features_that_differ_a_little_are_features() -> None:
    features = torch.full((5, 3), 0.75)
    features[2, 1] += 1e-6
    assert torch.equal(replace(some_outputs(), features=features).features, features)


@pytest.mark.parametrize("kernel", [torch.zeros(14), torch.full((15,), float("nan"))])
def test_the_kernel_of_depths_has_a_finite_entry_for_every_pair(kernel: torch.Tensor) -> None:
    with pytest.raises(CandidateError, match="must have 15 finite entries for 5 images") as caught:
        replace(some_outputs(), depth_kernel=kernel)
    assert caught.value.stage == "extract"
