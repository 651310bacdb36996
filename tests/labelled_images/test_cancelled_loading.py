"""A loading that nobody wants any more: it ends soon, leaves nothing half done, and nothing of it goes on."""

import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from datasets import ClassLabel

from lead_hub.access import Access
from lead_hub.errors import DatasetError, RunCancelledError
from lead_hub.labelled_images.download import THREADS
from lead_hub.labelled_images.loading import LabelledImages, load_labelled_images
from lead_hub.labelled_images.query import DatasetQuery
from tests.labelled_images.small_datasets import dataset_of, image_folder
from tests.loopback_hub import HubServer
from tests.loopback_hub.faults import Fault

CLASSES = ClassLabel(names=["cat", "dog"])


def load(dataset: str, cache: Path, cancelled: Callable[[], bool] = bool) -> LabelledImages:
    return load_labelled_images(DatasetQuery(dataset), Access(cache, progress=False, cancelled=cancelled))


def downloads(hub: HubServer, ending: str) -> list[str]:
    return [each.path for each in hub.requests if each.method == "GET" and each.path.endswith(ending)]


@pytest.mark.slow
@pytest.mark.parametrize("n_images", [10, 60])  # one after the other, and several at a time
def test_a_slow_download_ends_and_can_be_taken_up_again(hub: HubServer, tmp_path: Path, n_images: int) -> None:
    repository = f"org/slow-{n_images}"
    folder = image_folder(tmp_path / "repo", cat=n_images // 2, dog=n_images // 2)
    hub.add_repo(repository, kind="dataset", folder=folder)
    hub.add_fault(Fault("slow", match=".png", times=None, seconds=0.7))
    stop = threading.Event()
    timer = threading.Timer(2.0, stop.set)
    timer.start()
    with pytest.raises(RunCancelledError):
        load(repository, tmp_path / "cache", stop.is_set)
    timer.join()
    fetched = len(downloads(hub, ".png"))
    assert 0 < fetched < n_images
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("lead-hub")]
    asked = len(hub.requests)
    time.sleep(1.5)
    assert len(hub.requests) == asked
    hub.faults.clear()
    hub.requests.clear()
    with_what_there_is = load(repository, tmp_path / "cache")
    assert len(with_what_there_is) == n_images
    assert set(Counter(downloads(hub, ".png")).values()) == {1}
    assert len(downloads(hub, ".png")) <= n_images - fetched + 16  # those under way are fetched again
    with_what_there_is.close()


@pytest.mark.slow
def test_it_ends_without_fetching_the_rest(hub: HubServer, tmp_path: Path) -> None:
    folder = image_folder(tmp_path / "repo", cat=20, dog=20)
    hub.add_repo("org/forty", kind="dataset", folder=folder)
    hub.add_fault(Fault("slow", match=".png", times=None, seconds=1.0))

    def cancelled() -> bool:
        return len(downloads(hub, ".png")) >= 5

    with pytest.raises(RunCancelledError):
        load("org/forty", tmp_path / "cache", cancelled)
    assert len(downloads(hub, ".png")) <= 5 + THREADS  # those that were under way by then


def test_files_are_fetched_once_and_not_again_for_a_prepared_dataset(hub: HubServer, tmp_path: Path) -> None:
    (tmp_path / "repo").mkdir()
    for split, n_rows in (("train", 8), ("test", 6)):
        dataset_of([number % 2 for number in range(n_rows)], CLASSES).to_parquet(
            str(tmp_path / f"repo/{split}.parquet")
        )
    hub.add_repo("org/twice", kind="dataset", folder=tmp_path / "repo")
    load("org/twice", tmp_path / "cache").close()
    assert len(downloads(hub, ".parquet")) == 2
    hub.requests.clear()
    load("org/twice", tmp_path / "cache").close()
    assert downloads(hub, ".parquet") == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["parquet", "folder"])
def test_every_step_asks(hub: HubServer, tmp_path: Path, kind: str) -> None:
    """Cancelled at whichever question, it ends there; and at the next try nothing is in the way."""
    (tmp_path / "repo").mkdir()
    if kind == "parquet":
        dataset_of([0, 1] * 10, CLASSES).to_parquet(str(tmp_path / "repo/train.parquet"))
    else:
        image_folder(tmp_path / "repo", cat=10, dog=10)
    hub.add_repo(f"org/steps-{kind}", kind="dataset", folder=tmp_path / "repo")
    asked: list[str] = []

    def note(limit: int) -> Callable[[], bool]:
        def cancelled() -> bool:
            asked.append("")
            return len(asked) > limit

        return cancelled

    load(f"org/steps-{kind}", tmp_path / "first", note(10**9)).close()
    n_asked = len(asked)
    assert n_asked > 20
    for limit in range(0, n_asked, max(1, n_asked // 12)):
        asked.clear()
        cache = tmp_path / f"cache-{limit}"
        try:
            load(f"org/steps-{kind}", cache, note(limit)).close()
        except RunCancelledError:
            assert len(asked) <= limit + 48  # each of 16 threads may ask again, and so may its next file's turn
        else:
            assert len(asked) <= limit
        assert [path for path in cache.rglob("*") if path.is_dir() and "incomplete" in path.name] == []
        assert list(cache.glob("lead-hub-images-*")) == []
        images = load(f"org/steps-{kind}", cache)
        assert len(images) == 20
        images.close()


def test_what_does_not_fit_the_disk_is_not_begun(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = image_folder(tmp_path / "repo", cat=3, dog=3)
    hub.add_repo("org/large", kind="dataset", folder=folder)
    usage = shutil.disk_usage(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr("shutil.disk_usage", lambda _place: usage._replace(free=100))
        with pytest.raises(DatasetError, match=r"must fit the disk, and 0\.0 GB are free in .*: free some"):
            load("org/large", tmp_path / "cache")
    assert len(downloads(hub, ".png")) == 1  # the first one, by which the library knows that these are files
    assert len(load("org/large", tmp_path / "cache")) == 6
