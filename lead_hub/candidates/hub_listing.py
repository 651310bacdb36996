"""The Hub's listings behind a query, page by page, and what of them is already done when a crawl is cut short."""

import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TypeAlias

from huggingface_hub import HfApi
from huggingface_hub.errors import BadRequestError, HfHubHTTPError, OfflineModeIsEnabled

from lead_hub.candidates.candidate_query import CandidateQuery
from lead_hub.candidates.listed_models import ListedModel, from_json, listed_model, to_json
from lead_hub.errors import HubError
from lead_hub.hub import hub_address, patiently, why_refused, write_text_whole

EXPAND = (
    *("sha", "safetensors", "config", "tags", "library_name", "pipeline_tag", "gated", "private", "downloads"),
    *("likes", "lastModified", "cardData"),
)
# Not every Hub gives these in a listing. Tags and card name the bases too; the files are asked for model by model.
EXPAND_IF_GIVEN = ("baseModels", "siblings")
BAD_REQUEST = 400
PROGRESS_LASTS = timedelta(hours=12)  # what was listed longer ago is listed again

Advance: TypeAlias = Callable[[int, int], None]


@dataclass(frozen=True)
class Listing:
    """One question to the Hub."""

    pipeline_tag: str
    library: str
    author: str | None

    @property
    def name(self) -> str:
        """The listing in words, which is also its key in the file of progress."""
        return f"{self.pipeline_tag} models of {self.library}" + (f" by {self.author}" if self.author else "")


def listings(query: CandidateQuery) -> list[Listing]:
    """All that a query asks for: each pipeline tag with each library, and with each author if there are any."""
    return [
        Listing(tag, library, author)
        for tag in query.pipeline_tags
        for library in query.libraries
        for author in query.authors or (None,)
    ]


def list_everything(
    query: CandidateQuery, *, api: HfApi, progress_file: Path | None = None, advance: Advance | None = None
) -> dict[str, ListedModel]:
    """Every listed model once, by id, in the order of the listings.

    Args:
        query: what to list.
        api: the client.
        progress_file: remembers each finished listing; one of the same query and Hub, not older than 12 hours, is
            gone on with.
        advance: told how many of how many listings are done, after each.

    Raises:
        HubError: the Hub cannot be reached or refuses.
    """
    asked = listings(query)
    progress = read_progress(progress_file, query)
    expand: tuple[str, ...] = (*EXPAND, *EXPAND_IF_GIVEN)
    for number, listing in enumerate(asked, start=1):
        if listing.name not in progress:
            progress[listing.name], expand = list_one(listing, query, api=api, expand=expand)
            write_progress(progress_file, query, progress)
        if advance:
            advance(number, len(asked))
    found: dict[str, ListedModel] = {}
    for listing in asked:
        for model in progress[listing.name]:
            found.setdefault(model.entry.id, model)
    return found


def list_one(
    listing: Listing, query: CandidateQuery, *, api: HfApi, expand: tuple[str, ...]
) -> tuple[list[ListedModel], tuple[str, ...]]:
    """The models of one listing, and what the Hub was willing to tell of each."""

    def request() -> list[ListedModel]:
        infos = api.list_models(
            pipeline_tag=listing.pipeline_tag,
            filter=[listing.library],
            author=listing.author,
            search=query.search,
            sort=query.sort,  # type: ignore[arg-type]  # checked by the query
            limit=query.max_listed,
            expand=list(expand),  # type: ignore[arg-type]
        )
        return [listed_model(info) for info in infos]

    try:
        return patiently(request, asked_for=f"the listing of {listing.name}"), expand
    except (HfHubHTTPError, OfflineModeIsEnabled) as error:
        if is_bad_request(error) and expand != EXPAND:
            return list_one(listing, query, api=api, expand=EXPAND)
        raise refused(f"the listing of {listing.name}", error) from error


def is_bad_request(error: Exception) -> bool:
    """Whether the Hub did not understand, as it says of a key of `expand` that it does not know."""
    return isinstance(error, BadRequestError) or (
        isinstance(error, HfHubHTTPError) and error.response.status_code == BAD_REQUEST
    )


def refused(asked_for: str, error: Exception) -> HubError:
    """The error of a Hub that answered no, or was not to be asked."""
    refusal = why_refused(error, name=asked_for, noun="answer")
    words = refusal.words if refusal else str(error)
    return HubError(f"a crawl needs {asked_for}: {words}; or give candidates of your own")


def read_progress(path: Path | None, query: CandidateQuery) -> dict[str, list[ListedModel]]:
    """The finished listings; none where there is no file, or one of another query, Hub or day, or a damaged one."""
    if path is None:
        return {}
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        age = datetime.now(timezone.utc) - datetime.fromisoformat(document["started"])
        if document["hub"] != hub_address() or document["query"] != query.to_json() or age > PROGRESS_LASTS:
            return {}
        return {name: [from_json(model) for model in models] for name, models in document["finished"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}  # a crawl can always start again


def write_progress(path: Path | None, query: CandidateQuery, finished: dict[str, list[ListedModel]]) -> None:
    """Remember the finished listings; the file appears whole or not at all."""
    if path is None:
        return
    document = {
        "hub": hub_address(),
        "query": query.to_json(),
        "started": datetime.now(timezone.utc).isoformat(),
        "finished": {name: [to_json(model) for model in models] for name, models in finished.items()},
    }
    try:
        write_text_whole(path, json.dumps(document, ensure_ascii=False), private=True)
    except OSError as error:  # what was listed is in memory
        warnings.warn(
            f"how far the crawl is could not be kept, and one that is cut short starts again: {error}; free some of the"
            " disk, or set HF_HOME to a folder that can be written",
            stacklevel=2,
        )
