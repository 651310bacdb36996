"""Where a candidate's files are: a local folder as it is, a Hub repository downloaded at one commit."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import ModelCard, ModelCardData
from yaml import YAMLError

from lead_hub.candidates import Candidate
from lead_hub.errors import CandidateError
from lead_hub.hub_checkpoint import (
    HubCache,
    HubCheckpoint,
    check_disk,
    fetch,
    fetch_settings,
    has_weights,
    listed,
    missing,
    pin,
    weight_files,
)

CARD = "README.md"
CONFIGURATION = ("config.json", "preprocessor_config.json", "processor_config.json")
SAFETENSORS = ("model*.safetensors", "model.safetensors.index.json")
PICKLES = ("pytorch_model*.bin", "pytorch_model.bin.index.json")
HASH_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class CheckpointFiles:
    """A checkpoint on this machine's disk; of a Hub checkpoint perhaps not yet the weights.

    Attributes:
        folder: holds config, image processor and weights.
        sha: the Hub's commit (40 hex digits), or for a local folder the sha256 of the files that matter (64).
        licence: the licence identifier of the model card, or None where it names none.
        datasets: what it was trained on, as the model card says.
        pinned: the repository at its commit; None for a local folder.
    """

    folder: Path
    sha: str
    licence: str | None
    datasets: tuple[str, ...] = ()
    pinned: HubCheckpoint | None = None


def find_checkpoint(candidate: Candidate, *, cache: HubCache) -> CheckpointFiles:
    """Find a candidate and all of its files but the weights, downloading those that are not there yet.

    Raises:
        CandidateError: neither a folder nor a valid Hub id (stage "find"), or the Hub did not give its files
            (stage "download").
        HubDownError: the Hub does not answer, and the cache has no copy.
    """
    local = candidate.folder
    if local is None:
        pinned = pin(candidate, cache)
        folder, sha = fetch_settings(pinned, cache), pinned.sha
    elif candidate.revision:
        raise CandidateError(
            f"only a Hub repository has revisions, found '@{candidate.revision}' after the local folder"
            f" {candidate.checkpoint!r}: give the folder that holds the wanted version",
            stage="find",
        )
    else:
        patterns = CONFIGURATION + SAFETENSORS + (PICKLES if cache.allow_pickle else ())
        pinned, folder, sha = None, local, fingerprint(local, patterns)
    card = card_data(folder)
    licence = card.license if card else None
    named = card.datasets if card else None
    return CheckpointFiles(
        folder,
        sha=sha,
        licence=candidate.licence or (licence if isinstance(licence, str) else None),
        datasets=tuple(map(str, [named] if isinstance(named, str) else named or ())),
        pinned=pinned,
    )


def fetch_weights(
    files: CheckpointFiles, *, cache: HubCache, make_room: Callable[[int], None] | None = None
) -> tuple[Path, ...]:
    """Download a Hub checkpoint's weights where they are not there yet.

    Args:
        files: of `find_checkpoint`.
        cache: where to.
        make_room: called with the bytes to come before they do.

    Returns:
        The files that were downloaded; none of those that were there before.

    Raises:
        CandidateError: no weights that may be read, no room, or the Hub did not give them (stage "download").
        HubDownError: the Hub does not answer.
    """
    pinned = files.pinned
    if pinned is None or has_weights(files.folder, allow_pickle=cache.allow_pickle):
        return ()
    if pinned.files is None:
        pinned = listed(Candidate(pinned.checkpoint, revision=pinned.sha), cache)
    wanted = missing(weight_files(pinned, cache), pinned, cache)
    size_bytes = sum(file.size_bytes for file in wanted)
    if make_room:
        make_room(size_bytes)
    check_disk(size_bytes, pinned, cache)
    fetch(wanted, pinned, cache)
    return tuple(files.folder / file.name for file in wanted)


def fingerprint(folder: Path, patterns: tuple[str, ...]) -> str:
    """sha256 over names and contents of the files that can change a checkpoint's outputs."""
    digest = hashlib.sha256()
    for path in sorted({path for pattern in patterns for path in folder.glob(pattern)}):
        digest.update(f"{path.name}\0{path.stat().st_size}\0".encode())
        with path.open("rb") as file:
            while chunk := file.read(HASH_CHUNK_BYTES):
                digest.update(chunk)
    return digest.hexdigest()


def card_data(folder: Path) -> ModelCardData | None:
    """The model card's front matter; None without one that can be read."""
    card = folder / CARD
    if not card.is_file():
        return None
    try:
        data: ModelCardData = ModelCard.load(card, ignore_metadata_errors=True).data
    except (ValueError, OSError, YAMLError):
        return None
    return data
