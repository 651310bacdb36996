"""bfloat16 where the processor has it: trained networks keep their features and their order, others fall back."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lead_hub.access import Access
from lead_hub.checkpoint_outputs import (
    CheckpointOutputs,
    ExtractionSettings,
    LoadedCheckpoint,
    OutputsCache,
    extract,
    load_checkpoint,
)
from lead_hub.checkpoint_outputs.number_format import (
    MOST_DRIFT,
    bfloat16_instructions,
    checked_format,
    drift,
    fast_dtype,
    tried_positions,
)
from lead_hub.demo import pool, target_folder
from lead_hub.errors import CandidateError
from lead_hub.labelled_images import DatasetQuery, load_labelled_images
from lead_hub.processes import running_processes
from lead_hub.transferability import transferability
from tests.tiny_checkpoints import random_images, save_checkpoint, tiny_processor
from tests.tiny_families import FAMILIES

CPU = torch.device("cpu")
needs_bfloat16 = pytest.mark.skipif(not bfloat16_instructions(), reason="this processor multiplies no bfloat16")

# Of the demo's trained checkpoints, in nats of the score.
SCORE_TOLERANCE = 0.005
# Of those on photographs most are MobileNets, whose depthwise layers do not bear it.
LEAST_BORNE = {"photographs": 1, "scripts": 12}
LEAST_NOT_BORNE = {"photographs": 3, "scripts": 0}
CLEARLY_MOVED = 1.5 * MOST_DRIFT
CLEARLY_APART = 2 * SCORE_TOLERANCE


def run(checkpoint: LoadedCheckpoint, images: list[np.ndarray], dtype: str = "auto") -> CheckpointOutputs:
    settings = ExtractionSettings(device="cpu", dtype=dtype)
    return extract(checkpoint, images, processes=running_processes(), settings=settings, advance=lambda _n: None)


@cache
def demo_outputs(target: str, dtype: str, folder: Path) -> tuple[list[CheckpointOutputs], Tensor]:
    query = DatasetQuery(dataset=str(target_folder(target)), max_images=96)
    images = load_labelled_images(query, Access(folder, progress=False), decoded_folder=folder / f"{target} {dtype}")
    pixels = [images.pixels[position] for position in range(len(images))]
    outputs = [run(load_checkpoint(Path(candidate.checkpoint)), pixels, dtype) for candidate in pool(target)]
    return outputs, torch.from_numpy(images.labels)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


def score(outputs: CheckpointOutputs, labels: Tensor) -> float:
    kernels = {"depth_kernel": outputs.depth_kernel, "network_kernel": None}
    return transferability(outputs.features, labels, "lead", kernels=kernels).value  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("target", ["photographs", "scripts"])
def test_trained_checkpoints_keep_features_and_order_in_bfloat16(target: str, folder: Path) -> None:
    exact, labels = demo_outputs(target, "float32", folder)
    rounded, _ = demo_outputs(target, "bfloat16", folder)
    assert len(exact) == len(pool(target)) > 1
    assert {outputs.dtype for outputs in rounded} == {"bfloat16"}
    borne = [
        other if 0 < drift(other.features, one.features) <= MOST_DRIFT else one
        for one, other in zip(exact, rounded, strict=True)
    ]
    assert sum(outputs.dtype == "bfloat16" for outputs in borne) >= LEAST_BORNE[target]
    moved = [drift(other.features, one.features) for one, other in zip(exact, rounded, strict=True)]
    few = tried_positions(len(labels))
    by_few = [drift(other.features[few], one.features[few]) for one, other in zip(exact, rounded, strict=True)]
    # Who is clearly moved by all images is found out by the few that a run tries.
    assert sum(all_images > CLEARLY_MOVED for all_images in moved) >= LEAST_NOT_BORNE[target]
    assert all(
        tried > MOST_DRIFT for tried, all_images in zip(by_few, moved, strict=True) if all_images > CLEARLY_MOVED
    )
    before = [score(outputs, labels) for outputs in exact]
    after = [score(outputs, labels) for outputs in borne]
    assert max(abs(a - b) for a, b in zip(before, after, strict=True)) < SCORE_TOLERANCE
    apart = [(a, b) for a in range(len(exact)) for b in range(a) if abs(before[a] - before[b]) > CLEARLY_APART]
    assert apart
    assert all((before[a] > before[b]) == (after[a] > after[b]) for a, b in apart)


@needs_bfloat16
def test_the_processors_own_format_is_taken_where_nothing_is_said() -> None:
    assert ExtractionSettings(device="cpu").torch_dtype(CPU) == torch.bfloat16
    assert ExtractionSettings(device="cpu", dtype="float32").torch_dtype(CPU) == torch.float32


@pytest.mark.parametrize(
    ("capabilities", "dtype"),
    [
        ({"avx512_f": True, "avx512_bf16": True}, torch.bfloat16),
        ({"avx512_f": True, "avx512_bf16": False, "amx_bf16": True}, torch.bfloat16),
        ({"avx512_f": True, "avx512_bf16": False}, torch.float32),
        ({}, torch.float32),
    ],
)
def test_bfloat16_only_where_it_is_in_hardware(
    capabilities: dict[str, object], dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert fast_dtype(CPU) == dtype


@pytest.mark.parametrize(("has_it", "dtype"), [(True, torch.bfloat16), (False, torch.float16)])
def test_a_gpu_without_bfloat16_in_hardware_computes_in_float16(
    has_it: bool, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A T4 or V100 says that it supports bfloat16, which it emulates, unless it is asked for its hardware."""
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation or has_it)
    assert fast_dtype(torch.device("cuda")) == dtype


def test_an_older_torch_that_does_not_tell_computes_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert fast_dtype(CPU) == torch.float32


def test_drift_by_hand() -> None:
    """Images at 0 and 2: each 1 from their mean, sqrt(2) together; moved by 0.3 and 0.4, 0.5 together."""
    expected = torch.tensor([[0.0], [2.0]])
    assert drift(torch.tensor([[0.3], [2.4]]), expected) == pytest.approx(0.5 / 2**0.5)
    assert drift(torch.tensor([[0.3], [float("nan")]]), expected) == float("inf")
    assert drift(expected, torch.ones(2, 1)) == float("inf")


def test_what_bfloat16_moves_too_far_is_run_in_float32() -> None:
    expected = torch.tensor([[1000.0, 1.0], [1001.0, 2.0], [1002.0, 1.0]])
    chosen = checked_format(torch.bfloat16, lambda dtype: expected.to(dtype).float(), expected)
    # bfloat16 has steps of 4 at 1000: 1001 and 1002 become 1000 and 1000 (or 1004), as far away as the images are.
    assert chosen.dtype == torch.float32
    assert chosen.reason == "run in float32, as bfloat16 moves its features by more than 5% of their spread"
    near = checked_format(torch.bfloat16, lambda _dtype: expected + 0.01, expected)
    assert (near.dtype, near.reason) == (torch.bfloat16, "")


def test_what_fails_in_bfloat16_is_run_in_float32() -> None:
    def fails(_dtype: torch.dtype) -> Tensor:
        raise CandidateError("no such kernel", stage="extract")

    chosen = checked_format(torch.bfloat16, fails, torch.eye(2))
    assert chosen.dtype == torch.float32
    assert "in bfloat16 it failed: no such kernel" in chosen.reason


@pytest.fixture
def fragile(tmp_path: Path) -> LoadedCheckpoint:
    """A ResNet whose last feature map carries 500 beside what tells images apart: bfloat16 has steps of 2 there."""
    family = FAMILIES["resnet"]
    model = family.build(head=False)
    last = [part for part in model.modules() if isinstance(part, nn.BatchNorm2d)][-1]
    with torch.no_grad():
        last.bias.add_(500.0)
    return load_checkpoint(save_checkpoint(tmp_path / "fragile", model, tiny_processor(family.processor)))


@needs_bfloat16
def test_a_fragile_checkpoint_says_why_it_is_in_float32(fragile: LoadedCheckpoint, tmp_path: Path) -> None:
    images = list(random_images(9))
    exact, forced, chosen = (run(fragile, images, dtype) for dtype in ("float32", "bfloat16", "auto"))
    assert drift(forced.features, exact.features) > MOST_DRIFT
    assert chosen.dtype == "float32"
    assert "bfloat16 moves its features" in chosen.dtype_reason
    assert torch.equal(chosen.features, exact.features)
    assert (forced.dtype, forced.dtype_reason) == ("bfloat16", "")  # as asked for
    cache_of_outputs = OutputsCache(tmp_path / "outputs")
    cache_of_outputs.write("key", chosen)
    kept = cache_of_outputs.read("key", n_images=9)
    assert kept is not None
    assert kept.dtype_reason == chosen.dtype_reason
