"""What the Hub's refusals mean for the user, and what to do about them: one table for all that asks the Hub."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from huggingface_hub import constants
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from lead_hub.hub.requests import LOGIN_ADVICE, TRANSPORT_ERROR, describe

Noun: TypeAlias = Literal["model", "dataset", "repository", "answer"]
Kind: TypeAlias = Literal[
    "gated", "not an id", "missing", "no revision", "unknown login", "not allowed", "offline", "refused", "unreachable"
]
PAGES = {"model": "", "dataset": "datasets/", "repository": "datasets/", "answer": ""}
UNAUTHORISED, FORBIDDEN = 401, 403


@dataclass(frozen=True)
class Refusal:
    """A refusal in words.

    Attributes:
        kind: what was refused, or why.
        words: what it means and what to do next, a sentence without its full stop.
    """

    kind: Kind
    words: str


@dataclass(frozen=True)
class _Line:
    """One line of the table: which errors it is about, and what they mean."""

    kind: Kind
    applies: Callable[[BaseException], bool]
    words: str


def _is(*kinds: type[BaseException]) -> Callable[[BaseException], bool]:
    return lambda error: isinstance(error, kinds)


def _has(status: int) -> Callable[[BaseException], bool]:
    return lambda error: isinstance(error, HfHubHTTPError) and error.response.status_code == status


# From the most to the least special: a gated repository's error is also a missing repository's, and so on.
TABLE = (
    _Line("gated", _is(GatedRepoError), "{name} is gated: accept its terms at {page}, then {log_in}"),
    _Line("not an id", _is(HFValidationError), "a {noun} is named 'user/name' or 'organisation/name', found {name!r}"),
    _Line(
        "missing",
        _is(RepositoryNotFoundError),
        "{hub} has no such {noun} for you: check the spelling of {name}, and if it is private {log_in}",
    ),
    _Line(
        "no revision",
        _is(RevisionNotFoundError),
        "{name} exists, but has no such revision: check the branch, tag or commit",
    ),
    _Line("unknown login", _has(UNAUTHORISED), "the Hub does not know who asks for {name}: {log_in}"),
    _Line(
        "not allowed",
        _has(FORBIDDEN),
        "the Hub answers 403 for {name}, this login may not do that: use a token with write access, or a repository in"
        " your own namespace",
    ),
    _Line("offline", _is(OfflineModeIsEnabled), "the Hub is not asked for {name}, because HF_HUB_OFFLINE is set"),
    _Line("refused", _is(HfHubHTTPError), "the Hub refused {name}: {answer}; try again later"),
    # The datasets library turns both the offline mode and a broken network into a ConnectionError.
    _Line("unreachable", _is(ConnectionError, TRANSPORT_ERROR), "{hub} cannot be reached: {answer}"),
)


def why_refused(error: BaseException, *, name: str, noun: Noun) -> Refusal | None:
    """What the Hub's answer means, found anywhere in an error's chain of causes; None if it was not the Hub.

    Args:
        error: as the client, or a library around it, raised it.
        name: what was asked for, as the user would say it.
        noun: what that is.
    """
    for cause in chain_of(error):
        for line in TABLE:
            if line.applies(cause):
                return Refusal(line.kind, _in_words(line, cause, name=name, noun=noun))
    return None


def _in_words(line: _Line, error: BaseException, *, name: str, noun: Noun) -> str:
    said = getattr(error, "server_message", None)
    answer = describe(error) if isinstance(error, Exception) else str(error)
    words = line.words.format(
        name=name,
        noun=noun,
        hub=constants.ENDPOINT,
        page=f"{constants.ENDPOINT}/{PAGES[noun]}{name.partition('@')[0]}",
        log_in=LOGIN_ADVICE,
        answer=f"{answer}, {said}" if said and line.kind == "refused" else answer,
    )
    return f"{words} (the Hub says: {said})" if said and line.kind in ("gated", "missing", "not allowed") else words


def chain_of(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it was raised from, each once."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        yield error
        seen.append(error)
        error = error.__cause__ or error.__context__
