"""The command line, as a person on a terminal and as a program in a pipe meet it."""

import json
import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
from datasets import Dataset, Features, Image, Value
from typer.testing import CliRunner

from lead_hub import Leaderboard, __version__, score
from lead_hub.candidates import PRESETS
from lead_hub.cli import app
from lead_hub.cli.recommend import Preset
from tests.loopback_hub import HubServer

ROOT = Path(__file__).parents[2]
Result: TypeAlias = Any  # click's, or the copy of it inside newer versions of Typer


def lead_hub(*arguments: object) -> Result:
    """Run the command line in this process, its output in a pipe."""
    return CliRunner().invoke(app, list(map(str, arguments)), prog_name="lead-hub")


def on_terminal(*arguments: object, columns: int = 120) -> tuple[int, str]:
    """Run the command line on a pseudo-terminal; the exit code and what a person sees."""
    main, side = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm"}
    command = [sys.executable, "-m", "lead_hub", *map(str, arguments)]
    with subprocess.Popen(command, stdout=side, stderr=subprocess.DEVNULL, cwd=ROOT, env=environment) as process:
        os.close(side)
        seen = b""
        while True:
            try:
                part = os.read(main, 65536)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            seen += part
        code = process.wait(timeout=300)
    os.close(main)
    return code, re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.decode()).replace("\r\n", "\n")


def test_a_column_of_groups(colour_folder: Path, tiny_pool: Path, tmp_path: Path) -> None:
    """Images of one scene are left out together; a column that there is not is bad usage."""
    files = sorted(colour_folder.rglob("*.png"))
    rows = {
        "image": [{"bytes": file.read_bytes(), "path": None} for file in files],
        "colour": [file.parent.name for file in files],
        "scene": [file.stem for file in files],
    }
    types = Features({"image": Image(), "colour": Value("string"), "scene": Value("string")})
    table = tmp_path / "scenes.parquet"
    Dataset.from_dict(rows, features=types).to_parquet(table)
    options = ["-c", tiny_pool / "vit", "--cache-dir", tmp_path / "cache", "--json"]
    found = lead_hub("recommend", table, "--group-column", "scene", *options)
    assert found.exit_code == 0, found.output
    board = json.loads(found.stdout)
    assert board["dataset"]["notes"] == ["images with the same 'scene' are left out together: 36 images in 12 groups"]
    assert board["settings"]["group_column"] == "scene"
    assert lead_hub("recommend", table, "--group-column", "place", *options).exit_code == 2


@pytest.mark.slow
def test_version_as_installed_or_run_as_a_module() -> None:
    finished = subprocess.run(
        [sys.executable, "-W", "error", "-m", "lead_hub", "--version"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert (finished.stdout, finished.stderr) == (f"lead-hub {__version__}\n", "")


def test_both_entry_points_are_declared() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert 'lead-hub = "lead_hub.cli:main"' in project
    assert 'hf-lead = "lead_hub.cli:main"' in project


@pytest.mark.slow
def test_a_pipe_gets_json_and_nothing_else(colour_folder: Path, tiny_pool: Path, tmp_path: Path) -> None:
    saved = [tmp_path / f"board{ending}" for ending in (".json", ".csv", ".parquet")]
    outputs = [argument for path in saved for argument in ("--output", path)]
    finished = lead_hub(
        "recommend", colour_folder, "-c", tiny_pool, "-c", "a/b/c", "--cache-dir", tmp_path / "cache", *outputs
    )
    assert finished.exit_code == 0, finished.stderr
    board = Leaderboard.from_document(json.loads(finished.stdout))
    assert len(board.rows) == 3
    assert [skip.checkpoint for skip in board.skipped] == ["a/b/c"]
    assert board == Leaderboard.load(saved[0]) == Leaderboard.load(saved[2])
    assert saved[1].read_text().startswith("rank,checkpoint,score,status,")
    # This processor's number format, and float32 for a network that does not bear it.
    places = ", ".join(f"cpu in {dtype}" for dtype in sorted({row.dtype for row in board.rows}))
    assert f"3 checkpoints ran on {places}; 1 skipped" in finished.stderr
    again = lead_hub("recommend", colour_folder, "-c", tiny_pool, "--cache-dir", tmp_path / "cache")
    assert "3 of 3 read from the cache without a forward pass" in again.stderr
    quiet = lead_hub("recommend", colour_folder, "-c", tiny_pool, "--cache-dir", tmp_path / "cache", "--quiet")
    assert (quiet.exit_code, quiet.stderr) == (0, "")


@pytest.mark.slow
def test_a_terminal_gets_a_table(colour_folder: Path, tiny_pool: Path, tmp_path: Path) -> None:
    code, seen = on_terminal(
        "recommend", colour_folder, "-c", tiny_pool, "-c", "a/b/c", "--cache-dir", tmp_path / "cache"
    )
    assert code == 0
    lines = [line.replace("▸", " ").split() for line in seen.splitlines()]
    names = ["checkpoint", "chance", "of", "best", "expected", "accuracy", "size", "ranks", "score", "licence"]
    assert names in lines
    places = {line[0]: Path(line[1]).name for line in lines if line and line[0] in {"1", "2", "3"}}
    board = Leaderboard.from_document(
        json.loads(lead_hub("recommend", colour_folder, "-c", tiny_pool, "--cache-dir", tmp_path / "cache").stdout)
    )
    assert places == {str(row.rank): Path(row.checkpoint).name for row in board.rows}
    assert "36 images of 3 classes, ranked by lead (higher is better)" in seen
    assert "skipped at find: a/b/c: a candidate must be an existing checkpoint folder or a Hub id" in seen


@pytest.mark.slow
def test_json_on_a_terminal_when_asked(colour_folder: Path, tiny_pool: Path, tmp_path: Path) -> None:
    arguments = ("recommend", colour_folder, "-c", tiny_pool / "vit", "--cache-dir", tmp_path / "cache", "--json")
    code, seen = on_terminal(*arguments)
    assert code == 0
    assert json.loads(seen)["rows"][0]["rank"] == 1


@pytest.mark.slow
def test_names_that_look_like_markup_stay_as_they_are(colour_folder: Path, tiny_pool: Path, tmp_path: Path) -> None:
    pool = tmp_path / "pool"
    shutil.copytree(tiny_pool / "vit", pool / "[red]vit[bold]")
    code, seen = on_terminal("recommend", colour_folder, "-c", pool, "--cache-dir", tmp_path / "cache")
    assert code == 0
    assert "pool/[red]vit[bold]" in seen


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("no/such/folder",), "no/such/folder"),
        (("{images}", "--score", "magic"), "score must be one of lead"),
        (("{images}", "-c", "missing.txt"), "found nothing at"),
        (("{images}", "--batch-size", "many"), '--batch-size must be "auto" or a whole number'),
        (("{images}", "--batch-size", "0"), "at least 1"),
        (("{images}", "--device", "toaster"), "device must be auto or a device of this machine"),
        (("{images}", "--max-images", "1"), "max_images must be at least 4"),
        (("{images}", "--split", "training"), "training"),
        (("{images}", "--dtype", "int8"), "int8"),
        ((), "dataset"),
    ],
)
def test_bad_usage_and_bad_datasets_exit_with_2(
    colour_folder: Path, arguments: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    given = [colour_folder if argument == "{images}" else argument for argument in arguments]
    finished = lead_hub("recommend", *given, "--cache-dir", tmp_path)
    assert finished.exit_code == 2
    assert message in finished.stderr
    assert finished.stdout == ""
    assert "Traceback" not in finished.stderr


def test_no_scored_candidate_exits_with_3_and_still_says_why(colour_folder: Path, tmp_path: Path) -> None:
    finished = lead_hub("recommend", colour_folder, "-c", "a/b/c", "--cache-dir", tmp_path)
    assert finished.exit_code == 3
    assert json.loads(finished.stdout)["skipped"][0]["stage"] == "find"


def test_an_output_that_cannot_be_written_exits_with_2_after_showing_the_board(
    colour_folder: Path, tiny_pool: Path, tmp_path: Path
) -> None:
    arguments = ("recommend", colour_folder, "-c", tiny_pool / "vit", "--cache-dir", tmp_path / "cache")
    finished = lead_hub(*arguments, "-o", tmp_path / "board.xlsx")
    assert finished.exit_code == 2
    assert ".json, .parquet, .csv" in finished.stderr


def test_score_of_a_feature_file(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    labels = np.repeat([3, 7], 20)
    features = random.normal(size=(40, 5)) + labels[:, None]
    np.savez(tmp_path / "features.npz", features=features, labels=labels)
    finished = lead_hub("score", tmp_path / "features.npz", "--method", "logme")
    assert finished.exit_code == 0, finished.stderr
    document = json.loads(finished.stdout)
    assert document["score"] == pytest.approx(score(features, labels, "logme"), rel=1e-12)
    assert (document["method"], document["n_images"]) == ("logme", 40)


def test_feature_files_that_cannot_be_scored(tmp_path: Path) -> None:
    names = ("missing", "text", "pickle", "single", "nameless", "nan", "empty", "cut", "locked", "garbled")
    paths = {name: tmp_path / f"{name}.npz" for name in names}
    paths["empty"].write_bytes(b"")
    np.savez_compressed(paths["garbled"], features=np.arange(4000.0).reshape(-1, 4), labels=np.arange(1000) % 2)
    whole = paths["garbled"].read_bytes()
    paths["cut"].write_bytes(whole[: len(whole) // 2])
    paths["garbled"].write_bytes(whole[:60] + bytes(200) + whole[260:])
    central = b"PK\x01\x02-\x03-\x00"  # then come two bytes of flags, of which the first bit means a password
    paths["locked"].write_bytes(whole.replace(central + b"\x00", central + b"\x01"))
    paths["text"].write_text("not an archive")
    np.savez(paths["pickle"], features=np.array([{}], dtype=object), labels=np.array([0]))
    with paths["single"].open("wb") as file:
        np.save(file, np.zeros(3))
    np.savez(paths["nameless"], np.zeros((4, 2)))
    np.savez(paths["nan"], features=np.full((4, 2), np.nan), labels=np.array([0, 0, 1, 1]))
    for path in paths.values():
        finished = lead_hub("score", path)
        assert finished.exit_code == 2, path
        assert finished.stderr.startswith("error: "), finished.stderr
        assert finished.stdout == ""


@pytest.mark.slow
def test_a_part_of_the_model_index(
    colour_folder: Path, tiny_pool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = {"resnet": ("resnet", 10_000_000, "mit"), "vit": ("vit", 60_000_000, "mit"), "dinov2": ("dinov2", 5, "x")}
    entries = [
        {"id": str(tiny_pool / name), "family": family, "parameters": parameters, "licence": licence}
        for name, (family, parameters, licence) in facts.items()
    ]
    index = tmp_path / "index.json"
    index.write_text(json.dumps({"schema_version": 1, "candidates": entries}))
    monkeypatch.setenv("LEAD_HUB_MODEL_INDEX", str(index))
    bounds = ("--max-params", "50M", "--licence", "permissive", "--family", "resnet", "--family", "vit", "--limit", 3)
    finished = lead_hub("recommend", colour_folder, *bounds, "--cache-dir", tmp_path / "cache", "--quiet")
    assert finished.exit_code == 0, finished.stderr
    assert [row["checkpoint"] for row in json.loads(finished.stdout)["rows"]] == [str(tiny_pool / "resnet")]
    both = lead_hub("recommend", colour_folder, "-c", tiny_pool, "--limit", 3, "--family", "vit")
    assert (both.exit_code, both.stdout) == (2, "")
    assert "--family, --limit choose from the model index, and --candidates names the candidates" in both.stderr
    told = lead_hub(
        "recommend", colour_folder, "--licence", "permissive", "--dry-run", "--cache-dir", tmp_path / "cache"
    )
    assert json.loads(told.stdout)["n_checkpoints"] == 2
    assert told.stderr == "2 of the 3 checkpoints of the model index; left out: 1 licence not allowed\n"
    small = lead_hub("recommend", colour_folder, "--preset", "small", "--licence", "mit", "--dry-run", "--quiet")
    assert (json.loads(small.stdout)["n_checkpoints"], small.stderr) == (1, "")
    none = lead_hub("recommend", colour_folder, "--max-params", "1K", "--family", "resnet")
    assert (none.exit_code, none.stdout) == (2, "")
    assert "found none of 3 (2 family not asked for, 1 too large)" in none.stderr


@pytest.mark.slow
def test_a_race_says_on_how_many_images_each_row_rests(colour_folder: Path, tiny_pool: Path, tmp_path: Path) -> None:
    # 30% of 3 x 36 are 32 passes: nine images each, and no more.
    arguments = ("recommend", colour_folder, "-c", tiny_pool, "--budget", "30%", "--cache-dir", tmp_path, "--json")
    board = json.loads(lead_hub(*arguments).stdout)
    assert [row["n_images"] for row in board["rows"]] == [9, 9, 9]
    assert board["settings"]["budget"] == "30%"
    assert board["dataset"]["n_images"] == 36
    assert all("judged on 9 of 36 images" in row["note"] for row in board["rows"])


@pytest.fixture
def endless(tiny_pool: Path, tmp_path: Path) -> Path:
    """A model index of the pool, of which each network takes 10^18 operations an image, if one believes it."""
    entries = [{"id": str(folder), "multiply_adds": 10**18} for folder in sorted(tiny_pool.iterdir())]
    index = tmp_path / "endless.json"
    index.write_text(json.dumps({"schema_version": 1, "candidates": entries}))
    return index


A_RACE = re.compile(
    r"the full run would take about [\d.]+ h: this is a race within 15min; for the full run, add --budget none\n"
)


@pytest.mark.slow
def test_what_would_take_too_long_is_a_race_unless_asked_otherwise(
    colour_folder: Path, tiny_pool: Path, endless: Path, tmp_path: Path
) -> None:
    def ranked(*options: object) -> tuple[dict[str, Any], str]:
        finished = lead_hub("recommend", colour_folder, "-c", endless, "--cache-dir", tmp_path / "cache", *options)
        assert finished.exit_code == 0, finished.stderr
        return json.loads(finished.stdout), finished.stderr

    board, said = ranked()
    assert board["settings"]["budget"] == "15min"
    assert len(A_RACE.findall(said)) == 1
    again, said = ranked("--quiet")
    assert (again["settings"]["budget"], said) == ("15min", "")
    for options in (("--budget", "none"), ("--score", "knn"), ("--score", "lead", "--score", "lead-network")):
        full, said = ranked(*options)
        assert "budget" not in full["settings"]
        assert {row["n_images"] for row in full["rows"]} == {None}
        assert not A_RACE.search(said)
    mine, said = ranked("--budget", "1h")
    assert mine["settings"]["budget"] == "1h"
    assert not A_RACE.search(said)


def test_a_budget_that_cannot_be_is_an_error_all_the_same(colour_folder: Path, endless: Path) -> None:
    for options, message in (
        (("--score", "knn"), "a budget needs a score whose chances to be best are calibrated"),
        (("--reuse-cards", "me/cards"), "give reuse_cards or a budget, not both"),
    ):
        refused = lead_hub("recommend", colour_folder, "-c", endless, "--budget", "10min", *options)
        assert (refused.exit_code, refused.stdout) == (2, "")
        assert message in refused.stderr


@pytest.mark.slow
def test_a_dry_run_says_whether_it_will_be_a_race(colour_folder: Path, endless: Path, tmp_path: Path) -> None:
    arguments = ("recommend", colour_folder, "-c", endless, "--cache-dir", tmp_path, "--dry-run")
    raced = lead_hub(*arguments)
    assert A_RACE.fullmatch(raced.stderr)
    estimate = json.loads(raced.stdout)
    assert (estimate["duration_s"], estimate["budget"]) == (900, "15min")
    assert estimate["full_duration_s"] > 900
    quiet = lead_hub(*arguments, "--quiet")
    assert (quiet.stderr, json.loads(quiet.stdout)["budget"]) == ("", "15min")
    for options in (("--budget", "none"), ("--score", "knn"), ("--reuse-cards", "me/cards")):
        full = lead_hub(*arguments, *options)
        assert full.stderr == ""
        estimate = json.loads(full.stdout)
        assert estimate["budget"] is None
        assert estimate["duration_s"] == estimate["full_duration_s"] > 900


def test_every_preset_is_an_option() -> None:
    assert [preset.value for preset in Preset] == list(PRESETS)


@pytest.mark.slow
def test_a_dry_run_downloads_neither_weights_nor_images(
    hub: HubServer, colour_folder: Path, tiny_pool: Path, tmp_path: Path
) -> None:
    hub.add_repo("org/dry", kind="dataset", folder=colour_folder)
    hub.add_repo("org/vit", folder=tiny_pool / "vit")
    size_bytes = (tiny_pool / "resnet/model.safetensors").stat().st_size
    entries = [
        {"id": "org/vit", "parameters": 1_000_000},
        {"id": "org/other", "parameters": 9, "weight_bytes": 500},
        {"id": "org/unknown"},
        {"id": str(tiny_pool / "resnet"), "parameters": size_bytes // 4},
    ]
    index = tmp_path / "index.json"
    index.write_text(json.dumps({"schema_version": 1, "candidates": entries}))
    arguments = ("recommend", "org/dry", "-c", index, "--dry-run", "--cache-dir", tmp_path / "cache")
    finished = lead_hub(*arguments)
    assert finished.exit_code == 0, finished.stderr
    estimate = json.loads(finished.stdout)
    assert estimate.pop("duration_s") == estimate.pop("full_duration_s") > 0
    known = {"n_checkpoints": 4, "n_images": 36, "download_bytes": 4_000_500, "n_unknown_size": 1}
    assert estimate == {**known, "n_weights_here": 1, "budget": None, "job_usd_per_hour": None}
    assert json.loads(lead_hub(*arguments, "--budget", "1s").stdout)["duration_s"] == 1
    soon = lead_hub(*arguments, "--budget", "soon")
    assert (soon.exit_code, soon.stdout) == (2, "")
    assert "budget must be a time such as '10min' or '2h'" in soon.stderr
    assert json.loads(lead_hub(*arguments, "--max-images", 20).stdout)["n_images"] == 20
    assert not [each.path for each in hub.requests if each.path.endswith((".png", ".safetensors"))]
    split = lead_hub(*arguments, "--split", "nowhere")
    assert (split.exit_code, split.stdout) == (2, "")
    assert "split must be one of org/dry's (train), found 'nowhere'" in split.stderr
    code, seen = on_terminal("recommend", colour_folder, "-c", index, "--dry-run")
    assert code == 0
    assert seen.startswith("4 checkpoints on 36 images\nabout 0.0 GB of weights to download, and 1 of unknown size")
    assert re.search(
        r"\nroughly \d+ (s|min) of computing here\s+\(full runs of two networks on 2 idle CPU cores took 0.8 to", seen
    )
