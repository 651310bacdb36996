"""One request to the Hub, with the patience that the client itself lacks: finite timeouts, retries, one clear error.

The client retries listings and uploads, but neither `model_info` nor a commit, and waits for ever where it was given
no timeout; the datasets library takes a file that it did not get for one that is not there. So what only reads (GET,
HEAD) is repeated below both of them, where they send it, and what writes by `patiently` alone. What is asked for here
must be safe to ask for twice.
"""

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Protocol, TypeVar

from huggingface_hub import HfApi, constants, get_session
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled
from huggingface_hub.utils import tqdm  # type: ignore[attr-defined]  # public, exported lazily

from lead_hub.errors import HubError, RunCancelledError
from lead_hub.hub.tokens import Token, clean_token

Result = TypeVar("Result")
LOGIN_ADVICE = "log in with `hf auth login` or pass a token"

TIMEOUT_S = 10.0  # to connect, and for the next bytes
SILENCE_S = 20.0  # a Hub that has not answered for so long is down
LONGEST_TOLD_WAIT_S = 310.0  # the Hub counts requests in windows of five minutes
FIRST_WAIT_S = 0.5
LONGEST_NAP_S = 0.2  # between two looks at whether the wait is still wanted
PASSING = frozenset({408, 429, 500, 502, 503, 504})
SMALL_BYTES = 1 << 20  # read whole before anybody sees it, so that it can be asked for again
REFUSALS = 400  # and above
SHOWN_BYTES = 60  # of an answer that is none
READS_OF_NONSENSE = BREAKS = 3  # of one answer, before it is taken for what the Hub means, or for all that comes

# The base of the HTTP library's errors, httpx or httpx2, whichever the installed client is built on.
TRANSPORT_ERROR: type[Exception] = HfHubHTTPError.__mro__[1]
_HTTP_LIBRARY = sys.modules[TRANSPORT_ERROR.__module__]
_BYTE_STREAM: type = _HTTP_LIBRARY.SyncByteStream
# Nothing was sent: the request itself cannot be, for instance because of a token with a line break in it.
_UNSENDABLE: tuple[type[Exception], ...] = (_HTTP_LIBRARY.LocalProtocolError, _HTTP_LIBRARY.UnsupportedProtocol)


class _Address(Protocol):
    path: str


class _Request(Protocol):
    extensions: dict[str, object]
    method: str
    url: _Address


class _ByteStream(Protocol):
    def __iter__(self) -> Iterator[bytes]: ...
    def close(self) -> None: ...


class _Response(Protocol):
    status_code: int
    headers: Mapping[str, str]
    stream: _ByteStream

    @property
    def content(self) -> bytes: ...
    def read(self) -> bytes: ...
    def close(self) -> None: ...


class HubDownError(HubError):
    """The Hub did not answer at all, or only that it is unable to."""


class _Patience:
    """When to give up: 20 s after the first request without a real answer, not counting waits the Hub asked for."""

    def __init__(self, asked_for: str, cancelled: Callable[[], bool] = bool) -> None:
        self.asked_for = asked_for
        self.give_up_at = time.monotonic() + SILENCE_S
        self.told_s = 0.0
        self.cancelled = cancelled
        self.is_answered = False
        self._wait_s = FIRST_WAIT_S

    def asked(self) -> None:
        if self.is_answered:  # what was done between the answer and this request was not the Hub's silence
            self.give_up_at = time.monotonic() + SILENCE_S
            self.is_answered = False

    def check_wanted(self) -> None:
        if self.cancelled():
            raise RunCancelledError("the run is over")

    def answered(self) -> None:
        self.is_answered = True
        self._wait_s = FIRST_WAIT_S
        self.give_up_at = time.monotonic() + SILENCE_S

    def told(self, wait_s: float) -> None:
        self.told_s += wait_s
        self.give_up_at += wait_s

    def wait_after(self, failure: Exception | str, *, told_s: float = 0.0, broken_s: float = 0.0) -> None:
        """Wait for the next attempt: as long as the Hub asked, else twice as long as the last time.

        Args:
            failure: what came instead of an answer.
            told_s: how long the Hub asked to wait.
            broken_s: how long answers to this request have broken off, none of them whole.

        Raises:
            HubDownError: it would be too late.
            HubError: it cannot help.
            RunCancelledError: nobody waits for it any more.
        """
        if isinstance(failure, _UNSENDABLE):
            raise HubError(
                f"{self.asked_for} cannot be asked for, found {describe(failure)}: check the token (HF_TOKEN, `hf auth"
                " login`) and the address (HF_ENDPOINT)"
            ) from None
        if broken_s > SILENCE_S or time.monotonic() + self._wait_s > self.give_up_at:
            found = failure if isinstance(failure, str) else describe(failure)
            raise HubDownError(
                f"{constants.ENDPOINT} cannot be reached, found {found} when asked for {self.asked_for}: check"
                " the network, try again later, or set HF_HUB_OFFLINE=1 to use what is in the cache"
            ) from (None if isinstance(failure, str) else failure)
        wait(told_s or self._wait_s, self.cancelled)
        self._wait_s *= 2


_patience: ContextVar[_Patience | None] = ContextVar("_patience", default=None)
_hooks_lock = threading.Lock()
_limited: list[_Patience] = []  # of the blocks that are open, in any thread


def hub_api(token: Token = None) -> HfApi:
    """The client, introduced to the Hub by our name. None means the Hub's own login, False nobody's."""
    try:
        own_version = version("lead-hub")
    except PackageNotFoundError:
        own_version = "unknown"
    return HfApi(token=clean_token(token), library_name="lead_hub", library_version=own_version)


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
    patience = _Patience(asked_for, cancelled)
    while True:
        told_s = 0.0
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
        except (TRANSPORT_ERROR, ConnectionError, json.JSONDecodeError) as error:  # the last: a proxy's page for JSON
            failure = error
        except RuntimeError as error:  # as Xet ends
            if not cancelled():
                raise
            raise RunCancelledError("the run is over") from error
        patience.wait_after(failure, told_s=told_s)


@contextmanager
def limited(cancelled: Callable[[], bool] = bool, *, asked_for: str = "its files") -> Iterator[None]:
    """Within the block, what another library reads from the Hub in this thread is asked for patiently, and has an end.

    Args:
        cancelled: whether nobody wants the answers any more; asked with each request and answer.
        asked_for: what it is about, for the error.

    Raises:
        RunCancelledError: it was cancelled.
        HubError: no answer, or none but 429 and 5xx, for 20 seconds, or a wait of more than 310 s was asked for.
    """
    patience = _Patience(asked_for, cancelled)
    _limited.append(patience)
    try:
        with _finite_timeouts(patience):
            yield
    finally:
        _limited.remove(patience)


def cancellable_bar(cancelled: Callable[[], bool], *, shown: bool) -> type[tqdm]:
    """A progress bar for the client that ends a download which is not wanted any more.

    Not one by Xet, which tells of its progress from a thread of its own and would only print the error: what is under
    way comes to its end, unless `break_off_xet` is called.
    """

    class CancellableBar(tqdm):
        def __init__(self, *arguments: object, **options: object) -> None:
            self._made_in = threading.get_ident()
            super().__init__(*arguments, **options if shown else {**options, "disable": True})  # type: ignore[no-untyped-call]

        def update(self, n: float | None = 1) -> bool | None:
            if threading.get_ident() == self._made_in and cancelled():
                raise RunCancelledError("the run is over")
            return super().update(n)  # type: ignore[no-any-return]

    return CancellableBar


def break_off_xet() -> None:
    """End all downloads by Xet in this process, also those of others: where the whole process is to end."""
    with suppress(ImportError, AttributeError):  # an older client has none
        import_module("huggingface_hub.utils._xet").abort_xet_session()


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
    client: Any = get_session()
    with _hooks_lock:  # left in place: outside such a block they do nothing
        hooks = client.event_hooks
        if _limit not in hooks["request"]:
            client.event_hooks = {
                "request": [*hooks["request"], _limit],
                "response": [*hooks["response"], _note_answer],
            }
            # Where the client, and whoever uses it, sends all that it asks; there is no hook for a broken connection.
            client.send = partial(_sent_patiently, client.send)
    try:
        yield
    finally:
        _patience.reset(token)


def _sent_patiently(
    send: Callable[..., _Response], request: _Request, *, stream: bool = False, **how: object
) -> object:
    """The answer to a request; one that only reads is sent again for as long as the Hub is unable to answer."""
    patience = _patience.get()
    if not _can_be_asked_again(request) or (patience is None and not _limited):
        return send(request, stream=stream, **how)
    if patience is None:  # a thread that the client started for a part of a listing, or somebody else's meanwhile
        patience = _Patience(_limited[-1].asked_for if _limited else "its files")
    token = _patience.set(patience)
    try:
        return _answer(partial(send, request, stream=stream, **how), request, patience, is_stream=stream)
    finally:
        _patience.reset(token)


def _answer(send: Callable[[], _Response], request: _Request, patience: _Patience, *, is_stream: bool) -> _Response:
    n_nonsense = 0
    breaks: list[float] = []
    while True:
        told_s = 0.0
        try:
            response = send()
            if response.status_code in PASSING:
                failure: Exception | str = f"status {response.status_code}"
                told_s = told_wait_s(response.headers)
                response.close()
            else:
                if is_stream and int(response.headers.get("content-length", SMALL_BYTES + 1)) <= SMALL_BYTES:
                    response.read()
                if is_stream or not (failure := _nonsense(request, response)):
                    return response
                n_nonsense += 1
        except TRANSPORT_ERROR as error:
            failure = error
            if patience.is_answered:  # and the answer broke off
                breaks.append(time.monotonic() - patience.told_s)
        if n_nonsense == READS_OF_NONSENSE:
            raise HubError(
                f"{constants.ENDPOINT} must answer with JSON when asked for {patience.asked_for}, found {failure}"
                f" {n_nonsense} times: a proxy or a login page in between does this; try again later"
            )
        broken_s = breaks[-1] - breaks[0] if len(breaks) >= BREAKS else 0.0
        patience.wait_after(failure, told_s=told_s, broken_s=broken_s)


def _can_be_asked_again(request: _Request) -> bool:
    """Whether it only reads, from the Hub or where the Hub keeps large files; other hosts are asked for no heads.

    The datasets library counts its own use by asking another host for one, and does without where nobody answers.
    """
    is_of_hub = str(request.url).startswith(constants.ENDPOINT)
    return request.method == "GET" or (request.method == "HEAD" and is_of_hub)


def _nonsense(request: _Request, response: _Response) -> str:
    """What stands where the Hub's interface promises JSON; nothing where there is JSON, or none is promised."""
    if request.method != "GET" or not request.url.path.startswith("/api/") or response.status_code >= REFUSALS:
        return ""
    try:
        json.loads(response.content)
    except ValueError:
        return f"{response.content[:SHOWN_BYTES]!r}" if response.content else "nothing"
    return ""


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
    is_answer = response.status_code not in PASSING
    response.stream = _wanted_part_by_part(response.stream, patience, is_answer=is_answer)
    if is_answer:
        patience.answered()
        return
    patience.told(told_wait_s(response.headers))
    if patience.told_s > LONGEST_TOLD_WAIT_S:
        raise HubError(
            f"{constants.ENDPOINT} asks to wait {patience.told_s:.0f} s before it answers again: try then, or log in"
            " for a higher limit"
        )


def _wanted_part_by_part(stream: _ByteStream, patience: _Patience, *, is_answer: bool) -> _ByteStream:
    """The body of an answer, broken off as soon as it is not wanted any more; the client asks only every 10 MB."""

    class WantedStream(_BYTE_STREAM):  # type: ignore[misc]  # the HTTP library insists on its own class
        def __iter__(self) -> Iterator[bytes]:
            for part in stream:
                patience.check_wanted()
                if is_answer:  # a long body is no silence
                    patience.give_up_at = time.monotonic() + SILENCE_S
                yield part

        def close(self) -> None:
            stream.close()

    return WantedStream()
