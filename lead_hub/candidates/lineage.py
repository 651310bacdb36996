"""Who was fine-tuned from whom: one checkpoint of each family tree, and what its ancestors were trained on."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Protocol

from lead_hub.candidates.candidate_query import CandidateQuery
from lead_hub.candidates.listed_models import ListedModel
from lead_hub.candidates.model_index import LeftOut
from lead_hub.candidates.policy import COPY


class Trained(Protocol):
    """A checkpoint whose training data is known as far as cards tell: an IndexEntry, a Candidate."""

    @property
    def datasets(self) -> tuple[str, ...]:
        """What it was trained on."""

    @property
    def base_datasets(self) -> tuple[str, ...]:
        """What its ancestors were trained on."""


def trained_on(checkpoint: Trained, dataset: str) -> bool:
    """Whether a checkpoint, or one that it descends from, saw this dataset, as far as cards tell.

    Letter case does not count. "cifar10" also is "uoft-cs/cifar10": the Hub's oldest datasets had no owner in their id.
    """
    return any(same_dataset(known, dataset) for known in (*checkpoint.datasets, *checkpoint.base_datasets))


def same_dataset(one: str, other: str) -> bool:
    """Whether two ids name the same dataset of the Hub."""
    one, other = one.lower(), other.lower()
    if "/" in one and "/" in other:
        return one == other
    return one.rpartition("/")[2] == other.rpartition("/")[2]


def ancestors(model: ListedModel, listed: Mapping[str, ListedModel]) -> Iterator[str]:
    """Ids of what it was fine-tuned from, the nearest first; the last may be absent from the listing."""
    seen = {model.entry.id}
    while model.base_models and model.base_models[0] not in seen:
        base = model.base_models[0]
        yield base
        seen.add(base)
        if base not in listed:
            return
        model = listed[base]


def with_base_datasets(models: Iterable[ListedModel], listed: Mapping[str, ListedModel]) -> list[ListedModel]:
    """The models, each with what its listed ancestors were trained on."""
    found = []
    for model in models:
        bases = [listed[base] for base in ancestors(model, listed) if base in listed]
        datasets = tuple(dict.fromkeys(dataset for base in bases for dataset in base.entry.datasets))
        found.append(replace(model, entry=replace(model.entry, base_datasets=datasets)))
    return found


def one_per_tree(
    usable: Iterable[ListedModel], listed: Mapping[str, ListedModel], query: CandidateQuery
) -> tuple[list[ListedModel], list[LeftOut]]:
    """One checkpoint of each base: the base itself if it is usable, else the most downloaded copy; and the rest.

    Args:
        usable: all that passed the policy.
        listed: all that was listed, by id: a chain of copies may lead through what cannot be used.
        query: says whether all copies are kept.
    """
    models = list(usable)
    if query.copies:
        return models, []
    trees: dict[tuple[str, str | None], list[ListedModel]] = {}
    for model in models:
        trees.setdefault((root_of(model, listed), model.entry.family), []).append(model)
    kept, left_out = [], []
    for (root, _), tree in trees.items():
        best = next((model for model in tree if model.entry.id == root), None) or max(tree, key=downloads)
        kept.append(best)
        note = f"copy of {root}" + ("" if best.entry.id == root else f"; {best.entry.id} has more downloads")
        left_out += [LeftOut(model.entry.id, COPY, note) for model in tree if model is not best]
    return kept, left_out


def downloads(model: ListedModel) -> int:
    return model.entry.downloads or 0


def root_of(model: ListedModel, listed: Mapping[str, ListedModel]) -> str:
    """The id from which all copies of one base descend: the end of the chain, or the model itself."""
    return list(ancestors(model, listed))[-1] if model.base_models else model.entry.id
