"""The next candidates are fetched while one is scored; the disk that a run takes stays within its limit."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lead_hub.access import Access
from lead_hub.candidates import Candidate
from lead_hub.checkpoint_files import downloads as downloads_module
from lead_hub.checkpoint_files.downloads import AHEAD, Downloads
from lead_hub.checkpoint_files.local_files import CheckpointFiles
from lead_hub.checkpoint_files.pinned_commit import snapshot
from lead_hub.errors import CandidateError, RunCancelledError
from lead_hub.hub import HubDownError, remove_cached
from tests.loopback_hub import HubServer
from tests.loopback_hub.faults import Fault

SETTINGS = {"config.json": b"{}", "preprocessor_config.json": b"{}", "README.md": b"# Card\n"}
SIZE = 3000


def always(candidate: Candidate, files: CheckpointFiles) -> bool:
    return True


def only_m1(candidate: Candidate, files: CheckpointFiles) -> bool:
    return candidate.checkpoint == "org/m1"


@pytest.fixture
def access(tmp_path: Path, hub: HubServer) -> Access:
    return Access(tmp_path / "cache")


def candidates_on(hub: HubServer, count: int) -> list[Candidate]:
    """Each with weights of its own, SIZE bytes."""
    return [
        Candidate(f"org/m{number}", revision=hub.add_repo(f"org/m{number}", files=weights_of(number)))
        for number in range(count)
    ]


def weights_of(number: int) -> dict[str, bytes]:
    return {**SETTINGS, "model.safetensors": bytes([number]) * SIZE}


def wait_until(condition: Callable[[], bool], *, within_s: float = 300) -> bool:
    end = time.monotonic() + within_s
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


def weights_in(access: Access) -> set[str]:
    """Names of the checkpoints whose weights are whole."""
    return {
        path.parts[-4].removeprefix("models--org--")
        for path in access.hub_folder.glob("*/snapshots/*/model.safetensors")
    }


def blob_bytes(access: Access) -> int:
    return sum(path.stat().st_size for path in access.hub_folder.glob("*/blobs/*") if path.stat().st_size >= SIZE)


def test_the_next_ones_come_while_one_is_scored_and_no_more(hub: HubServer, access: Access) -> None:
    with Downloads(candidates_on(hub, 6), access, always).running() as downloads:
        downloads.take(downloads.candidates[0])
        ahead = {f"m{number}" for number in range(AHEAD + 1)}
        assert wait_until(lambda: weights_in(access) == ahead)
        time.sleep(0.3)  # nothing further while candidate 0 is in work
        assert weights_in(access) == ahead
        downloads.take(downloads.candidates[1])
        assert wait_until(lambda: "m3" in weights_in(access))


def test_bytes_bound_what_is_fetched_ahead(hub: HubServer, access: Access, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads_module, "AHEAD_BYTES", SIZE)
    with Downloads(candidates_on(hub, 4), access, always).running() as downloads:
        downloads.take(downloads.candidates[0])
        assert wait_until(lambda: weights_in(access) == {"m0", "m1"})
        time.sleep(0.3)
        assert weights_in(access) == {"m0", "m1"}
        for number in range(1, 4):
            assert (downloads.take(downloads.candidates[number]).folder / "model.safetensors").is_file()


def test_whose_turn_it_is_does_not_wait_behind_what_waits_for_room(
    hub: HubServer, access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two processes this one had m0 and was to have m2 and m4, which wait for room; then it takes m1."""
    monkeypatch.setattr(downloads_module, "AHEAD_BYTES", SIZE - 1)
    with Downloads(candidates_on(hub, 6), access, always, every=2).running() as downloads:
        downloads.take(downloads.candidates[0])
        assert wait_until(lambda: not downloads._futures[downloads.candidates[4]].running())
        assert weights_in(access) == {"m0"}
        for number in (1, 3, 2, 5, 4):
            taking = threading.Thread(target=downloads.take, args=[downloads.candidates[number]], daemon=True)
            taking.start()
            taking.join(timeout=300)
            assert not taking.is_alive()
            assert f"m{number}" in weights_in(access)


def test_weights_that_are_not_needed_do_not_come(hub: HubServer, access: Access) -> None:
    with Downloads(candidates_on(hub, 2), access, only_m1).running() as d:
        assert not (d.take(d.candidates[0]).folder / "model.safetensors").exists()
        assert (d.take(d.candidates[1]).folder / "model.safetensors").exists()


def test_a_limited_disk_keeps_the_best_and_what_was_there(hub: HubServer, access: Access) -> None:
    candidates = candidates_on(hub, 6)
    with Downloads(candidates[:1], access, always).running() as before:
        before.take(before.candidates[0])
    most = 0
    with Downloads(candidates, access, always, max_disk_bytes=2 * SIZE).running() as downloads:
        for number, score in enumerate((0.9, 0.2, None, 0.8, 0.1, 0.3)):
            assert (downloads.take(downloads.candidates[number]).folder / "model.safetensors").is_file()
            most = max(most, blob_bytes(access))
            downloads.scored(downloads.candidates[number], score)
    # Two at a time beside m0, which was there before the run: m1 (0.2) and m2 (skipped) came first; m2 went for m3,
    # m1 (0.2) for m4, m4 (0.1) for m5.
    assert most <= 3 * SIZE
    assert weights_in(access) == {"m0", "m3", "m5"}
    assert blob_bytes(access) == 3 * SIZE
    assert (snapshot("org/m1", candidates[1].revision or "", access) / "config.json").is_file()  # it is small, and kept


def test_a_limited_disk_is_kept_below_a_link_and_a_relative_path(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "large disk").mkdir()
    (tmp_path / "linked").symlink_to(tmp_path / "large disk", target_is_directory=True)
    monkeypatch.chdir(tmp_path)
    access = Access(Path("linked/cache"))
    candidates = candidates_on(hub, 3)
    with Downloads(candidates, access, always, max_disk_bytes=SIZE).running() as downloads:
        for number, score in enumerate((0.9, 0.2, 0.3)):
            downloads.take(downloads.candidates[number])
            assert blob_bytes(access) == SIZE
            downloads.scored(downloads.candidates[number], score)


def test_what_comes_again_is_within_the_limit_as_well(hub: HubServer, access: Access) -> None:
    """As in a race, of which every candidate has several turns."""
    candidates = candidates_on(hub, 3)
    with Downloads(candidates, access, always, max_disk_bytes=SIZE).running() as downloads:
        files = []
        for number, score in enumerate((0.9, 0.2, 0.3)):
            files.append(downloads.take(downloads.candidates[number]))
            downloads.scored(downloads.candidates[number], score)
        assert weights_in(access) == {"m2"}
        for number in (0, 2, 0, 1):
            downloads.fetch_again(files[number])
            assert weights_in(access) == {f"m{number}"}
            assert blob_bytes(access) == SIZE
            downloads.scored(downloads.candidates[number], 0.5)
    downloads.fetch_again(files[1])  # which are there


def test_weights_that_somebody_else_removed_come_again_and_wait_for_nobody(hub: HubServer, access: Access) -> None:
    candidates = candidates_on(hub, 1)
    with Downloads(candidates, access, always, max_disk_bytes=SIZE).running() as downloads:
        files = downloads.take(downloads.candidates[0])  # not scored yet, and all that the limit allows
        remove_cached(files.folder / "model.safetensors")
        downloads.fetch_again(files)
        assert weights_in(access) == {"m0"}


def test_a_checkpoint_beyond_the_limit_is_skipped_and_the_others_are_not(hub: HubServer, access: Access) -> None:
    big = {**SETTINGS, "model.safetensors": b"b" * 3 * SIZE}
    candidates = [Candidate("org/big", revision=hub.add_repo("org/big", files=big)), *candidates_on(hub, 1)]
    with Downloads(candidates, access, always, max_disk_bytes=2 * SIZE).running() as downloads:
        with pytest.raises(CandidateError, match=r"max_disk allows 0\.000 GB: raise it"):
            downloads.take(downloads.candidates[0])
        assert (downloads.take(downloads.candidates[1]).folder / "model.safetensors").is_file()
    assert not [request for request in hub.requests if "big/resolve" in request.path and "model" in request.path]


def test_content_that_another_commit_shares_is_kept(hub: HubServer, access: Access) -> None:
    first = hub.add_repo("org/m0", files=weights_of(0))
    second = hub.commit("org/m0", files={"README.md": b"# Another card\n"})
    with Downloads([Candidate("org/m0", revision=first)], access, always).running() as before:
        before.take(before.candidates[0])
    candidates = [
        Candidate("org/m0", revision=second),
        Candidate("org/m1", hub.add_repo("org/m1", files=weights_of(1))),
    ]
    with Downloads(candidates, access, always, max_disk_bytes=SIZE).running() as downloads:
        for number in range(2):
            downloads.take(downloads.candidates[number])
            downloads.scored(downloads.candidates[number], 0.5)
    kept = snapshot("org/m0", first, access) / "model.safetensors"
    assert kept.read_bytes() == bytes(SIZE)
    assert not (snapshot("org/m0", second, access) / "model.safetensors").exists()


def test_every_failure_belongs_to_its_candidate(hub: HubServer, access: Access) -> None:
    good = candidates_on(hub, 1)
    with Downloads([Candidate("org/none"), *good, Candidate("not an id!")], access, always).running() as downloads:
        with pytest.raises(CandidateError, match="org/none"):
            downloads.take(downloads.candidates[0])
        assert downloads.take(downloads.candidates[1]).sha == good[0].revision
        with pytest.raises(CandidateError, match="not an id!"):
            downloads.take(downloads.candidates[2])


def test_after_silence_the_rest_is_refused_at_once(
    hub: HubServer, access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lead_hub.hub.requests.SILENCE_S", 0.5)
    candidates = candidates_on(hub, 30)
    with Downloads(candidates[29:], access, always).running() as before:
        before.take(before.candidates[0])
    hub.add_fault(Fault("status", times=None, status=503))
    hub.requests.clear()
    with Downloads(candidates, access, always).running() as downloads:
        for number in range(29):
            with pytest.raises(HubDownError):
                downloads.take(downloads.candidates[number])
        assert (
            downloads.take(downloads.candidates[29]).sha == candidates[29].revision
        )  # in the access, at a known commit
    assert {request.path for request in hub.requests} == {
        f"/api/models/org/m{number}/revision/{candidates[number].revision}" for number in (0, 1)
    }


def test_what_the_hub_can_never_give_is_one_candidates_alone(
    hub: HubServer, access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lead_hub.hub.requests.SILENCE_S", 0.5)
    candidates = candidates_on(hub, 5)
    for number in (0, 2, 4):
        hub.add_fault(Fault("status", match=f"org/m{number}/resolve", times=None, status=503))
    with Downloads(candidates, access, always).running() as downloads:
        for number, candidate in enumerate(candidates):
            if number % 2:
                assert downloads.take(candidate).sha == candidate.revision
            else:
                with pytest.raises(HubDownError):
                    downloads.take(candidate)


def test_waiting_for_files_can_be_cancelled(hub: HubServer, access: Access) -> None:
    candidates = candidates_on(hub, 1)
    hub.add_fault(Fault("status", match="/api/models/org/m0", status=429, headers={"Retry-After": "300"}))
    with (
        pytest.raises(RunCancelledError),
        Downloads(candidates, replace(access, cancelled=lambda: bool(hub.requests)), always).running() as downloads,
    ):
        downloads.take(downloads.candidates[0])
    assert not weights_in(access)


@pytest.mark.slow
def test_the_end_of_the_run_breaks_off_a_download(hub: HubServer, access: Access) -> None:
    candidates = candidates_on(hub, 2)
    slow = b"s" * (64 << 20)
    candidates[1] = Candidate("org/slow", hub.add_repo("org/slow", files={**SETTINGS, "model.safetensors": slow}))
    hub.add_fault(Fault("slow", match="slow/", method="GET", times=None, seconds=0.5))
    with Downloads(candidates, access, always).running() as downloads:
        downloads.take(downloads.candidates[0])
        assert wait_until(lambda: any("org/slow" in request.path for request in hub.requests))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("lead-hub-downloads")]
    assert "slow" not in weights_in(access)
