"""Reading parts of large tables with what goes wrong on the way: the disk, the Hub, the cache, a change of mind."""

import shutil
import threading
from pathlib import Path

import pytest

from lead_hub.access import Access
from lead_hub.errors import DatasetError, HubError, RunCancelledError
from lead_hub.labelled_images.loading import load_labelled_images
from lead_hub.labelled_images.query import DatasetQuery
from lead_hub.labelled_images.row_groups import THREADS
from tests.labelled_images.large_splits import SHUFFLED, fetched_groups, large_split, load
from tests.labelled_images.small_datasets import colours
from tests.loopback_hub import HubServer
from tests.loopback_hub.faults import Fault

pytestmark = pytest.mark.slow


@pytest.mark.usefixtures("parts")
def test_what_is_not_read_for_want_of_room_or_of_an_answer(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add_repo("org/large", kind="dataset", folder=large_split(tmp_path / "repo", SHUFFLED))
    usage = shutil.disk_usage(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr("shutil.disk_usage", lambda _place: usage._replace(free=100))
        with pytest.raises(DatasetError, match=r"the files of org/large that are read, 0\.0 GB, must fit the disk"):
            load("org/large", tmp_path / "cache", max_images=8)
    asked = 0

    def enough() -> bool:
        nonlocal asked
        asked += 1
        return asked > 40

    access = Access(tmp_path / "other", progress=False, cancelled=enough)
    with pytest.raises(RunCancelledError):
        load_labelled_images(DatasetQuery("org/large", max_images=8), access)
    assert not list((tmp_path / "other").rglob("*.part"))
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("lead-hub")]
    hub.add_fault(Fault("cut", match="/_cdn/", times=None, after_bytes=500))
    monkeypatch.setattr("lead_hub.hub.requests.SILENCE_S", 1.0)
    with pytest.raises(HubError, match="cannot be reached"):
        load("org/large", tmp_path / "third", max_images=8)
    hub.faults.clear()
    assert len(load("org/large", tmp_path / "third", max_images=8)) == 8


@pytest.mark.usefixtures("parts")
def test_what_is_read_of_a_private_dataset_is_its_readers_alone(hub: HubServer, tmp_path: Path) -> None:
    token = hub.add_user("alice")
    folder = large_split(tmp_path / "repo", SHUFFLED)
    hub.add_repo("alice/large", kind="dataset", folder=folder, private=True)
    access = Access(tmp_path / "cache", token, progress=False)
    images = load_labelled_images(DatasetQuery("alice/large", max_images=8), access)
    assert images.is_private
    kept = list((tmp_path / "cache").rglob("lead-hub-row-groups/*/*.parquet"))
    assert len(kept) == 3
    assert {file.stat().st_mode & 0o777 for file in kept} == {0o600}


@pytest.mark.usefixtures("parts")
def test_what_is_damaged_is_fetched_again_or_told(hub: HubServer, tmp_path: Path) -> None:
    hub.add_repo("org/large", kind="dataset", folder=large_split(tmp_path / "repo", SHUFFLED))
    first = load("org/large", tmp_path / "cache", max_images=8)
    kept = list((tmp_path / "cache").rglob("lead-hub-row-groups/*/*.parquet"))
    for file in kept:  # labels and groups
        file.write_bytes(file.read_bytes()[:-9])
    again = load("org/large", tmp_path / "cache", max_images=8)
    assert again.rows.tolist() == first.rows.tolist()
    assert colours(again) == colours(first)
    groups = [file for file in kept if not file.name.startswith("labels")]
    for file in groups:  # the end is whole, what it tells of is not
        content = file.read_bytes()
        file.write_bytes(b"PAR1" + b"\xff" * 4000 + content[4004:])
    with pytest.raises(DatasetError, match=r"what is kept of train-.*\.parquet must be readable, found .* try again"):
        load("org/large", tmp_path / "cache", max_images=8)


@pytest.mark.usefixtures("parts")
def test_a_refusal_midway_is_told_in_words(hub: HubServer, tmp_path: Path) -> None:
    hub.add_repo("org/large", kind="dataset", folder=large_split(tmp_path / "repo", SHUFFLED))

    def refused_once_labels_are_here() -> bool:
        if list(tmp_path.rglob("labels-*.parquet")) and not hub.faults.left():
            hub.add_fault(Fault("status", match="/resolve/", times=None, status=403))
        return False

    access = Access(tmp_path / "cache", progress=False, cancelled=refused_once_labels_are_here)
    with pytest.raises(HubError, match="org/large"):
        load_labelled_images(DatasetQuery("org/large", max_images=8), access)
    assert fetched_groups(tmp_path / "cache") == 0


@pytest.mark.usefixtures("parts")
def test_waiting_for_labels_ends_when_nobody_wants_them(hub: HubServer, tmp_path: Path) -> None:
    hub.add_repo("org/large", kind="dataset", folder=large_split(tmp_path / "repo", SHUFFLED))
    hub.add_fault(Fault("slow", match="/_cdn/", times=None, seconds=0.3))
    seen = 0

    def enough() -> bool:
        nonlocal seen
        seen = len([each for each in hub.requests if each.path.startswith("/_cdn/")])
        return seen >= 7  # five ends of files, and the first labels

    access = Access(tmp_path / "cache", progress=False, cancelled=enough)
    with pytest.raises(RunCancelledError):
        load_labelled_images(DatasetQuery("org/large", max_images=8), access)
    # Twenty groups have labels to read; each of the threads may have had one under way.
    assert len([each for each in hub.requests if each.path.startswith("/_cdn/")]) <= 7 + THREADS
