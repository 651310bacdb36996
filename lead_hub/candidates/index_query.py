"""Which checkpoints of a model index are asked for, and the presets, questions with a name: the Hub is not asked."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from lead_hub.candidates.candidate_query import (
    PERMISSIVE,
    allowed_licences,
    check_licences,
    check_number,
    check_texts,
    refuse,
)
from lead_hub.candidates.finding import FoundCandidates
from lead_hub.candidates.model_index import IndexEntry, LeftOut, default_model_index, read_model_index
from lead_hub.candidates.model_index_checks import BEST, CHOICES, DEFAULT, PRETRAINING_KINDS
from lead_hub.candidates.policy import (
    BEYOND_LIMIT,
    why_not_chosen,
    why_not_cost,
    why_not_family,
    why_not_licence,
    why_not_pretraining,
    why_not_size,
)
from lead_hub.errors import CandidateError

# What each preset asks for, see `IndexQuery.preset`.
PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "small": {"max_parameters": 10_000_000},
        "fast": {"max_multiply_adds": 1_500_000_000},
        "best": {"chosen_for": BEST},
        "self-supervised": {"pretraining_kinds": ("self-supervised",)},
        "permissive": {"chosen_for": DEFAULT, "licences": (PERMISSIVE,)},
        "all": {},
    }
)


@dataclass(frozen=True)
class IndexQuery:
    """What of a model index to keep: the first entries, in its order, that are within all bounds.

    What an index does not know counts as outside: an entry of unknown size is left out where `max_parameters` is
    given, one of unknown licence where `licences` is, one of unknown family where `families` is, and so on. The index
    that comes with lead-hub knows all of this of nearly every checkpoint.

    Attributes:
        max_parameters: a checkpoint with more weights is left out.
        licences: identifiers of the Hub, "permissive" for PERMISSIVE_LICENCES, which ask for no more than a notice;
            None accepts every licence and none.
        families: e.g. ("resnet", "dinov2"); empty means all.
        limit: most checkpoints to keep; None means all.
        index: path of the model index; None means the default one.
        max_multiply_adds: a checkpoint that takes more of them for one image, of the size that it wants, is left out.
        pretraining_kinds: e.g. ("self-supervised", "image-text"), of PRETRAINING_KINDS; empty means all.
        chosen_for: "default" or "best": only what the index's curators chose for it; None means all.

    Raises:
        CandidateError: a value that cannot be asked for.
    """

    max_parameters: int | None = None
    licences: tuple[str, ...] | None = None
    families: tuple[str, ...] = ()
    limit: int | None = None
    index: str | Path | None = None
    max_multiply_adds: int | None = None
    pretraining_kinds: tuple[str, ...] = ()
    chosen_for: str | None = None

    def __post_init__(self) -> None:
        for name in ("licences", "families", "pretraining_kinds"):
            check_texts(name, getattr(self, name))
        check_licences(self.licences)
        for name in ("max_parameters", "limit", "max_multiply_adds"):
            check_number(name, getattr(self, name), 1)
        if unknown := [kind for kind in self.pretraining_kinds if kind not in PRETRAINING_KINDS]:
            refuse(f"pretraining_kinds must be among {', '.join(PRETRAINING_KINDS)}, found {unknown[0]!r}")
        if self.chosen_for not in (None, *CHOICES):
            refuse(f"chosen_for must be one of {', '.join(CHOICES)}, or None, found {self.chosen_for!r}")

    @classmethod
    def preset(cls, name: str) -> "IndexQuery":
        """The question for a need: `dataclasses.replace` narrows it further.

        - "small": at most 10 million parameters.
        - "fast": at most 1.5 billion multiply-adds for one image.
        - "best": what the curators hold for the strongest, whatever it costs: ViT-B to ViT-L and their like.
        - "self-supervised": learnt from images, without labels and texts.
        - "permissive": of what is ranked by default, all under a permissive licence.
        - "all": the whole index.

        Raises:
            CandidateError: there is no preset of that name.
        """
        if name not in PRESETS:
            refuse(f"a preset must be one of {', '.join(PRESETS)}, found {name!r}")
        return cls(**PRESETS[name])


def default_choice() -> IndexQuery:
    """What is ranked unless the caller names something: what the default index's curators chose, or all of it.

    Raises:
        CandidateError: the user's own index is there and cannot be read.
    """
    path = default_model_index()
    is_curated = any(DEFAULT in entry.chosen_for for entry in read_model_index(path).entries)
    return IndexQuery(index=path, chosen_for=DEFAULT if is_curated else None)


def query_index(query: IndexQuery) -> FoundCandidates:
    """The entries that the query asks for, and why each other one is left out.

    Raises:
        CandidateError: the index cannot be read, or nothing of it is left: the message says how many entries were
            left out for what.
    """
    path = default_model_index() if query.index is None else Path(query.index).expanduser()
    entries = read_model_index(path).entries
    reasons = {entry.id: why_not_asked_for(entry, query) for entry in entries}
    within = tuple(entry for entry in entries if reasons[entry.id] is None)
    left_out = [reason for reason in reasons.values() if reason is not None]
    kept = within[: query.limit]
    left_out += [LeftOut(entry.id, BEYOND_LIMIT) for entry in within[len(kept) :]]
    found = FoundCandidates(kept, tuple(left_out), n_listed=len(entries))
    if not kept:
        raise CandidateError(
            f"at least one checkpoint of the model index {str(path)!r} must be within all bounds, found none of"
            f" {len(entries)} ({reasons_in_words(found) or 'it is empty'}): widen them, or make another index with"
            " `lead-hub crawl`",
            stage="find",
        )
    return found


def said_of_index(found: FoundCandidates) -> str:
    """How many of an index are kept and left out, as a person reads it; "" where all are kept."""
    if not found.left_out:
        return ""
    of_all = f"{len(found.candidates)} of the {found.n_listed} checkpoints of the model index"
    return f"{of_all}; left out: {reasons_in_words(found)}"


def reasons_in_words(found: FoundCandidates) -> str:
    """Why the others are left out, the most frequent first, as in "3 too large, 1 licence not allowed"."""
    return ", ".join(f"{count} {reason}" for reason, count in found.n_left_out.items())


def why_not_asked_for(entry: IndexEntry, query: IndexQuery) -> LeftOut | None:
    """The first bound that an entry is outside of, None within all. Licences come last: what all else would take."""
    return (
        why_not_chosen(entry, query.chosen_for)
        or why_not_family(entry, query.families)
        or why_not_pretraining(entry, query.pretraining_kinds)
        or why_not_size(entry, query.max_parameters)
        or why_not_cost(entry, query.max_multiply_adds)
        or why_not_licence(entry, allowed_licences(query.licences))
    )
