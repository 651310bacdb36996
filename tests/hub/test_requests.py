"""patiently(): finite waits, retries where they help, and one clear error where they do not."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import pytest
from huggingface_hub import HfApi, HfFileSystem, get_session
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

from lead_hub.errors import HubError, RunCancelledError
from lead_hub.hub import requests as hub_requests
from lead_hub.hub.requests import HubDownError, hub_api, limited, patiently, told_wait_s
from tests.loopback_hub import HubServer
from tests.loopback_hub.faults import Fault


@pytest.fixture
def silent_endpoint() -> Iterator[str]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=20) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same rules on a clock that a test can wait for."""
    monkeypatch.setattr(hub_requests, "TIMEOUT_S", 0.3)
    monkeypatch.setattr(hub_requests, "SILENCE_S", 1.0)
    monkeypatch.setattr(hub_requests, "FIRST_WAIT_S", 0.05)


@pytest.mark.slow
@pytest.mark.parametrize(
    "headers",
    [{}, {"Retry-After": "0"}, {"RateLimit": '"api";r=0;t=0', "RateLimit-Policy": '"fixed window";q=500;w=300'}],
)
@pytest.mark.parametrize("status", [429, 503])
def test_what_the_client_does_not_retry_is_retried(hub: HubServer, status: int, headers: dict[str, str]) -> None:
    sha = hub.add_repo("org/model", files={"config.json": b"{}"})
    hub.add_fault(Fault("status", match="/api/models/org/model", times=2, status=status, headers=headers))
    info = patiently(lambda: hub_api().model_info("org/model"), asked_for="it")
    assert info.sha == sha
    assert [request.status for request in hub.requests] == [status, status, 200]


@pytest.mark.slow
def test_a_told_wait_is_waited(hub: HubServer) -> None:
    hub.add_repo("org/model", files={"config.json": b"{}"})
    hub.add_fault(Fault("status", match="/api/models/org/model", status=429, headers={"Retry-After": "2"}))
    start = time.monotonic()
    patiently(lambda: hub_api().model_info("org/model"), asked_for="it")
    assert time.monotonic() - start >= 2


def test_a_wait_that_nobody_wants_ends(hub: HubServer) -> None:
    hub.add_fault(Fault("status", match="/api/models/org/model", status=429, headers={"Retry-After": "300"}))
    with pytest.raises(RunCancelledError):
        patiently(lambda: hub_api().model_info("org/model"), asked_for="it", cancelled=lambda: bool(hub.requests))
    assert [request.status for request in hub.requests] == [429]


def test_a_wait_beyond_the_hubs_own_window_is_refused(hub: HubServer) -> None:
    hub.add_fault(
        Fault("status", match="/api/models", times=None, status=429, headers={"RateLimit": '"api";r=0;t=3000'})
    )
    with pytest.raises(HubError, match="asks to wait 3000 s"):
        patiently(lambda: list(hub_api().list_models(limit=1)), asked_for="the listing")


@pytest.mark.slow
def test_a_cut_connection_is_tried_again(hub: HubServer) -> None:
    sha = hub.add_repo("org/model", files={"config.json": b"{}"})
    hub.add_fault(Fault("cut", match="/api/models/org/model"))
    assert patiently(lambda: hub_api().model_info("org/model"), asked_for="it").sha == sha


def test_a_refusal_is_passed_on_at_once(hub: HubServer) -> None:
    with pytest.raises(RepositoryNotFoundError):
        patiently(lambda: hub_api(hub.add_user("alice")).model_info("org/none"), asked_for="it")
    assert len(hub.requests) == 1


@pytest.mark.slow
@pytest.mark.usefixtures("short_waits")
def test_a_hub_that_only_fails_is_down(hub: HubServer) -> None:
    hub.add_fault(Fault("status", match="/api/models", times=None, status=503))
    with pytest.raises(HubDownError, match="cannot be reached, found status 503 when asked for the model"):
        patiently(lambda: hub_api().model_info("org/model"), asked_for="the model")
    # Waits of 0.05, 0.1, 0.2 and 0.4 s end before SILENCE_S, 1 s, is over; the next one, of 0.8 s, would not.
    assert len(hub.requests) <= 5


@pytest.mark.slow
@pytest.mark.usefixtures("short_waits")
def test_a_hub_whose_answers_never_come_to_their_end_is_down(hub: HubServer) -> None:
    """Each answer begins, so that the Hub is not silent; but nothing is ever whole."""
    hub.add_repo("org/model", files={"README.md": b"# all of it"})
    hub.add_fault(Fault("cut", match="/README.md", method="GET", times=None, after_bytes=3))
    files = HfFileSystem(endpoint=hub.endpoint, skip_instance_cache=True)
    with pytest.raises(HubDownError, match="cannot be reached"), limited(), files.open("org/model/README.md") as file:
        file.read(5)


@pytest.mark.slow
@pytest.mark.usefixtures("short_waits")
def test_a_silent_hub_is_down_also_where_the_client_takes_no_timeout(silent_endpoint: str) -> None:
    with pytest.raises(HubDownError, match="cannot be reached"):  # the client alone would wait for ever
        patiently(lambda: list(HfApi(endpoint=silent_endpoint).list_models(limit=1)), asked_for="the listing")


@pytest.mark.slow
@pytest.mark.usefixtures("short_waits")
def test_pages_that_come_slowly_but_come_are_not_silence(hub: HubServer) -> None:
    for number in range(8):
        hub.add_repo(f"org/model-{number}", files={"config.json": b"{}"})
    hub.page_size = 1
    hub.add_fault(Fault("slow", match="/api/models", times=None, seconds=0.2))  # 1.6 s in all, more than SILENCE_S
    assert len(patiently(lambda: list(hub_api().list_models(author="org")), asked_for="the listing")) == 8


def test_other_requests_keep_their_own_timeouts(hub: HubServer) -> None:
    hub.add_repo("org/model", files={"config.json": b"{}"})
    patiently(lambda: hub_api().model_info("org/model"), asked_for="it")
    session = get_session()
    request = session.build_request("GET", f"{hub.endpoint}/api/models/org/model", timeout=None)
    session.send(request)
    assert set(request.extensions["timeout"].values()) == {None}


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"RateLimit": '"api";r=0;t=55'}, 55),
        ({"ratelimit": '"api"; r=0; t=7', "Retry-After": "9"}, 7),
        ({"Retry-After": "9"}, 9),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, 0),
        ({}, 0),
    ],
)
def test_what_the_hub_asks_to_wait(headers: dict[str, str], wait_s: float) -> None:
    assert told_wait_s(headers) == wait_s


@pytest.fixture
def dripping_endpoint() -> Iterator[str]:
    """A port that promises a megabyte and sends a kilobyte every 0.1 s."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            connection, _ = server.accept()
            with connection, suppress(OSError):
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n")
                while True:
                    connection.sendall(bytes(1024))
                    time.sleep(0.1)

        thread = threading.Thread(target=drip)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        thread.join(timeout=10)


@pytest.mark.slow
def test_an_answer_that_is_not_wanted_any_more_is_broken_off(dripping_endpoint: str) -> None:
    start = time.monotonic()
    with pytest.raises(RunCancelledError):
        patiently(
            lambda: get_session().get(f"{dripping_endpoint}/file"),
            asked_for="it",
            cancelled=lambda: time.monotonic() - start > 0.5,
        )


@pytest.mark.slow
def test_a_block_has_an_end_and_work_between_two_requests_does_not_count(hub: HubServer, short_waits: None) -> None:
    hub.add_repo("org/model", files={"config.json": b"{}"})
    with limited():
        hub_api().model_info("org/model")
        time.sleep(hub_requests.SILENCE_S + 0.3)
        hub_api().model_info("org/model")
    hub.add_fault(Fault("status", match="/tree/", times=None, status=503))
    with pytest.raises((HubDownError, HfHubHTTPError)), limited():
        list(hub_api().list_repo_tree("org/model"))  # which clients of version 2 would ask for again and again
    with pytest.raises(RunCancelledError), limited(lambda: True):
        hub_api().model_info("org/model")


def as_library(hub: HubServer) -> list[str]:
    """What another library asks: a listing in a thread of the client's own, a small file, a head that is refused."""
    with limited(asked_for="the files of org/model"):
        files = HfFileSystem(endpoint=hub.endpoint, skip_instance_cache=True).find("org/model")
        HfApi(endpoint=hub.endpoint).hf_hub_download("org/model", "README.md", force_download=True)
    return sorted(files)


TRANSIENT = {
    "503": Fault("status", status=503),
    "429": Fault("status", status=429, headers={"Retry-After": "1"}),
    "reset": Fault("cut"),
    "cut body": Fault("cut", method="GET", after_bytes=3),
    "lost reply": Fault("lost_reply"),
}


@pytest.mark.slow
@pytest.mark.parametrize("request_of", ["/tree/", "/README.md", "/api/models/org/model"])
@pytest.mark.parametrize("kind", TRANSIENT)
def test_what_a_library_reads_outlives_a_fault(
    hub: HubServer, kind: str, request_of: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_requests, "FIRST_WAIT_S", 0.05)
    hub.add_repo("org/model", files={"README.md": b"# all of it", "a/b/config.json": b"{}"})
    hub.add_fault(replace(TRANSIENT[kind], match=request_of))
    assert as_library(hub) == ["org/model/README.md", "org/model/a/b/config.json"]
    assert hub.faults.left() == []


@pytest.mark.slow
def test_an_answer_that_is_no_json_is_asked_for_again(hub: HubServer) -> None:
    sha = hub.add_repo("org/model", files={"config.json": b"{}"})
    hub.add_fault(Fault("wrong_bytes", match="/api/models/org/model"))
    assert patiently(lambda: hub_api().model_info("org/model"), asked_for="it").sha == sha


@pytest.mark.usefixtures("short_waits")
def test_a_page_in_place_of_the_answer_is_a_refusal_and_not_a_hub_that_is_down(hub: HubServer) -> None:
    hub.add_repo("org/model", files={"config.json": b"{}"})
    hub.add_fault(Fault("wrong_bytes", match="/api/models/org/model", times=None))
    with pytest.raises(HubError, match=r"must answer with JSON when asked for the model, found b'.* 3 times") as caught:
        patiently(lambda: hub_api().model_info("org/model"), asked_for="the model")
    assert not isinstance(caught.value, HubDownError)


def test_a_refusal_need_not_be_json_and_is_passed_on(hub: HubServer) -> None:
    with pytest.raises(RepositoryNotFoundError), limited():
        hub_api().model_info("org/none")
    assert len(hub.requests) == 1


@pytest.mark.slow
@pytest.mark.usefixtures("short_waits")
def test_a_library_without_a_context_of_ours_does_not_wait_for_ever(silent_endpoint: str) -> None:
    files = HfFileSystem(endpoint=silent_endpoint, skip_instance_cache=True)
    with pytest.raises(HubDownError, match="when asked for the files"), limited(asked_for="the files"):
        files.find("org/model@" + "0" * 40)
