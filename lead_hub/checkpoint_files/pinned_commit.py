"""Which commit of a repository is meant, and what it holds: asked of the Hub only where the cache cannot tell."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import HfApi, constants
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import ModelInfo
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # public, exported lazily

from lead_hub.candidates import Candidate
from lead_hub.errors import CandidateError
from lead_hub.hub import LOGIN_ADVICE, TIMEOUT_S, HubDownError, patiently

PROCESSORS = ("preprocessor_config.json", "processor_config.json")
COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class RemoteFile:
    """One file of a repository.

    Attributes:
        name: path in the repository.
        size_bytes: its size.
        sha256: of the content, for large files; else None.
        git_sha1: git's object id of the content, for the others.
    """

    name: str
    size_bytes: int
    sha256: str | None
    git_sha1: str | None


@dataclass(frozen=True)
class HubCheckpoint:
    """A repository at one commit.

    Attributes:
        checkpoint: Hub id.
        sha: the commit, 40 hex digits.
        files: all files of the commit; None where the cache had what was needed and the Hub was not asked.
    """

    checkpoint: str
    sha: str
    files: tuple[RemoteFile, ...] | None


@dataclass(frozen=True)
class HubCache:
    """The client and the folder that it downloads to.

    Attributes:
        api: asks as the user.
        folder: the Hub cache.
        allow_pickle: whether pickled weights may be downloaded where there are no safetensors.
        offline: ask the Hub for nothing, because it did not answer before.
        cancelled: whether the run is over; a download that finds so ends at once.
    """

    api: HfApi
    folder: Path
    allow_pickle: bool = False
    offline: bool = False
    cancelled: Callable[[], bool] = bool

    def snapshot(self, checkpoint: str, sha: str) -> Path:
        """Where the files of a commit lie."""
        return self.folder / f"models--{checkpoint.replace('/', '--')}" / "snapshots" / sha


def default_hub_cache() -> Path:
    """The user's own Hub cache."""
    return Path(constants.HF_HUB_CACHE)


def pin(candidate: Candidate, cache: HubCache) -> HubCheckpoint:
    """Which commit is meant, asking the Hub only where the cache cannot tell.

    Raises:
        CandidateError: no valid id (stage "find"), or the Hub does not give it to this user (stage "download").
        HubDownError: the Hub does not answer and the cache has no copy.
    """
    name = candidate.checkpoint
    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise CandidateError(
            f"a candidate must be an existing checkpoint folder or a Hub id such as 'org/name', found {name!r}: check"
            " the spelling or the working directory",
            stage="find",
        ) from error
    revision = candidate.revision or ""
    if COMMIT.fullmatch(revision) and has_settings(cache.snapshot(name, revision)):
        return HubCheckpoint(name, revision, None)
    try:
        pinned = listed(candidate, cache)
    except (OfflineModeIsEnabled, HubDownError) as error:
        copy = cached_copy(candidate, cache)
        if copy:
            return HubCheckpoint(name, copy, None)
        if isinstance(error, HubDownError):
            raise
        raise CandidateError(
            f"{named(candidate)} is no local folder, is not in the cache, and the Hub cannot be reached in offline"
            " mode: go online once",
            stage="download",
        ) from error
    note_branch(pinned, candidate, cache)
    return pinned


def note_branch(pinned: HubCheckpoint, candidate: Candidate, cache: HubCache) -> None:
    """Note in the cache which commit a branch or tag was, as the client's own downloads by branch do, for offline."""
    revision = candidate.revision or constants.DEFAULT_REVISION
    if not COMMIT.fullmatch(revision):
        reference = cache.snapshot(pinned.checkpoint, pinned.sha).parents[1] / "refs" / revision
        reference.parent.mkdir(parents=True, exist_ok=True)
        reference.write_text(pinned.sha, encoding="utf-8")


def listed(candidate: Candidate, cache: HubCache) -> HubCheckpoint:
    """The commit and its files, from the Hub.

    Raises:
        CandidateError: the Hub does not give it to this user (stage "download").
        HubDownError: the Hub does not answer, or did not before.
    """
    if cache.offline:
        raise HubDownError(f"{constants.ENDPOINT} did not answer before and was not asked again for {named(candidate)}")
    try:
        info: ModelInfo = patiently(
            lambda: cache.api.model_info(
                candidate.checkpoint, revision=candidate.revision, files_metadata=True, timeout=TIMEOUT_S
            ),
            asked_for=f"the model {candidate.checkpoint}",
            cancelled=cache.cancelled,
        )
    except OfflineModeIsEnabled:
        raise
    except (HfHubHTTPError, HFValidationError) as error:
        raise CandidateError(why_refused(candidate, error), stage="download") from error
    if info.sha is None:
        raise CandidateError(f"{named(candidate)} must have a commit, the Hub names none", stage="download")
    files = tuple(
        RemoteFile(
            name=file.rfilename,
            size_bytes=file.size or 0,
            sha256=file.lfs.sha256 if file.lfs else None,
            git_sha1=None if file.lfs else file.blob_id,
        )
        for file in info.siblings or ()
    )
    return HubCheckpoint(candidate.checkpoint, info.sha, files)


def cached_copy(candidate: Candidate, cache: HubCache) -> str | None:
    """The commit of the copy in the cache, None without one."""
    try:
        folder = cache.api.snapshot_download(
            candidate.checkpoint,
            revision=candidate.revision,
            allow_patterns=["config.json"],
            cache_dir=cache.folder,
            local_files_only=True,
        )
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, OSError):
        return None
    return Path(folder).name if has_settings(Path(folder)) else None


def has_settings(folder: Path) -> bool:
    """Whether config and image processor are there; a timm config describes its processor itself."""
    config = folder / "config.json"
    if not config.is_file():
        return False
    return any((folder / name).is_file() for name in PROCESSORS) or b'"pretrained_cfg"' in config.read_bytes()


def named(candidate: Candidate) -> str:
    return candidate.checkpoint + (f"@{candidate.revision}" if candidate.revision else "")


def why_refused(candidate: Candidate, error: Exception) -> str:
    """What the Hub's answer means for this candidate, in the Hub's own words, and what to do about it."""
    name = named(candidate)
    words = getattr(error, "server_message", None)
    said = f" (the Hub says: {words})" if words else ""
    page = f"{constants.ENDPOINT}/{candidate.checkpoint}"
    if isinstance(error, GatedRepoError):
        return f"{name} is gated: ask for access on its Hub page {page}, then {LOGIN_ADVICE}{said}"
    if isinstance(error, RepositoryNotFoundError):
        return (
            f"{name} is no local folder and the Hub has no such model, or it is private: check the id, or log in{said}"
        )
    if isinstance(error, RevisionNotFoundError):
        return f"{name}: the repository exists, this revision does not: check the branch, tag or commit{said}"
    return f"{name} could not be downloaded: {error}"
