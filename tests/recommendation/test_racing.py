"""recommend(budget=): a race on real images and real, if tiny, checkpoints."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
import torch
from torch import nn

import lead_hub
from lead_hub import Leaderboard, LeadHubError, recommend
from lead_hub.access import Access
from lead_hub.candidates import Candidate
from lead_hub.checkpoint_outputs.number_format import bfloat16_instructions
from lead_hub.confidence import find_calibration
from lead_hub.errors import RunCancelledError
from lead_hub.labelled_images import DatasetQuery, load_labelled_images
from lead_hub.leaderboard import Skipped
from lead_hub.processes import OneProcess
from lead_hub.recommendation.board_rows import empty_board
from lead_hub.recommendation.progress import RunProgress
from lead_hub.recommendation.race_budget import RaceBudget, SpentBudget
from lead_hub.recommendation.racing import Race
from lead_hub.transferability import SCORES
from tests.loopback_hub import HubServer
from tests.tiny_checkpoints import save_checkpoint, tiny_processor
from tests.tiny_families import FAMILIES

Recommend = Callable[..., Leaderboard]
N_IMAGES = 36  # the stages have 9, 18 and 36


@pytest.fixture
def rank(colour_folder: Path, tiny_pool: Path, tmp_path: Path) -> Recommend:
    """recommend() of the pool of three on the colours, with a cache of its own."""

    def ranked(**options: object) -> Leaderboard:
        settings = {"cache_dir": tmp_path / "cache", "progress": False, "batch_size": 3, **options}
        return recommend(colour_folder, tiny_pool, **settings)  # type: ignore[call-overload, no-any-return]

    return ranked


def images_run(told: list[RunProgress]) -> int:
    """How many images ran through any checkpoint."""
    counts = [one.n_images for one in told if one.stage == "extract"]
    return sum(max(0, now - before) for before, now in zip([0, *counts], counts, strict=False))


def by_name(board: Leaderboard) -> dict[str, int | None]:
    """On how many images each row rests."""
    return {Path(row.checkpoint).name: row.n_images for row in board.rows}


@pytest.mark.slow
def test_those_that_go_on_get_what_the_full_run_gives(rank: Recommend, tmp_path: Path) -> None:
    raced = rank(budget="100%")
    full = rank(cache_dir=tmp_path / "other")
    scores = {row.checkpoint: row for row in full.rows}
    finished = [row for row in raced.rows if row.n_images is None]
    assert len(raced.rows) == 3
    assert finished
    for row in finished:
        assert row.score == pytest.approx(scores[row.checkpoint].score, rel=1e-5)
        assert row.rows_sha256 is None
    assert raced.rows[0].n_images is None
    assert sum(row.confidence.p_best for row in raced.rows if row.confidence) == pytest.approx(1)
    assert raced.settings["budget"] == "100%"
    assert "budget" not in full.settings


@pytest.mark.slow
def test_every_stage_runs_new_images_alone(rank: Recommend) -> None:
    told: list[RunProgress] = []
    boards = list(cast("Iterator[Leaderboard]", rank(budget="100%", stream=True, on_progress=told.append)))
    assert [[*by_name(board).values()] for board in boards[:3]] == [[9], [9, 9], [9, 9, 9]]
    assert boards[2].is_complete
    end_of_first = [one for one in told if one.stage == "score"][2]
    assert end_of_first.number == end_of_first.n_candidates == 3
    assert end_of_first.remaining_s  # two more stages are to come
    last = by_name(boards[-1])
    # Each image once for each checkpoint that saw it, though in three stages.
    assert images_run(told) == sum(N_IMAGES if n_images is None else n_images for n_images in last.values())
    for row in boards[-1].rows:
        assert (f"judged on {row.n_images} of 36 images" in row.note) == (row.n_images is not None)
    counts = [N_IMAGES if row.n_images is None else row.n_images for row in boards[-1].rows]
    assert counts == sorted(counts, reverse=True)


@pytest.mark.slow
def test_whom_the_first_stage_leaves_behind_sees_no_more_and_keeps_its_interval(tmp_path: Path) -> None:
    """The trained checkpoints of the demo, of which some know nothing of such pictures."""
    demo, told = Path(lead_hub.__file__).parent / "demo", list[RunProgress]()
    boards = list(
        recommend(
            demo / "targets" / "emoji",
            demo / "pool",
            budget="100%",
            stream=True,
            cache_dir=tmp_path,
            progress=False,
            on_progress=told.append,
        )
    )
    last, n_candidates = boards[-1], len([*(demo / "pool").iterdir()])
    n_first = boards[0].rows[0].n_images
    of_first = {row.checkpoint: row for row in boards[n_candidates - 1].rows}
    assert {row.n_images for row in of_first.values()} == {n_first}
    behind = [row for row in last.rows if row.n_images == n_first]
    finished = [row for row in last.rows if row.n_images is None]
    assert behind
    assert finished
    assert last.rows[0] in finished
    for row in behind:
        assert row.score == of_first[row.checkpoint].score
        now, then = row.confidence, of_first[row.checkpoint].confidence
        assert now
        assert then
        assert replace(now, p_best=None, could_be_best=None) == replace(then, p_best=None, could_be_best=None)
        assert not now.could_be_best
        assert f"judged on {n_first} of {last.dataset.n_images} images" in row.note
    assert sum(row.confidence.p_best or 0 for row in last.rows if row.confidence) == pytest.approx(1)
    assert images_run(told) == sum(row.n_images or last.dataset.n_images for row in last.rows)


@pytest.mark.slow
@pytest.mark.skipif(not bfloat16_instructions(), reason="this processor multiplies no bfloat16")
def test_the_number_format_of_the_first_stage_is_that_of_all(
    colour_folder: Path, tiny_pool: Path, tmp_path: Path
) -> None:
    """A ResNet that carries 500 beside what tells images apart: bfloat16 has steps of 2 there."""
    family = FAMILIES["resnet"]
    model = family.build(head=False)
    last = [part for part in model.modules() if isinstance(part, nn.BatchNorm2d)][-1]
    with torch.no_grad():
        last.bias.add_(500.0)
    fragile = save_checkpoint(tmp_path / "fragile", model, tiny_processor(family.processor))
    pool = [fragile, tiny_pool / "vit"]
    boards = recommend(colour_folder, pool, budget="100%", cache_dir=tmp_path / "cache", progress=False, stream=True)
    formats = [{Path(row.checkpoint).name: row.dtype for row in board.rows} for board in boards]
    assert len(formats) > len(pool)  # more than one stage
    assert formats[1:] == [{"fragile": "float32", "vit": "bfloat16"}] * (len(formats) - 1)


@pytest.mark.slow
def test_a_budget_of_passes_is_kept(rank: Recommend) -> None:
    told: list[RunProgress] = []
    # 30% of 3 x 36 are 32 passes: 27 for the first stage, and none of the second, which takes 9 more a checkpoint.
    board = rank(budget="30%", on_progress=told.append)
    assert images_run(told) == 27
    assert set(by_name(board).values()) == {9}
    assert len({row.rows_sha256 for row in board.rows}) == 1
    assert board.rows[0].rows_sha256 != board.dataset.rows_sha256


@pytest.mark.slow
def test_who_has_no_turn_within_the_budget_is_not_on_the_board(rank: Recommend) -> None:
    # 20% of 3 x 36 are 21 passes: two of three have their turn of nine images.
    board = rank(budget="20%")
    assert (len(board.rows), board.skipped, board.n_candidates, board.is_complete) == (2, (), 3, False)


@pytest.mark.slow
def test_nothing_is_computed_twice(rank: Recommend) -> None:
    told: list[RunProgress] = []
    boards = cast("Iterator[Leaderboard]", rank(budget="100%", stream=True, on_progress=told.append))
    for _ in range(2):
        next(boards)
    boards.close()  # type: ignore[attr-defined]  # a generator: the run is killed after two of three checkpoints
    assert images_run(told) == 18
    again: list[RunProgress] = []
    raced = rank(budget="100%", on_progress=again.append)
    n_whole = sum(row.n_images is None for row in raced.rows)
    assert images_run(told) + images_run(again) == sum(row.n_images or N_IMAGES for row in raced.rows)
    # The full run adds what the race left out, and runs nothing else.
    rest: list[RunProgress] = []
    full = rank(on_progress=rest.append)
    assert images_run(rest) == 3 * N_IMAGES - images_run(told) - images_run(again)
    assert [row.n_images for row in full.rows] == [None] * 3
    assert sum("from cache" in row.note for row in full.rows) == n_whole


@pytest.mark.slow
def test_what_is_known_of_all_images_is_used_at_once(rank: Recommend) -> None:
    full = rank()
    told: list[RunProgress] = []
    raced = rank(budget="100%", on_progress=told.append)
    assert images_run(told) == 0
    assert set(by_name(raced).values()) == {None}
    assert [row.score for row in raced.rows] == pytest.approx([row.score for row in full.rows])


@pytest.mark.slow
def test_a_run_ends_with_its_time(rank: Recommend) -> None:
    with pytest.raises(LeadHubError, match=r"the budget of 0\.001s must be more than it takes to read the images"):
        rank(budget="0.001s")
    with pytest.raises(RunCancelledError, match="the run was cancelled while its dataset was read"):
        rank(budget="0.001s", cancelled=lambda: True)
    whole = rank(budget="1h")
    assert {row.n_images for row in whole.rows} >= {None}


def test_a_budget_that_lets_nobody_see_the_first_stage_says_so(rank: Recommend) -> None:
    # 5% of 3 x 36 are 5 passes, and the first stage has nine images.
    boards = list(cast("Iterator[Leaderboard]", rank(budget="5%", stream=True)))
    assert len(boards) == 1
    assert (boards[0].rows, boards[0].is_complete) == ((), True)
    assert {Path(skip.checkpoint).name for skip in boards[0].skipped} == {"resnet", "vit", "dinov2"}
    for skip in boards[0].skipped:
        assert skip.stage == "extract"
        assert "the budget of 5% must let a candidate see the 9 images of the first stage" in skip.reason


def test_a_budget_that_is_over_in_the_first_turn_says_so(colour_folder: Path, tmp_path: Path) -> None:
    """Of the candidate whose turn it was there is no row, and no reason of its own."""
    now = [0.0]
    spent = SpentBudget(RaceBudget("10s", duration_s=10), n_candidates=3, clock=lambda: now[0])
    images = load_labelled_images(DatasetQuery(str(colour_folder)), Access(tmp_path, progress=False))
    calibration = find_calibration("lead", SCORES["lead"].version)
    assert calibration is not None
    race = Race(images, calibration, seed=0, spent=spent, processes=OneProcess(torch.device("cpu")))
    candidates = [Candidate("org/a"), Candidate("org/b"), Candidate("org/c", revision="v1")]
    board = empty_board(images, "lead", settings={}, n_candidates=3)
    board = board.with_skipped(Skipped("org/a", None, "download", "there is no such model"))
    now[0] = 9.9
    assert race.ended(board, candidates) is board  # its caller ended it, not the budget
    now[0] = 10.0
    ended = race.ended(board, candidates)
    assert [(skip.checkpoint, skip.revision, skip.stage) for skip in ended.skipped] == [
        ("org/a", None, "download"),
        ("org/b", None, "extract"),
        ("org/c", "v1", "extract"),
    ]
    assert "the budget of 10s" in ended.skipped[-1].reason


@pytest.mark.slow
def test_a_budget_of_downloads_asks_for_the_sizes_of_named_checkpoints(
    hub: HubServer, colour_folder: Path, tiny_pool: Path, tmp_path: Path
) -> None:
    """Nothing knows them beforehand; and of what cannot be had the reason is told, not that it is too large."""
    for name in ("resnet", "vit", "dinov2"):
        hub.add_repo(f"org/{name}", folder=tiny_pool / name)
    sizes = {name: (tiny_pool / name / "model.safetensors").stat().st_size for name in ("resnet", "vit", "dinov2")}
    small, medium, large = sorted(sizes, key=lambda name: sizes[name])
    budget = f"{(sizes[small] + sizes[medium]) / 1e6:.6f}MB"
    named = [f"org/{name}" for name in (large, small, "nowhere", medium)]
    settings = {"cache_dir": tmp_path, "progress": False}
    board = recommend(colour_folder, named, budget=budget, **settings)  # type: ignore[call-overload]
    assert {row.checkpoint for row in board.rows} == {f"org/{small}", f"org/{medium}"}
    reasons = {skip.checkpoint: skip.reason for skip in board.skipped}
    assert f"do not fit into the budget of {budget}" in reasons[f"org/{large}"]
    assert "org/nowhere" in reasons["org/nowhere"]
    assert board.is_complete
    # What was downloaded takes nothing of another budget.
    again = recommend(colour_folder, named, budget="0.000001MB", **settings)  # type: ignore[call-overload]
    assert {row.checkpoint for row in again.rows} == {f"org/{small}", f"org/{medium}"}


@pytest.mark.slow
def test_downloads_take_none_of_what_is_on_the_disk(rank: Recommend) -> None:
    assert len(rank(budget="0.001MB").rows) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"score": "logme"}, "chances to be best are calibrated, such as lead, found logme"),
        ({"score": ["lead", "lead-network"]}, "to which images can be added, which lead-network is not"),
        ({"reuse_cards": "me/cards"}, "give reuse_cards or a budget, not both"),
        ({"budget": "soon"}, "budget must be a time such as '10min'"),
    ],
)
def test_where_there_can_be_no_race(rank: Recommend, options: dict[str, object], message: str) -> None:
    with pytest.raises(LeadHubError, match=message):
        rank(**{"budget": "50%", **options})


def test_whoever_fails_on_more_images_says_so_and_keeps_its_place(
    colour_folder: Path, tiny_pool: Path, tmp_path: Path
) -> None:
    pool = shutil.copytree(tiny_pool, tmp_path / "pool")
    settings = {"cache_dir": tmp_path / "cache", "progress": False, "budget": "100%", "stream": True}
    boards = iter(recommend(colour_folder, pool, **settings))  # type: ignore[call-overload]
    first = [next(boards) for _ in range(3)][-1]
    for weights in pool.glob("*/model.safetensors"):
        weights.unlink()
    later = list(boards)
    failed = [row for row in later[-1].rows if "on more it failed" in row.note]
    assert len(failed) == len(later) > 0, "one for each turn of the second stage, the last one too"
    assert [(row.checkpoint, row.score) for row in later[-1].rows] == [
        (row.checkpoint, row.score) for row in first.rows
    ]
    assert {row.n_images for row in later[-1].rows} == {9}
    assert not later[-1].skipped
