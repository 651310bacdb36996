"""recommend(): the whole path on real images and real, if tiny, checkpoints."""

import json
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from lead_hub import CandidateError, DatasetError, Leaderboard, ScoreError, recommend, score
from lead_hub.errors import RunCancelledError
from lead_hub.leaderboard import RankedCheckpoint
from tests.checkpoint_outputs.tiny_types import OTHER_FAMILIES
from tests.conftest import COLOURS, coloured_images
from tests.tiny_checkpoints import save_checkpoint
from tests.tiny_families import FAMILIES

Recommend = Callable[..., Leaderboard]


@pytest.fixture
def rank(colour_folder: Path, tmp_path: Path) -> Recommend:
    """recommend() on the colours, with a cache of its own and no progress bar."""

    def ranked(candidates: object, **options: object) -> Leaderboard:
        settings = {"cache_dir": tmp_path / "cache", "progress": False, **options}
        return recommend(colour_folder, candidates, **settings)  # type: ignore[call-overload, no-any-return]

    return ranked


def timeless(row: RankedCheckpoint) -> dict[str, object]:
    """A row without what may differ from run to run."""
    return {name: value for name, value in vars(row).items() if name not in {"images_per_s", "note"}}


@pytest.mark.slow
def test_a_board_of_every_candidate(rank: Recommend, tiny_pool: Path, colour_folder: Path) -> None:
    board = rank([tiny_pool / "resnet", tiny_pool / "vit", tiny_pool / "dinov2"])
    assert sorted(Path(row.checkpoint).name for row in board.rows) == ["dinov2", "resnet", "vit"]
    assert [row.rank for row in board.rows] == [1, 2, 3]
    assert board.best.score == max(row.score for row in board.rows)
    assert board.is_complete
    assert board.dataset.dataset == str(colour_folder)
    assert board.dataset.class_names == ("blue", "green", "red")
    assert board.dataset.n_images == 36
    heads = {Path(row.checkpoint).name: row.n_source_classes for row in board.rows}
    assert heads == {"resnet": 3, "vit": 3, "dinov2": None}
    assert all(row.images_per_s and row.images_per_s > 0 for row in board.rows)


def test_the_score_is_that_of_the_features_on_disk(rank: Recommend, tiny_pool: Path, tmp_path: Path) -> None:
    board = rank(tiny_pool / "vit", score="lead")
    (cached,) = (tmp_path / "cache" / "outputs").iterdir()
    outputs = load_file(cached)
    kernels = {"depth_kernel": outputs["depth_kernel"]}
    # 12 images a class, in row order: datasets numbers an image folder's files by class name and file name.
    labels = np.repeat([0, 1, 2], 12)
    assert board.best.score == pytest.approx(score(outputs["features"], labels, kernels=kernels), rel=1e-12)
    assert board.best.companions["loo_log_loss"] > 0


@pytest.mark.slow
def test_a_second_run_takes_everything_from_the_cache(rank: Recommend, tiny_pool: Path) -> None:
    first, second = rank(tiny_pool, dtype="float32"), rank(tiny_pool, dtype="float32")
    assert [timeless(row) for row in first.rows] == [timeless(row) for row in second.rows]
    assert [row.note for row in second.rows] == ["from cache"] * 3
    assert [row.images_per_s for row in second.rows] == [None] * 3


@pytest.mark.slow
def test_a_run_that_stopped_midway_goes_on_where_it_was(rank: Recommend, tiny_pool: Path) -> None:
    boards = cast("Iterator[Leaderboard]", rank(tiny_pool, stream=True, dtype="float32"))
    partial = next(boards)
    boards.close()  # type: ignore[attr-defined]  # a generator
    assert len(partial.rows) == 1
    assert not partial.is_complete
    notes = {row.checkpoint: row.note for row in rank(tiny_pool, dtype="float32").rows}
    assert notes.pop(partial.best.checkpoint) == "from cache"
    assert list(notes.values()) == ["", ""]


@pytest.mark.slow
def test_streamed_boards_grow_by_one_and_end_as_the_whole_board(rank: Recommend, tiny_pool: Path) -> None:
    boards = list(cast("Iterator[Leaderboard]", rank(tiny_pool, stream=True)))
    assert [len(board.rows) for board in boards] == [1, 2, 3]
    assert [timeless(row) for row in boards[-1].rows] == [timeless(row) for row in rank(tiny_pool).rows]


@pytest.mark.slow
def test_several_scores_in_one_extraction(rank: Recommend, tiny_pool: Path, tmp_path: Path) -> None:
    board = rank(tiny_pool, score=["lead", "logme", "parameters", "imagenet-top1"], dtype="float32")
    assert (board.method, [*board.rows[0].other_scores]) == ("lead", ["logme", "parameters", "imagenet-top1"])
    logme = {row.checkpoint: row.score for row in rank(tiny_pool, score="logme", dtype="float32").rows}
    assert {row.checkpoint: row.other_scores["logme"] for row in board.rows} == logme
    assert [row.other_scores["parameters"] for row in board.rows] == [row.parameters for row in board.rows]
    assert {row.other_scores["imagenet-top1"] for row in board.rows} == {None}
    assert all(row.note.startswith("no imagenet-top1: ") for row in board.rows)
    assert Leaderboard.load(board.save(tmp_path / "board.json")) == board
    table = board.to_pandas().set_index("checkpoint")
    assert table["logme"].to_dict() == logme
    assert table["imagenet-top1"].isna().all()


@pytest.mark.slow
def test_depths_are_scored_from_what_is_kept_of_them(rank: Recommend, tiny_pool: Path, tmp_path: Path) -> None:
    board = rank([tiny_pool / "vit", tiny_pool / "resnet"], score=["lead", "lead-head"])
    assert all(row.confidence is not None for row in board.rows)
    labels = np.repeat([0, 1, 2], 12)
    kept = [load_file(path) for path in (tmp_path / "cache" / "outputs").iterdir()]
    expected = [
        score(each["features"], labels, "lead", kernels={"depth_kernel": each["depth_kernel"]}) for each in kept
    ]
    assert sorted(row.score for row in board.rows) == pytest.approx(sorted(expected), rel=1e-12)
    assert {"loo_log_loss", "loo_log_loss_depths", "loo_accuracy"} == set(board.best.companions)
    again = rank([tiny_pool / "vit", tiny_pool / "resnet"], score="lead")
    assert [row.score for row in again.rows] == [row.score for row in board.rows]
    assert all("from cache" in row.note for row in again.rows)


@pytest.mark.slow
def test_the_whole_network_is_scored_where_that_is_asked(rank: Recommend, tiny_pool: Path, tmp_path: Path) -> None:
    rank(tiny_pool / "vit")
    board = rank([tiny_pool / "vit", tiny_pool / "resnet"], score=["lead", "lead-network"])
    assert all(row.images_per_s for row in board.rows), "what is kept without the kernel does not do"
    network = rank([tiny_pool / "vit", tiny_pool / "resnet"], score="lead-network")
    assert all("from cache" in row.note for row in network.rows)
    found = {row.checkpoint: row.score for row in network.rows}
    assert {row.checkpoint: row.other_scores["lead-network"] for row in board.rows} == found
    assert all(row.confidence is not None for row in network.rows)
    labels = np.repeat([0, 1, 2], 12)
    kept = [load_file(path) for path in (tmp_path / "cache" / "outputs").iterdir()]
    names = ("depth_kernel", "network_kernel")
    expected = [
        score(each["features"], labels, "lead-network", kernels={name: each[name] for name in names})
        for each in kept
        if "network_kernel" in each
    ]
    assert sorted(found.values()) == pytest.approx(sorted(expected), rel=1e-12)
    assert len(kept) == 3


@pytest.mark.slow
def test_what_is_not_in_the_networks_kernel_is_said(rank: Recommend, tmp_path: Path) -> None:
    family = FAMILIES["swin"]
    folder = save_checkpoint(tmp_path / "swin", family.build(head=False), family.image_processor())
    for methods in ("lead-network", ["lead", "lead-network"]):
        (row,) = rank(folder, score=methods).rows
        assert re.search(
            r"tangent kernel is that of 9\d\.\d% of the weights, without 2 parameters: encoder\.", row.note
        )
        assert row.note.count("relative_position_bias_table") == 2


def test_a_network_without_depths_says_so(rank: Recommend, tmp_path: Path) -> None:
    family = OTHER_FAMILIES["textnet"]
    folder = save_checkpoint(tmp_path / "textnet", family.build(head=False), family.image_processor())
    reason = "not by several depths; none: no rule says where the blocks of TextNetModel are"
    (row,) = rank(folder, score=["lead", "lead-head"]).rows
    assert row.note == f"judged by its last features alone, {reason}"
    assert row.score == -row.companions["loo_log_loss"]
    assert rank(folder, score="lead-head").best.note == "from cache"


@pytest.mark.parametrize("score", [[], ["lead", "lead"], ["lead", "none"]])
def test_scores_that_are_none_or_twice_or_unknown_are_refused(
    rank: Recommend, tiny_pool: Path, score: list[str]
) -> None:
    with pytest.raises(ScoreError, match="score must"):
        rank(tiny_pool, score=score)


def test_a_cancelled_run_ends_with_the_board_so_far(rank: Recommend, tiny_pool: Path) -> None:
    stop = threading.Event()
    boards = cast("Iterator[Leaderboard]", rank(tiny_pool, stream=True, cancelled=stop.is_set))
    first = next(boards)
    stop.set()
    assert list(boards) == [first]
    assert not first.is_complete


@pytest.mark.slow
def test_a_run_that_is_cancelled_while_its_dataset_is_read_has_no_board(
    rank: Recommend, tiny_pool: Path, tmp_path: Path
) -> None:
    assert list(cast("Iterator[Leaderboard]", rank(tiny_pool, stream=True, cancelled=lambda: True))) == []
    # It is asked at the start, with each file's bytes for the fingerprint, each prepared row and each decoded image.
    for n_asked in (0, 20, 60, 100):
        answers = iter([False] * n_asked)
        with pytest.raises(RunCancelledError, match="while its dataset was read"):
            rank(tiny_pool, cancelled=lambda: next(answers, True))  # noqa: B023 - used at once
        left = [
            path
            for path in (tmp_path / "cache").rglob("*")
            if path.is_dir() and ("lead-hub-images" in path.name or "incomplete" in path.name)
        ]
        assert left == []
    assert len(rank(tiny_pool).rows) == 3


@pytest.mark.slow
def test_a_run_can_be_cancelled_within_a_checkpoint(rank: Recommend, tiny_pool: Path, tmp_path: Path) -> None:
    rank(tiny_pool / "resnet")
    n_kept = len(list((tmp_path / "cache" / "outputs").glob("*.safetensors")))
    # It is asked after each image, also after the last of 36 and before their outputs are kept; scores it lets be.
    for last, n_rows in ((("extract", 4), 0), (("extract", 36), 0), (("score", 36), 1)):
        reached: list[tuple[str, int]] = []
        board = rank(
            tiny_pool / "vit",
            batch_size=1,
            on_progress=lambda now: reached.append((now.stage, now.n_images)),  # noqa: B023 - used at once
            cancelled=lambda: last in reached,  # noqa: B023 - used at once
        )
        assert reached[-1] == last
        assert len(board.rows) == n_rows
        assert len(list((tmp_path / "cache" / "outputs").glob("*.safetensors"))) == n_kept + n_rows


@pytest.mark.slow
def test_the_cache_serves_another_score_but_not_another_sample(rank: Recommend, tiny_pool: Path) -> None:
    rank(tiny_pool / "vit")
    assert rank(tiny_pool / "vit", score="logme").rows[0].note == "from cache"
    assert rank(tiny_pool / "vit", max_images=20).rows[0].note == ""
    assert rank(tiny_pool / "vit", max_images=20, seed=1).rows[0].note == ""
    assert rank(tiny_pool / "vit", dtype="bfloat16").rows[0].note == ""


@pytest.mark.slow
def test_another_image_processor_is_another_checkpoint(rank: Recommend, tiny_pool: Path, tmp_path: Path) -> None:
    rank(tiny_pool / "vit")
    copy = shutil.copytree(tiny_pool / "vit", tmp_path / "vit")
    assert rank(copy).rows[0].note == "from cache"
    settings = json.loads((copy / "preprocessor_config.json").read_text())
    (copy / "preprocessor_config.json").write_text(json.dumps({**settings, "image_mean": [0.1, 0.2, 0.3]}))
    assert rank(copy).rows[0].note == ""


def test_a_damaged_cache_file_is_computed_again_with_a_warning(
    rank: Recommend, tiny_pool: Path, tmp_path: Path
) -> None:
    first = rank(tiny_pool / "vit")
    (cached,) = (tmp_path / "cache" / "outputs").iterdir()
    cached.write_bytes(cached.read_bytes()[:-10])
    with pytest.warns(UserWarning, match="damaged and is computed again"):
        second = rank(tiny_pool / "vit")
    assert timeless(first.best) == timeless(second.best)
    assert second.best.note == ""


def corrupt_weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:100])


def not_a_number(folder: Path) -> None:
    path = folder / "model.safetensors"
    save_file(
        {name: torch.full_like(value, float("nan")) for name, value in load_file(path).items()},
        path,
        metadata={"format": "pt"},
    )


def another_size(folder: Path) -> None:
    settings = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").write_text(json.dumps({**settings, "size": {"height": 48, "width": 48}}))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("damage", "stage"),
    [
        (corrupt_weights, "load"),
        (not_a_number, "extract"),
        (another_size, "extract"),
        (lambda folder: (folder / "config.json").write_text('{"model_type": "resnet"}'), "load"),
        (lambda folder: (folder / "config.json").write_text("{"), "load"),
        (lambda folder: (folder / "config.json").unlink(), "load"),
        (lambda folder: (folder / "preprocessor_config.json").unlink(), "load"),
        (lambda folder: (folder / "model.safetensors").unlink(), "load"),
    ],
    ids=[
        "cut weights",
        "NaN weights",
        "wrong size",
        "wrong config",
        "broken config",
        "no config",
        "no processor",
        "no weights",
    ],
)
def test_one_bad_checkpoint_is_skipped_and_the_run_goes_on(
    rank: Recommend, tiny_pool: Path, tmp_path: Path, damage: Callable[[Path], object], stage: str
) -> None:
    bad = shutil.copytree(tiny_pool / "vit", tmp_path / "bad")
    damage(bad)
    board = rank([bad, tiny_pool / "resnet"])
    assert [row.checkpoint for row in board.rows] == [str(tiny_pool / "resnet")]
    (skipped,) = board.skipped
    assert (skipped.checkpoint, skipped.stage) == (str(bad), stage)
    assert len(skipped.reason) > 20
    assert board.is_complete


@pytest.mark.usefixtures("hub")
def test_what_does_not_exist_is_skipped_too(rank: Recommend, tiny_pool: Path) -> None:
    board = rank(["org/nowhere@v1", "a/b/c", tiny_pool / "vit"])
    assert [(skip.checkpoint, skip.revision, skip.stage) for skip in board.skipped] == [
        ("org/nowhere", "v1", "download"),
        ("a/b/c", None, "find"),
    ]
    assert len(board.rows) == 1


@pytest.mark.usefixtures("hub")
def test_nothing_scored_is_a_board_without_a_best(rank: Recommend) -> None:
    board = rank("org/nowhere")
    assert board.rows == ()
    with pytest.raises(CandidateError, match="org/nowhere"):
        board.best  # noqa: B018 - the access is the test


def test_bad_calls_fail_before_any_work(rank: Recommend, tiny_pool: Path, tmp_path: Path) -> None:
    with pytest.raises(ScoreError, match="lead, "):
        rank(tiny_pool, score="magic")
    with pytest.raises(DatasetError):
        recommend(tmp_path / "no such folder", tiny_pool, progress=False)
    with pytest.raises(CandidateError, match="at least one candidate"):
        rank([])
    assert not (tmp_path / "cache" / "outputs").exists()


def test_a_checkpoint_that_separates_the_classes_beats_one_that_cannot(
    rank: Recommend, tiny_pool: Path, tmp_path: Path
) -> None:
    """Colour is the class, so a checkpoint whose processor erases the mean colour must lose."""
    blind = shutil.copytree(tiny_pool / "vit", tmp_path / "blind")
    settings = json.loads((blind / "preprocessor_config.json").read_text())
    (blind / "preprocessor_config.json").write_text(json.dumps({**settings, "rescale_factor": 1e-9}))
    board = rank([blind, tiny_pool / "vit"])
    assert [Path(row.checkpoint).name for row in board.rows] == ["vit", "blind"]


def test_a_feature_that_drowns_the_others_is_said(rank: Recommend, tiny_pool: Path, tmp_path: Path) -> None:
    """One weight of the last normalisation a million times as large: the row says it, and scores about as before."""
    loud = shutil.copytree(tiny_pool / "vit", tmp_path / "loud")
    weights = load_file(loud / "model.safetensors")
    (name,) = (name for name in weights if name.endswith("vit.layernorm.weight") or name == "layernorm.weight")
    weights[name][3] *= 1e6
    save_file(weights, loud / "model.safetensors", metadata={"format": "pt"})
    board = rank([loud, tiny_pool / "vit"])
    (drowned,) = (row for row in board.rows if row.checkpoint == str(loud))
    (whole,) = (row for row in board.rows if row.checkpoint != str(loud))
    assert "1 of 16 features have up to " in drowned.note
    assert whole.note == ""
    assert abs(drowned.score - whole.score) < 0.1


def test_the_test_split_is_never_read(tiny_pool: Path, tmp_path: Path) -> None:
    for split in ("train", "test"):
        coloured_images(tmp_path / "data" / split, classes=COLOURS, n_images=6)
    options = {"cache_dir": tmp_path / "cache", "progress": False}
    before = recommend(tmp_path / "data", tiny_pool / "vit", **options)  # type: ignore[call-overload]
    for image in (tmp_path / "data" / "test").rglob("*.png"):
        image.write_bytes(b"not an image")
    after = recommend(tmp_path / "data", tiny_pool / "vit", **options)  # type: ignore[call-overload]
    assert before.dataset.n_images == after.dataset.n_images == 18
    assert before.best.score == after.best.score
