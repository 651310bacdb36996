"""Which commit of a repository is meant, and what it holds: asked of the Hub only where the cache cannot tell."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import constants
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled
from huggingface_hub.hf_api import ModelInfo
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # public, exported lazily

from lead_hub.access import Access
from lead_hub.candidates import Candidate
from lead_hub.checkpoint_files.checked_folder import PROCESSORS
from lead_hub.errors import CandidateError
from lead_hub.hub import TIMEOUT_S, AnnouncedHash, HubDownError, is_commit, why_refused, write_text_whole


@dataclass(frozen=True)
class RemoteFile:
    """One file of a repository: its path there, and what the Hub announces of its content."""

    name: str
    announced: AnnouncedHash

    @property
    def size_bytes(self) -> int:
        """Its size; 0 where the Hub does not tell."""
        return self.announced.size_bytes or 0


@dataclass(frozen=True)
class HubCheckpoint:
    """A repository at one commit.

    Attributes:
        checkpoint: Hub id.
        sha: the commit, 40 hex digits.
        files: all files of the commit; None where the cache had what was needed and the Hub was not asked.
        is_private: False only where the Hub said that everybody may read it.
    """

    checkpoint: str
    sha: str
    files: tuple[RemoteFile, ...] | None
    is_private: bool = True


def snapshot(checkpoint: str, sha: str, access: Access) -> Path:
    """Where the files of a commit lie in the Hub cache."""
    return access.hub_folder / f"models--{checkpoint.replace('/', '--')}" / "snapshots" / sha


def pin(candidate: Candidate, access: Access) -> HubCheckpoint:
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
    if is_commit(revision) and has_settings(snapshot(name, revision, access)):
        return HubCheckpoint(name, revision, None)
    try:
        pinned = listed(candidate, access)
    except (OfflineModeIsEnabled, HubDownError) as error:
        copy = cached_copy(candidate, access)
        if copy:
            return HubCheckpoint(name, copy, None)
        if isinstance(error, HubDownError):
            raise
        raise CandidateError(
            f"{named(candidate)} is no local folder, is not in the cache, and the Hub cannot be reached in offline"
            " mode: go online once",
            stage="download",
        ) from error
    note_branch(pinned, candidate, access=access)
    return pinned


def note_branch(pinned: HubCheckpoint, candidate: Candidate, *, access: Access) -> None:
    """Note in the cache which commit a branch or tag was, as the client's own downloads by branch do, for offline."""
    revision = candidate.revision or constants.DEFAULT_REVISION
    if not is_commit(revision):
        reference = snapshot(pinned.checkpoint, pinned.sha, access).parents[1] / "refs" / revision
        with suppress(OSError):  # a cache that may only be read
            if not reference.is_file() or reference.read_text(encoding="utf-8") != pinned.sha:
                write_text_whole(reference, pinned.sha)


def listed(candidate: Candidate, access: Access) -> HubCheckpoint:
    """The commit and its files, from the Hub.

    Raises:
        CandidateError: the Hub does not give it to this user (stage "download").
        HubDownError: the Hub does not answer, or did not before.
    """
    if access.hub_is_down:
        raise HubDownError(f"{constants.ENDPOINT} did not answer before and was not asked again for {named(candidate)}")
    try:
        info: ModelInfo = access.ask(
            lambda: access.api.model_info(
                candidate.checkpoint, revision=candidate.revision, files_metadata=True, timeout=TIMEOUT_S
            ),
            asked_for=f"the model {candidate.checkpoint}",
        )
    except OfflineModeIsEnabled:
        raise
    except (HfHubHTTPError, HFValidationError) as error:
        raise refused(candidate, error) from error
    if info.sha is None:
        raise CandidateError(f"{named(candidate)} must have a commit, the Hub names none", stage="download")
    files = tuple(
        RemoteFile(
            file.rfilename,
            AnnouncedHash(
                size_bytes=file.size or 0,
                sha256=file.lfs.sha256 if file.lfs else None,
                git_sha1=None if file.lfs else file.blob_id,
            ),
        )
        for file in info.siblings or ()
    )
    is_open = info.private is False and info.gated is False
    return HubCheckpoint(candidate.checkpoint, info.sha, files, is_private=not is_open)


def cached_copy(candidate: Candidate, access: Access) -> str | None:
    """The commit of the copy in the cache, None without one."""
    try:
        folder = access.api.snapshot_download(
            candidate.checkpoint,
            revision=candidate.revision,
            allow_patterns=["config.json"],
            cache_dir=access.hub_folder,
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
    """A candidate as the user would say it."""
    return candidate.checkpoint + (f"@{candidate.revision}" if candidate.revision else "")


def refused(candidate: Candidate, error: BaseException) -> CandidateError:
    """What the Hub's answer means for this candidate (stage "download")."""
    refusal = why_refused(error, name=named(candidate), noun="model")
    words = refusal.words if refusal else f"{named(candidate)} could not be downloaded: {error}"
    is_maybe_a_path = refusal is not None and refusal.kind == "missing"
    return CandidateError(
        f"there is no local folder of that name, and {words}" if is_maybe_a_path else words, stage="download"
    )
