"""`lead-hub bench --speed`: ratios by hand, real photographs and networks, and one small measurement of everything."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from PIL import Image
from torch import Tensor
from torch.nn import BatchNorm2d
from typer.testing import CliRunner

from lead_hub.bench.matrix_files import MatrixError
from lead_hub.bench.speed import NETWORKS, SpeedReport, SpeedSettings, notes, run_speed, save_speed, table
from lead_hub.bench.speed.made_inputs import make_checkpoints, make_photographs, read_pixels
from lead_hub.bench.speed.measured_parts import Measured
from lead_hub.bench.speed.speed_report import SpeedRow
from lead_hub.bench.speed.stage_times import StageTimes
from lead_hub.checkpoint_outputs import load_checkpoint
from lead_hub.cli import app
from tests.benchmarks.speed_from_hub import served

MEBIBYTE = 2**20
FOUND = "bfloat16, plain layout, 8 images, 2 threads"
STAGES_OF_RACE = StageTimes(images_s=1.0, passes_s=2.0, score_s=1.0)
STAGES = StageTimes(images_s=1.0, passes_s=8.5, trial_s=0.5, score_s=1.0)
ROW = SpeedRow(
    size="500x375",
    kind="cpu",
    decoding=Measured(wall_s=2.0, processor_s=4.0, peak_bytes=MEBIBYTE),
    forward=Measured(wall_s=8.0, processor_s=16.0, peak_bytes=MEBIBYTE, dtypes=("bfloat16",), found=(FOUND,)),
    borne=Measured(wall_s=9.0, processor_s=18.0, peak_bytes=MEBIBYTE, dtypes=("float32",)),
    ours=Measured(11.0, 22.0, 700 * MEBIBYTE, first_row_s=5.0, dtypes=("bfloat16",), stages=STAGES),
    race=Measured(4.0, 8.0, 600 * MEBIBYTE, first_row_s=1.5, dtypes=("bfloat16",), stages=STAGES_OF_RACE),
    loop=Measured(44.0, 88.0, 900 * MEBIBYTE, first_row_s=20.0),
)
ON_HUB = replace(
    ROW, download=Measured(wall_s=6.0, processor_s=1.0, peak_bytes=MEBIBYTE), fetched=replace(ROW.ours, wall_s=13.0)
)
ON_GPU = replace(ROW, kind="cuda")
SETTINGS = SpeedSettings(networks=("vit-small-16",), n_images=110, sizes=("500x375",))
REPORT = SpeedReport(SETTINGS, device="2 of 2 cores", kind="cpu", dtype="bfloat16", versions={}, rows=(ROW,))


def cells(report: SpeedReport) -> dict[str, str]:
    return {line[0].strip(): line[1] for line in table(report)}


def test_ratios_by_hand() -> None:
    assert ROW.over_floor == pytest.approx(11 / (2 + 8))
    assert ROW.over_borne == pytest.approx(11 / (2 + 9))
    assert ROW.under_loop == pytest.approx(44 / 11)
    assert ROW.race_under_loop == pytest.approx(44 / 4)
    assert ROW.over_floor_processor == pytest.approx(22 / 20)
    assert ROW.over_borne_processor == pytest.approx(22 / (4 + 18))
    assert ROW.under_loop_processor == pytest.approx(88 / 22)


def test_the_floor_is_a_sum_where_decoding_takes_the_cores_from_passes() -> None:
    assert (ROW.floor_is_sum, ROW.floor_s) == (True, 2.0 + 8.0)
    assert (ON_GPU.floor_is_sum, ON_GPU.floor_s) == (False, 8.0)
    assert ON_GPU.over_floor == pytest.approx(11 / 8)
    slow_disk = replace(ON_GPU, decoding=replace(ON_GPU.decoding, wall_s=10.0))
    assert slow_disk.over_floor == pytest.approx(11 / 10)


def test_a_download_is_beside_both() -> None:
    assert (ROW.download_floor_s, ROW.over_download_floor) == (None, None)
    assert ON_HUB.download_floor_s == 10.0
    assert ON_HUB.over_download_floor == pytest.approx(13 / 10)
    slow_line = replace(ON_HUB, download=Measured(26.0, 1.0, MEBIBYTE))
    assert slow_line.over_download_floor == pytest.approx(13 / 26)


def test_a_race_has_the_smallest_budget_in_which_all_have_their_turn() -> None:
    """The first stage is 200 images, but at most a quarter of all, and two of each of the four classes at least."""
    budgets = {n_images: SpeedSettings(n_images=n_images).race_budget for n_images in (2000, 1000, 600, 128, 8)}
    assert budgets == {2000: "10%", 1000: "20%", 600: "25%", 128: "25%", 8: "100%"}


def test_the_table_says_the_ratios_and_what_met_its_target() -> None:
    said = cells(REPORT)
    assert (said["(b) / (a)"], said["(c) / (b)"], said["(c) / (b) as a race"]) == ("1.10", "4.00", "11.00")
    assert (said["passes a second, (b)"], said["passes a second, (c)"]) == ("10.0", "2.5")
    assert (said["first row after, (b)"], said["peak host memory, (b)"]) == ("5.0 s", "700 MiB")
    assert said["(b) as a race within 25% of the passes"] == "4.0 s"
    assert said["(a) floor of decoding and passes: both, on the same cores"] == "10.0 s"
    assert (said["images through networks"], said["number formats and layouts tried"]) == ("8.5 s", "0.5 s")
    assert f"fastest passes of (a): vit-small-16: {FOUND}" in notes(REPORT)
    met = "targets: (b) / (a) at most 1.15: met; (c) / (b) at least 3: met; (c) / (b) with a race at least 10: met"
    assert met in notes(REPORT)
    slow = replace(REPORT, rows=(ROW, replace(ROW, loop=replace(ROW.loop, wall_s=22.0))))
    missed = (
        "targets: (b) / (a) at most 1.15: met; (c) / (b) at least 3: not met; (c) / (b) with a race at least 10: not"
        " met"
    )
    assert missed in notes(slow)


def test_the_table_of_a_gpu_has_its_own_floor_targets_and_memory() -> None:
    report = replace(REPORT, kind="cuda", rows=(ON_GPU,))
    said = cells(report)
    assert said["(a) floor of decoding and passes: the longer of both"] == "8.0 s"
    assert (said["(b) / (a)"], said["peak GPU memory, (b)"]) == ("1.38", "0 MiB")
    assert not any("processor" in name for name in said)
    targets = next(note for note in notes(report) if note.startswith("targets"))
    assert "at most 1.25: not met; (c) / (b) at least 5: not met" in targets


def test_the_table_with_downloads_states_the_line() -> None:
    said = cells(replace(REPORT, rows=(ON_HUB,), megabytes_per_s=20.0))
    assert said["(a) download alone, at most 20 MB/s"] == "6.0 s"
    assert said["(b) with weights from the Hub, at most 20 MB/s"] == "13.0 s"
    assert said["(b) from the Hub / the longer of download and floor"] == "1.30"
    assert not any("Hub" in name for name in cells(REPORT))


def test_what_is_saved_holds_the_ratios(tmp_path: Path) -> None:
    save_speed(REPORT, tmp_path / "speed.json")
    [row] = json.loads((tmp_path / "speed.json").read_text())["rows"]
    assert row["under_loop"] == pytest.approx(4.0)
    assert row["ours"]["first_row_s"] == 5.0
    assert row["ours"]["stages"]["passes_s"] == 8.5
    assert (row["floor_s"], row["download"], row["over_download_floor"]) == (10.0, None, None)
    with pytest.raises(MatrixError, match=r"saved as \.json or \.svg"):
        save_speed(REPORT, tmp_path / "speed.csv")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"networks": ("alexnet",)}, "networks must be among .*found alexnet"),
        ({"sizes": ("large",)}, "width x height such as 500x375"),
        ({"n_images": 7}, "at least 8"),
    ],
)
def test_settings_that_cannot_work(settings: dict[str, object], message: str) -> None:
    with pytest.raises(MatrixError, match=message):
        SpeedSettings(**settings)  # type: ignore[arg-type]


def test_photographs_have_their_size_and_classes(tmp_path: Path) -> None:
    make_photographs(tmp_path, 9, (60, 40))
    files = sorted(tmp_path.glob("*/*.jpg"))
    assert [len(list(folder.iterdir())) for folder in sorted(tmp_path.iterdir())] == [3, 2, 2, 2]
    pictures = [Image.open(path) for path in files]
    assert {(picture.format, picture.size) for picture in pictures} == {("JPEG", (60, 40))}
    assert len({picture.tobytes() for picture in pictures}) == 9


@pytest.mark.slow
def test_networks_tell_photographs_apart_as_trained_ones_do(tmp_path: Path) -> None:
    """Batch norms that hold the photographs' statistics hand on numbers of mean 0 and variance 1, whatever the weights.

    Statistics of a part of them would be near that as well; those of noise, or of no images, would not.
    """
    photographs = sorted(make_photographs(tmp_path / "photographs", 16, (96, 64)).glob("*/*.jpg"))
    [folder] = make_checkpoints(tmp_path, ("resnet-50",), photographs)
    checkpoint = load_checkpoint(folder)
    norms = {name: part for name, part in checkpoint.model.named_modules() if isinstance(part, BatchNorm2d)}
    given: dict[str, Tensor] = {}
    for name, norm in norms.items():
        norm.register_forward_hook(lambda _norm, _inputs, output, name=name: given.update({name: output.clone()}))
    checkpoint.forward(checkpoint.prepare([read_pixels(path) for path in photographs]))
    assert len(given) == len(norms) == 53
    for name, output in given.items():
        values = output.transpose(0, 1).flatten(1) / norms[name].weight[:, None]
        assert values.mean(dim=1).abs().max() < 0.01
        assert (values.var(dim=1).mean() - 1).abs() < 0.05


@pytest.mark.slow
def test_networks_have_their_real_sizes(tmp_path: Path) -> None:
    """Published numbers of parameters, in millions."""
    published = {"resnet-50": 25.6, "convnext-tiny": 28.6, "vit-small-16": 22.1, "mobilenetv2-100": 3.5}
    published |= {"regnety-016": 11.2, "efficientnet-b0": 5.3, "swin-tiny": 28.3, "densenet-121": 8.0}
    assert set(published) == set(NETWORKS)
    photographs = sorted(make_photographs(tmp_path / "photographs", 8, (96, 64)).glob("*/*.jpg"))
    for folder in make_checkpoints(tmp_path, tuple(published), photographs):
        assert load_checkpoint(folder).parameters == pytest.approx(published[folder.name] * 1e6, rel=0.01)


@pytest.mark.slow
def test_a_small_measurement_of_everything(tmp_path: Path) -> None:
    arguments = ["bench", "--speed", "--images", "8", "--image-size", "96x64", "--network", "mobilenetv2-100"]
    finished = CliRunner().invoke(app, [*arguments, "--json", "-o", str(tmp_path / "speed.json")])
    assert finished.exit_code == 0, finished.output
    document = json.loads(finished.stdout)
    assert document == json.loads((tmp_path / "speed.json").read_text())
    [row] = document["rows"]
    assert row["size"] == "96x64"
    for part in ("decoding", "forward", "ours", "race", "loop"):
        assert row[part]["wall_s"] > 0
    assert 0 < row["ours"]["first_row_s"] <= row["ours"]["wall_s"]
    assert len(row["ours"]["dtypes"]) == len(row["forward"]["found"]) == 1
    assert sum(row["ours"]["stages"].values()) == pytest.approx(row["ours"]["wall_s"])
    assert document["race_budget"] == "100%"


@pytest.mark.slow
def test_a_small_measurement_with_weights_over_a_line() -> None:
    """3.5 million numbers of 4 bytes over 20 MB/s take 0.7 s at least, alone and in a run."""
    settings = SpeedSettings(networks=("mobilenetv2-100",), n_images=8, sizes=("96x64",))
    report = run_speed(settings, serve=partial(served, megabytes_per_s=20.0))
    [row] = report.rows
    assert report.megabytes_per_s == 20.0
    assert row.download is not None
    assert row.fetched is not None
    assert min(row.download.wall_s, row.fetched.wall_s) >= 0.7
    assert row.download_floor_s == max(row.download.wall_s, row.floor_s)
    assert row.fetched.dtypes == row.ours.dtypes
