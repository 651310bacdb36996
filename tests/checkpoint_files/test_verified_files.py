"""Files in the Hub cache, whoever put them there: compared with their hash once, and fetched again where damaged."""

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import snapshot_download

from lead_hub.access import Access
from lead_hub.candidates import Candidate
from lead_hub.checkpoint_files.checked_folder import MOST_JSON_BYTES
from lead_hub.checkpoint_files.local_files import fetch_weights, find_checkpoint
from lead_hub.checkpoint_files.pinned_commit import snapshot
from lead_hub.checkpoint_files.verified_download import hash_in_the_cache, was_verified
from lead_hub.errors import CandidateError
from lead_hub.hub import HubDownError, remove_cached
from tests.checkpoint_files.test_pinned_commit import FILES, SETTINGS, asked, fetched
from tests.loopback_hub import HubServer
from tests.loopback_hub.faults import Fault
from tests.shared_store import move_to_shared_store

READ = ("config.json", "preprocessor_config.json", "model.safetensors")  # small files have git's hash, large sha256


@pytest.fixture
def access(tmp_path: Path, hub: HubServer) -> Access:
    return Access(tmp_path / "cache")


def candidate_in_the_cache(hub: HubServer, access: Access) -> Candidate:
    """Downloaded by another program, at a known commit."""
    sha = hub.add_repo("org/model", files=FILES)
    snapshot_download("org/model", revision=sha, cache_dir=access.hub_folder)
    hub.requests.clear()
    return Candidate("org/model", revision=sha)


def hash_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def damage(path: Path) -> None:
    """Change one byte in the middle, and nothing that a listing of the folder shows."""
    content = path.resolve()
    before = content.stat()
    data = bytearray(content.read_bytes())
    data[len(data) // 2] ^= 1
    content.write_bytes(data)
    os.utime(content, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_whole_files_of_another_program_cost_no_request(hub: HubServer, access: Access) -> None:
    candidate = candidate_in_the_cache(hub, access)
    fetched(candidate, access)
    assert asked(hub) == []


def test_content_in_the_store_of_all_repositories_is_named_by_its_link(hub: HubServer, access: Access) -> None:
    candidate = candidate_in_the_cache(hub, access)
    places = move_to_shared_store(access.hub_folder)
    path = snapshot("org/model", candidate.revision or "", access) / "model.safetensors"
    assert path.resolve() in places
    announced = hash_in_the_cache(path)
    assert announced is not None
    assert announced.sha256 == hash_of(FILES["model.safetensors"])
    fetched(candidate, access)
    assert asked(hub) == []
    assert was_verified(path, announced, access)
    damage(path)
    fetched(candidate, access)
    assert path.read_bytes() == FILES["model.safetensors"]


def test_a_damaged_file_that_cannot_be_had_takes_nothing_from_other_repositories(
    hub: HubServer, access: Access
) -> None:
    candidate = candidate_in_the_cache(hub, access)
    move_to_shared_store(access.hub_folder)
    path = snapshot("org/model", candidate.revision or "", access) / "model.safetensors"
    stored = path.resolve()
    remove_cached(path)
    assert not path.is_symlink()
    assert not (access.hub_folder / "models--org--model" / "blobs" / hash_of(FILES["model.safetensors"])).is_symlink()
    assert stored.is_file()


@pytest.mark.slow
@pytest.mark.parametrize("name", READ)
@pytest.mark.parametrize("was_used_before", [False, True])
def test_a_damaged_file_is_fetched_again(hub: HubServer, access: Access, name: str, was_used_before: bool) -> None:
    candidate = candidate_in_the_cache(hub, access)
    if was_used_before:
        fetched(candidate, access)
    path = snapshot("org/model", candidate.revision or "", access) / name
    damage(path)
    fetched(candidate, access)
    assert path.read_bytes() == FILES[name]
    assert {each.split("/")[-1] for each in asked(hub, "/resolve/")} == {name}


def test_a_damaged_file_is_no_download_of_this_run(hub: HubServer, access: Access) -> None:
    candidate = candidate_in_the_cache(hub, access)
    damage(snapshot("org/model", candidate.revision or "", access) / "model.safetensors")
    assert fetch_weights(find_checkpoint(candidate, access), access) == ()  # it was there before: no run may delete it


def test_what_was_compared_is_noted_until_it_is_written_to(hub: HubServer, access: Access) -> None:
    candidate = candidate_in_the_cache(hub, access)
    path = snapshot("org/model", candidate.revision or "", access) / "model.safetensors"
    announced = hash_in_the_cache(path)
    assert announced is not None
    assert not was_verified(path, announced, access)
    fetched(candidate, access)
    assert was_verified(path, announced, access)
    damage(path)
    assert not was_verified(path, announced, access)


def test_own_downloads_are_noted_as_well(hub: HubServer, access: Access) -> None:
    files = fetched(Candidate("org/model", revision=hub.add_repo("org/model", files=FILES)), access)
    for name in (*SETTINGS, "model.safetensors"):
        announced = hash_in_the_cache(files.folder / name)
        assert announced is not None
        assert was_verified(files.folder / name, announced, access)


def test_where_nothing_can_be_noted_it_is_compared_again(hub: HubServer, access: Access) -> None:
    candidate = candidate_in_the_cache(hub, access)
    access.verified_folder.parent.mkdir(parents=True, exist_ok=True)
    access.verified_folder.write_text("a file in the place of the folder")
    path = snapshot("org/model", candidate.revision or "", access) / "model.safetensors"
    for _ in range(2):
        fetched(candidate, access)
    damage(path)
    fetched(candidate, access)
    assert path.read_bytes() == FILES["model.safetensors"]


def test_a_damaged_file_that_cannot_be_had_is_not_used(hub: HubServer, access: Access) -> None:
    candidate = candidate_in_the_cache(hub, access)
    path = snapshot("org/model", candidate.revision or "", access) / "config.json"
    damage(path)
    words = r"config.json of org/model@\w+ in the cache has other bytes than the Hub announced"
    with pytest.raises(HubDownError, match=words):
        find_checkpoint(candidate, replace(access, hub_is_down=True))
    hub.add_fault(Fault("wrong_bytes", match="config.json", method="GET", times=None))
    with pytest.raises(CandidateError, match=f"{words}, and could not be fetched again") as caught:
        find_checkpoint(candidate, access)
    assert caught.value.stage == "download"
    assert not path.exists()


def test_pickles_are_refused_also_where_an_earlier_run_allowed_them(hub: HubServer, access: Access) -> None:
    sha = hub.add_repo("org/old", files={**SETTINGS, "pytorch_model.bin": b"pickle" * 90})
    candidate = Candidate("org/old", revision=sha)
    fetched(candidate, replace(access, allow_pickle=True))
    for refusing in (access, replace(access, hub_is_down=True)):
        with pytest.raises(CandidateError, match=r"found pytorch_model\.bin: pass allow_pickle=True") as caught:
            find_checkpoint(candidate, refusing)
        assert caught.value.stage == "download"


def test_an_adapter_is_refused_by_the_listing_and_in_the_cache(hub: HubServer, access: Access) -> None:
    sha = hub.add_repo("org/adapted", files={**FILES, "adapter_config.json": b"{}"})
    candidate = Candidate("org/adapted", revision=sha)
    with pytest.raises(CandidateError, match="holds an adapter: merge it"):
        find_checkpoint(candidate, access)
    assert not asked(hub, "/resolve/")
    snapshot_download("org/adapted", revision=sha, cache_dir=access.hub_folder)
    with pytest.raises(CandidateError, match="holds an adapter: merge it"):
        find_checkpoint(candidate, access)


def test_settings_of_an_absurd_size_are_not_downloaded(hub: HubServer, access: Access) -> None:
    sha = hub.add_repo("org/huge", files={**FILES, "config.json": b"{" + b" " * MOST_JSON_BYTES + b"}"})
    with pytest.raises(CandidateError, match=r"config.json must take at most 17 MB, in org/huge@\w+ it takes 17 MB"):
        find_checkpoint(Candidate("org/huge", revision=sha), access)
    assert not asked(hub, "/resolve/")
