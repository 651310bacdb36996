"""recommend() on sets that hold pictures more than once: left out together, said, and no surer for it."""

import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from datasets import ClassLabel, Dataset, Features, Image, Value
from PIL import Image as PillowImage
from safetensors.torch import load_file

from lead_hub import DatasetError, Leaderboard, recommend, score
from lead_hub.access import Access
from lead_hub.confidence import Confidence
from lead_hub.demo import pool
from lead_hub.labelled_images import DatasetQuery, load_labelled_images
from lead_hub.recommendation.grouping import image_groups, joined
from lead_hub.score_cards.card import ranking_id, results_of
from tests.recommendation.copied_pictures import COPIES, Picture, every_kth, save_pictures

NAMES = ("resnet-letters-wide", "timm-resnet-drawings", "regnet-emoji-small")
CANDIDATES = [candidate for candidate in pool("scripts") if Path(candidate.checkpoint).name in NAMES]
PICTURES, LABELS = every_kth("clipart", 3)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def board_of(folder: Path, cache: Path, **options: object) -> Leaderboard:
    settings = {"cache_dir": cache, "progress": False, "device": "cpu", **options}
    return recommend(folder, CANDIDATES, **settings)  # type: ignore[call-overload, no-any-return]


def scores_of(board: Leaderboard) -> dict[str, float]:
    return {Path(row.checkpoint).name: row.score for row in board.rows}


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Leaderboard:
    return board_of(save_pictures(tmp_path_factory.mktemp("once"), PICTURES, LABELS), cache)


@pytest.mark.slow
def test_pictures_that_occur_once_are_left_out_alone(once: Leaderboard) -> None:
    assert once.dataset.groups_sha256 is None
    assert once.dataset.notes == ()
    assert "group_column" not in once.settings


@pytest.mark.slow
@pytest.mark.parametrize("change", ["exact", "compressed", "mirrored", "shifted by 5 px", "a crop"])
def test_every_picture_twice_scores_about_as_once(change: str, once: Leaderboard, cache: Path, tmp_path: Path) -> None:
    copies: Sequence[Picture] = PICTURES if change == "exact" else [COPIES[change](picture) for picture in PICTURES]
    board = board_of(save_pictures(tmp_path / "twice", [*PICTURES, *copies], LABELS * 2), cache)
    expected, found = scores_of(once), scores_of(board)
    assert found.keys() == expected.keys()
    for name, value in found.items():
        assert abs(value - expected[name]) < 0.15, name
    (note,) = board.dataset.notes
    assert f"of {2 * len(PICTURES)} images are copies of one another, exact or nearly so" in note
    assert ("0 images are equal to an earlier one pixel by pixel" in note) == (change != "exact")
    assert "of different classes" not in note
    assert board.dataset.groups_sha256 is not None
    # What the copies would tell each other: the same outputs, every image left out alone.
    names = {row.n_features: Path(row.checkpoint).name for row in board.rows}
    for file in (cache / "outputs").glob("*.safetensors"):
        features = load_file(file)["features"]
        if len(features) == 2 * len(PICTURES) and change == "exact":
            name = names[features.shape[1]]
            assert score(features, np.sort(LABELS * 2)) > expected[name] + 2 * abs(found[name] - expected[name])


@pytest.mark.slow
def test_no_interval_is_narrower_for_copies(once: Leaderboard, cache: Path, tmp_path: Path) -> None:
    board = board_of(save_pictures(tmp_path / "thrice", PICTURES * 3, LABELS * 3), cache)
    before = {row.checkpoint: row.confidence for row in once.rows}
    for row in board.rows:
        # A third of the variance would be 0.58 of the width.
        assert width(row.confidence, "score") > 0.8 * width(before[row.checkpoint], "score")
        assert width(row.confidence, "probe") > 0.9 * width(before[row.checkpoint], "probe")


def width(confidence: Confidence | None, name: str) -> float:
    assert confidence is not None
    return float(getattr(confidence, f"{name}_high") - getattr(confidence, f"{name}_low"))


@pytest.mark.slow
def test_copies_of_other_classes_are_counted_and_turn_nothing_upside_down(
    once: Leaderboard, cache: Path, tmp_path: Path
) -> None:
    copied = PICTURES[::2]
    others = [(label + 1) % 8 for label in LABELS[::2]]
    board = board_of(save_pictures(tmp_path / "both", [*PICTURES, *copied], [*LABELS, *others]), cache)
    (note,) = board.dataset.notes
    assert note.startswith(f"{2 * len(copied)} of {len(PICTURES) + len(copied)} images are copies of one another")
    assert f"({len(copied)} pictures; {len(copied)} images are equal to an earlier one pixel by pixel)" in note
    assert note.endswith(f"of {len(copied)} of these pictures the copies are of different classes: check their labels")
    assert board.rows[-1].checkpoint == once.rows[-1].checkpoint


@pytest.mark.slow
def test_scores_that_leave_nothing_out_say_so(cache: Path, tmp_path: Path) -> None:
    folder = save_pictures(tmp_path / "twice", PICTURES[:40] * 2, LABELS[:40] * 2)
    board = board_of(folder, cache, score=["lead", "logme", "knn", "parameters", "h-score"])
    assert board.dataset.notes[-1] == (
        "logme, h-score: no image is left out, so images of one group count as any others"
    )


def grouped_rows(path: Path) -> Path:
    """The pictures with a column that joins every fourth one and the next."""
    data = {
        "image": [png(picture) for picture in PICTURES],
        "label": LABELS,
        "scene": [f"scene {row - (row % 4 == 1)}" for row in range(len(PICTURES))],
    }
    types = {"image": Image(), "label": ClassLabel(num_classes=8), "scene": Value("string")}
    Dataset.from_dict(data, features=Features(types)).to_parquet(path / "rows.parquet")
    return path / "rows.parquet"


def png(picture: Picture) -> dict[str, object]:
    file = io.BytesIO()
    PillowImage.fromarray(picture).save(file, "PNG")
    return {"bytes": file.getvalue(), "path": None}


@pytest.mark.slow
def test_a_column_joins_images(tmp_path: Path) -> None:
    rows, own_cache = grouped_rows(tmp_path), tmp_path / "cache"
    board = board_of(rows, own_cache, group_column="scene")
    n_pictures, n_joined = len(PICTURES), len(range(1, len(PICTURES), 4))
    assert board.dataset.notes == (
        f"images with the same 'scene' are left out together: {n_pictures} images in {n_pictures - n_joined} groups",
    )
    assert board.settings["group_column"] == "scene"
    # The scores are those of the outputs on disk with the same groups.
    groups = [row - (row % 4 == 1) for row in range(n_pictures)]
    kept = [load_file(file) for file in (own_cache / "outputs").glob("*.safetensors")]
    kernels = [{"depth_kernel": one["depth_kernel"]} for one in kept]
    pairs = zip(kept, kernels, strict=True)
    expected = sorted(score(one["features"], LABELS, groups=groups, kernels=depths) for one, depths in pairs)
    assert sorted(row.score for row in board.rows) == pytest.approx(expected, rel=1e-12)
    assert Leaderboard.load(board.save(tmp_path / "board.json")) == board
    without = board_of(rows, own_cache)
    assert {row.note for row in without.rows} == {"from cache"}
    assert without.dataset.notes == ()
    assert scores_of(without) != scores_of(board)


@pytest.mark.slow
def test_cards_of_other_groups_are_not_compared(cache: Path, tmp_path: Path) -> None:
    rows = grouped_rows(tmp_path)
    alone, joined_rows = board_of(rows, cache), board_of(rows, cache, group_column="scene")
    ids = {
        ranking_id(asdict(board.dataset), method=board.method, method_version=board.method_version)
        for board in (alone, joined_rows)
    }
    assert len(ids) == 2
    (card, *_), (grouped_card, *_) = results_of(alone.to_document()), results_of(joined_rows.to_document())
    assert "groups_sha256" not in card.dataset
    assert "group_column" not in card.settings
    assert grouped_card.dataset["groups_sha256"] == joined_rows.dataset.groups_sha256
    assert grouped_card.settings["group_column"] == "scene"
    # A card that was written before there were groups has neither key: the same bytes, so the same hash.
    before = alone.to_document()
    del before["dataset"]["groups_sha256"]
    assert results_of(json.loads(json.dumps(before)))[0].content_sha256 == card.content_sha256


def test_column_and_copies_join_each_other(cache: Path, tmp_path: Path) -> None:
    """Image 0 is in one group with 1 by the column, and with its copy by the pixels: all three are one."""
    chosen = [0, 1, 2, 3, 0]
    data = {
        "image": [png(PICTURES[row]) for row in chosen],
        "label": [0, 0, 1, 1, 1],
        "scene": ["a", "a", None, "", "b"],
    }
    types = Features({"image": Image(), "label": ClassLabel(num_classes=2), "scene": Value("string")})
    Dataset.from_dict(data, features=types).to_parquet(tmp_path / "rows.parquet")
    access = Access(cache, progress=False)
    query = DatasetQuery(str(tmp_path / "rows.parquet"), group_column="scene")
    images = load_labelled_images(query, access)
    assert images.groups is not None
    assert images.groups.tolist() == [0, 0, 1, 2, 3]
    found = image_groups(images, ["lead"], group_column="scene", access=access)
    assert found.numbers is not None
    assert found.numbers.tolist() == [0, 0, 1, 2, 0]
    assert found.notes[0] == "images with the same 'scene' are left out together: 5 images in 4 groups"
    assert found.notes[1].startswith("2 of 5 images are copies of one another")
    assert found.notes[1].endswith("of 1 of these pictures the copies are of different classes: check their labels")


def test_one_picture_alone_is_no_dataset(cache: Path, tmp_path: Path) -> None:
    folder = save_pictures(tmp_path / "one", [PICTURES[0]] * 6, [0, 1] * 3)
    with pytest.raises(DatasetError, match=r"at least 2 groups of images are needed, .* found all 6 images"):
        board_of(folder, cache)


def test_chains_of_pairs_by_hand() -> None:
    assert joined([], n_images=3).tolist() == [0, 1, 2]
    assert joined([(4, 2), (0, 3), (2, 5), (3, 4)], n_images=7).tolist() == [0, 1, 0, 0, 0, 0, 2]
    assert joined([(1, 1), (2, 1)], n_images=3).tolist() == [0, 1, 1]
