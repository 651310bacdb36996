"""`lead-hub bench --speed`: ratios by hand, real photographs and networks, and one small measurement of everything."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from torch import Tensor
from torch.nn import BatchNorm2d
from typer.testing import CliRunner

from lead_hub.bench.matrix_files import MatrixError
from lead_hub.bench.speed import NETWORKS, SpeedReport, SpeedSettings, notes, save_speed, table
from lead_hub.bench.speed.made_inputs import make_checkpoints, make_photographs, read_pixels
from lead_hub.bench.speed.measured_parts import Measured
from lead_hub.bench.speed.speed_report import SpeedRow
from lead_hub.checkpoint_outputs import load_checkpoint
from lead_hub.cli import app

MEBIBYTE = 2**20
FOUND = "bfloat16, plain layout, 8 images, 2 threads"
ROW = SpeedRow(
    size="500x375",
    decoding=Measured(wall_s=2.0, processor_s=4.0, peak_bytes=MEBIBYTE),
    forward=Measured(wall_s=8.0, processor_s=16.0, peak_bytes=MEBIBYTE, dtypes=("bfloat16",), found=(FOUND,)),
    borne=Measured(wall_s=9.0, processor_s=18.0, peak_bytes=MEBIBYTE, dtypes=("float32",)),
    ours=Measured(11.0, 22.0, 700 * MEBIBYTE, first_row_s=5.0, extraction_s=9.0, dtypes=("bfloat16",)),
    loop=Measured(44.0, 88.0, 900 * MEBIBYTE, first_row_s=20.0),
)
SETTINGS = SpeedSettings(networks=("vit-small-16",), n_images=110, sizes=("500x375",))
REPORT = SpeedReport(SETTINGS, device="2 of 2 cores", kind="cpu", dtype="bfloat16", versions={}, rows=(ROW,))


def test_ratios_by_hand() -> None:
    assert ROW.over_floor == pytest.approx(11 / (2 + 8))
    assert ROW.under_loop == pytest.approx(44 / 11)
    assert ROW.over_floor_processor == pytest.approx(22 / 20)
    assert ROW.over_borne_processor == pytest.approx(22 / (4 + 18))
    assert ROW.under_loop_processor == pytest.approx(88 / 22)


def test_the_table_says_the_ratios_and_what_met_its_target() -> None:
    cells = {line[0].strip(): line[1] for line in table(REPORT)}
    assert (cells["(b) / (a)"], cells["(c) / (b)"]) == ("1.10", "4.00")
    assert (cells["passes a second, (b)"], cells["passes a second, (c)"]) == ("10.0", "2.5")
    assert (cells["first row after, (b)"], cells["peak host memory, (b)"]) == ("5.0 s", "700 MiB")
    assert f"fastest passes of (a): vit-small-16: {FOUND}" in notes(REPORT)
    assert any(note.endswith("at least 3.0: met") for note in notes(REPORT))
    slow = replace(REPORT, rows=(replace(ROW, loop=replace(ROW.loop, wall_s=22.0)),))
    assert any(note.endswith("at least 3.0: not all met") for note in notes(slow))


def test_what_is_saved_holds_the_ratios(tmp_path: Path) -> None:
    save_speed(REPORT, tmp_path / "speed.json")
    [row] = json.loads((tmp_path / "speed.json").read_text())["rows"]
    assert row["under_loop"] == pytest.approx(4.0)
    assert row["ours"]["first_row_s"] == 5.0
    with pytest.raises(MatrixError, match=r"saved as \.json"):
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
    for part in ("decoding", "forward", "ours", "loop"):
        assert row[part]["wall_s"] > 0
    assert 0 < row["ours"]["first_row_s"] <= row["ours"]["wall_s"]
    assert len(row["ours"]["dtypes"]) == len(row["forward"]["dtypes"]) == 1
