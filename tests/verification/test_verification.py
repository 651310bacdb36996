"""verify(): a board's first checkpoints, fine-tuned on the very images that it was made on."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset, Features, Image, Value
from rich.console import Console
from typer.testing import CliRunner

from lead_hub import CandidateError, DatasetError, Leaderboard, LeadHubError, recommend, verify
from lead_hub.access import access_of
from lead_hub.candidates import Candidate
from lead_hub.checkpoint_files import find_checkpoint
from lead_hub.cli import app
from lead_hub.errors import RunCancelledError
from lead_hub.finetuning import FineTuningImages, FineTuningJob, settings_of, this_hardware
from lead_hub.finetuning.parts import image_parts
from lead_hub.labelled_images import DatasetQuery, groups_sha256, load_labelled_images
from lead_hub.leaderboard import FineTunedAccuracy, print_board, rank
from lead_hub.recommendation.grouping import pixels_sha256
from lead_hub.verification import Verification, VerificationProgress, agreement
from lead_hub.verification.ranked_images import grouped_as_ranked, same_images
from tests.conftest import COLOURS, coloured_images

QUICK = {"mode": "probe", "learning_rates": [1e-2], "seeds": [0, 1], "epochs": 10, "progress": False}
OPTIONS = ["--mode", "probe", "--learning-rates", "1e-2", "--seeds", "0,1", "--epochs", "10", "--quiet"]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Heads this small are slower on several threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def board(split_folder: Path, tiny_pool: Path, tmp_path_factory: pytest.TempPathFactory) -> Leaderboard:
    cache = tmp_path_factory.mktemp("cache")
    return recommend(split_folder, tiny_pool, cache_dir=cache, max_images=30, progress=False)


@pytest.mark.slow
def test_outcome_stands_beside_prediction(board: Leaderboard, tmp_path: Path) -> None:
    verified = verify(board, 2, cache_dir=tmp_path, **QUICK)
    assert [row.finetuned is not None for row in verified.rows] == [True, True, False]
    assert [replace(row, finetuned=None) for row in verified.rows] == list(board.rows)
    for row in verified.rows[:2]:
        assert row.finetuned is not None
        assert row.finetuned.accuracy > 0.9
        assert (row.finetuned.mode, row.finetuned.n_runs, row.finetuned.test_source) == ("probe", 2, "split 'test'")
        # the 30 images that the ranking saw, of which a fifth chooses
        assert (row.finetuned.n_train, row.finetuned.n_validation, row.finetuned.n_test) == (24, 6, 12)
    path = verified.save(tmp_path / "board.json")
    assert Leaderboard.load(path) == verified
    assert verify(path, 2, cache_dir=tmp_path, **QUICK) == verified  # all from the cache, the durations too


@pytest.mark.slow
def test_a_board_of_changed_images_is_refused(board: Leaderboard, split_folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(split_folder, tmp_path / "copy")
    moved = replace(board, dataset=replace(board.dataset, dataset=str(copy)))
    assert verify(moved, 1, cache_dir=tmp_path / "cache", **QUICK).best.finetuned is not None
    next((copy / "train" / "red").iterdir()).unlink()
    with pytest.raises(DatasetError, match="must be as it was when it was ranked: its sha was"):
        verify(moved, 1, cache_dir=tmp_path / "cache", **QUICK)
    shutil.rmtree(copy)
    with pytest.raises(DatasetError, match="must be here, found nothing at"):
        verify(moved, 1, cache_dir=tmp_path / "cache", **QUICK)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"class_names": ("red", "green", "blue")}, "its classes was"),
        ({"rows_sha256": "0" * 64}, r"its sampled rows \(sha256\) was"),
        ({"sha": "0" * 64}, "its sha was"),
    ],
)
def test_a_board_of_other_images_is_refused(
    board: Leaderboard, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    other = replace(board, dataset=replace(board.dataset, **change))
    with pytest.raises(DatasetError, match=message):
        verify(other, 1, cache_dir=tmp_path, **QUICK)


@pytest.mark.slow
def test_one_bad_checkpoint_ends_no_run(board: Leaderboard, tiny_pool: Path, tmp_path: Path) -> None:
    pool = shutil.copytree(tiny_pool, tmp_path / "pool")
    moved = tuple(replace(row, checkpoint=str(pool / Path(row.checkpoint).name)) for row in board.rows)
    config = Path(moved[0].checkpoint) / "config.json"
    config.write_text(config.read_text() + "\n")
    shutil.rmtree(moved[1].checkpoint)
    verified = verify(replace(board, rows=moved), 3, cache_dir=tmp_path / "cache", **QUICK)
    assert [row.finetuned is not None for row in verified.rows] == [False, False, True]
    assert "fine-tuning failed at find: the checkpoint must be the one that was ranked" in verified.rows[0].note
    assert "fine-tuning failed at " in verified.rows[1].note
    # made whole again, the old failure is forgotten
    shutil.copyfile(tiny_pool / config.parent.name / "config.json", config)
    again = verify(verified, 1, cache_dir=tmp_path / "cache", **QUICK)
    assert (again.best.finetuned is not None, again.best.note) == (True, board.best.note)


@pytest.fixture(scope="module")
def scenes(colour_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """36 images of three colours and twelve scenes, each of which has one image of each colour."""
    files = sorted(colour_folder.rglob("*.png"))
    rows = {
        "image": [{"bytes": file.read_bytes(), "path": None} for file in files],
        "colour": [file.parent.name for file in files],
        "scene": [file.stem for file in files],
    }
    types = Features({"image": Image(), "colour": Value("string"), "scene": Value("string")})
    table = tmp_path_factory.mktemp("scenes") / "scenes.parquet"
    Dataset.from_dict(rows, features=types).to_parquet(table)
    return table


@pytest.mark.slow
def test_groups_that_were_left_out_together_stay_together(scenes: Path, tiny_pool: Path, tmp_path: Path) -> None:
    board = recommend(scenes, tiny_pool / "vit", group_column="scene", cache_dir=tmp_path, progress=False)
    hardware, access = this_hardware(), access_of(cache_dir=tmp_path, progress=False)
    ungrouped = same_images(board, access, test_split=None, decoded_folder=None)
    images = grouped_as_ranked(ungrouped, board, access, hardware.processes)
    assert groups_sha256(images.train) == board.dataset.groups_sha256
    assert images.train.groups is not None
    for seed in (0, 1, 2):
        parts = image_parts(images, seed=seed)
        scene_sets = [set(images.train.groups[part]) for part in (parts.fit, parts.validation, parts.test)]
        assert sum(map(len, scene_sets)) == len(set.union(*scene_sets)) == 12
    grouped, alone = (
        verify(board, 1, cache_dir=tmp_path, **QUICK),
        replace(board, settings={"max_images": 2000, "seed": 0}),
    )
    assert grouped.best.finetuned is not None
    # 36 images in twelve scenes of three: two scenes measure, and two of the ten others choose.
    figures = (grouped.best.finetuned.n_train, grouped.best.finetuned.n_validation, grouped.best.finetuned.n_test)
    assert figures == (24, 6, 6)
    # Without the column there are other groups than those that were ranked with.
    with pytest.raises(DatasetError, match=r"its groups of images \(sha256\) was [0-9a-f]{64}, found None"):
        verify(alone, 1, cache_dir=tmp_path, **QUICK)


def test_copies_that_were_left_out_together_stay_together(tiny_pool: Path, tmp_path: Path) -> None:
    folder = coloured_images(tmp_path / "images", classes=COLOURS, n_images=8)
    for file in sorted(folder.rglob("*.png")):
        shutil.copyfile(file, file.with_stem(f"{file.stem}-again"))
    board = recommend(folder, tiny_pool / "vit", cache_dir=tmp_path / "cache", progress=False)
    assert board.dataset.groups_sha256 is not None
    hardware, access = this_hardware(), access_of(cache_dir=tmp_path / "cache", progress=False)
    ungrouped = same_images(board, access, test_split=None, decoded_folder=None)
    images = grouped_as_ranked(ungrouped, board, access, hardware.processes)
    parts = image_parts(images, seed=0)
    seen = {pixels_sha256(images.train.pixels[position]) for position in np.r_[parts.fit, parts.validation].tolist()}
    assert len(parts.test) == 2 * 5  # a fifth of 24 pictures, each twice
    assert not seen & {pixels_sha256(images.train.pixels[position]) for position in parts.test.tolist()}


def test_trainings_of_other_groups_are_not_taken_for_these(scenes: Path, tiny_pool: Path, tmp_path: Path) -> None:
    access = access_of(cache_dir=tmp_path, progress=False)
    candidate = Candidate(str(tiny_pool / "vit"))
    files = find_checkpoint(candidate, access)
    settings = settings_of("probe", learning_rates=[1e-2], epochs=10, seeds=[0], flip=True)
    train = load_labelled_images(DatasetQuery(str(scenes), label_column="colour"), access)
    keys = []
    for groups in (None, np.arange(36) % 12, np.arange(36) // 2):
        grouped = replace(train, groups=None if groups is None else groups.astype(np.int64))
        images = FineTuningImages(grouped, None)
        keys.append(FineTuningJob(candidate, files, images, settings, access, this_hardware()).trainings_key)
    assert "groups" not in keys[0]  # what was kept before is still found
    assert keys[1] != keys[2]


def test_agreement_after_a_race_is_of_the_boards_order(board: Leaderboard) -> None:
    """Scores on few images are on another scale: the highest of all says nothing there."""
    one = FineTunedAccuracy("probe", 0.95, None, 0.95, 1e-2, 1, 1, 0, 24, 6, 12, "split 'test'", 1.0, "cpu")
    rows = rank(
        [
            replace(board.rows[0], score=-0.9, finetuned=one),
            replace(board.rows[1], score=-1.0, finetuned=replace(one, accuracy=0.90)),
            replace(board.rows[2], score=-0.5, n_images=200, finetuned=replace(one, accuracy=0.50)),
        ]
    )
    found = agreement(replace(board, rows=rows), mode="probe")
    assert found is not None
    assert (found.weighted_kendall_tau, found.regret_at_1_points) == (pytest.approx(1.0), 0.0)


def test_what_cannot_be_verified(board: Leaderboard, tmp_path: Path) -> None:
    for top in (0, -1):
        with pytest.raises(LeadHubError, match="top must be at least 1"):
            verify(board, top, cache_dir=tmp_path, **QUICK)
    with pytest.raises(LeadHubError, match="mode must be one of"):
        verify(board, 1, mode="halfway")
    with pytest.raises(CandidateError, match="no candidate could be scored"):
        verify(replace(board, rows=()), 1, cache_dir=tmp_path, **QUICK)
    with pytest.raises(DatasetError, match="how its images were sampled"):
        verify(replace(board, settings={}), 1, cache_dir=tmp_path, **QUICK)


@pytest.mark.slow
def test_agreement_is_of_the_rows_that_were_fine_tuned_in_one_mode(board: Leaderboard, tmp_path: Path) -> None:
    measured = verify(board, 1, cache_dir=tmp_path, **QUICK).best.finetuned
    assert measured is not None
    rows = [
        replace(row, score=score, finetuned=replace(measured, accuracy=accuracy))
        for row, score, accuracy in zip(board.rows, (3.0, 2.0, 1.0), (0.75, 0.5, 0.875), strict=True)
    ]
    found = agreement(replace(board, rows=tuple(rows)), mode="probe")
    assert found is not None
    assert found.regret_at_1_points == pytest.approx(12.5)  # 87.5 percent instead of 75
    # ranks by score 0 1 2, by outcome 1 2 0; pairs weigh 1/(r+1) + 1/(s+1) and only the first agrees:
    # by score 3/2, 4/3, 5/6: (3/2 - 4/3 - 5/6) / (11/3); by outcome 5/6, 3/2, 4/3: (5/6 - 3/2 - 4/3) / (11/3)
    assert found.weighted_kendall_tau == pytest.approx(((3 / 2 - 4 / 3 - 5 / 6) + (5 / 6 - 3 / 2 - 4 / 3)) / (22 / 3))
    assert "of 3 fine-tuned checkpoints" in found.in_words
    assert agreement(replace(board, rows=tuple(rows)), mode="full") is None
    equal = tuple(replace(row, finetuned=measured) for row in rows)
    tied = agreement(replace(board, rows=equal), mode="probe")
    assert tied is not None
    assert tied.weighted_kendall_tau is None
    assert "all are equal" in tied.in_words


def test_people_see_prediction_and_outcome(board: Leaderboard, tmp_path: Path) -> None:
    verified = verify(board, 1, cache_dir=tmp_path, **QUICK)
    measured = verified.best.finetuned
    assert measured is not None
    one_run = replace(measured, accuracy=0.875, accuracy_sd=None, macro_f1=0.5)
    rows = (
        replace(board.rows[0], finetuned=replace(one_run, accuracy_sd=0.0125)),
        replace(board.rows[1], finetuned=one_run),
    )
    console = Console(file=StringIO(), width=300)
    print_board(replace(board, rows=(*rows, board.rows[2])), console)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    (header,) = [line for line in lines if "fine-tuned (probe)" in line]
    assert "macro-F1" in header
    assert [("87.5% ± 1.2" in line, "87.5%" in line) for line in lines if "0.500" in line] == [
        (True, True),
        (False, True),
    ]


@pytest.mark.slow
def test_the_command_writes_into_the_board_and_its_table(board: Leaderboard, tmp_path: Path) -> None:
    path = board.save(tmp_path / "board.json")
    result = CliRunner().invoke(app, ["verify", str(path), "--top", "2", "--cache-dir", str(tmp_path), *OPTIONS])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert Leaderboard.load(path) == Leaderboard.from_document(document["leaderboard"])
    assert Leaderboard.load(path).best.finetuned is not None
    assert document["agreement"]["n_checkpoints"] == 2
    assert 0 <= document["agreement"]["regret_at_1_points"] <= 100
    out = tmp_path / "out.csv"
    again = ["verify", str(path), "--top", "1", "--cache-dir", str(tmp_path), "-o", str(out), *OPTIONS]
    assert CliRunner().invoke(app, again).exit_code == 0
    assert "finetuned_accuracy" in out.read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--top", "0"], "top must be at least 1, found 0"),
        (["--learning-rates", "fast"], "--learning-rates must be numbers separated by commas"),
        (["--learning-rates", "-1"], "learning rates must be above 0"),
        (["--seeds", "1.5"], "--seeds must be numbers"),
        (["--budget", "later"], "budget must be"),
    ],
)
def test_bad_options_are_said_in_plain_words(
    board: Leaderboard, tmp_path: Path, options: list[str], message: str
) -> None:
    path = board.save(tmp_path / "board.json")
    result = CliRunner().invoke(app, ["verify", str(path), "--cache-dir", str(tmp_path), *options])
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())


def test_a_board_of_which_nothing_could_be_fine_tuned(board: Leaderboard, tmp_path: Path) -> None:
    gone = replace(board.best, checkpoint=str(tmp_path / "gone"))
    path = replace(board, rows=(gone,)).save(tmp_path / "board.json")
    result = CliRunner().invoke(app, ["verify", str(path), "--cache-dir", str(tmp_path), *OPTIONS])
    assert result.exit_code == 3
    assert "fine-tuning failed at" in Leaderboard.load(path).best.note


def test_a_name_that_no_board_can_have_is_refused_before_the_trainings(board: Leaderboard, tmp_path: Path) -> None:
    path, cache = board.save(tmp_path / "board.json"), tmp_path / "cache"
    words = ["verify", str(path), "--cache-dir", str(cache), "-o", str(tmp_path / "out.txt"), *OPTIONS]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    assert "a leaderboard is saved as .json, .parquet, .csv, .html, found" in result.stderr
    assert not (cache / "trainings").exists()


@pytest.mark.slow
def test_a_verified_board_that_cannot_be_saved_is_shown_all_the_same(board: Leaderboard, tmp_path: Path) -> None:
    path = board.save(tmp_path / "board.json")
    (tmp_path / "file").write_text("")
    places = ["-o", str(tmp_path / "file" / "out.json"), "-o", str(tmp_path / "out.json")]
    words = ["verify", str(path), "--top", "1", "--cache-dir", str(tmp_path / "cache"), *places, *OPTIONS]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    assert "the leaderboard must be saved where there is room and a right to write" in result.stderr
    shown = Leaderboard.from_document(json.loads(result.stdout)["leaderboard"])
    assert shown == Leaderboard.load(tmp_path / "out.json")
    assert shown.best.finetuned is not None


class Hungry(torch.optim.AdamW):
    """An optimiser for whose state there is no memory."""

    def step(self, closure: object = None) -> None:  # type: ignore[override]  # noqa: ARG002 - torch's own
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")


@pytest.mark.slow
def test_one_checkpoint_out_of_memory_ends_no_run(
    board: Leaderboard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.optim, "AdamW", Hungry)
    boards = list(Verification(board, 2, cache_dir=tmp_path, **QUICK))
    assert len(boards) == 2
    for row in boards[-1].rows[:2]:
        assert row.finetuned is None
        assert "fine-tuning failed at finetune: fine-tuning must fit into the memory of cpu, it does not" in row.note
        assert "use a device with more memory, or mode 'lora' or 'probe'" in row.note


@pytest.mark.slow
def test_where_it_is_is_told_and_it_can_be_stopped(board: Leaderboard, tmp_path: Path) -> None:
    told: list[VerificationProgress] = []
    verify(board, 2, cache_dir=tmp_path, on_progress=told.append, **QUICK)
    first, second = board.rows[0].checkpoint, board.rows[1].checkpoint
    assert [(one.checkpoint, one.number) for one in told if one.total_epochs == 0] == [(first, 1), (second, 2)]
    assert {one.n_checkpoints for one in told} == {2}
    epochs = [one.n_epochs for one in told if one.number == 1 and one.total_epochs]
    assert epochs == sorted(epochs)
    assert epochs[-1] == 20  # two seeds of ten epochs, those that were not needed included
    assert {one.total_epochs for one in told if one.n_epochs} == {20}


@pytest.mark.slow
def test_a_verification_that_nobody_waits_for_ends_with_what_it_has(board: Leaderboard, tmp_path: Path) -> None:
    reached: list[VerificationProgress] = []

    def is_second_begun() -> bool:
        return any(one.number == 2 and one.n_epochs for one in reached)

    verified = verify(board, 3, cache_dir=tmp_path, on_progress=reached.append, cancelled=is_second_begun, **QUICK)
    assert [row.finetuned is not None for row in verified.rows] == [True, False, False]
    assert max(one.number for one in reached) == 2
    # What was finished is there when it is asked for again.
    again: list[VerificationProgress] = []
    assert verify(board, 1, cache_dir=tmp_path, on_progress=again.append, **QUICK).rows[0] == verified.rows[0]
    with pytest.raises(RunCancelledError):
        verify(board, 1, cache_dir=tmp_path, cancelled=lambda: True, **QUICK)
