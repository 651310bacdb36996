"""One listing of the Hub, whole: asked for patiently, its refusal in words."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

from lead_hub.errors import HubError
from lead_hub.hub.refusals import why_refused
from lead_hub.hub.requests import patiently

Listed = TypeVar("Listed")
LONGEST_SEARCH = 100


@dataclass(frozen=True)
class FoundRepository:
    """One repository of a search.

    Attributes:
        id: on the Hub.
        downloads: of the last 30 days; None where the Hub does not say.
        is_private: whether only some may read it.
    """

    id: str
    downloads: int | None
    is_private: bool


def searched_text(text: str) -> str:
    """What is sought of what somebody types: its first LONGEST_SEARCH characters; empty where nothing is."""
    return text.strip()[:LONGEST_SEARCH]


def whole_listing(
    request: Callable[[], Iterable[Listed]], *, asked_for: str, cancelled: Callable[[], bool] = bool
) -> list[Listed]:
    """All that one listing gives.

    Args:
        request: uses an `HfApi`, and may safely be repeated.
        asked_for: what it lists, for the error, e.g. "the datasets called 'pets'".
        cancelled: whether nobody wants the answer any more.

    Raises:
        RunCancelledError: it was cancelled.
        HubError: the Hub refused or could not be reached.
    """
    try:
        return patiently(lambda: list(request()), asked_for=asked_for, cancelled=cancelled)
    except (HfHubHTTPError, OfflineModeIsEnabled) as error:
        refusal = why_refused(error, name=asked_for, noun="answer")
        raise HubError(f"{asked_for} cannot be listed: {refusal.words if refusal else error}") from error
