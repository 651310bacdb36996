"""What people may look at: pictures of every class, of copies, of mistakes, and where two checkpoints disagree."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lead_hub import recommend
from lead_hub.access import Access
from lead_hub.labelled_images import DatasetQuery
from lead_hub.recommendation import PredictedClasses, RunPictures, SamplePictures, disagreement_of, look_at_images
from lead_hub.recommendation.pictures import MOST_CLASSES, MOST_MISTAKES, MistakenPicture, PicturesOfRun
from tests.recommendation.copied_pictures import every_kth, save_pictures


def noisy_folder(folder: Path, **n_images: int) -> Path:
    generator = np.random.default_rng(0)
    for number, (name, count) in enumerate(n_images.items()):
        (folder / name).mkdir(parents=True)
        for image in range(count):
            pixels = np.full((20, 30, 3), 9 * number, dtype=np.int64) + generator.integers(0, 20, (20, 30, 3))
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{image}.png")
    return folder


def test_what_a_run_would_rank_on(tmp_path: Path) -> None:
    folder = noisy_folder(tmp_path / "pets", cat=9, dog=6, emu=3)
    found = look_at_images(DatasetQuery(str(folder)), Access(tmp_path / "cache", progress=False))
    assert (found.n_images, found.n_classes, found.fewest, found.imbalance) == (18, 3, ("emu", 3), 3.0)
    assert [(each.name, each.n_images, len(each.jpegs)) for each in found.classes] == [
        ("cat", 9, 4),
        ("dog", 6, 4),
        ("emu", 3, 3),
    ]
    for number, each in enumerate(found.classes):
        with Image.open(io.BytesIO(each.jpegs[0])) as image:
            assert abs(np.asarray(image).mean() - (9 * number + 9.5)) < 3
    assert found.copies == ()
    assert not list((tmp_path / "cache").rglob("pixels.uint8"))


@pytest.mark.slow
def test_of_many_classes_the_largest_are_shown(tmp_path: Path) -> None:
    sizes = {f"class {number:02d}": 2 + number for number in range(MOST_CLASSES + 3)}
    found = look_at_images(
        DatasetQuery(str(noisy_folder(tmp_path / "many", **sizes))), Access(tmp_path / "cache", progress=False)
    )
    assert found.n_classes == MOST_CLASSES + 3
    assert [each.name for each in found.classes] == sorted(sizes, reverse=True)[:MOST_CLASSES]
    assert found.fewest == ("class 00", 2)


def test_copies_are_shown_together(tmp_path: Path) -> None:
    pictures, labels = every_kth("clipart", 6)
    folder = save_pictures(tmp_path / "twice", [*pictures, pictures[0], pictures[0]], [*labels, labels[0], labels[0]])
    found = look_at_images(DatasetQuery(str(folder)), Access(tmp_path / "cache", progress=False))
    ((first, second, third),) = found.copies
    assert first == second == third
    assert any("copies" in note for note in found.notes)


def test_a_run_tells_what_each_checkpoint_gets_wrong(tiny_pool: Path, tmp_path: Path) -> None:
    folder = noisy_folder(tmp_path / "pets", cat=9, dog=9, emu=9)
    told: list[PicturesOfRun] = []
    board = recommend(
        folder,
        [tiny_pool / "resnet", tiny_pool / "vit", "a/b/c"],
        cache_dir=tmp_path / "cache",
        progress=False,
        on_pictures=told.append,
    )
    sample, *left_out = told
    assert isinstance(sample, SamplePictures)
    assert all(isinstance(one, PredictedClasses) for one in left_out)
    found = RunPictures()
    for one in told:
        found = found.told(one)
    assert found.sample is sample
    assert set(found.left_out) == {row.sha for row in board.rows}
    for row in board.rows:
        predictions = found.left_out[row.sha]
        assert predictions.rows.tolist() == list(range(27))
        n_right = sum(row.confidence.confusion.counts[number][number] for number in range(3))
        assert predictions.n_wrong == 27 - n_right
        mistakes = predictions.mistakes()
        assert len(mistakes) == min(MOST_MISTAKES, predictions.n_wrong)
        assert all(each.true != each.taken_for and each.true in ("cat", "dog", "emu") for each in mistakes)
    assert b"JFIF" not in str(board.to_document()).encode()


def made_predictions(sha: str, predicted: list[int], *, rows: list[int] | None = None) -> PredictedClasses:
    labels = np.array([0, 0, 1, 1])
    rows_of = np.arange(4) if rows is None else np.array(rows)
    given = np.array(predicted)
    jpegs = {position: f"{sha}{position}".encode() for position in np.flatnonzero(given != labels[rows_of]).tolist()}
    return PredictedClasses(sha, ("cat", "dog"), rows_of, labels[rows_of], given, jpegs)


def test_where_two_disagree() -> None:
    first, second = made_predictions("a", [0, 1, 1, 0]), made_predictions("b", [1, 0, 1, 0])
    found = disagreement_of(first, second)
    assert (found.n_both_right, found.n_only_first, found.n_only_second, found.n_both_wrong) == (1, 1, 1, 1)
    assert found.second_wrong == (MistakenPicture(b"b0", "cat", "dog"),)
    assert found.first_wrong == (MistakenPicture(b"a1", "cat", "dog"),)
    swapped = disagreement_of(second, first)
    assert (swapped.second_wrong, swapped.first_wrong) == (found.first_wrong, found.second_wrong)


def test_in_a_race_they_are_compared_on_what_both_have_seen() -> None:
    few = made_predictions("a", [1, 1], rows=[1, 2])
    found = disagreement_of(made_predictions("b", [0, 0, 0, 0]), few)
    # Of rows 1 and 2 the first is right on 1 and wrong on 2, the second the other way round.
    assert (found.n_both_right, found.n_only_first, found.n_only_second, found.n_both_wrong) == (0, 1, 1, 0)
    assert found.second_wrong == (MistakenPicture(b"a0", "cat", "dog"),)
    assert found.first_wrong == (MistakenPicture(b"b2", "dog", "cat"),)


def test_a_later_turn_of_one_checkpoint_counts() -> None:
    early = made_predictions("a", [1, 1], rows=[1, 2])
    later = replace(early, predicted=np.array([0, 1]))
    found = RunPictures().told(early).told(later)
    assert found.left_out == {"a": later}
    assert found.sample is None


@pytest.mark.parametrize("method", ["logme"])
def test_a_score_that_predicts_no_classes_has_no_mistakes(method: str, tiny_pool: Path, tmp_path: Path) -> None:
    told: list[PicturesOfRun] = []
    folder = noisy_folder(tmp_path / "pets", cat=4, dog=4)
    recommend(folder, tiny_pool / "vit", method, cache_dir=tmp_path / "c", progress=False, on_pictures=told.append)
    assert [type(one) for one in told] == [SamplePictures]
