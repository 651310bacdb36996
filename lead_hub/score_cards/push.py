"""A leaderboard's document -> cards, table and README in a dataset repository, in one commit that loses nothing.

Every attempt starts from the repository's head and names it as the parent of its commit: where another writer was
faster, the Hub refuses and the attempt starts over. A result that is there already is kept as it is, so that a push
that was carried out although its answer was lost finds nothing to do.
"""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, RepositoryNotFoundError

from lead_hub.errors import HubError
from lead_hub.hub import hub_address, is_commit, patiently
from lead_hub.score_cards.card import Json, ScoreResult, results_of, sha256_of
from lead_hub.score_cards.collection import publish_collection
from lead_hub.score_cards.models_of_user import open_model_pull_requests
from lead_hub.score_cards.pull_requests import additions, open_once
from lead_hub.score_cards.push_files import NewScores, changed_files, new_repository_files
from lead_hub.score_cards.repository import README_PATH, Repository, open_repository, plain_errors

ATTEMPTS = 30  # against writers that are faster
LONGEST_PAUSE_S = 1.0
PARENT_HAS_MOVED = 412


@dataclass(frozen=True)
class PlannedFile:
    """A file that the commit writes."""

    path: str
    size_bytes: int


@dataclass(frozen=True)
class Push:
    """What a push did, or would do.

    Attributes:
        repo_id: the dataset repository.
        files: what the commit writes; empty where everything was there already.
        commit_url: of the commit, if one was made.
        pr_url: of the pull request, if one was asked for; an open one with the same content is used again.
        changed: whether something was written, or in a dry run would be.
        collection_url: of the dataset's collection, if one was asked for.
        model_prs: addresses of the pull requests to the user's own models, if asked for.
        n_models_refused: ranked checkpoints that got no pull request, because they are not the user's own models.
        readme: the README as written; empty where there was nothing to write.
        failed: what beside the cards was asked for and could not be done, as sentences; the cards are written.
        n_left_out: rows of local, private or gated checkpoints, or of such that nobody knows, which were not written,
            because all can see the repository: push to a private one, or allow it with private=False (--public).
    """

    repo_id: str
    files: tuple[PlannedFile, ...] = ()
    commit_url: str | None = None
    pr_url: str | None = None
    changed: bool = False
    collection_url: str | None = None
    model_prs: tuple[str, ...] = ()
    n_models_refused: int = 0
    readme: str = ""
    n_left_out: int = 0
    failed: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PushSettings:
    """How a board is written.

    Attributes:
        private: whether a new repository is private; None means if the ranked dataset is. False also allows to write
            a private dataset's scores, and private checkpoints' rows, where all can see them.
        create_pr: a pull request instead of a commit to the main branch.
        commit_message: title of the commit or pull request; None names the dataset and the number of scores.
        collection: whether a collection of the best checkpoints for the dataset is kept as well.
        pr_to_models: whether each ranked model in the user's own namespace gets a pull request with its card.
        dry_run: nothing is written, only what would be is said.
    """

    private: bool | None = None
    create_pr: bool = False
    commit_message: str | None = None
    collection: bool = False
    pr_to_models: bool = False
    dry_run: bool = False


DEFAULT_SETTINGS = PushSettings()


def push_scores(
    document: Mapping[str, Any],
    repo_id: str,
    *,
    api: HfApi,
    opening: Callable[[Json, int], str] | None = None,
    settings: PushSettings = DEFAULT_SETTINGS,
) -> Push:
    """Write a leaderboard's scores into a dataset repository, which is created if it is missing.

    Where all can see the repository, rows of checkpoints that not everybody may read are left out.

    Args:
        document: of `Leaderboard.to_document`.
        repo_id: "user/name" or "organisation/name".
        api: the client, with the token that is used.
        opening: gives the README's first paragraphs, in Markdown, for the document under public names with the rows
            that are written, and the number of those that are not.
        settings: how it is written.

    Raises:
        LeadHubError: the leaderboard has no rows, or one without a sha.
        HubError: the Hub refused or cannot be reached, or a private dataset's scores, or nothing but private
            checkpoints' rows, would become public.
    """
    if "/" not in repo_id:  # the client would create one of the caller's, and look for another
        raise HubError(f"cannot write score cards to {repo_id}: a repository is named 'user/name'")
    results = results_of(document)
    # Unknown counts as private: what was published by mistake cannot be taken back.
    dataset_is_private = document["dataset"].get("is_private") is not False
    is_private = dataset_is_private if settings.private is None else settings.private
    with plain_errors(repo_id, to="write score cards to"):
        found = find(repo_id, api=api)
        if found is not None:
            refuse_to_publish(found, is_private=is_private)
        may_all_go = is_private or settings.private is False
        open_to_all = results if may_all_go else public_results(results, document["rows"], api=api)
        written = results if may_all_go or (found is not None and found.is_private) else open_to_all
        refuse_nothing(repo_id, n_rows=len(results), n_written=len(written))
        n_left_out = len(results) - len(written)
        new = NewScores(written, opening(public_document(document, results, written), n_left_out) if opening else "")
        if settings.dry_run:
            return replace(rehearse(new, found, repo_id, api=api, is_private=is_private), n_left_out=n_left_out)
        title = settings.commit_message or f"Add {len(written)} scores on {results[0].dataset['dataset']}"
        repository = found or create(repo_id, api=api, private=is_private)
        write = request_pull if settings.create_pr else commit_results
        push = replace(write(new, repository, title=title, is_private=is_private), n_left_out=n_left_out)
    # What few may read in the repository shows nowhere else either, unless that is allowed.
    is_hidden = is_private or (repository.is_private and settings.private is None)
    if settings.collection and open_to_all:
        push = with_collection(push, open_to_all, api=api, is_private=is_hidden)
    if settings.pr_to_models:  # each card to its own model, which those see who may read it
        urls, n_refused, failed = open_model_pull_requests(results, api=api, only_private=is_hidden)
        push = replace(push, model_prs=urls, n_models_refused=n_refused, failed=(*push.failed, *failed))
    return push


def with_collection(push: Push, results: Sequence[ScoreResult], *, api: HfApi, is_private: bool) -> Push:
    """The push with the address of the dataset's collection, or why there is none: the cards are written by now."""
    namespace = push.repo_id.split("/", maxsplit=1)[0]
    try:
        with plain_errors(namespace, to="keep a collection of"):
            url = publish_collection(results, namespace=namespace, api=api, private=is_private)
    except HubError as error:
        return replace(push, failed=(*push.failed, str(error)))
    return replace(push, collection_url=url)


def public_results(
    results: Sequence[ScoreResult], rows: Sequence[Mapping[str, Any]], *, api: HfApi
) -> list[ScoreResult]:
    """Those of checkpoints that everybody may read: the run was told so, or the Hub says it now to nobody's question.

    A run that finds a pinned checkpoint in its cache does not ask who may read it.
    """
    return [
        result
        for result, row in zip(results, rows, strict=True)
        if is_commit(row["sha"]) and (row.get("is_private") is False or is_open(row["checkpoint"], api))
    ]


def public_document(
    document: Mapping[str, Any], results: Sequence[ScoreResult], written: Sequence[ScoreResult]
) -> Json:
    """The leaderboard's document under public names, with the rows that are written alone."""
    kept = {id(result) for result in written}
    rows = [
        {**row, "checkpoint": result.row["checkpoint"], "note": result.row["note"]}
        for row, result in zip(document["rows"], results, strict=True)
        if id(result) in kept
    ]
    return {**document, "dataset": results[0].dataset, "rows": rows, "skipped": []}


def is_open(model: str, api: HfApi) -> bool:
    """Whether the Hub shows a model to everybody."""
    try:
        info = patiently(partial(api.model_info, model, token=False), asked_for=f"the model {model}")
    except (HfHubHTTPError, HFValidationError):
        return False
    return info.private is False and info.gated is False


def refuse_nothing(repo_id: str, *, n_rows: int, n_written: int) -> None:
    """Raise if all rows would be left out."""
    if not n_written:
        raise HubError(
            f"{repo_id} must be private to hold this board, because each of its {n_rows} checkpoints is a local folder,"
            " private, gated, or of unknown access, and all would see it: push to a private repository, or allow it"
            " with private=False (--public)"
        )


def rehearse(new: NewScores, repository: Repository | None, repo_id: str, *, api: HfApi, is_private: bool) -> Push:
    """What a push would write, without writing."""
    if repository is None:
        files = new_repository_files(new, endpoint=hub_address(api.endpoint))
    else:
        refuse_to_publish(repository, is_private=is_private)
        files = changed_files(new, repository)
    return planned(repo_id, files)


def commit_results(new: NewScores, repository: Repository, *, title: str, is_private: bool) -> Push:
    """Commit what is missing, from the head anew until no other writer is in between."""
    for attempt in range(ATTEMPTS):
        refuse_to_publish(repository, is_private=is_private)
        files = changed_files(new, repository)
        if not files:
            return Push(repository.repo_id)
        try:
            url = commit(files, repository, title=title)
        except HfHubHTTPError as error:
            if error.response.status_code != PARENT_HAS_MOVED:
                raise
            time.sleep(random.uniform(0, min(LONGEST_PAUSE_S, 0.05 * 2**attempt)))  # noqa: S311 - no secret
            repository = open_repository(repository.repo_id, api=repository.api)
        else:
            return replace(planned(repository.repo_id, files), commit_url=url)
    raise HubError(
        f"{repository.repo_id} must stand still for a moment, but other writers were faster {ATTEMPTS} times: try again"
    )


def commit(files: Mapping[str, bytes], repository: Repository, *, title: str) -> str:
    """One commit on the repository's sha; asking twice does no harm, because the sha is then no longer the head."""

    def request() -> str:
        made = repository.api.create_commit(
            repository.repo_id,
            additions(files),
            commit_message=title,
            repo_type="dataset",
            parent_commit=repository.sha or None,
        )
        return made.commit_url

    return patiently(request, asked_for=f"a commit to {repository.repo_id}")


def request_pull(new: NewScores, repository: Repository, *, title: str, is_private: bool) -> Push:
    """A pull request with what is missing at the head; the title tells results of another content apart."""
    refuse_to_publish(repository, is_private=is_private)
    files = changed_files(new, repository)
    if not files:
        return Push(repository.repo_id)
    content = sha256_of(sorted(result.request_id for result in new.results))[:8]
    pull_request = open_once(
        repository.repo_id, files, title=f"{title} ({content})", api=repository.api, repo_type="dataset"
    )
    if pull_request is None:
        return Push(repository.repo_id)
    push = planned(repository.repo_id, files)
    return replace(push, pr_url=pull_request.url, changed=pull_request.is_new)


def planned(repo_id: str, files: Mapping[str, bytes]) -> Push:
    listed = tuple(PlannedFile(path, len(content)) for path, content in sorted(files.items()))
    return Push(repo_id, files=listed, changed=bool(files), readme=files.get(README_PATH, b"").decode())


def find(repo_id: str, *, api: HfApi) -> Repository | None:
    """The repository at its head; None where there is none that this login can see."""
    try:
        return open_repository(repo_id, api=api)
    except RepositoryNotFoundError:
        return None


def create(repo_id: str, *, api: HfApi, private: bool) -> Repository:
    """The new repository. Not asked for where there is one: a contributor need not be allowed to create it."""
    make = partial(api.create_repo, repo_id, repo_type="dataset", private=private, exist_ok=True)
    patiently(make, asked_for=f"the new repository {repo_id}")
    return open_repository(repo_id, api=api)


def refuse_to_publish(repository: Repository, *, is_private: bool) -> None:
    """Raise if scores that are private would become public."""
    if is_private and not repository.is_private:
        raise HubError(
            f"the scores of a private or local dataset belong in a private repository, but {repository.repo_id} is"
            " public: name another one, make it private, or allow it with private=False (--public)"
        )
