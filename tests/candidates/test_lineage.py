"""Which dataset ids are the same, and chains of bases."""

import pytest

from lead_hub.candidates.candidate import Candidate
from lead_hub.candidates.lineage import ancestors, trained_on
from lead_hub.candidates.listed_models import ListedModel
from lead_hub.candidates.model_index import IndexEntry


@pytest.mark.parametrize(
    ("known", "asked", "same"),
    [
        ("uoft-cs/cifar10", "uoft-cs/cifar10", True),
        ("Uoft-CS/CIFAR10", "uoft-cs/cifar10", True),
        ("cifar10", "uoft-cs/cifar10", True),
        ("uoft-cs/cifar10", "cifar10", True),
        ("cifar10", "uoft-cs/cifar100", False),
        ("alice/pets", "bob/pets", False),
    ],
)
def test_datasets_are_told_apart(known: str, asked: str, same: bool) -> None:
    assert trained_on(IndexEntry("org/a", datasets=("other", known)), asked) is same
    assert trained_on(Candidate("org/a", base_datasets=(known,)), asked) is same


def test_nothing_known_is_not_trained() -> None:
    assert not trained_on(IndexEntry("org/a"), "cifar10")


def test_a_chain_ends_at_what_was_not_listed_and_at_a_circle() -> None:
    bases = {"a": ("b", "x"), "b": ("c",), "c": ("absent",), "d": ("e",), "e": ("d",)}
    listed = {name: ListedModel(IndexEntry(name), base_models=base) for name, base in bases.items()}
    assert list(ancestors(listed["a"], listed)) == ["b", "c", "absent"]
    assert list(ancestors(listed["d"], listed)) == ["e"]
