"""A score-card repository -> a leaderboard's document, or the rows that need not be computed again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from huggingface_hub import HfApi

from lead_hub.errors import HubError
from lead_hub.hub import is_commit
from lead_hub.score_cards.card import Json, ScoreResult, ranking_id
from lead_hub.score_cards.public_names import public_name
from lead_hub.score_cards.repository import Repository, open_repository, plain_errors
from lead_hub.score_cards.table import ScoreRow, score_row, with_ranks


@dataclass(frozen=True)
class ScoreCards:
    """The results of one repository on one sample of images, by one method.

    Attributes:
        repo_id: the repository.
        sha: its commit.
        results: all comparable with each other.
    """

    repo_id: str
    sha: str
    results: tuple[ScoreResult, ...]

    def find(self, *, checkpoint: str, sha: str) -> Json | None:
        """The row of a checkpoint at a commit, without a rank and with a note that says where it is from.

        Args:
            checkpoint: Hub id or folder, as a leaderboard has it.
            sha: the commit, or the sha256 of a folder's files.
        """
        name = public_name(checkpoint, is_local=not is_commit(sha))
        for result in self.results:
            if (result.row["checkpoint"], result.row["sha"]) == (name, sha):
                return {**result.row, "checkpoint": checkpoint, "images_per_s": None, "note": self.note(result)}
        return None

    def note(self, result: ScoreResult) -> str:
        return "; ".join(filter(None, [f"score card {self.repo_id}", result.row["note"]]))


def load_cards(repo_id: str, *, api: HfApi, dataset: Mapping[str, Any], method: str, method_version: int) -> ScoreCards:
    """The results that a run on these images by this method would compute again.

    Args:
        repo_id: the dataset repository of score cards.
        api: the client.
        dataset: the "dataset" of a leaderboard's document: the results are of the same commit, rows, columns, classes.
        method: name of the score.
        method_version: of the score's definition.

    Raises:
        HubError: the Hub refused or cannot be reached.
    """
    wanted = ranking_id(dataset, method=method, method_version=method_version)
    with plain_errors(repo_id, to="read score cards from"):
        repository = open_repository(repo_id, api=api)
        rows = [row for row in repository.read_rows() if row.ranking_id == wanted]
        return ScoreCards(repo_id, repository.sha, tuple(results_on_cards(rows, repository)))


def scored_results(repo_id: str, *, api: HfApi, method: str) -> list[ScoreResult]:
    """Everything in a repository that was scored by a method in any version, as its cards say it.

    Raises:
        HubError: the Hub refused or cannot be reached.
    """
    with plain_errors(repo_id, to="read score cards from"):
        repository = open_repository(repo_id, api=api)
        rows = [row for row in repository.read_rows() if row.method == method]
        return results_on_cards(rows, repository)


def read_scores(
    repo_id: str,
    *,
    api: HfApi,
    dataset: str,
    method: str | None = None,
    revision: str | None = None,
    ranking: str | None = None,
) -> Json:
    """A ranking of a dataset as a leaderboard's document: the one that was pushed last, unless another is named.

    Args:
        repo_id: the dataset repository of score cards.
        api: the client.
        dataset: Hub id; for local data the folder's name, or "local--" and that name.
        method: name of the score; None means whichever was pushed last.
        revision: branch, tag or commit of the repository.
        ranking: `ranking_id` of the one that is meant; None means the one that was pushed last.

    Raises:
        HubError: the Hub refused or cannot be reached, or holds no such ranking; the message lists what there is.
    """
    with plain_errors(repo_id, to="read score cards from"):
        repository = open_repository(repo_id, api=api, revision=revision)
        rows = repository.read_rows()
        names = {dataset, public_name(dataset, is_local=True)} if "/" not in dataset else {dataset}
        fitting = [row for row in rows if row.dataset in names and method in {None, row.method}]
        fitting = [row for row in fitting if ranking in {None, row.ranking_id}]
        if not fitting:
            raise HubError(nothing_fits(rows, repository, dataset=dataset, method=method))
        wanted = fitting[-1].ranking_id
        results = results_on_cards([row for row in fitting if row.ranking_id == wanted], repository)
    if not results:
        raise HubError(f"{repo_id}@{repository.sha} has no card on {dataset!r} that is as it was written: push again")
    return document_of(results, is_private=repository.is_private)


def read_file(repo_id: str, path: str, *, api: HfApi) -> bytes | None:
    """A file of a repository of score cards, as it is at its head; None where there is none.

    Raises:
        HubError: the Hub refused or cannot be reached, or the file is too large.
    """
    with plain_errors(repo_id, to="read score cards from"):
        repository = open_repository(repo_id, api=api)
        found = repository.files([path])
        return repository.read_one(found[path]) if path in found else None


def results_on_cards(rows: Sequence[ScoreRow], repository: Repository) -> list[ScoreResult]:
    """The results that the rows stand for, from their cards, in the rows' order."""
    cards = repository.read_results(repository.files(row.card for row in rows).values())
    by_identity = {result.identity: result for card in cards.values() for result in card}
    return [by_identity[row.identity] for row in rows if row.identity in by_identity]


def document_of(results: Sequence[ScoreResult], *, is_private: bool) -> Json:
    """The leaderboard's document of comparable results; settings and versions are those of the last.

    Args:
        results: from the cards of one repository.
        is_private: whether others cannot see that repository: what all can see of a checkpoint on the Hub is no secret.
    """
    last = results[-1]
    by_identity = {result.identity: result for result in results}
    ranked = with_ranks(map(score_row, by_identity.values()))
    return {
        "schema_version": last.schema_version,
        "dataset": last.dataset,
        "method": last.method,
        "method_version": last.method_version,
        "rows": [
            {**by_identity[row.identity].row, "rank": rank, "is_private": is_private or not is_commit(row.sha)}
            for rank, row in ranked
        ],
        "skipped": [],
        "settings": last.settings,
        "versions": last.versions,
        "n_candidates": len(ranked),
    }


def nothing_fits(rows: Sequence[ScoreRow], repository: Repository, *, dataset: str, method: str | None) -> str:
    there = sorted({f"{row.dataset} ({row.method})" for row in rows})
    wanted = f"{dataset!r}" + (f" by {method!r}" if method else "")
    return (
        f"{repository.repo_id}@{repository.sha} must hold scores on {wanted}, found"
        f" {', '.join(there) or 'no scores at all'}: check the dataset's id, or push a leaderboard first"
    )
