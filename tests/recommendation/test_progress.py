"""What the follower of a run is told."""

from itertools import groupby
from pathlib import Path

import pytest

from lead_hub import recommend
from lead_hub.access import Access
from lead_hub.candidates import Candidate
from lead_hub.recommendation.progress import RunFollower, RunProgress


@pytest.mark.usefixtures("hub")
def test_every_step_of_every_checkpoint_is_told_in_order(tiny_pool: Path, colour_folder: Path, tmp_path: Path) -> None:
    told: list[RunProgress] = []
    candidates = [tiny_pool / "resnet", "org/missing", tiny_pool / "vit"]
    options = {"batch_size": 9, "cache_dir": tmp_path, "progress": False}
    recommend(colour_folder, candidates, on_progress=told.append, **options)  # type: ignore[call-overload]
    steps = [(number, stage) for (number, stage), _ in groupby(told, key=lambda one: (one.number, one.stage))]
    assert steps == [
        *[(0, "dataset"), (1, "download"), (1, "load"), (1, "extract"), (1, "score")],
        *[(2, "download"), (3, "download"), (3, "load"), (3, "extract"), (3, "score")],
    ]
    running = [one for one in told if one.stage == "extract" and one.number == 3]
    assert [one.n_images for one in running] == [0, 9, 18, 27, 36]
    assert running[0].images_per_s is None
    assert all(one.images_per_s and one.images_per_s > 0 for one in running[1:])
    assert {(one.total_images, one.n_candidates, one.device) for one in running} == {(36, 3, "cpu")}
    assert {one.checkpoint for one in told if one.number == 2} == {"org/missing"}


@pytest.mark.slow
def test_no_more_is_left_than_the_budget() -> None:
    told: list[RunProgress] = []
    left_s: list[float | None] = [0.25]
    follower = RunFollower(1, access=Access(), on_progress=told.append, budget_left_s=lambda: left_s[0])
    follower.begins(Candidate("org/a", parameters=10**9), following=(), number=1, n_images=10**6)
    follower.reached("download")
    left_s[0] = None
    follower.reached("load")
    capped_s, free_s = (one.remaining_s for one in told)
    assert capped_s == 0.25
    assert free_s is not None
    assert free_s > 3600  # 4 * 10^17 operations


def test_what_comes_from_the_cache_is_neither_loaded_nor_run(
    tiny_pool: Path, colour_folder: Path, tmp_path: Path
) -> None:
    recommend(colour_folder, tiny_pool / "vit", cache_dir=tmp_path, progress=False)
    told: list[RunProgress] = []
    recommend(colour_folder, tiny_pool / "vit", cache_dir=tmp_path, progress=False, on_progress=told.append)
    assert [one.stage for one in told] == ["dataset", "download", "score"]
