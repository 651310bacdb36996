"""Faults on the wire, and what the real client makes of each."""

import time
from pathlib import Path

import pytest
from huggingface_hub import CommitOperationAdd, HfApi
from huggingface_hub.errors import HfHubHTTPError

from tests.loopback_hub.faults import Fault
from tests.loopback_hub.server import HubServer

LARGE = bytes(range(256)) * 8000  # 2 MB
TEXT = b"0123456789" * 100
TRANSPORT_ERROR = HfHubHTTPError.__mro__[1]


@pytest.fixture
def api(hub: HubServer) -> HfApi:
    hub.add_repo("alice/model", files={"model.safetensors": LARGE, "text.txt": TEXT})
    return HfApi(token=hub.add_user("alice"))


def statuses(hub: HubServer) -> list[int]:
    return [request.status for request in hub.requests]


@pytest.mark.slow
def test_a_busy_hub_is_asked_again(hub: HubServer, api: HfApi) -> None:
    """The client waits for one second more than it is told."""
    hub.add_fault(Fault("status", match="/api/models", status=429, headers={"Retry-After": "0"}))
    assert [model.id for model in api.list_models()] == ["alice/model"]
    hub.add_fault(Fault("status", match="/api/models", status=429, headers={"RateLimit": '"api";r=0;t=0'}))
    start = time.monotonic()
    assert [model.id for model in api.list_models()] == ["alice/model"]
    assert time.monotonic() - start > 0.9
    assert statuses(hub) == [429, 200, 429, 200]


def test_an_unavailable_hub_is_told(hub: HubServer, api: HfApi) -> None:
    hub.add_fault(Fault("status", match="/api/models/alice/model", status=503, times=2))
    for _ in range(2):  # model_info is not retried
        with pytest.raises(HfHubHTTPError) as caught:
            api.model_info("alice/model")
        assert caught.value.response.status_code == 503
    assert api.model_info("alice/model").id == "alice/model"


@pytest.mark.slow
def test_a_cut_download_goes_on_where_it_stopped(hub: HubServer, api: HfApi, tmp_path: Path) -> None:
    """The client keeps what it has in pieces of 10 MiB."""
    content = bytes(range(256)) * 44_000
    hub.commit("alice/model", files={"large.bin": content})
    hub.add_fault(Fault("cut", match="large.bin", method="GET", after_bytes=len(content) - 1000))
    path = api.hf_hub_download("alice/model", "large.bin", cache_dir=tmp_path)
    assert Path(path).read_bytes() == content
    parts = [request.status for request in hub.requests if request.path.startswith("/_cdn/")]
    assert parts == [200, 206]


def test_a_connection_cut_before_the_answer(hub: HubServer, api: HfApi) -> None:
    hub.add_fault(Fault("cut", match="/api/models"))
    with pytest.raises(TRANSPORT_ERROR):
        api.model_info("alice/model")
    assert statuses(hub) == [0]
    assert api.model_info("alice/model").id == "alice/model"


@pytest.mark.slow
def test_a_slow_answer_comes(hub: HubServer, api: HfApi) -> None:
    hub.add_fault(Fault("slow", match="/api/models", seconds=0.5))
    start = time.monotonic()
    api.model_info("alice/model")
    assert time.monotonic() - start >= 0.5


def test_wrong_bytes_are_found_by_their_hash(hub: HubServer, api: HfApi, tmp_path: Path) -> None:
    """The client checks the length of a download alone; its own verification finds the rest."""
    hub.add_fault(Fault("wrong_bytes", match="model.safetensors", method="GET"))
    path = api.hf_hub_download("alice/model", "model.safetensors", cache_dir=tmp_path)
    content = Path(path).read_bytes()
    assert len(content) == len(LARGE)
    assert content[0] == 255  # instead of 0
    sha = hub.repo("alice/model").head
    api.hf_hub_download("alice/model", "text.txt", cache_dir=tmp_path)
    checked = api.verify_repo_checksums("alice/model", cache_dir=tmp_path, revision=sha)
    assert [mismatch["path"] for mismatch in checked.mismatches] == ["model.safetensors"]


def test_a_lost_reply_was_carried_out(hub: HubServer, api: HfApi) -> None:
    hub.add_fault(Fault("lost_reply", match="/commit/", method="POST"))
    with pytest.raises(TRANSPORT_ERROR):
        api.create_commit("alice/model", [CommitOperationAdd("x.txt", b"x")], commit_message="Lost")
    assert hub.repo("alice/model").commits[-1].title == "Lost"
    assert hub.requests[-1].status == 0


def test_faults_are_used_up_and_forgotten(hub: HubServer, api: HfApi) -> None:
    hub.add_fault(Fault("status", match="text.txt", method="HEAD", status=500, times=2))
    hub.add_fault(Fault("status", match="text.txt", status=503, times=None))
    url = f"{hub.endpoint}/alice/model/resolve/main/text.txt"
    seen = []
    for _ in range(4):
        with pytest.raises(HfHubHTTPError) as caught:
            api.get_hf_file_metadata(url=url)
        seen.append(caught.value.response.status_code)
    assert seen == [500, 500, 503, 503]
    hub.reset()
    hub.add_repo("alice/model", files={"text.txt": TEXT})
    assert api.get_hf_file_metadata(url=url, token=False).size == len(TEXT)


def test_the_server_stops_with_its_connections(tmp_path: Path) -> None:
    with HubServer() as other:
        other.add_repo("alice/model", files={"text.txt": TEXT})
        api = HfApi(endpoint=other.endpoint, token=False)
        assert api.list_repo_files("alice/model") == ["text.txt"]
    with pytest.raises(TRANSPORT_ERROR):
        api.model_info("alice/model")
