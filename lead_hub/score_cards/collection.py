"""A collection per dataset: the checkpoints to start from, each with its score as the note."""

import hashlib
import warnings
from collections.abc import Sequence
from functools import partial

from huggingface_hub import Collection, HfApi
from huggingface_hub.errors import HfHubHTTPError

from lead_hub.errors import HubError
from lead_hub.hub import hub_address, is_commit, patiently
from lead_hub.score_cards.card import ScoreResult

N_ITEMS = 10
LONGEST_TITLE = 59
NOT_THERE = 404


def publish_collection(results: Sequence[ScoreResult], *, namespace: str, api: HfApi, private: bool) -> str:
    """Create or bring up to date "Best starting points for <dataset>" and return its address.

    Args:
        results: of one leaderboard, best first.
        namespace: the user or organisation that owns it.
        api: the client.
        private: whether it must not be seen by others.

    Raises:
        HubError: the collection exists and is public, but must be private.
    """
    title = collection_title(results[0].dataset["dataset"])
    create = partial(api.create_collection, title, namespace=namespace, private=private, exists_ok=True)
    collection = patiently(create, asked_for=f"the collection {title!r}")
    if private and not collection.private:
        raise HubError(
            f"the scores of a private dataset belong in a private collection, but {collection.slug} is public: make it"
            " private or delete it, or allow it with private=False (--public)"
        )
    ranked = [result for result in results if is_commit(result.row["sha"])][:N_ITEMS]
    for place, result in enumerate(ranked, start=1):
        note = f"{result.method} score {result.row['score']:.4f}, number {place} of {len(results)} checkpoints"
        model = result.row["checkpoint"]
        try:
            keep_item(collection, model, note, api)
        except HfHubHTTPError as error:  # renamed or deleted since it was ranked: the others are kept all the same
            if error.response.status_code != NOT_THERE:
                raise
            warnings.warn(f"{model} is not on the Hub under this name, and so not in the collection", stacklevel=2)
    return collection.url or f"{hub_address(api.endpoint)}/collections/{collection.slug}"


def collection_title(dataset: str) -> str:
    """At most as long as the Hub allows; a dataset's name that had to be cut is told apart by 8 hex digits."""
    title = f"Best starting points for {dataset}"
    if len(title) <= LONGEST_TITLE:
        return title
    return f"{title[: LONGEST_TITLE - 9]}-{hashlib.sha256(dataset.encode()).hexdigest()[:8]}"


def keep_item(collection: Collection, model: str, note: str, api: HfApi) -> None:
    """Add the model, or bring its note up to date."""
    old = [item for item in collection.items if item.item_id == model and item.item_type == "model"]
    if old and old[0].note == note:
        return
    if old:
        change = partial(api.update_collection_item, collection.slug, old[0].item_object_id, note=note)
        patiently(change, asked_for=f"the note on {model}")
    else:
        add = partial(api.add_collection_item, collection.slug, model, "model", note=note, exists_ok=True)
        patiently(add, asked_for=f"the item {model}")
