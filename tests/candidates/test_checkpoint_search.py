"""Checkpoints by part of their name: those of images, the most downloaded first, as whoever asks may see them."""

import pytest

from lead_hub.access import Access
from lead_hub.candidates import FoundCheckpoint, search_checkpoints
from tests.loopback_hub import HubServer


def card(task: str) -> dict[str, bytes]:
    return {"README.md": f"---\npipeline_tag: {task}\n---\n".encode()}


@pytest.fixture
def models(hub: HubServer) -> str:
    token = hub.add_user("alice")
    hub.add_repo("org/resnet-a", files=card("image-classification"), downloads=5)
    hub.add_repo("org/resnet-b", files=card("image-feature-extraction"), downloads=50)
    hub.add_repo("org/resnet-text", files=card("text-classification"), downloads=900)
    hub.add_repo("alice/resnet-own", files=card("image-classification"), private=True, downloads=1)
    return token


@pytest.mark.usefixtures("models")
def test_those_of_images_the_most_downloaded_first() -> None:
    assert search_checkpoints("ResNet", Access(token=False)) == (
        FoundCheckpoint("org/resnet-b", 50, is_private=False, task="image-feature-extraction"),
        FoundCheckpoint("org/resnet-a", 5, is_private=False, task="image-classification"),
    )
    assert [one.id for one in search_checkpoints("resnet", Access(token=False), at_most=1)] == ["org/resnet-b"]


def test_what_is_private_is_found_by_its_owner_alone(models: str) -> None:
    (own,) = search_checkpoints("own", Access(token=models))
    assert (own.id, own.is_private) == ("alice/resnet-own", True)
    assert search_checkpoints("own", Access(token=False)) == ()


def test_of_nothing_nothing_is_asked(hub: HubServer) -> None:
    assert search_checkpoints(" ", Access(token=False)) == ()
    assert list(hub.requests) == []
