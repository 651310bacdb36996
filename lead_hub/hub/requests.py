"""One request to the Hub, with the patience that the client itself lacks: finite timeouts, retries, one clear error.

The client retries listings and uploads, but neither `model_info` nor a commit, and waits for ever where it was given
no timeout. What is asked for here must be safe to ask for twice.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.metadata import PackageNotFoundError, version
from typing import Protocol, TypeAlias, TypeVar

from huggingface_hub import HfApi, constants, get_session
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled
from huggingface_hub.utils import tqdm  # type: ignore[attr-defined]  # public, exported lazily

from lead_hub.errors import HubError, RunCancelledError

Result = TypeVar("Result")
LOGIN_ADVICE = "log in with `hf auth login` or pass a token"
Token: TypeAlias = str | bool | None  # None: this machine's own login; False: nobody's, even where one is logged in

TIMEOUT_S = 10.0  # to connect, and for the next bytes
SILENCE_S = 20.0  # a Hub that has not answered for so long is down
LONGEST_TOLD_WAIT_S = 310.0  # the Hub counts requests in windows of five minutes
FIRST_WAIT_S = 0.5
LONGEST_NAP_S = 0.2  # between two looks at whether the wait is still wanted
PASSING = frozenset({408, 429, 500, 502, 503, 504})

# The base of the HTTP library's errors, httpx or httpx2, whichever the installed client is built on.
TRANSPORT_ERROR: type[Exception] = HfHubHTTPError.__mro__[1]
_BYTE_STREAM: type = sys.modules[TRANSPORT_ERROR.__module__].SyncByteStream


class _Request(Protocol):
    extensions: dict[str, object]


class _ByteStream(Protocol):
    def __iter__(self) -> Iterator[bytes]: ...
    def close(self) -> None: ...


class _Response(Protocol):
    status_code: int
    headers: Mapping[str, str]
    stream: _ByteStream


class HubDownError(HubError):
    """The Hub did not answer at all, or only that it is unable to."""


class _Patience:
    """When to give up: 20 s after the first request without a real answer, not counting waits the Hub asked for."""

    def __init__(self, cancelled: Callable[[], bool] = bool) -> None:
        self.give_up_at = time.monotonic() + SILENCE_S
        self.told_s = 0.0
        self.cancelled = cancelled
        self._is_answered = False

    def asked(self) -> None:
        if self._is_answered:  # what was done between the answer and this request was not the Hub's silence
            self.give_up_at = time.monotonic() + SILENCE_S
            self._is_answered = False

    def check_wanted(self) -> None:
        if self.cancelled():
            raise RunCancelledError("the run is over")

    def answered(self) -> None:
        self._is_answered = True
        self.give_up_at = time.monotonic() + SILENCE_S

    def told(self, wait_s: float) -> None:
        self.told_s += wait_s
        self.give_up_at += wait_s


_patience: ContextVar[_Patience | None] = ContextVar("_patience", default=None)
_hooks_lock = threading.Lock()


def hub_api(token: Token = None) -> HfApi:
    """The client, introduced to the Hub by our name. None means the Hub's own login, False nobody's."""
    try:
        own_version = version("lead-hub")
    except PackageNotFoundError:
        own_version = "unknown"
    return HfApi(token=token, library_name="lead_hub", library_version=own_version)


def patiently(request: Callable[[], Result], *, asked_for: str, cancelled: Callable[[], bool] = bool) -> Result:
    """Carry out one request that may safely be repeated.

    Args:
        request: uses an `HfApi`; a generator must be exhausted within it.
        asked_for: what it is about, for the error, e.g. "the listing of models".
        cancelled: whether nobody wants the answer any more; asked with each request and answer, and while waiting
            for the next attempt.

    Raises:
        RunCancelledError: it was cancelled.
        HubDownError: no answer, or none but 429 and 5xx, for 20 seconds (not counting waits that the Hub asked for).
        HubError: a wait of more than 310 s was asked for.
        HfHubHTTPError: any other refusal, as the client raised it.
    """
    patience = _Patience(cancelled)
    wait_s = FIRST_WAIT_S
    while True:
        try:
            with _finite_timeouts(patience):
                return request()
        except OfflineModeIsEnabled:
            raise
        except HfHubHTTPError as error:
            if error.response.status_code not in PASSING:
                raise
            failure: Exception = error
            told_s = told_wait_s(error.response.headers)
        except (TRANSPORT_ERROR, ConnectionError) as error:
            failure, told_s = error, 0.0
        if time.monotonic() + wait_s > patience.give_up_at:
            raise HubDownError(
                f"{constants.ENDPOINT} cannot be reached, found {describe(failure)} when asked for {asked_for}: check"
                " the network, try again later, or set HF_HUB_OFFLINE=1 to use what is in the cache"
            ) from failure
        wait(told_s or wait_s, cancelled)
        wait_s *= 2


@contextmanager
def limited(cancelled: Callable[[], bool] = bool) -> Iterator[None]:
    """Within the block, what another library asks of the Hub in this thread has an end: for blocks that only ask.

    Raises:
        RunCancelledError: it was cancelled; asked with each request and answer.
        HubError: no answer, or none but 429 and 5xx, for 20 seconds, or a wait of more than 310 s was asked for.
    """
    with _finite_timeouts(_Patience(cancelled)):
        yield


def cancellable_bar(cancelled: Callable[[], bool], *, shown: bool) -> type[tqdm]:
    """A progress bar for the client that ends a download which is not wanted any more."""

    class CancellableBar(tqdm):
        def __init__(self, *arguments: object, **options: object) -> None:
            super().__init__(*arguments, **options if shown else {**options, "disable": True})  # type: ignore[no-untyped-call]

        def update(self, n: float | None = 1) -> bool | None:
            if cancelled():
                raise RunCancelledError("the run is over")
            return super().update(n)  # type: ignore[no-any-return]

    return CancellableBar


def wait(duration_s: float, cancelled: Callable[[], bool]) -> None:
    """Sleep, but no longer than it is wanted.

    Raises:
        RunCancelledError: it is not wanted any more.
    """
    end = time.monotonic() + duration_s
    while (left_s := end - time.monotonic()) > 0:
        if cancelled():
            raise RunCancelledError("the run is over")
        time.sleep(min(left_s, LONGEST_NAP_S))


def told_wait_s(headers: Mapping[str, str]) -> float:
    """The seconds that a 429 or 503 asks to wait; 0 where it names none."""
    lower = {name.lower(): value for name, value in headers.items()}
    for part in lower.get("ratelimit", "").split(";"):
        name, _, value = part.strip().partition("=")
        if name == "t" and value.isdigit():
            return float(value)
    after = lower.get("retry-after", "").strip()
    return float(after) if after.isdigit() else 0.0


def describe(error: Exception) -> str:
    """An error in one line, without the addresses and request ids of the client's own message."""
    if isinstance(error, HfHubHTTPError):
        return f"status {error.response.status_code}"
    return f"{type(error).__name__}: {error}".splitlines()[0]


@contextmanager
def _finite_timeouts(patience: _Patience) -> Iterator[None]:
    """Within the block, this thread's requests have timeouts, and the client's own retries end when patience does."""
    token = _patience.set(patience)
    client = get_session()
    with _hooks_lock:  # left in place: outside such a block they do nothing
        hooks = client.event_hooks
        if _limit not in hooks["request"]:
            client.event_hooks = {
                "request": [*hooks["request"], _limit],
                "response": [*hooks["response"], _note_answer],
            }
    try:
        yield
    finally:
        _patience.reset(token)


def _limit(request: _Request) -> None:
    patience = _patience.get()
    if patience is None:  # somebody else's request
        return
    patience.check_wanted()
    patience.asked()
    if time.monotonic() > patience.give_up_at:
        raise HubDownError(
            f"{constants.ENDPOINT} cannot be reached, found nothing but failures for {SILENCE_S:.0f} s: try again later"
        )
    given = request.extensions.get("timeout")
    known = given if isinstance(given, dict) else {}
    limits = {name: known.get(name) for name in ("connect", "read", "write", "pool")}
    request.extensions["timeout"] = {name: TIMEOUT_S if value is None else value for name, value in limits.items()}


def _note_answer(response: _Response) -> None:
    patience = _patience.get()
    if patience is None:
        return
    patience.check_wanted()
    response.stream = _wanted_part_by_part(response.stream, patience)
    if response.status_code not in PASSING:
        patience.answered()
        return
    patience.told(told_wait_s(response.headers))
    if patience.told_s > LONGEST_TOLD_WAIT_S:
        raise HubError(
            f"{constants.ENDPOINT} asks to wait {patience.told_s:.0f} s before it answers again: try then, or log in"
            " for a higher limit"
        )


def _wanted_part_by_part(stream: _ByteStream, patience: _Patience) -> _ByteStream:
    """The body of an answer, broken off as soon as it is not wanted any more; the client asks only every 10 MB."""

    class WantedStream(_BYTE_STREAM):  # type: ignore[misc]  # the HTTP library insists on its own class
        def __iter__(self) -> Iterator[bytes]:
            for part in stream:
                patience.check_wanted()
                yield part

        def close(self) -> None:
            stream.close()

    return WantedStream()
