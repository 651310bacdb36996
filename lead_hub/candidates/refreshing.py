"""An index -> the same index with each checkpoint pinned to its newest commit, and what the Hub says of it today."""

from collections.abc import Callable
from dataclasses import fields, replace
from datetime import datetime, timezone

from huggingface_hub import HfApi, ModelInfo
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)

from lead_hub.candidates.finding import REQUEST_TIMEOUT_S
from lead_hub.candidates.hub_listing import EXPAND, EXPAND_IF_GIVEN, Advance, is_bad_request, refused
from lead_hub.candidates.listed_models import listed_model
from lead_hub.candidates.model_index import IndexEntry, LeftOut, ModelIndex
from lead_hub.candidates.policy import GATED, GONE
from lead_hub.hub import hub_address, patiently

SAVE_EVERY = 10
# Known better from elsewhere, or not to the Hub at all.
CURATED = frozenset({"id", "family", "parameters", "imagenet_top1_percent", "pretraining", "base_datasets"})


def refresh_index(
    index: ModelIndex,
    *,
    api: HfApi,
    unpinned_only: bool = False,
    save: Callable[[ModelIndex], None] | None = None,
    advance: Advance | None = None,
) -> tuple[ModelIndex, tuple[LeftOut, ...]]:
    """Pin the checkpoints of an index, one request each.

    Args:
        index: what to pin; its order is kept.
        api: the client.
        unpinned_only: leave alone what is pinned already.
        save: given the index so far every ten checkpoints, and when the work ends early.
        advance: told how many of how many checkpoints are done, after each.

    Returns:
        The index, and those of it that could not be pinned: gone or gated. They stay in the index, unpinned.

    Raises:
        HubError: the Hub cannot be reached or refuses.
    """
    entries = list(index.entries)
    todo = [place for place, entry in enumerate(entries) if not (unpinned_only and entry.sha)]
    unpinned: list[LeftOut] = []

    def so_far() -> ModelIndex:
        today = datetime.now(timezone.utc).date().isoformat()
        return replace(index, entries=tuple(entries), hub=hub_address(), crawled=today)

    done = 0
    try:
        for place in todo:
            entries[place], problem = refresh_entry(entries[place], api=api)
            unpinned += [problem] if problem else []
            done += 1
            if save and done % SAVE_EVERY == 0:
                save(so_far())
            if advance:
                advance(done, len(todo))
    finally:
        if save and done:
            save(so_far())
    return so_far(), tuple(unpinned)


def refresh_entry(entry: IndexEntry, *, api: HfApi) -> tuple[IndexEntry, LeftOut | None]:
    """The entry with its newest commit and the Hub's facts; unpinned, with the reason, where that cannot be."""
    try:
        found = listed_model(ask(entry.id, api=api)).entry
    except GatedRepoError:
        return replace(entry, sha=None), LeftOut(entry.id, GATED, "ask for access on its Hub page")
    except (RepositoryNotFoundError, HFValidationError):
        return replace(entry, sha=None), LeftOut(entry.id, GONE, "the Hub has no such model, or it is private")
    except (HfHubHTTPError, OfflineModeIsEnabled) as error:
        raise refused(f"the facts of {entry.id}", error) from error
    told = {field.name: getattr(found, field.name) for field in fields(found)}
    # A fact that the Hub does not tell is kept; so is one that the index has from a better source.
    news = {
        name: value
        for name, value in told.items()
        if value not in (None, ()) and (name not in CURATED or getattr(entry, name) in (None, ()))
    }
    if found.gated:
        return replace(entry, **{**news, "sha": None}), LeftOut(entry.id, GATED, "ask for access on its Hub page")
    return replace(entry, **news), None


def ask(model_id: str, *, api: HfApi) -> ModelInfo:
    """The Hub's facts of one model, with all that it is willing to tell."""

    def request(expand: tuple[str, ...]) -> ModelInfo:
        return patiently(
            lambda: api.model_info(model_id, expand=list(expand), timeout=REQUEST_TIMEOUT_S),  # type: ignore[arg-type]
            asked_for=f"the facts of {model_id}",
        )

    try:
        return request((*EXPAND, *EXPAND_IF_GIVEN))
    except HfHubHTTPError as error:
        if not is_bad_request(error):
            raise
        return request(EXPAND)
