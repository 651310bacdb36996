"""A run on the Hub's machines: its candidates in shares, one Job each, their scores as cards in the user's repository.

Each Job is this command on a part of the candidates, then `lead-hub push`; the board is made of the cards. The token
goes to a Job as its secret, and nowhere else.
"""

import json
import re
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from huggingface_hub import DatasetInfo, JobInfo, get_token
from huggingface_hub.errors import (
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from lead_hub.access import Access
from lead_hub.candidates import Candidate
from lead_hub.errors import HubError, LeadHubError, redacted
from lead_hub.hub import TRANSPORT_ERROR, HubDownError, hub_address, patiently, why_refused
from lead_hub.leaderboard import Leaderboard
from lead_hub.recommendation.job_commands import CarriedCode, carried_code, job_script
from lead_hub.recommendation.job_results import JobShare, collected, stage_of
from lead_hub.recommendation.race_budget import AUTO
from lead_hub.recommendation.recommendation import Recommendation
from lead_hub.recommendation.shared_run import longest_first
from lead_hub.score_cards import HUB_ID

ENDED = ("COMPLETED", "CANCELED", "ERROR", "DELETED")
TIMEOUT = "12h"  # of a Job; the Hub's own is half an hour
LONGEST_SILENCE_S = 12 * 3600.0  # of the Hub while Jobs are followed: by then the last one has ended
ASKED_EVERY_S = 10.0
SERVER_ERRORS = 500  # and above: whether what was asked for was done, nobody knows
OWNED_ID = re.compile(r"[^/\s]+/[^/\s]+")


@dataclass(frozen=True)
class JobsRequest:
    """Where a run is carried out.

    Attributes:
        flavor: the Hub's name of the hardware, e.g. "l4x1".
        n_jobs: among how many Jobs the candidates are shared, at most one a candidate.
        repo_id: dataset repository that holds the results, created as a private one if it is missing; None means
            "lead-scores" of the user.
    """

    flavor: str
    n_jobs: int = 1
    repo_id: str | None = None

    def __post_init__(self) -> None:
        if self.n_jobs < 1:
            raise LeadHubError(f"the number of Jobs must be at least 1, found {self.n_jobs}")
        if self.repo_id is not None and not OWNED_ID.fullmatch(self.repo_id):
            raise LeadHubError(f"Jobs write to a dataset repository named 'user/name', found {self.repo_id!r}")


@dataclass(frozen=True, eq=False)
class JobsOwner:
    """Whose Jobs they are, and who is told of them.

    Attributes:
        user: in whose name they run.
        access: as whom the Hub is asked.
        tell: told in words what happens.
    """

    user: str
    access: Access
    tell: Callable[[str], object]


def run_on_jobs(
    run: Recommendation,
    candidates: Sequence[Candidate],
    request: JobsRequest,
    *,
    tell: Callable[[str], object],
    asked_every_s: float = ASKED_EVERY_S,
) -> Leaderboard:
    """Carry out a run as Jobs on the Hub, which cost what `price_per_hour` says; those that run are ended on an error.

    The board has the rows of the score cards, which know nothing of each other: chances to be best are not among them.

    Args:
        run: of a dataset on the Hub, without a budget; "auto" is the full run here.
        candidates: of the run, on the Hub.
        request: where.
        tell: told in words what happens.
        asked_every_s: seconds between two questions how the Jobs are.

    Raises:
        LeadHubError: the run is not one for Jobs, nobody is logged in, no Job gave a score, or one may still run.
        HubError: the Hub refused or could not be reached.
    """
    refuse_what_stays_here(run, candidates)
    access = run.access
    api, token = access.api, access.token if isinstance(access.token, str) else get_token()
    if access.token is False or token is None:
        raise LeadHubError("a Job runs under a login of the Hub, found none: `hf auth login`, or give a token")
    with refused_in_words():
        owner = JobsOwner(patiently(api.whoami, asked_for="who you are")["name"], access, tell)
        repo_id = request.repo_id or f"{owner.user}/lead-scores"
        ask = partial(api.dataset_info, str(run.dataset), revision=run.revision)
        dataset = patiently(ask, asked_for=f"the dataset {run.dataset}")
        refuse_public(repo_id, dataset, candidates, access)
        pinned = replace(run, revision=dataset.sha, budget=None)
        code = carried_code(repo_id, access)
        started: list[JobShare] = []
        try:
            for share in started_jobs(pinned, candidates, request, code, owner, token=token):
                started.append(share)  # noqa: PERF402 - those before a failure count
            ended = followed(started, owner, asked_every_s=asked_every_s)
        except BaseException as error:
            if left := end_jobs(started, owner):
                why = refusal_in_words(error)
                raise LeadHubError(f"{why}; {', '.join(left)} may still run, and cost money: end them there") from error
            raise
        return collected(pinned, ended, repo_id)


def started_jobs(
    run: Recommendation,
    candidates: Sequence[Candidate],
    request: JobsRequest,
    code: CarriedCode,
    owner: JobsOwner,
    *,
    token: str,
) -> Iterator[JobShare]:
    """Start the Jobs of a run, one after the other."""
    parts, run_id = shares(candidates, request.n_jobs), uuid.uuid4().hex[:12]
    for number, part in enumerate(parts, start=1):
        name, path = f"lead-hub-{run_id}-{number}-of-{len(parts)}", f"runs/{run_id}-{number}.json"
        start = partial(
            owner.access.api.run_job,
            image=f"python:{sys.version_info.major}.{sys.version_info.minor}",
            command=["bash", "-c", job_script(run, part, code, results_path=path)],
            secrets={"HF_TOKEN": token},
            flavor=request.flavor,
            timeout=TIMEOUT,
            namespace=owner.user,
            name=name,
        )
        job = started_once(start, name, owner)
        yield JobShare(job, part, path)
        owner.tell(f"Job {number} of {len(parts)} on {request.flavor}, {len(part)} checkpoints: {job.url}")


def started_once(start: Callable[[], JobInfo], name: str, owner: JobsOwner) -> JobInfo:
    """Start a Job. It is not asked for twice: an answer that is lost may be that of a Job that runs: it is looked for.

    Raises:
        HfHubHTTPError: the Hub refused it.
        LeadHubError: the answer was lost, and there is no such Job, or nobody can tell.
    """
    try:
        return start()
    except (TRANSPORT_ERROR, ConnectionError, json.JSONDecodeError) as error:
        if isinstance(error, HfHubHTTPError) and error.response.status_code < SERVER_ERRORS:
            raise
        lost = error
    look = partial(owner.access.api.list_jobs, namespace=owner.user, labels={"name": name})
    try:
        found = patiently(lambda: list(look()), asked_for=f"the Job {name}")
    except (HfHubHTTPError, HubDownError) as error:
        raise LeadHubError(
            f"the Hub's answer to the start of a Job was lost ({redacted(str(lost))}), and whether it runs cannot be"
            f" told: look for {name} at {hub_address(owner.access.api.endpoint)}/settings/jobs, and end it there"
        ) from error
    if not found:
        raise LeadHubError(f"the Hub must start a Job, and did not: {redacted(str(lost))}; try again") from lost
    owner.tell(f"the Hub's answer was lost, but the Job {name} is there")
    return found[0]


def refuse_public(repo_id: str, dataset: DatasetInfo, candidates: Sequence[Candidate], access: Access) -> None:
    """Refuse a repository that everybody may read for scores that not everybody may: no Job could write them there.

    Raises:
        LeadHubError: it is such a one.
        HfHubHTTPError, HubDownError: the Hub refused, or does not answer.
    """
    api = access.api
    try:
        if patiently(partial(api.dataset_info, repo_id), asked_for=f"the repository {repo_id}").private:
            return
    except RepositoryNotFoundError:  # made as a private one
        return
    private = [str(dataset.id)] if dataset.private is not False or dataset.gated else []
    for one in candidates if not private else ():
        ask = partial(api.model_info, one.checkpoint, revision=one.revision)
        with suppress(RepositoryNotFoundError, RevisionNotFoundError, HFValidationError):  # its Job will say so
            found = patiently(ask, asked_for=f"the model {one.checkpoint}")
            private += [one.checkpoint] if found.private is not False or found.gated else []
    if private:
        raise LeadHubError(
            f"scores of what not everybody may read belong in a private repository, but {repo_id} is public, and"
            f" {private[0]} is not: name another one with --jobs-to, or make it private"
        )


def refuse_what_stays_here(run: Recommendation, candidates: Sequence[Candidate]) -> None:
    """Refuse what a machine of the Hub cannot read, and a race, whose stages need all candidates at once.

    Raises:
        LeadHubError: it is such a run.
    """
    dataset = str(run.dataset)
    if Path(dataset).expanduser().exists() or not HUB_ID.fullmatch(dataset):
        raise LeadHubError(f"a Job reads its dataset from the Hub, found {dataset!r}: push it there, or run here")
    local = [candidate.checkpoint for candidate in candidates if candidate.folder]
    if local:
        raise LeadHubError(f"a Job reads its checkpoints from the Hub, found {local[0]!r}: leave it out, or run here")
    if run.budget not in (None, AUTO):
        raise LeadHubError("Jobs do not race, because each knows its own checkpoints alone: leave out the budget")
    if run.device != "auto":
        raise LeadHubError(f"a Job has the device of its flavour, found {run.device!r}: leave it out")


def shares(candidates: Sequence[Candidate], n_jobs: int) -> list[list[Candidate]]:
    """The candidates in at most so many parts that take about as long, as far as that is known."""
    queued = longest_first(candidates)
    return [queued[number::n_jobs] for number in range(min(n_jobs, len(queued)))]


def followed(jobs: Sequence[JobShare], owner: JobsOwner, *, asked_every_s: float) -> list[JobShare]:
    """Wait for all Jobs, telling of each when its stage changes; a Hub that does not answer is waited for as well.

    Raises:
        HubError: it did not for longer than a Job can run.
        RunCancelledError: nobody waits any more.
    """
    found: dict[int, JobInfo] = {}
    answered_s = time.monotonic()
    while True:
        try:
            for number, share in enumerate(jobs, start=1):
                if number in found and found[number].status.stage in ENDED:
                    continue
                ask = partial(owner.access.api.inspect_job, job_id=share.job.id, namespace=owner.user)
                now = patiently(ask, asked_for=f"the Job {share.job.id}", cancelled=owner.access.cancelled)
                answered_s = time.monotonic()
                if number not in found or found[number].status.stage != now.status.stage:
                    owner.tell(f"Job {number} of {len(jobs)}: {stage_of(now).lower()}")
                found[number] = now
        except HubError as error:
            if time.monotonic() - answered_s > LONGEST_SILENCE_S:
                raise
            owner.tell(f"the Jobs go on, but how they are cannot be asked for now: {error}")
        else:
            if all(job.status.stage in ENDED for job in found.values()):
                return [replace(share, job=found[number]) for number, share in enumerate(jobs, start=1)]
        owner.access.check_wanted()
        time.sleep(asked_every_s)


def end_jobs(jobs: Iterable[JobShare], owner: JobsOwner) -> list[str]:
    """End Jobs that may still run, because they cost money; the addresses of those that may run all the same."""
    left = []
    for share in jobs:
        ask = partial(owner.access.api.cancel_job, job_id=share.job.id, namespace=owner.user)
        try:
            patiently(ask, asked_for=f"the end of the Job {share.job.id}")
        except HfHubHTTPError:  # it has ended
            continue
        except (HubError, OSError, TRANSPORT_ERROR):  # nobody answers, and the others are still tried
            left.append(share.job.url)
    return left


def price_per_hour(flavor: str, access: Access) -> float | None:
    """US dollars that an hour of a Job costs; None where the Hub does not tell, or knows no such flavour."""
    try:
        known = patiently(access.api.list_jobs_hardware, asked_for="the hardware of Jobs")
    except (HfHubHTTPError, OfflineModeIsEnabled, HubDownError):
        return None
    hours = {"minute": 60.0, "hour": 1.0, "second": 3600.0}
    units = [(each.unit_cost_usd, each.unit_label) for each in known if each.name == flavor]
    return next((cost * hours[unit] for cost, unit in units if unit in hours), None)


REFUSALS = (TRANSPORT_ERROR, HFValidationError, OfflineModeIsEnabled, json.JSONDecodeError)


@contextmanager
def refused_in_words() -> Iterator[None]:
    """Within the block, the client's errors become a LeadHubError that says what to do."""
    try:
        yield
    except REFUSALS as error:
        raise LeadHubError(refusal_in_words(error)) from error


def refusal_in_words(error: BaseException) -> str:
    """What an error means for the Jobs of a run."""
    if not isinstance(error, REFUSALS):
        return str(error) or type(error).__name__
    refusal = why_refused(error, name="Jobs", noun="answer")
    return f"cannot run Jobs: {refusal.words if refusal else redacted(str(error))}"
