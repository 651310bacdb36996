"""A query -> the candidates that the Hub has for it: list, leave out what cannot be ranked, keep one of each tree."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled, RepositoryNotFoundError

from lead_hub.candidates.candidate_query import CandidateQuery
from lead_hub.candidates.hub_listing import Advance, list_everything, refused
from lead_hub.candidates.lineage import one_per_tree, trained_on, with_base_datasets
from lead_hub.candidates.listed_models import ListedModel, with_files
from lead_hub.candidates.model_index import IndexEntry, LeftOut
from lead_hub.candidates.policy import BEYOND_LIMIT, GONE, why_not
from lead_hub.hub import patiently

REQUEST_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class FoundCandidates:
    """What a crawl, or a question to a model index, found.

    Attributes:
        candidates: those to rank: of a crawl pinned, in the order of the query's sort; of an index in its own.
        left_out: every other listed model with its reason.
        n_listed: different models that were looked at: all candidates and all that were left out.
        trained_on_dataset: ids of the candidates that saw the dataset asked about, as far as cards tell.
    """

    candidates: tuple[IndexEntry, ...]
    left_out: tuple[LeftOut, ...]
    n_listed: int
    trained_on_dataset: tuple[str, ...] = ()

    @property
    def n_left_out(self) -> dict[str, int]:
        """How many were left out for each reason, the most frequent first."""
        return dict(Counter(each.reason for each in self.left_out).most_common())


def find_candidates(
    query: CandidateQuery,
    *,
    api: HfApi,
    dataset: str | None = None,
    progress_file: Path | None = None,
    advance: Advance | None = None,
) -> FoundCandidates:
    """Ask the Hub which checkpoints there are, and keep those that can be ranked.

    One listing for each pipeline tag and library (and author), without a request for each model, unless the Hub's
    listings hold no file names: then one for each model that is about to be kept.

    Args:
        query: what to look for and what to keep.
        api: the client; its token decides what it sees.
        dataset: id of the dataset that the candidates are for, to tell which of them were trained on it.
        progress_file: a crawl that was cut short goes on after the listings that are finished there; remove it after
            success.
        advance: told how many of how many listings are done, after each.

    Raises:
        HubError: the Hub cannot be reached or refuses.
    """
    listed = list_everything(query, api=api, progress_file=progress_file, advance=advance)
    left_out = {id_: found for id_, model in listed.items() if (found := why_not(model, query))}
    usable = {id_: model for id_, model in listed.items() if id_ not in left_out}
    while True:
        kept, dropped = choose(usable, listed, query)
        unknown = [model for model in kept if model.files is None]
        if not unknown:
            break
        for model in unknown:
            seen = ask_for_files(model, api=api)
            reason = seen if isinstance(seen, LeftOut) else why_not(seen, query)
            if reason:
                left_out[model.entry.id] = reason
                del usable[model.entry.id]
            elif isinstance(seen, ListedModel):
                usable[model.entry.id] = seen
    candidates = tuple(model.entry for model in with_base_datasets(kept, listed))
    return FoundCandidates(
        candidates,
        left_out=(*left_out.values(), *dropped),
        n_listed=len(listed),
        trained_on_dataset=tuple(entry.id for entry in candidates if dataset and trained_on(entry, dataset)),
    )


def choose(
    usable: Mapping[str, ListedModel], listed: Mapping[str, ListedModel], query: CandidateQuery
) -> tuple[list[ListedModel], list[LeftOut]]:
    """One of each tree, the first of them by the query's sort, up to its limit; and the rest."""
    kept, dropped = one_per_tree(usable.values(), listed, query)
    kept.sort(key=lambda model: sort_key(model.entry, query.sort), reverse=True)
    beyond = [LeftOut(model.entry.id, BEYOND_LIMIT) for model in kept[query.limit :]]
    return kept[: query.limit], [*dropped, *beyond]


def sort_key(entry: IndexEntry, sort: str) -> tuple[str, int]:
    """What the query sorts by, the unknown last. Times of ISO 8601 in UTC are in order as texts."""
    if sort == "last_modified":
        return entry.last_modified or "", 0
    return "", (entry.likes if sort == "likes" else entry.downloads) or 0


def ask_for_files(model: ListedModel, *, api: HfApi) -> ListedModel | LeftOut:
    """The model with its file names, or why it is none to keep."""
    id_, sha = model.entry.id, model.entry.sha
    try:
        info = patiently(
            lambda: api.model_info(id_, revision=sha, timeout=REQUEST_TIMEOUT_S), asked_for=f"the files of {id_}"
        )
    except RepositoryNotFoundError:
        return LeftOut(id_, GONE, "listed, but not there any more")
    except (HfHubHTTPError, OfflineModeIsEnabled) as error:
        raise refused(f"the files of {id_}", error) from error
    return with_files(model, info)
