"""Where a candidate's files are: a local folder as it is, a Hub repository downloaded at one commit."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import HfApi, ModelCard
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # public, exported lazily
from yaml import YAMLError

from lead_hub.candidates import Candidate
from lead_hub.errors import CandidateError

CARD = "README.md"
CONFIGURATION = ("config.json", "preprocessor_config.json", "processor_config.json")
SAFETENSORS = ("model*.safetensors", "model.safetensors.index.json")
PICKLES = ("pytorch_model*.bin", "pytorch_model.bin.index.json")
HASH_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class CheckpointFiles:
    """A checkpoint on this machine's disk.

    Attributes:
        folder: holds config, image processor and weights.
        sha: the Hub's commit (40 hex digits), or for a local folder the sha256 of the files that matter (64).
        licence: the licence identifier of the model card, or None where it names none.
    """

    folder: Path
    sha: str
    licence: str | None


def fetch_checkpoint(
    candidate: Candidate, *, api: HfApi, cache_dir: Path | None = None, allow_pickle: bool = False
) -> CheckpointFiles:
    """Find a candidate's files, downloading those that are needed and not there yet.

    Raises:
        CandidateError: neither a folder nor a valid Hub id (stage "find"), or the Hub did not give its files
            (stage "download").
    """
    patterns = CONFIGURATION + SAFETENSORS + (PICKLES if allow_pickle else ())
    local = candidate.folder
    if local is None:
        folder = download(candidate, [*patterns, CARD], api=api, cache_dir=cache_dir)
        return CheckpointFiles(folder, sha=folder.name, licence=candidate.licence or card_licence(folder))
    if candidate.revision:
        raise CandidateError(
            f"only a Hub repository has revisions, found '@{candidate.revision}' after the local folder"
            f" {candidate.checkpoint!r}: give the folder that holds the wanted version",
            stage="find",
        )
    return CheckpointFiles(local, sha=fingerprint(local, patterns), licence=candidate.licence or card_licence(local))


def download(candidate: Candidate, patterns: list[str], *, api: HfApi, cache_dir: Path | None) -> Path:
    """The snapshot folder of a Hub repository, named by its commit."""
    try:
        validate_repo_id(candidate.checkpoint)
        return Path(
            api.snapshot_download(
                candidate.checkpoint,
                revision=candidate.revision,
                allow_patterns=patterns,
                cache_dir=cache_dir,
            )
        )
    except HFValidationError as error:
        raise CandidateError(
            "a candidate must be an existing checkpoint folder or a Hub id such as 'org/name', found"
            f" {candidate.checkpoint!r}: check the spelling or the working directory",
            stage="find",
        ) from error
    except (HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError) as error:
        raise CandidateError(why_no_download(candidate, error), stage="download") from error


def why_no_download(candidate: Candidate, error: Exception) -> str:
    """What the Hub's answer means for this candidate, and what to do about it."""
    name = candidate.checkpoint + (f"@{candidate.revision}" if candidate.revision else "")
    if isinstance(error, GatedRepoError):
        return f"{name} is gated: ask for access on its Hub page, then log in with `hf auth login` or pass a token"
    if isinstance(error, RepositoryNotFoundError):
        return f"{name} is no local folder and the Hub has no such model, or it is private: check the id, or log in"
    if isinstance(error, RevisionNotFoundError):
        return f"{name}: the repository exists, this revision does not: check the branch, tag or commit"
    if isinstance(error, (LocalEntryNotFoundError, OfflineModeIsEnabled)):
        return f"{name} is no local folder, is not in the cache, and the Hub cannot be reached: go online once"
    return f"{name} could not be downloaded: {error}"


def fingerprint(folder: Path, patterns: tuple[str, ...]) -> str:
    """sha256 over names and contents of the files that can change a checkpoint's outputs."""
    digest = hashlib.sha256()
    for path in sorted({path for pattern in patterns for path in folder.glob(pattern)}):
        digest.update(f"{path.name}\0{path.stat().st_size}\0".encode())
        with path.open("rb") as file:
            while chunk := file.read(HASH_CHUNK_BYTES):
                digest.update(chunk)
    return digest.hexdigest()


def card_licence(folder: Path) -> str | None:
    """The licence that the model card's front matter names; a card that cannot be read names none."""
    card = folder / CARD
    if not card.is_file():
        return None
    try:
        licence = ModelCard.load(card, ignore_metadata_errors=True).data.license
    except (ValueError, OSError, YAMLError):
        return None
    return licence if isinstance(licence, str) else None
