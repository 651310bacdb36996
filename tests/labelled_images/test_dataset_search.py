"""Datasets by part of their name: for image classification first, as whoever asks may see them, bounded."""

import pytest

from lead_hub.access import Access
from lead_hub.errors import HubError, RunCancelledError
from lead_hub.hub import requests
from lead_hub.labelled_images import FoundDataset, search_datasets
from tests.loopback_hub import Fault, HubServer

CLASSIFICATION = b"---\ntask_categories:\n- image-classification\n---\n"


def ids(found: tuple[FoundDataset, ...]) -> list[str]:
    return [one.id for one in found]


@pytest.fixture
def pets(hub: HubServer) -> str:
    """Public and private datasets; gives alice's token."""
    token = hub.add_user("alice")
    hub.add_repo("org/pets-texts", kind="dataset", files={"README.md": b"# texts"}, downloads=900)
    hub.add_repo("org/pets", kind="dataset", files={"README.md": CLASSIFICATION}, downloads=5)
    hub.add_repo("org/more-pets", kind="dataset", files={"README.md": CLASSIFICATION}, downloads=50)
    hub.add_repo("org/flowers", kind="dataset", files={"README.md": CLASSIFICATION}, downloads=70)
    hub.add_repo("alice/my-pets", kind="dataset", files={"README.md": CLASSIFICATION}, private=True, downloads=1)
    return token


def test_image_classification_comes_first_and_popular_ones_before_others(pets: str) -> None:
    found = search_datasets("PETS", Access(token=False))
    assert ids(found) == ["org/more-pets", "org/pets", "org/pets-texts"]
    assert [one.is_for_classification for one in found] == [True, True, False]
    assert (found[0].downloads, found[0].is_private) == (50, False)
    assert ids(search_datasets("pets", Access(token=False), at_most=1)) == ["org/more-pets"]


def test_what_is_private_is_found_by_its_owner_alone(pets: str) -> None:
    mine = search_datasets("my-pets", Access(token=pets))
    assert [(one.id, one.is_private) for one in mine] == [("alice/my-pets", True)]
    assert search_datasets("my-pets", Access(token=False)) == ()


def test_of_nothing_nothing_is_asked(hub: HubServer) -> None:
    assert search_datasets("  ", Access(token=False)) == ()
    assert list(hub.requests) == []


def test_a_hub_that_does_not_answer_says_so(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "SILENCE_S", 0.1)
    hub.add_fault(Fault("status", match="/api/datasets", status=503, times=None))
    with pytest.raises(HubError, match="cannot be reached"):
        search_datasets("pets", Access(token=False))
    with pytest.raises(RunCancelledError):
        search_datasets("pets", Access(token=False, cancelled=lambda: True))
