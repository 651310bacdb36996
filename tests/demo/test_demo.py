"""The embedded pool and `lead-hub demo`: what is in the package, and what a newcomer sees."""

import csv
import json
import os
import re
import subprocess
import sys
from collections import Counter
from itertools import product
from pathlib import Path

import pytest
from datasets import ClassLabel, Image, load_dataset

from lead_hub.demo import DRAWINGS, FOLDER, PHOTOGRAPHS, TARGETS, finetuned_accuracy, pool, target_folder
from lead_hub.errors import DatasetError

MEGABYTE = 10**6
LICENCES_OF_PHOTOGRAPHS = {
    *("Public Domain", "Public domain", "CC0-1.0", "CC-BY-2.0", "CC-BY-3.0", "CC-BY-SA-4.0", "CC-BY-SA 4.0", "GPLv2+")
}


def size_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def configurations(target: str = DRAWINGS[0]) -> dict[str, dict[str, object]]:
    return {
        Path(candidate.checkpoint).name: json.loads((Path(candidate.checkpoint) / "config.json").read_text())
        for candidate in pool(target)
    }


def test_the_pool_is_small_and_varied() -> None:
    families = {str(config["model_type"]) for config in configurations().values()}
    assert len(configurations()) >= 10
    assert len(families) >= 4
    assert "timm_wrapper" in families
    assert size_bytes(FOLDER / "pool") <= 20 * MEGABYTE
    headless = [name for name, config in configurations().items() if "ForImage" not in config["architectures"][0]]  # type: ignore[index]
    assert len(headless) >= 3  # two or more self-supervised, one left at random


def test_the_targets_are_small_and_typed() -> None:
    assert sum(size_bytes(target_folder(target)) for target in DRAWINGS) <= 5 * MEGABYTE
    assert size_bytes(target_folder(PHOTOGRAPHS)) <= 6 * MEGABYTE
    for target in TARGETS:
        splits = load_dataset(str(target_folder(target)))
        assert sorted(splits) == ["test", "train"]
        for split in splits.values():
            assert isinstance(split.features["image"], Image)
            assert isinstance(split.features["label"], ClassLabel)
            assert len(set(split["label"])) == split.features["label"].num_classes >= 3


def test_train_and_test_share_no_image() -> None:
    for target in TARGETS:
        splits = load_dataset(str(target_folder(target)))
        pictures = {name: {image.tobytes() for image in split["image"]} for name, split in splits.items()}
        assert not pictures["train"] & pictures["test"]


def test_the_real_networks_are_few_and_in_half_precision() -> None:
    found = configurations(PHOTOGRAPHS)
    assert len(found) >= 5
    assert {config["dtype"] for config in found.values()} == {"float16"}
    assert size_bytes(FOLDER / PHOTOGRAPHS) <= 34 * MEGABYTE


def test_every_photograph_has_an_author_and_a_licence_that_allows_to_pass_it_on() -> None:
    splits = load_dataset(str(target_folder(PHOTOGRAPHS)))
    assert sum(map(len, splits.values())) >= 190
    for split in splits.values():
        assert all(author.strip() for author in split["author"])
        assert set(split["licence"]) <= LICENCES_OF_PHOTOGRAPHS
    with (FOLDER / PHOTOGRAPHS / "credits.csv").open(encoding="utf-8", newline="") as file:
        written = [(row["split"], row["author"], row["licence"], row["source"]) for row in csv.DictReader(file)]
    columns = ("author", "licence", "source")
    assert written == [
        (name, *each)
        for name in ("train", "test")
        for each in zip(*(splits[name][column] for column in columns), strict=True)
    ]


def test_the_photographs_were_fine_tuned_on_at_three_rates_with_two_seeds() -> None:
    with (FOLDER / PHOTOGRAPHS / "finetuned_accuracy.csv").open(encoding="utf-8", newline="") as file:
        runs = list(csv.DictReader(file))
    found = Counter((run["target"], run["checkpoint"], float(run["learning_rate"]), run["seed"]) for run in runs)
    planned = product([PHOTOGRAPHS], configurations(PHOTOGRAPHS), (1e-4, 1e-3, 1e-2), "01")
    assert found == Counter(planned)


def test_every_checkpoint_was_fine_tuned_on_every_target() -> None:
    with (FOLDER / "finetuned_accuracy.csv").open(encoding="utf-8", newline="") as file:
        runs = list(csv.DictReader(file))
    seeds = Counter((run["target"], run["checkpoint"], run["learning_rate"]) for run in runs)
    learning_rates = {run["learning_rate"] for run in runs}
    assert len(learning_rates) >= 2
    assert seeds == Counter(dict.fromkeys(product(DRAWINGS, configurations(), learning_rates), 3))
    assert len({(run["target"], run["checkpoint"], run["learning_rate"], run["seed"]) for run in runs}) == len(runs)


def test_the_test_images_do_not_choose_the_learning_rate(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    rows = [("0.01", 0.5, 0.9), ("0.01", 0.6, 0.8), ("0.1", 0.8, 0.3), ("0.1", 0.4, 0.5)]
    lines = [f"emoji,a,{rate},{seed},12,{validation},{test}" for seed, (rate, validation, test) in enumerate(rows)]
    header = "target,checkpoint,learning_rate,seed,epochs,validation_accuracy,test_accuracy"
    table.write_text("\n".join([header, *lines, "other,a,0.01,0,12,1.0,1.0", "emoji,b,0.1,0,12,0.7,0.25"]) + "\n")
    # Mean validation accuracy is 0.55 at 0.01 and 0.6 at 0.1, where the mean test accuracy is 0.4.
    assert finetuned_accuracy("emoji", table=table) == pytest.approx({"a": 40.0, "b": 25.0})


def test_an_unknown_target_names_those_there_are() -> None:
    with pytest.raises(DatasetError, match="one of photographs, scripts, clipart, emoji, found 'cats'"):
        target_folder("cats")


def test_licences_are_named() -> None:
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert all(name in readme for name in ("Apache-2.0", "OFL", "public domain"))
    for candidate in (one for target in TARGETS for one in pool(target)):
        card = (Path(candidate.checkpoint) / "README.md").read_text(encoding="utf-8")
        assert card.startswith("---\n")
        assert re.search(r"\nlicense: (apache-2\.0|mit)\n", card)


# Any attempt to open a connection ends the demo.
NO_NETWORK = """
import socket, sys
def refuse(*_): raise RuntimeError("the demo opened a connection")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
from lead_hub.cli import main
sys.argv = ["lead-hub", "demo", *sys.argv[1:]]
main()
"""


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_the_demo_ranks_the_pool_without_a_network(target: str, tmp_path: Path) -> None:
    finished = subprocess.run(
        [sys.executable, "-c", NO_NETWORK, "--target", target, "--json"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "HF_HOME": str(tmp_path)},
    )
    assert finished.returncode == 0, finished.stderr
    document = json.loads(finished.stdout)
    board, accuracy = document["leaderboard"], document["finetuned_accuracy_percent"]
    assert sorted(row["checkpoint"] for row in board["rows"]) == sorted(configurations(target))
    assert accuracy == finetuned_accuracy(target)
    assert board["skipped"] == []
    best_first = board["rows"][0]["checkpoint"]
    assert document["regret_at_1_points"] == pytest.approx(max(accuracy.values()) - accuracy[best_first])
    assert -1 <= document["weighted_kendall_tau"] <= 1


@pytest.mark.slow
def test_targets_are_listed() -> None:
    listed = subprocess.run(
        [sys.executable, "-m", "lead_hub", "demo", "--target", "list"], capture_output=True, text=True, check=True
    )
    assert listed.stdout.split() == list(TARGETS)
