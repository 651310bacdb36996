"""The real client reads from the test Hub: facts, file lists, files, and what it may not see."""

from pathlib import Path

import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import (
    HfHubHTTPError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from tests.hub import HubServer

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


def test_what_is_missing_is_told_apart(hub: HubServer) -> None:
    hub.add_repo("team/model", files=SHORT)
    api = HfApi(token=hub.add_user("alice"))
    assert not api.repo_exists("team/other")
    assert not api.file_exists("team/model", "nothing.json")
    with pytest.raises(RevisionNotFoundError):
        api.model_info("team/model", revision="nowhere")
    with pytest.raises(RepositoryNotFoundError):
        api.dataset_info("team/model")
    with pytest.raises(RemoteEntryNotFoundError):
        api.hf_hub_download("team/model", "nothing.json")
    with pytest.raises(HfHubHTTPError, match="Invalid credentials") as refused:
        HfApi(token="hf_unknown").model_info("team/model")
    assert refused.value.response.status_code == 401
