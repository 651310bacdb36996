"""Part of a name -> image checkpoints of the Hub whose id holds it, the most downloaded first."""

from dataclasses import dataclass
from functools import partial

from huggingface_hub import ModelInfo

from lead_hub.access import Access
from lead_hub.hub import FoundRepository, searched_text, whole_listing

TASKS = ("image-classification", "image-feature-extraction")


@dataclass(frozen=True)
class FoundCheckpoint(FoundRepository):
    """One checkpoint of a search.

    Attributes:
        task: the Hub's name of what it is for.
    """

    task: str


def search_checkpoints(text: str, access: Access, *, at_most: int = 8) -> tuple[FoundCheckpoint, ...]:
    """Checkpoints that classify images, or give features of them, whose id holds the text; the most downloaded first.

    Args:
        text: part of an id; its first 100 characters count.
        access: as whom the Hub is asked, and whether anybody still waits.
        at_most: how many, 1 or more.

    Raises:
        HubError: the Hub refused or could not be reached.
        RunCancelledError: nobody waits any more.
    """
    if not (sought := searched_text(text)):
        return ()
    found = [
        FoundCheckpoint(info.id, info.downloads, bool(info.private), task)
        for task in TASKS
        for info in _listed(sought, task, access, at_most=at_most)
    ]
    return tuple(sorted(found, key=lambda one: -(one.downloads or 0))[:at_most])


def _listed(sought: str, task: str, access: Access, *, at_most: int) -> list[ModelInfo]:
    listing = partial(access.api.list_models, search=sought, pipeline_tag=task, sort="downloads", limit=at_most)
    return whole_listing(listing, asked_for=f"the checkpoints called {sought!r}", cancelled=access.cancelled)
