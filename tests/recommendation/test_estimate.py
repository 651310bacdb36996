"""estimate_run(): sums worked out by hand, constants held against real architectures."""

from pathlib import Path

import pytest
import timm
import torch
from torch.utils.flop_counter import FlopCounterMode

from lead_hub.access import Access
from lead_hub.candidates import Candidate
from lead_hub.recommendation.estimate import (
    ASSUMED_GPU_FLOPS_PER_S,
    POSITIONS,
    MachineSpeed,
    RunEstimate,
    estimate_jobs,
    estimate_run,
    measured_speed,
    measuring_period,
    speed_measured_in,
)

# A billion multiplications or additions and 50 photos a second.
PROCESSOR = MachineSpeed(flops_per_s=1e9, prepared_images_per_s=50, shares_cores=True)
GRAPHICS_CARD = MachineSpeed(flops_per_s=1e12, prepared_images_per_s=50, shares_cores=False)


def test_a_run_on_the_processor() -> None:
    candidates = [
        Candidate("org/indexed", parameters=1_000_000, weight_bytes=2_000_000),
        Candidate("org/known", parameters=3_000_000),
        Candidate("org/unknown"),
    ]
    # 2 MB, and 3 million times 4 bytes; the third one's mean size counts for the time alone.
    # 100 images take 2 s to prepare, and twice that to decode. A million parameters take 2 * 175 million operations an
    # image: 100 images 35 s at the speed of the convolution, 70 s at half of it.
    decoding_s = 4.0
    forward_s = 70.0 * 1 + 70.0 * 3 + 70.0 * 2
    estimate = estimate_run(candidates, n_images=100, speed=PROCESSOR)
    duration_s = pytest.approx(decoding_s + forward_s + 3 * (2.0 + 0.8))
    assert estimate == RunEstimate(3, 100, 14_000_000, 1, duration_s, full_duration_s=duration_s)


def test_known_multiply_adds_count_instead_of_weights() -> None:
    known = Candidate("org/known", parameters=90_000_000, multiply_adds=100_000_000)
    # 400 million beside them make 500 million an image, a billion operations: 100 images 100 s, 200 s at half the speed
    # of the convolution.
    assert estimate_run([known], n_images=100, speed=PROCESSOR).duration_s == pytest.approx(4.0 + 200.0 + 2.0 + 0.8)


def test_a_race_within_a_budget() -> None:
    candidates = [Candidate("org/a", parameters=1_000_000), Candidate("org/b", parameters=3_000_000)]
    full_s = estimate_run(candidates, n_images=2000, speed=PROCESSOR).duration_s
    # Stages of 200, 400, 800 and 2000 images. 200 take 4 s to prepare, and 0.7 s an image and million parameters.
    decoding_s = 2 * 2000 / 50
    first_s = 2 * (4.0 + 0.8) + 0.7 * 200 * (1 + 3)
    # Three tenths of the candidates see the other 1800 images, and are loaded three times more.
    further_s = 0.3 * (2 * (36.0 + 3 * 0.8) + 0.7 * 1800 * (1 + 3))
    raced = estimate_run(candidates, n_images=2000, speed=PROCESSOR, budget="10h")
    assert raced.duration_s == pytest.approx(decoding_s + first_s + further_s)
    assert raced.full_duration_s == full_s
    assert estimate_run(candidates, n_images=2000, speed=PROCESSOR, budget="5min").duration_s == 300
    assert full_s is not None
    share_s = estimate_run(candidates, n_images=2000, speed=PROCESSOR, budget="10%").duration_s
    assert share_s == pytest.approx(0.1 * full_s)


def test_a_budget_of_downloads_leaves_the_others_out() -> None:
    candidates = [Candidate("org/a", weight_bytes=2000), Candidate("org/b", weight_bytes=700), Candidate("org/c")]
    estimate = estimate_run(candidates, n_images=100, speed=PROCESSOR, budget="0.001MB")
    assert (estimate.n_checkpoints, estimate.download_bytes, estimate.n_unknown_size) == (1, 700, 0)
    # What it would be without a budget is of all of them.
    full_s = estimate_run(candidates, n_images=100, speed=PROCESSOR).duration_s
    assert estimate.full_duration_s == full_s
    nobody = estimate_run(candidates, n_images=100, speed=PROCESSOR, budget="0.0001MB")
    assert (nobody.n_checkpoints, nobody.duration_s, nobody.full_duration_s) == (0, None, full_s)


def test_weights_that_are_here_are_not_downloaded_again(tmp_path: Path) -> None:
    snapshot = tmp_path / "hub" / "models--org--a" / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("0" * 40)
    (snapshot / "config.json").write_text("{}")
    candidates = [Candidate("org/a", weight_bytes=500), Candidate("org/b", weight_bytes=300), Candidate("no id at all")]
    access = Access(tmp_path)
    without = estimate_run(candidates, n_images=5, speed=PROCESSOR, access=access)
    assert (without.download_bytes, without.n_weights_here, without.n_unknown_size) == (800, 0, 1)
    (snapshot / "model.safetensors").write_bytes(b"weights")
    found = estimate_run(candidates, n_images=5, speed=PROCESSOR, access=access)
    assert (found.download_bytes, found.n_weights_here, found.n_unknown_size) == (300, 1, 1)
    # A budget for downloads has room for what is here, however large, and the time that it takes stays known.
    raced = estimate_run(candidates, n_images=5, speed=PROCESSOR, access=access, budget="0.0003MB")
    assert (raced.n_checkpoints, raced.download_bytes, raced.n_weights_here) == (2, 300, 1)
    assert raced.duration_s is not None


def test_a_graphics_card_computes_while_images_are_prepared() -> None:
    small, large = Candidate("org/small", parameters=1_000_000), Candidate("org/large", parameters=100_000_000)
    # Forward passes of 100 images take 0.07 s and 7 s, their preparation 2 s: the longer of both counts.
    estimate = estimate_run([small, large], n_images=100, speed=GRAPHICS_CARD)
    assert estimate.duration_s == pytest.approx(4.0 + (2.0 + 0.8) + (7.0 + 0.8))


def test_twice_the_images_take_twice_the_computing() -> None:
    candidates = [Candidate("org/a", parameters=7_000_000)]
    once, twice = (estimate_run(candidates, n_images=n, speed=PROCESSOR).duration_s for n in (100, 200))
    assert once is not None
    assert twice == pytest.approx(2 * (once - 0.8) + 0.8)


def test_what_is_on_the_disk_is_not_downloaded_but_computed(tiny_pool: Path) -> None:
    folder = tiny_pool / "vit"
    parameters = (folder / "model.safetensors").stat().st_size // 4
    named = Candidate("org/a", parameters=parameters)
    local, remote = (estimate_run([one], n_images=10, speed=PROCESSOR) for one in (Candidate(str(folder)), named))
    assert (local.download_bytes, local.n_unknown_size) == (0, 0)
    assert remote.download_bytes == 4 * parameters
    assert local.duration_s == pytest.approx(remote.duration_s)


def test_elsewhere_there_is_no_time_and_no_cache() -> None:
    candidates = [Candidate("org/a", parameters=10), Candidate("org/b")]
    found = estimate_jobs(candidates, n_images=5, usd_per_hour=0.8)
    assert found == RunEstimate(2, 5, 40, 1, None, job_usd_per_hour=0.8)


def test_nothing_known_is_no_time() -> None:
    assert estimate_run([Candidate("org/a"), Candidate("org/b")], n_images=5) == RunEstimate(2, 5, 0, 2, None)
    assert estimate_run([], n_images=5) == RunEstimate(0, 5, 0, 0, None)


@pytest.mark.slow
@pytest.mark.parametrize(
    "architecture",
    [
        *("resnet18", "resnet50", "resnet152", "vit_tiny_patch16_224", "vit_small_patch16_224", "vit_base_patch16_224"),
        *("convnext_tiny", "convnext_base", "swin_tiny_patch4_window7_224", "swin_base_patch4_window7_224"),
    ],
)
def test_the_operations_of_real_architectures(architecture: str) -> None:
    with torch.device("meta"):  # shapes alone
        model = timm.create_model(architecture, pretrained=False).eval()
        with FlopCounterMode(display=False) as counter:
            model(torch.zeros(1, 3, 224, 224))
    estimated = 2 * POSITIONS * sum(weights.numel() for weights in model.parameters())
    assert 0.75 < counter.get_total_flops() / estimated < 1.3


@pytest.mark.slow
def test_a_measurement_holds_for_five_minutes_at_most() -> None:
    assert [measuring_period(now_s) for now_s in (0.0, 299.9, 300.0, 599.9, 600.0)] == [0, 0, 1, 1, 2]
    speed = speed_measured_in(-2, "cpu")
    assert speed_measured_in(-2, "cpu") is speed
    later = speed_measured_in(-1, "cpu")  # a processor that is busy now need not be so then
    assert later is not speed


@pytest.mark.slow
def test_the_machine_is_measured() -> None:
    speed = measured_speed("cpu")
    assert speed.shares_cores
    # Any machine that can load torch does more than a thousandth, and none a thousand times, of a common laptop.
    assert 1e8 < speed.flops_per_s < 1e14
    assert 1 < speed.prepared_images_per_s < 1e6
    assert estimate_run([Candidate("org/a", parameters=10**6)], n_images=100, device="cpu").duration_s


@pytest.mark.skipif(torch.cuda.is_available(), reason="the GPU is here")
def test_a_device_that_is_not_here_is_assumed() -> None:
    speed = measured_speed("cuda")
    assert (speed.flops_per_s, speed.shares_cores) == (ASSUMED_GPU_FLOPS_PER_S, False)
