"""What this machine's own runs found of checkpoints decides who enters a later race first, and nothing else."""

import json
import shutil
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import cast

import pytest
from typer.testing import CliRunner

from lead_hub import Leaderboard, recommend
from lead_hub.access import Access
from lead_hub.candidates import Candidate
from lead_hub.cli import app
from lead_hub.labelled_images import DatasetQuery, LabelledImages, load_labelled_images
from lead_hub.recommendation.dataset_similarity import NAMES, statistics_of
from lead_hub.recommendation.judging import ScoredCandidate
from lead_hub.recommendation.race_budget import by_prior, parse_race_budget
from lead_hub.recommendation.race_entry import entrants
from lead_hub.recommendation.standing_elsewhere import (
    FEWEST_NOTED,
    MOST_EARLIER_BOARDS,
    earlier_standings,
    kept_standings,
    known_standings,
    note_standings,
    noted,
    with_known_standings,
    with_standings,
)
from tests.score_cards.boards import GOOD, board_of
from tests.tiny_checkpoints import save_checkpoint
from tests.tiny_families import FAMILIES

# The scores -1 to -20 have the mean -10.5, and (20 * 20 - 1) / 12 = 33.25 as the mean square of the differences.
SCORES = tuple(-float(number) for number in range(1, FEWEST_NOTED + 1))
DEVIATIONS = [(score + 10.5) / 33.25**0.5 for score in SCORES]


def scored(*scores: float) -> dict[Candidate, ScoredCandidate]:
    return {
        Candidate(f"org/net{number}"): ScoredCandidate(replace(GOOD, score=score))
        for number, score in enumerate(scores)
    }


@pytest.fixture
def access(tmp_path: Path) -> Access:
    return Access(tmp_path, progress=False)


def notes(access: Access) -> list[Path]:
    return sorted(access.earlier_boards_folder.iterdir()) if access.earlier_boards_folder.is_dir() else []


def test_a_board_is_noted_in_deviations_for_its_owner_alone(access: Access) -> None:
    note_standings(access, "org/birds", scored(*SCORES))
    found = earlier_standings(access)
    assert [found[f"org/net{number}"]["org/birds"] for number in range(20)] == pytest.approx(DEVIATIONS)
    (file,) = notes(access)
    assert file.stat().st_mode & 0o777 == 0o600
    assert "birds" not in file.name


@pytest.mark.parametrize("scores", [SCORES[1:], [-1.0] * 20, ()], ids=["few", "equal", "none"])
def test_what_says_nothing_of_the_order_is_not_noted(access: Access, scores: tuple[float, ...]) -> None:
    note_standings(access, "org/birds", scored(*scores))
    assert notes(access) == []


def test_a_note_of_more_checkpoints_stays(access: Access) -> None:
    more = (*SCORES, -21.0)
    note_standings(access, "org/birds", scored(*more))
    before = earlier_standings(access)
    note_standings(access, "org/birds", scored(*reversed(SCORES)))
    assert earlier_standings(access) == before
    note_standings(access, "org/birds", scored(*reversed(more)))
    assert earlier_standings(access)["org/net0"]["org/birds"] == -before["org/net0"]["org/birds"]


def test_a_damaged_note_is_left_out_and_written_again(access: Access) -> None:
    note_standings(access, "org/birds", scored(*SCORES))
    note_standings(access, "org/fish", scored(*SCORES))
    for damaged in notes(access):
        damaged.write_text('{"method": "lead"')
    assert earlier_standings(access) == {}
    note_standings(access, "org/birds", scored(*SCORES[1:]))
    assert earlier_standings(access) == {}
    note_standings(access, "org/fish", scored(*SCORES))
    assert set(earlier_standings(access)["org/net0"]) == {"org/fish"}


def test_the_newest_boards_are_kept(access: Access) -> None:
    for number in range(MOST_EARLIER_BOARDS + 2):
        note_standings(access, f"org/data{number}", scored(*SCORES))
    kept = earlier_standings(access)["org/net0"]
    assert set(kept) == {f"org/data{number}" for number in range(2, MOST_EARLIER_BOARDS + 2)}


def test_a_folder_that_cannot_be_written_ends_no_run(access: Access) -> None:
    access.earlier_boards_folder.write_text("a file in its place")
    with pytest.warns(UserWarning, match="later races will not know of this board"):
        note_standings(access, "org/birds", scored(*SCORES))
    assert earlier_standings(access) == {}


def test_a_dataset_tells_nothing_of_itself_and_no_score_is_told() -> None:
    earlier = {"org/a": {"org/birds": 2.0, "org/fish": -1.0, "org/flowers": -0.5}, "org/b": {"org/birds": 1.0}}
    found = with_standings([Candidate("org/a"), Candidate("org/b")], {}, earlier, dataset="Org/Birds")
    assert [each.standing_here for each in found] == [-0.75, None]
    assert [each.standing for each in found] == [None, None]


def test_a_dataset_counts_by_its_weight() -> None:
    earlier = {"org/a": {"org/birds": 2.0, "org/fish": -1.0, "org/flowers": 0.5}, "org/b": {"org/fish": 1.0}}
    candidates, weights = [Candidate("org/a"), Candidate("org/b")], {"org/birds": 2.0, "org/fish": 0.5}
    cards = {"org/a": {"org/birds": 1.0, "org/fish": 0.0}}
    found = with_standings(candidates, cards, earlier, weights, dataset="org/here")
    # (2 x 2 - 0.5 x 1 + 1 x 0.5) / (2 + 0.5 + 1); the only one alone is itself; no card is weighed.
    assert [each.standing_here for each in found] == pytest.approx([4 / 3.5, 1.0])
    assert [each.standing for each in found] == [0.5, None]
    found = with_standings(candidates, cards, earlier, weights, dataset="org/birds")
    assert found[0].standing_here == pytest.approx(0)  # (-0.5 + 0.5) / 1.5


@pytest.fixture
def images(colour_folder: Path, access: Access) -> Iterator[LabelledImages]:
    with closing(load_labelled_images(DatasetQuery(str(colour_folder)), access)) as images:
        yield images


def plain_looks() -> dict[str, float]:
    """Of grey images without any pattern, nothing like the coloured ones."""
    return {name: 1.0 if name == "flat" else 0.0 for name in NAMES}


def test_what_looks_like_the_run_counts_more(access: Access, images: LabelledImages) -> None:
    note_standings(access, "org/alike", scored(*SCORES), get_statistics=partial(statistics_of, images))
    note_standings(access, "org/plain", scored(*SCORES), get_statistics=plain_looks)
    note_standings(access, "org/older", scored(*SCORES))
    note_standings(access, images.dataset, scored(*SCORES), get_statistics=partial(statistics_of, images))
    known = known_standings(access, images)
    assert known.by_runs == earlier_standings(access)
    assert known.weights["org/alike"] > 1.3
    assert known.weights["org/older"] == pytest.approx(1.0)
    # The dataset of the run itself is none of them: those two are 1 in the mean.
    assert set(known.weights) == {"org/alike", "org/older", "org/plain"}
    assert known.weights["org/plain"] == pytest.approx(2 - known.weights["org/alike"])
    assert known_standings(access).weights == {}


@pytest.mark.parametrize(
    "damage", ["text", [0.1] * 13, {"version": 1, "values": {"edges": 1e300}}], ids=["text", "list", "huge"]
)
def test_damaged_statistics_are_none_and_their_standings_stay(
    access: Access, images: LabelledImages, damage: object
) -> None:
    note_standings(access, "org/birds", scored(*SCORES), get_statistics=plain_looks)
    before = earlier_standings(access)
    assert known_standings(access, images).weights == {"org/birds": 1.0}
    (file,) = notes(access)
    document = json.loads(file.read_text())
    assert document["images"]["values"] == plain_looks()
    file.write_text(json.dumps({**document, "images": damage}))
    assert known_standings(access, images).weights == {}
    assert earlier_standings(access) == before


def test_standings_are_noted_though_the_images_are_gone(access: Access, images: LabelledImages) -> None:
    shutil.rmtree(images.pixels.folder)
    note_standings(access, "org/birds", scored(*SCORES), get_statistics=partial(statistics_of, images))
    assert "org/birds" in earlier_standings(access)["org/net0"]


def test_one_folder_is_one_dataset_by_whatever_name(
    access: Access, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for project in ("one", "other"):
        (tmp_path / project / "images").mkdir(parents=True)
    candidates = [*scored(*SCORES)]
    monkeypatch.chdir(tmp_path / "one")
    note_standings(access, "images", scored(*SCORES))
    earlier = earlier_standings(access)
    for name in ("images", "./images", str(tmp_path / "one" / "images")):
        assert with_standings(candidates, {}, earlier, dataset=name) == candidates
    monkeypatch.chdir(tmp_path / "other")
    found = with_standings(candidates, {}, earlier, dataset="images")
    assert [each.standing_here for each in found] == pytest.approx(DEVIATIONS)


def test_cards_and_own_boards_count_alike_for_who_enters_first() -> None:
    proven = Candidate("org/proven", standing_here=1.0)
    both = Candidate("org/both", standing=3.0, standing_here=-1.0)
    told = Candidate("org/told", standing=1.6)
    unknown = Candidate("org/unknown", imagenet_top1_percent=90.0)
    poor = Candidate("org/poor", standing_here=-1.0, imagenet_top1_percent=95.0)
    # 1.6 is on the level of 1.5; 1.0 is the mean of 3 and -1; on one level ImageNet decides, then the given order.
    assert by_prior([poor, unknown, both, proven, told]) == [told, both, proven, unknown, poor]


@pytest.mark.slow
def test_a_race_lets_in_first_who_was_best_on_another_dataset(colour_folder: Path, tmp_path: Path) -> None:
    pool = [
        save_checkpoint(tmp_path / "pool" / f"net{seed:02}", FAMILIES["vit"].build(head=False, seed=seed))
        for seed in range(FEWEST_NOTED)
    ]
    other = shutil.copytree(colour_folder, tmp_path / "other-colours")
    access = Access(tmp_path / "cache", progress=False)
    settings = {"cache_dir": tmp_path / "cache", "progress": False}
    # Of a run that ends before all had their turn nothing is noted: those that had it are no sample of all.
    boards = cast("Iterator[Leaderboard]", recommend(colour_folder, pool, stream=True, **settings))  # type: ignore[call-overload]
    next(boards)
    boards.close()  # type: ignore[attr-defined]  # a generator
    assert notes(access) == []
    first = recommend(colour_folder, pool, **settings)  # type: ignore[call-overload]
    assert kept_standings(access) == {}
    (file,) = notes(access)
    assert set(json.loads(file.read_text())["images"]["values"]) == set(NAMES)
    found = earlier_standings(access)
    levels = {row.checkpoint: round(2 * found[row.checkpoint][str(colour_folder)]) for row in first.rows}

    # An eighth of 20 x 36 passes are 90: ten of twenty see the nine images of the first stage.
    raced = recommend(other, pool, budget="12.5%", **settings)  # type: ignore[call-overload]
    entered = {row.checkpoint for row in raced.rows}
    assert len(entered) == 10
    assert min(levels[one] for one in entered) >= max(level for one, level in levels.items() if one not in entered)
    assert len(notes(access)) == 1
    fresh = recommend(other, pool, budget="12.5%", cache_dir=tmp_path / "fresh", progress=False)
    scores = {row.checkpoint: row.score for row in fresh.rows}
    assert entered != set(scores)
    both = {row.checkpoint: row.score for row in raced.rows if row.checkpoint in scores}
    assert both == pytest.approx({one: scores[one] for one in both}, abs=1e-7)


@pytest.mark.slow
def test_a_race_lets_in_first_who_was_best_where_images_look_alike(
    access: Access, images: LabelledImages, colour_folder: Path, tmp_path: Path
) -> None:
    pool = [
        save_checkpoint(tmp_path / "pool" / f"net{seed}", FAMILIES["vit"].build(head=False, seed=seed))
        for seed in range(4)
    ]

    def stood(order: list[Path]) -> dict[Candidate, ScoredCandidate]:
        """The first best; 16 others are between the first two and the last two."""
        names = [*map(str, order[:2]), *(f"org/net{number}" for number in range(16)), *map(str, order[2:])]
        by_name = zip(names, SCORES, strict=True)
        return {Candidate(name): ScoredCandidate(replace(GOOD, score=score)) for name, score in by_name}

    note_standings(access, "org/plain", stood(pool), get_statistics=plain_looks)
    note_standings(access, "org/alike", stood(pool[::-1]), get_statistics=partial(statistics_of, images))
    # An eighth of 4 x 36 passes are 18: two of four see the nine images of the first stage.
    raced = recommend(colour_folder, pool, budget="12.5%", cache_dir=access.cache_dir, progress=False)
    assert {row.checkpoint for row in raced.rows} == {*map(str, pool[2:])}
    # Where all datasets count alike they cancel each other, and the given order decides.
    for file in notes(access):
        file.write_text(json.dumps({**json.loads(file.read_text()), "images": None}))
    raced = recommend(colour_folder, pool, budget="12.5%", cache_dir=access.cache_dir, progress=False)
    assert {row.checkpoint for row in raced.rows} == {*map(str, pool[:2])}


def test_a_dry_run_lets_in_who_enters_the_race(access: Access, colour_folder: Path, tmp_path: Path) -> None:
    """What is small enters first, but for what stood high elsewhere: in halves of a deviation 3, 3, 3 and then 2."""
    note_standings(access, "org/birds", scored(*SCORES))
    sizes = {f"org/net{number}": 2000 if number < 3 else 1000 for number in range(FEWEST_NOTED)}
    budget = parse_race_budget("0.005MB")
    assert budget is not None
    named = [Candidate(name, weight_bytes=size) for name, size in sizes.items()]
    entering, left_out = entrants(with_known_standings(named, access, dataset="org/fish"), budget, access)
    assert [each.checkpoint for each in entering] == ["org/net0", "org/net1", "org/net3"]
    assert len(left_out) == FEWEST_NOTED - 3

    index = tmp_path / "index.json"
    entries = [{"id": name, "parameters": 250, "weight_bytes": size} for name, size in sizes.items()]
    index.write_text(json.dumps({"schema_version": 1, "candidates": entries}))
    arguments = ["recommend", str(colour_folder), "-c", str(index), "--cache-dir", str(access.cache_dir), "--json"]
    told = CliRunner().invoke(app, [*arguments, "--dry-run", "--budget", "0.005MB"])
    estimate = json.loads(told.stdout)
    assert (estimate["n_checkpoints"], estimate["download_bytes"]) == (3, 5000)


def test_who_breaks_off_ends_the_run_at_once(access: Access, colour_folder: Path) -> None:
    """Not when its boards happen to be collected: until then the processes that share it go on."""
    ended = []

    def boards() -> Generator[Leaderboard, None, None]:
        try:
            yield from [replace(board_of(GOOD), n_candidates=2)] * 2
        finally:
            ended.append(True)

    of_run = boards()
    with closing(load_labelled_images(DatasetQuery(str(colour_folder)), access)) as images:
        told = noted(of_run, dict, images, access)
        next(told)
        told.close()
    assert ended == [True]
    assert notes(access) == []
