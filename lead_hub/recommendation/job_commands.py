"""What a Job of the Hub runs: this very lead-hub on a share of the candidates, then a push of their scores.

What it installs are the versions that are installed here; lead-hub itself comes from the repository of the results.
"""

import hashlib
import io
import re
import shlex
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import partial
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import lead_hub
from lead_hub.access import Access
from lead_hub.candidates import Candidate
from lead_hub.checkpoint_outputs import MEASURE_VARIABLE
from lead_hub.errors import LeadHubError
from lead_hub.hub import patiently
from lead_hub.recommendation.recommendation import Recommendation

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


NOTE = """\
from lead_hub.recommendation import note_results
note_results("board.json", {repo_id!r}, {path!r})
"""


@dataclass(frozen=True)
class CarriedCode:
    """lead-hub as it is here, in the repository of the results."""

    repo_id: str
    path: str
    commit: str
    sha256: str


def job_script(run: Recommendation, candidates: Sequence[Candidate], code: CarriedCode, *, results_path: str) -> str:
    """What a Job runs: install, fetch this very lead-hub, rank, push the scores, and say which ones they are.

    Args:
        run: of which it does a share.
        candidates: the share.
        code: lead-hub, and the repository of the results.
        results_path: of the file there that says which scores the Job has pushed.
    """
    names = [each.checkpoint + (f"@{each.revision}" if each.revision else "") for each in candidates]
    chosen = [option for name in names for option in ("--candidates", name)] + arguments_of(run)
    fetch = FETCH.format(repo_id=code.repo_id, path=code.path, commit=code.commit, sha256=code.sha256)
    rank = ["python", "-m", "lead_hub", "recommend", str(run.dataset), *chosen, "--quiet", "--output", "board.json"]
    lines = (
        "set -eu",
        shlex.join(["pip", "install", "--quiet", "--no-cache-dir", *requirements()]),
        shlex.join(["python", "-c", fetch]),
        "export PYTHONPATH=code",
        f"export {MEASURE_VARIABLE}=0",  # one rule for all Jobs: the scores of all stand on one board
        f"{shlex.join(rank)} > board.txt || test -s board.json",
        shlex.join(["python", "-m", "lead_hub", "push", "board.json", "--to", code.repo_id, "--quiet"]),
        shlex.join(["python", "-c", NOTE.format(repo_id=code.repo_id, path=results_path)]),
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
        add = partial(api.upload_file, path_or_fileobj=content, path_in_repo=path, repo_id=repo_id)
        add = partial(add, repo_type="dataset", commit_message="Add lead-hub, for its Jobs")
        patiently(add, asked_for=f"a commit to {repo_id}")
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
