"""The real client reads from the test Hub: facts, file lists, files, and ranges of them."""

import hashlib
from pathlib import Path

import pytest
import torch
from huggingface_hub import HfApi, HfFileSystem
from huggingface_hub.errors import (
    HfHubHTTPError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from safetensors.torch import save

from tests.loopback_hub.server import HubServer

SHORT = {"README.md": b"---\nlicense: mit\n---\nA card.\n", "config.json": b'{"model_type": "vit"}'}
LARGE = bytes(range(256)) * 4000
FILES = {**SHORT, "weights/model.bin": LARGE, "weights/notes.txt": "grün\n".encode()}


def test_a_seeded_repository_is_read_back_whole(hub: HubServer, tmp_path: Path) -> None:
    sha = hub.add_repo("team/model", files=FILES, downloads=10, likes=2, last_modified="2026-01-02T03:04:05.000Z")
    api = HfApi(token=hub.add_user("alice"))
    info = api.model_info("team/model", files_metadata=True)
    assert (info.sha, info.downloads, info.likes, info.card_data.license) == (sha, 10, 2, "mit")
    assert info.last_modified.isoformat() == "2026-01-02T03:04:05+00:00"
    assert {sibling.rfilename: sibling.size for sibling in info.siblings} == {
        path: len(content) for path, content in FILES.items()
    }
    folder = Path(api.snapshot_download("team/model", cache_dir=tmp_path))
    assert folder.name == sha
    assert {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()} == FILES
    assert api.verify_repo_checksums("team/model", cache_dir=tmp_path, revision=sha).mismatches == []


def test_file_lists_name_git_objects_and_folders(hub: HubServer) -> None:
    hub.page_size = 2  # the list needs several pages
    sha = hub.add_repo("team/model", files=FILES)
    api = HfApi()
    entries = {entry.path: entry for entry in api.list_repo_tree("team/model", recursive=True)}
    assert set(entries) == {*FILES, "weights"}
    text = SHORT["config.json"]
    git_sha1 = hashlib.sha1(b"blob %d\0" % len(text) + text).hexdigest()
    assert (entries["config.json"].blob_id, entries["config.json"].lfs) == (git_sha1, None)
    lfs = entries["weights/model.bin"].lfs
    assert (lfs.sha256, lfs.size) == (hashlib.sha256(LARGE).hexdigest(), len(LARGE))
    assert {entry.path for entry in api.list_repo_tree("team/model")} == {*SHORT, "weights"}
    below = {entry.path for entry in api.list_repo_tree("team/model", "weights")}
    assert below == {"weights/model.bin", "weights/notes.txt"}
    asked = ["config.json", "weights", "nothing"]
    infos = api.get_paths_info("team/model", asked, expand=True)
    assert [(info.path, info.last_commit.oid) for info in infos] == [("config.json", sha), ("weights", sha)]


def test_what_is_missing_is_told_apart(hub: HubServer) -> None:
    hub.add_repo("team/model", files=SHORT)
    api = HfApi(token=hub.add_user("alice"))
    assert not api.repo_exists("team/other")
    assert not api.repo_exists("canonical")
    assert not api.file_exists("team/model", "nothing.json")
    with pytest.raises(RevisionNotFoundError):
        api.model_info("team/model", revision="nowhere")
    with pytest.raises(RepositoryNotFoundError):
        api.dataset_info("team/model")
    with pytest.raises(RemoteEntryNotFoundError):
        api.hf_hub_download("team/model", "nothing.json")
    with pytest.raises(RemoteEntryNotFoundError):
        list(api.list_repo_tree("team/model", "nowhere"))
    with pytest.raises(HfHubHTTPError, match="Invalid credentials") as refused:
        HfApi(token="hf_unknown").model_info("team/model")
    assert refused.value.response.status_code == 401


def test_parts_of_files_are_read_by_range(hub: HubServer) -> None:
    weights = save({"a": torch.zeros(2, 3), "b": torch.zeros(4, dtype=torch.int64), "c": torch.zeros(10**5)})
    hub.add_repo("team/model", files={"model.safetensors": weights, "text.txt": b"0123456789"})
    files = HfFileSystem(skip_instance_cache=True)
    with files.open("team/model/text.txt", block_size=4) as text:
        text.seek(6)
        assert text.read(2) == b"67"
    with files.open("team/model/model.safetensors", block_size=1000) as large:
        large.seek(-5, 2)
        assert large.read() == weights[-5:]
    counts = HfApi().get_safetensors_metadata("team/model").parameter_count
    assert counts == {"F32": 2 * 3 + 10**5, "I64": 4}
    parts = [request for request in hub.requests if request.path.startswith("/_cdn/")]
    assert {request.status for request in parts} == {206}
    assert {request.user for request in parts} == {None}


def test_the_same_content_elsewhere_is_another_commit(hub: HubServer) -> None:
    first, second = (hub.add_repo(name, files=SHORT) for name in ("team/one", "team/two"))
    assert first != second
    changed = hub.commit("team/one", files={"config.json": b"{}"})
    assert hub.commit("team/one", files={"config.json": b"{}"}) == changed == hub.repo("team/one").head
    assert HfApi().model_info("team/one", revision=first).sha == first
    assert hub.repo("team/one").files_at(first) == SHORT
    assert hub.repo("team/one").files_at() == {**SHORT, "config.json": b"{}"}
