"""Which checkpoints of a model index are asked for: the Hub is not."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from lead_hub.candidates.candidate_query import allowed_licences, check_licences, check_number, check_texts
from lead_hub.candidates.model_index import IndexEntry, LeftOut, default_model_index, read_model_index
from lead_hub.candidates.policy import why_not_family, why_not_licence, why_not_size
from lead_hub.errors import CandidateError


@dataclass(frozen=True)
class IndexQuery:
    """What of a model index to keep: the first entries, in its order, that are within all bounds.

    What an index does not know counts as outside: an entry of unknown size is left out where `max_parameters` is
    given, one of unknown licence where `licences` is, one of unknown family where `families` is. The index that comes
    with lead-hub knows sizes and families, licences only after a `lead-hub crawl` or `lead-hub crawl --refresh`.

    Attributes:
        max_parameters: a checkpoint with more weights is left out.
        licences: identifiers of the Hub, "permissive" for all that the OSI approved and that only ask for a notice;
            None accepts every licence and none.
        families: e.g. ("resnet", "dinov2"); empty means all.
        limit: most checkpoints to keep; None means all.
        index: path of the model index; None means the default one.

    Raises:
        CandidateError: a value that cannot be asked for.
    """

    max_parameters: int | None = None
    licences: tuple[str, ...] | None = None
    families: tuple[str, ...] = ()
    limit: int | None = None
    index: str | Path | None = None

    def __post_init__(self) -> None:
        for name in ("licences", "families"):
            check_texts(name, getattr(self, name))
        check_licences(self.licences)
        for name in ("max_parameters", "limit"):
            check_number(name, getattr(self, name), 1)


def query_index(query: IndexQuery) -> tuple[IndexEntry, ...]:
    """The entries that the query asks for.

    Raises:
        CandidateError: the index cannot be read, or nothing of it is left: the message says how many entries were
            left out for what.
    """
    path = default_model_index() if query.index is None else Path(query.index).expanduser()
    entries = read_model_index(path).entries
    reasons = {entry.id: why_not_asked_for(entry, query) for entry in entries}
    kept = tuple(entry for entry in entries if reasons[entry.id] is None)
    if not kept:
        counts = Counter(reason.reason for reason in reasons.values() if reason is not None)
        left_out = ", ".join(f"{count} {reason}" for reason, count in counts.most_common())
        raise CandidateError(
            f"at least one checkpoint of the model index {str(path)!r} must be within all bounds, found none of"
            f" {len(entries)} ({left_out or 'it is empty'}): widen them, or make another index with `lead-hub crawl`",
            stage="find",
        )
    return kept[: query.limit]


def why_not_asked_for(entry: IndexEntry, query: IndexQuery) -> LeftOut | None:
    """The first bound that an entry is outside of, None within all."""
    return (
        why_not_family(entry, query.families)
        or why_not_size(entry, query.max_parameters)
        or why_not_licence(entry, allowed_licences(query.licences))
    )
