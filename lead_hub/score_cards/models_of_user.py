"""The card as a pull request to those ranked models that are the user's own; nobody else's model is touched."""

from collections.abc import Sequence
from functools import partial

from huggingface_hub import HfApi

from lead_hub.errors import HubError
from lead_hub.hub import is_commit, patiently
from lead_hub.score_cards.card import ScoreResult, card_bytes, sha256_of
from lead_hub.score_cards.public_names import slug
from lead_hub.score_cards.pull_requests import open_once, user_name
from lead_hub.score_cards.repository import plain_errors


def open_model_pull_requests(
    results: Sequence[ScoreResult], *, api: HfApi, only_private: bool
) -> tuple[tuple[str, ...], int, tuple[str, ...]]:
    """One open pull request a model, with its card as score_cards/<dataset>.json.

    Args:
        results: of one leaderboard.
        api: the client; its user's namespace is the only one that is written to.
        only_private: write to private models alone, because the dataset is private.

    Returns:
        The addresses of the pull requests, and the number of ranked checkpoints that got none because they are not
        the user's own models, or public where only private ones may be written to; and why others got none.
    """
    urls: list[str] = []
    failed: list[str] = []
    n_refused = 0
    try:
        with plain_errors("your models", to="open pull requests in"):
            owner = user_name(api)
    except HubError as error:
        return (), 0, (str(error),)
    for result in results:
        model = result.row["checkpoint"]
        try:
            with plain_errors(model, to="open a pull request in"):
                own = is_commit(result.row["sha"]) and model.startswith(f"{owner}/")
                if own and may_hold(model, api, only_private):
                    urls += pull_request_urls(result, api)
                else:
                    n_refused += 1
        except HubError as error:  # renamed or deleted since it was ranked, say: the others get theirs
            failed.append(str(error))
    return tuple(urls), n_refused, tuple(failed)


def may_hold(model: str, api: HfApi, only_private: bool) -> bool:  # noqa: FBT001 - a private helper
    info = patiently(partial(api.model_info, model), asked_for=f"the model {model}")
    return bool(info.private) or not only_private


def pull_request_urls(result: ScoreResult, api: HfApi) -> list[str]:
    """The address of the model's pull request; none where the model holds this very card already."""
    dataset = result.dataset["dataset"]
    title = f"Add the score card on {dataset} ({sha256_of(result.request_id)[:8]})"
    files = {f"score_cards/{slug(dataset)}.json": card_bytes([result])}
    pull_request = open_once(result.row["checkpoint"], files, title=title, api=api, repo_type="model")
    return [] if pull_request is None else [pull_request.url]
