"""Part of a name -> datasets of the Hub whose id holds it, those for image classification first."""

from dataclasses import dataclass
from functools import partial

from huggingface_hub import DatasetInfo

from lead_hub.access import Access
from lead_hub.hub import FoundRepository, searched_text, whole_listing

TASK = "task_categories:image-classification"


@dataclass(frozen=True)
class FoundDataset(FoundRepository):
    """One dataset of a search.

    Attributes:
        is_for_classification: whether its card names image classification as its task.
    """

    is_for_classification: bool


def search_datasets(text: str, access: Access, *, at_most: int = 8) -> tuple[FoundDataset, ...]:
    """Datasets whose id holds the text, as whoever asks may see them: for image classification first, popular first.

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
    of_task = _listed(sought, TASK, access, at_most=at_most)
    others = _listed(sought, None, access, at_most=at_most) if len(of_task) < at_most else []
    found = {info.id: _found(info, is_for_classification=True) for info in of_task}
    for info in others:
        found.setdefault(info.id, _found(info, is_for_classification=False))
    return tuple(found.values())[:at_most]


def _listed(sought: str, task: str | None, access: Access, *, at_most: int) -> list[DatasetInfo]:
    listing = partial(access.api.list_datasets, search=sought, filter=task, sort="downloads", limit=at_most)
    return whole_listing(listing, asked_for=f"the datasets called {sought!r}", cancelled=access.cancelled)


def _found(info: DatasetInfo, *, is_for_classification: bool) -> FoundDataset:
    return FoundDataset(info.id, info.downloads, bool(info.private), is_for_classification)
