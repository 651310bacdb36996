"""`lead-hub bench --paper` against a test Hub: stand-ins of the same structure, published numbers as they are."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import weightedtau

from lead_hub import recommend
from lead_hub.bench.matrix_files import MatrixError
from lead_hub.bench.paper.published import published_accuracy, published_taus
from lead_hub.bench.paper.repositories import FOLDER, GROUPS, PAPER_LIST, read_paper_list
from lead_hub.candidates import read_candidates
from tests.cli.test_recommend import lead_hub, on_terminal
from tests.conftest import COLOURS, coloured_images
from tests.loopback_hub import HubServer

SUPERVISED = {"resnet34": "resnet", "resnet50": "vit", "mnasnet1_0": "dinov2"}


@pytest.fixture
def stand_ins(hub: HubServer, tiny_pool: Path, tmp_path: Path) -> Path:
    """Three published names, each a tiny checkpoint on the test Hub; two datasets there, one that is not."""
    for name in SUPERVISED.values():
        hub.add_repo(f"org/{name}", folder=tiny_pool / name)
    for number, name in enumerate(("pets", "dtd")):
        folder = coloured_images(tmp_path / name, classes=COLOURS, n_images=8 + number)
        hub.add_repo(f"org/{name}", kind="dataset", folder=folder)
    document = {
        "checkpoints": [
            {"name": name, "group": "supervised", "repository": f"org/{repository}", "nearest": True, "note": "tiny"}
            for name, repository in SUPERVISED.items()
        ]
        + [
            {"name": "googlenet", "group": "supervised", "repository": "org/missing"},
            {"name": "swav", "group": "self-supervised", "repository": None, "note": "nowhere"},
        ],
        "datasets": [
            {"name": "pets", "repository": "org/pets", "label_column": "label"},
            {"name": "dtd", "repository": "org/dtd"},
            {"name": "food", "repository": "org/food"},
            {"name": "voc2007", "repository": None, "note": "several labels an image"},
        ],
    }
    path = tmp_path / "list.json"
    path.write_text(json.dumps(document))
    return path


def published(file: str) -> list[dict[str, str]]:
    with (FOLDER / file).open(newline="") as lines:
        return list(csv.DictReader(lines))


@pytest.mark.slow
def test_every_row_is_recommends_own_order_against_the_published_accuracies(stand_ins: Path, tmp_path: Path) -> None:
    saved = [tmp_path / f"paper{suffix}" for suffix in (".md", ".csv", ".json")]
    outputs = [argument for path in saved for argument in ("-o", path)]
    methods = ("--score", "logme", "--score", "leep")
    result = lead_hub(
        "bench", "--paper", "--paper-list", stand_ins, *methods, "--cache-dir", tmp_path / "cache", "-q", *outputs
    )
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    rows = {row["dataset"]: row for row in document["rows"]}
    assert list(rows) == ["pets", "dtd", "food"]
    for dataset in ("pets", "dtd"):
        board = recommend(
            f"org/{dataset}",
            [f"org/{name}" for name in SUPERVISED.values()],
            ["logme", "leep"],
            cache_dir=tmp_path / "cache",
            progress=False,
        )
        logme = {row.checkpoint: row.score for row in board.rows}
        leep = {row.checkpoint: row.other_scores["leep"] for row in board.rows}
        accuracy = {
            line["checkpoint"]: float(line["finetuned_accuracy_percent"])
            for line in published("finetuned_accuracy.csv")
            if (line["group"], line["dataset"]) == ("supervised", dataset)
        }
        truth = [accuracy[name] for name in SUPERVISED]
        ours = [logme[f"org/{name}"] for name in SUPERVISED.values()]
        assert rows[dataset]["taus"]["logme"] == pytest.approx(weightedtau(ours, truth).statistic, abs=1e-9)
        # dinov2 has no head: LEEP is undefined there, and ranks it last.
        numbers = [-1e9 if (value := leep[f"org/{name}"]) is None else value for name in SUPERVISED.values()]
        assert numbers[2] == -1e9
        assert rows[dataset]["taus"]["leep"] == pytest.approx(weightedtau(numbers, truth).statistic, abs=1e-9)
        assert (rows[dataset]["n_checkpoints"], rows[dataset]["n_published"]) == (3, 11)
        assert any(reason.startswith("org/missing: ") for reason in rows[dataset]["missing"])
    assert rows["pets"]["published"]["LogME"] == 0.411
    assert rows["pets"]["published"]["LEAD (group not stated)"] == 0.841
    assert rows["food"]["taus"] == {}
    assert "org/food" in rows["food"]["missing"][0]
    assert "voc2007: left out, several labels an image" in document["departures"]
    assert "resnet34: org/resnet, tiny" in document["departures"]
    assert json.loads(saved[2].read_text()) == document
    markdown = saved[0].read_text()
    assert "**supervised**" in markdown
    assert "**self-supervised**" not in markdown
    assert f"| pets | 3/11 | {rows['pets']['taus']['logme']:.3f} |" in markdown
    assert "| mean of 2 |" in markdown
    with saved[1].open(newline="") as file:
        lines = [line for line in csv.DictReader(file) if line["dataset"] == "pets" and line["from"] == "ours"]
    assert [(line["method"], line["n_checkpoints"]) for line in lines] == [("logme", "3"), ("leep", "3")]


@pytest.mark.slow
def test_a_terminal_gets_a_table(stand_ins: Path, tmp_path: Path) -> None:
    code, seen = on_terminal(
        "bench", "--paper-list", stand_ins, "--cache-dir", tmp_path / "cache", "--max-images", "12", columns=200
    )
    assert code == 0
    header = next(line for line in seen.splitlines() if line.startswith("dataset"))
    assert "lead, ours" in header
    assert "SFDA" in header
    assert any(line.split()[:2] == ["pets", "3/11"] for line in seen.splitlines())


def test_nothing_to_compare_is_an_exit_code_of_its_own(hub: HubServer, tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    path.write_text(
        json.dumps(
            {
                "checkpoints": [{"name": "resnet34", "group": "supervised", "repository": "org/missing"}],
                "datasets": [{"name": "pets", "repository": "org/pets"}],
            }
        )
    )
    assert lead_hub("bench", "--paper-list", path, "--cache-dir", tmp_path, "-q").exit_code == 3


def test_the_list_names_every_published_checkpoint_and_dataset() -> None:
    paper = read_paper_list(PAPER_LIST)
    lines = published("finetuned_accuracy.csv")
    assert {(each.group, each.name) for each in paper.checkpoints} == {
        (line["group"], line["checkpoint"]) for line in lines
    }
    assert {each.name for each in paper.datasets} == {line["dataset"] for line in lines}
    # What has no repository says why, and what has one is an id that recommend understands.
    for each in (*paper.checkpoints, *paper.datasets):
        assert each.repository or each.note
        assert each.note or not each.nearest
    ids = [each.repository for each in paper.checkpoints if each.repository]
    assert [candidate.checkpoint for candidate in read_candidates(ids)] == ids
    assert len(set(ids)) == len(ids)


def test_published_numbers_are_all_there() -> None:
    accuracy, taus = published_accuracy(), published_taus()
    assert {group for group, _ in accuracy} == set(GROUPS)
    assert sum(map(len, accuracy.values())) == len(published("finetuned_accuracy.csv")) == 253
    assert sum(map(len, taus.values())) == len(published("weighted_tau.csv")) == 138
    assert all(0 < value <= 100 for by_name in accuracy.values() for value in by_name.values())
    assert all(-1 <= value <= 1 for by_name in taus.values() for value in by_name.values())
    assert np.isclose(
        accuracy["supervised", "pets"]["resnet34"],
        next(
            float(line["finetuned_accuracy_percent"])
            for line in published("finetuned_accuracy.csv")
            if (line["dataset"], line["checkpoint"]) == ("pets", "resnet34")
        ),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "must be JSON with"),
        ("not JSON", "must be JSON with"),
        ('{"checkpoints": [{"title": "x"}], "datasets": []}', "must be JSON with"),
        (
            '{"checkpoints": [{"name": "x", "group": "other", "repository": null}], "datasets": []}',
            "x: group must be one of supervised, self-supervised, found 'other'",
        ),
        (
            '{"checkpoints": [], "datasets": [{"name": "x", "repository": null}, {"name": "x", "repository": null}]}',
            "must be there once, found x, x",
        ),
    ],
)
def test_a_bad_list_is_an_error(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "list.json"
    path.write_text(text)
    with pytest.raises(MatrixError, match=message):
        read_paper_list(path)
