"""A run on the Hub's machines: its candidates in shares, one Job each, their scores as cards in the user's repository.

Each Job is this command on a part of the candidates, then `lead-hub push`; the board is made of the cards. What it
installs are the versions that are installed here, and lead-hub itself as it is here, from the same repository at one
commit. The token goes to a Job as its secret, and nowhere else.
"""

import hashlib
import io
import json
import re
import shlex
import sys
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields, replace
from functools import partial
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from huggingface_hub import JobInfo, get_token
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

import lead_hub
from lead_hub.access import Access
from lead_hub.candidates import Candidate
from lead_hub.errors import LeadHubError, redacted
from lead_hub.hub import HubDownError, patiently, why_refused
from lead_hub.leaderboard import Leaderboard, Skipped
from lead_hub.leaderboard import rank as ranked
from lead_hub.recommendation.race_budget import AUTO
from lead_hub.recommendation.recommendation import Recommendation
from lead_hub.recommendation.shared_run import longest_first
from lead_hub.score_cards import HUB_ID

ENDED = ("COMPLETED", "CANCELED", "ERROR", "DELETED")
TIMEOUT = "12h"  # of a Job; the Hub's own is half an hour
ASKED_EVERY_S = 10.0
NAME = re.compile(r"[A-Za-z0-9._-]+")
# Of the package, what a Job needs: neither the demo's checkpoints nor the benchmarks' outputs.
CARRIED = ("*.py", "py.typed", "model_index.json", "calibration.json", "outcomes.csv")
OPTIONS = (
    *("config", "split", "image_column", "label_column", "group_column", "max_images", "seed"),
    *("batch_size", "dtype", "max_disk", "reuse_cards"),
)
FETCH = """\
import hashlib, pathlib, zipfile
from huggingface_hub import hf_hub_download
file = hf_hub_download({repo_id!r}, {path!r}, repo_type="dataset", revision={commit!r})
assert hashlib.sha256(pathlib.Path(file).read_bytes()).hexdigest() == {sha256!r}
zipfile.ZipFile(file).extractall("code")
"""


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


@dataclass(frozen=True)
class CarriedCode:
    """lead-hub as it is here, in the repository of the results."""

    repo_id: str
    path: str
    commit: str
    sha256: str


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
        LeadHubError: the run is not one for Jobs, nobody is logged in, or no Job gave a score.
        HubError: the Hub refused or could not be reached.
    """
    refuse_what_stays_here(run, candidates)
    access = run.access
    api, token = access.api, access.token if isinstance(access.token, str) else get_token()
    if access.token is False or token is None:
        raise LeadHubError("a Job runs under a login of the Hub, found none: `hf auth login`, or give a token")
    with refused_in_words("run Jobs"):
        user = patiently(api.whoami, asked_for="who you are")["name"]
        repo_id = request.repo_id or f"{user}/lead-scores"
        ask = partial(api.dataset_info, str(run.dataset), revision=run.revision)
        pinned = replace(run, revision=patiently(ask, asked_for=f"the dataset {run.dataset}").sha, budget=None)
        code = carried_code(repo_id, access)
        jobs: dict[str, Sequence[Candidate]] = {}
        try:
            parts = shares(candidates, request.n_jobs)
            for number, part in enumerate(parts, start=1):
                # Not asked twice: an answer that is lost may be that of a Job that runs.
                job = api.run_job(
                    image=f"python:{sys.version_info.major}.{sys.version_info.minor}",
                    command=["bash", "-c", job_script(pinned, part, code)],
                    secrets={"HF_TOKEN": token},
                    flavor=request.flavor,
                    timeout=TIMEOUT,
                    namespace=user,
                    name=f"lead-hub-{number}-of-{len(parts)}",
                )
                jobs[job.id] = part
                tell(f"Job {number} of {len(parts)} on {request.flavor}, {len(part)} checkpoints: {job.url}")
            ended = followed(jobs, user, access, tell=tell, asked_every_s=asked_every_s)
        except BaseException:
            cancel(jobs, user, access)
            raise
    return collected(pinned, [(ended[job], part) for job, part in jobs.items()], repo_id)


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


def job_script(run: Recommendation, candidates: Sequence[Candidate], code: CarriedCode) -> str:
    """What a Job runs: install, fetch this very lead-hub, rank, push the scores."""
    names = [each.checkpoint + (f"@{each.revision}" if each.revision else "") for each in candidates]
    chosen = [option for name in names for option in ("--candidates", name)] + arguments_of(run)
    fetch = FETCH.format(repo_id=code.repo_id, path=code.path, commit=code.commit, sha256=code.sha256)
    rank = ["python", "-m", "lead_hub", "recommend", str(run.dataset), *chosen, "--quiet", "--output", "board.json"]
    lines = (
        "set -eu",
        shlex.join(["pip", "install", "--quiet", "--no-cache-dir", *requirements()]),
        shlex.join(["python", "-c", fetch]),
        "export PYTHONPATH=code",
        f"{shlex.join(rank)} > board.txt || test -s board.json",
        shlex.join(["python", "-m", "lead_hub", "push", "board.json", "--to", code.repo_id, "--quiet"]),
    )
    return "\n".join(lines)


def arguments_of(run: Recommendation) -> list[str]:
    """A run's choices as the command line takes them, but the dataset and the candidates; never the token.

    No Job races: a share's race would leave scores of few images, and a card holds none.
    """
    usual = {each.name: each.default for each in fields(Recommendation)}
    chosen = {name: getattr(run, name) for name in OPTIONS if getattr(run, name) != usual[name]}
    options = [part for name, value in chosen.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    options += ["--allow-pickle"] if run.allow_pickle else []
    options += ["--revision", run.revision] if run.revision else []
    return [*options, *(part for method in run.methods for part in ("--score", method)), "--budget", "none"]


def requirements() -> list[str]:
    """What lead-hub needs, each in the version that is installed here, as everybody can install it.

    Raises:
        LeadHubError: lead-hub runs here without being installed.
    """
    try:
        needed = [NAME.match(text) for text in requires("lead-hub") or () if "extra ==" not in text]
    except PackageNotFoundError as error:
        raise LeadHubError("Jobs install what is installed here, but lead-hub is not: `pip install .`") from error
    # A build of one's own hardware, such as 2.9.1+cpu, is no package of the index: the version stands without it.
    return [f"{name[0]}=={version(name[0]).partition('+')[0]}" for name in needed if name]


def carried_code(repo_id: str, access: Access) -> CarriedCode:
    """Put lead-hub as it is here into the repository, unless it is there."""
    api, content = access.api, package_archive()
    sha256 = hashlib.sha256(content).hexdigest()
    path = f"code/lead_hub-{sha256[:12]}.zip"
    make = partial(api.create_repo, repo_id, repo_type="dataset", private=True, exist_ok=True)
    patiently(make, asked_for=f"the repository {repo_id}")
    find = partial(api.file_exists, repo_id, path, repo_type="dataset")
    if not patiently(find, asked_for=f"the files of {repo_id}"):
        api.upload_file(
            path_or_fileobj=content,
            path_in_repo=path,
            repo_id=repo_id,
            repo_type="dataset",
            commit_message="Add lead-hub, for its Jobs",
        )
    commit = patiently(partial(api.dataset_info, repo_id), asked_for=f"the repository {repo_id}").sha
    return CarriedCode(repo_id, path, commit or "main", sha256)


def package_archive() -> bytes:
    """The package as a zip, the same bytes for the same files."""
    package = Path(lead_hub.__file__).parent
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted({file for pattern in CARRIED for file in package.rglob(pattern)}):
            place = f"lead_hub/{file.relative_to(package).as_posix()}"
            archive.writestr(zipfile.ZipInfo(place), file.read_bytes(), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def followed(
    jobs: Mapping[str, Sequence[Candidate]],
    user: str,
    access: Access,
    *,
    tell: Callable[[str], object],
    asked_every_s: float,
) -> dict[str, JobInfo]:
    """Wait for all Jobs, telling of each when its stage changes."""
    found: dict[str, JobInfo] = {}
    while True:
        for number, job in enumerate(jobs, start=1):
            if job in found and found[job].status.stage in ENDED:
                continue
            ask = partial(access.api.inspect_job, job_id=job, namespace=user)
            now = patiently(ask, asked_for=f"the Job {job}", cancelled=access.cancelled)
            if job not in found or found[job].status.stage != now.status.stage:
                tell(f"Job {number} of {len(jobs)}: {stage_of(now).lower()}")
            found[job] = now
        if all(job.status.stage in ENDED for job in found.values()):
            return found
        access.check_wanted()
        time.sleep(asked_every_s)


def stage_of(job: JobInfo) -> str:
    """The Hub's word for what a Job does."""
    return str(getattr(job.status.stage, "value", job.status.stage))


def cancel(jobs: Iterable[str], user: str, access: Access) -> None:
    """End Jobs that may still run, because they cost money."""
    for job in jobs:
        with suppress(HfHubHTTPError, OSError):  # one that has ended; or nobody answers, and the others are still tried
            access.api.cancel_job(job_id=job, namespace=user)


def collected(run: Recommendation, ended: Sequence[tuple[JobInfo, Sequence[Candidate]]], repo_id: str) -> Leaderboard:
    """The board of what the Jobs have pushed, and of the others why they have no score.

    Raises:
        LeadHubError: no Job came to its end.
    """
    reasons = {one: reason_of(job) for job, part in ended for one in part}
    if all(stage_of(job) != "COMPLETED" for job, _ in ended):
        raise LeadHubError(f"a Job must come to its end, and none did: {'; '.join(sorted(set(reasons.values())))}")
    everything = Leaderboard.from_hub(repo_id, dataset=str(run.dataset), method=run.methods[0], token=run.token)
    if everything.dataset.sha != run.revision:
        raise LeadHubError(
            f"{repo_id} must hold scores on {run.dataset}@{run.revision}, found those on @{everything.dataset.sha}:"
            f" {'; '.join(sorted(set(reasons.values())))}"
        )
    names = {one.checkpoint for one in reasons}
    rows = ranked(row for row in everything.rows if row.checkpoint in names)
    scored = {row.checkpoint for row in rows}
    skipped = tuple(
        Skipped(one.checkpoint, one.revision, "extract", reason)
        for one, reason in reasons.items()
        if one.checkpoint not in scored
    )
    return replace(everything, rows=rows, skipped=skipped, settings=run.settings, n_candidates=len(reasons))


def reason_of(job: JobInfo) -> str:
    """Why a candidate of a Job has no score, as far as the Hub tells."""
    if stage_of(job) == "COMPLETED":
        return f"its Job gave no score for it, and its log says why: {job.url}"
    said = redacted(" ".join((job.status.message or "no reason given").split()))
    return f"its Job must come to its end, it is {stage_of(job).lower()} ({said}): see {job.url}"


def price_per_hour(flavor: str, access: Access) -> float | None:
    """US dollars that an hour of a Job costs; None where the Hub does not tell, or knows no such flavour."""
    try:
        known = patiently(access.api.list_jobs_hardware, asked_for="the hardware of Jobs")
    except (HfHubHTTPError, OfflineModeIsEnabled, HubDownError):
        return None
    hours = {"minute": 60.0, "hour": 1.0, "second": 3600.0}
    units = [(each.unit_cost_usd, each.unit_label) for each in known if each.name == flavor]
    return next((cost * hours[unit] for cost, unit in units if unit in hours), None)


@contextmanager
def refused_in_words(to: str) -> Iterator[None]:
    """Within the block, the client's errors become a LeadHubError that says what to do."""
    try:
        yield
    except (HfHubHTTPError, HFValidationError, OfflineModeIsEnabled, json.JSONDecodeError) as error:
        refusal = why_refused(error, name="Jobs", noun="answer")
        raise LeadHubError(f"cannot {to}: {refusal.words if refusal else redacted(str(error))}") from error
