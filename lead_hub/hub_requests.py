"""One request to the Hub, with the patience that the client itself lacks: finite timeouts, retries, one clear error.

The client retries listings and uploads, but neither `model_info` nor a commit, and waits for ever where it was given
no timeout. What is asked for here must be safe to ask for twice.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.metadata import PackageNotFoundError, version
from typing import Protocol, TypeVar

from huggingface_hub import HfApi, constants, get_session
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

from lead_hub.errors import HubError, RunCancelledError

Result = TypeVar("Result")

TIMEOUT_S = 10.0  # to connect, and for the next bytes
SILENCE_S = 20.0  # a Hub that has not answered for so long is down
LONGEST_TOLD_WAIT_S = 310.0  # the Hub counts requests in windows of five minutes
FIRST_WAIT_S = 0.5
LONGEST_NAP_S = 0.2  # between two looks at whether the wait is still wanted
PASSING = frozenset({408, 429, 500, 502, 503, 504})

# The base of the HTTP library's errors, httpx or httpx2, whichever the installed client is built on.
TRANSPORT_ERROR: type[Exception] = HfHubHTTPError.__mro__[1]


class _Request(Protocol):
    extensions: dict[str, object]


class _Response(Protocol):
    status_code: int
    headers: Mapping[str, str]


class HubDownError(HubError):
    """The Hub did not answer at all, or only that it is unable to."""


class _Patience:
    """When to give up: 20 s after the last real answer, not counting the waits that the Hub asked for."""

    def __init__(self) -> None:
        self.give_up_at = time.monotonic() + SILENCE_S
        self.told_s = 0.0

    def answered(self) -> None:
        self.give_up_at = time.monotonic() + SILENCE_S

    def told(self, wait_s: float) -> None:
        self.told_s += wait_s
        self.give_up_at += wait_s


_patience: ContextVar[_Patience | None] = ContextVar("_patience", default=None)
_hooks_lock = threading.Lock()


def hub_api(token: str | None = None) -> HfApi:
    """The client, introduced to the Hub by our name. None means the Hub's own login."""
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
        cancelled: whether nobody wants the answer any more; asked while waiting for the next attempt.

    Raises:
        RunCancelledError: it was cancelled during a wait.
        HubDownError: no answer, or none but 429 and 5xx, for 20 seconds (not counting waits that the Hub asked for).
        HubError: a wait of more than 310 s was asked for.
        HfHubHTTPError: any other refusal, as the client raised it.
    """
    patience = _Patience()
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
    if response.status_code not in PASSING:
        patience.answered()
        return
    patience.told(told_wait_s(response.headers))
    if patience.told_s > LONGEST_TOLD_WAIT_S:
        raise HubError(
            f"{constants.ENDPOINT} asks to wait {patience.told_s:.0f} s before it answers again: try then, or log in"
            " for a higher limit"
        )
