"""What the Jobs of a run have found: each says in a file which scores are its own, and of those cards is the board.

The repository may hold other scores on the same dataset: of other rows, of an earlier run, of another commit.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from huggingface_hub import JobInfo

from lead_hub.access import Access, access_of
from lead_hub.candidates import Candidate
from lead_hub.errors import LeadHubError, redacted
from lead_hub.hub import patiently
from lead_hub.leaderboard import Leaderboard, Skipped
from lead_hub.leaderboard import rank as ranked
from lead_hub.recommendation.recommendation import Recommendation
from lead_hub.score_cards import ranking_id, read_file, read_scores


@dataclass(frozen=True)
class JobShare:
    """One Job, and what it was to do.

    Attributes:
        job: as the Hub tells of it.
        candidates: its share.
        results_path: of the file that it writes into the repository of the results, which says which scores are its.
    """

    job: JobInfo
    candidates: Sequence[Candidate]
    results_path: str

    @property
    def is_complete(self) -> bool:
        """Whether it came to its end."""
        return stage_of(self.job) == "COMPLETED"

    @property
    def reason(self) -> str:
        """Why one of its candidates has no score, as far as the Hub tells."""
        if self.is_complete:
            return f"its Job gave no score for it, and its log says why: {self.job.url}"
        said = redacted(" ".join((self.job.status.message or "no reason given").split()))
        return f"its Job must come to its end, it is {stage_of(self.job).lower()} ({said}): see {self.job.url}"


@dataclass(frozen=True)
class OwnScores:
    """Which scores of a repository are a Job's own.

    Attributes:
        ranking: what they were made on and by, as `score_cards.ranking_id` has it.
        shas: commits of the checkpoints that have one.
    """

    ranking: str
    shas: frozenset[str]


def stage_of(job: JobInfo) -> str:
    """The Hub's word for what a Job does."""
    return str(getattr(job.status.stage, "value", job.status.stage))


def note_results(board: str | Path, repo_id: str, path: str) -> None:
    """Say in a file of a repository which scores a Job has pushed there; it names no checkpoint.

    Args:
        board: the Job's, as it was saved.
        repo_id: the dataset repository of the scores.
        path: of the file there.

    Raises:
        LeadHubError: there is no such board, or the Hub does not answer.
    """
    found = Leaderboard.load(board)
    document = found.to_document()
    ranking = ranking_id(document["dataset"], method=found.method, method_version=found.method_version)
    content = json.dumps({"ranking": ranking, "shas": sorted({row.sha for row in found.rows})}) + "\n"
    add = partial(access_of().api.upload_file, path_or_fileobj=content.encode(), path_in_repo=path, repo_id=repo_id)
    add = partial(add, repo_type="dataset", commit_message="Say which scores are of one Job")
    patiently(add, asked_for=f"a commit to {repo_id}")


def own_scores(path: str, repo_id: str, access: Access) -> OwnScores | None:
    """Which scores a Job says to have pushed; None where it says nothing.

    Raises:
        HubError: the Hub refused or could not be reached.
    """
    content = read_file(repo_id, path, api=access.api)
    try:
        told: Mapping[str, Any] = json.loads(content or b"null")
        return OwnScores(str(told["ranking"]), frozenset(map(str, told["shas"])))
    except (ValueError, KeyError, TypeError):
        return None


def collected(run: Recommendation, ended: Sequence[JobShare], repo_id: str) -> Leaderboard:
    """The board of what the Jobs say that they have pushed, and of the others why they have no score.

    Args:
        run: whose Jobs they are, of a dataset at one commit.
        ended: all of them.
        repo_id: the dataset repository of the scores.

    Raises:
        LeadHubError: no Job came to its end, or none says which scores are its own.
        HubError: the Hub refused or could not be reached.
    """
    told = "; ".join(sorted({share.reason for share in ended}))
    if not any(share.is_complete for share in ended):
        raise LeadHubError(f"a Job must come to its end, and none did: {told}")
    access = run.access
    found = [(share, own_scores(share.results_path, repo_id, access)) for share in ended if share.is_complete]
    own = [(share, scores) for share, scores in found if scores is not None]
    if not own:
        raise LeadHubError(f"a Job must say in {repo_id} which scores are its own, and none did: {told}")
    ranking = own[0][1].ranking
    document = read_scores(repo_id, api=access.api, dataset=str(run.dataset), method=run.methods[0], ranking=ranking)
    everything = Leaderboard.from_document(document)
    wanted = {
        (candidate.checkpoint, sha)
        for share, scores in own
        if scores.ranking == ranking
        for candidate in share.candidates
        for sha in scores.shas
    }
    rows = ranked(row for row in everything.rows if (row.checkpoint, row.sha) in wanted)
    scored = {row.checkpoint for row in rows}
    reasons = {candidate: share.reason for share in ended for candidate in share.candidates}
    skipped = tuple(
        Skipped(one.checkpoint, one.revision, "extract", reason)
        for one, reason in reasons.items()
        if one.checkpoint not in scored
    )
    return replace(everything, rows=rows, skipped=skipped, settings=run.settings, n_candidates=len(reasons))
