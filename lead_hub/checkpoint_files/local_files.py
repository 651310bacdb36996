"""A candidate -> its files on this machine: a local folder as it is, of a Hub repository what is needed, at one commit.

Needed are config, image processor, card, and one format of the weights.
"""

import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from huggingface_hub import ModelCard, ModelCardData, try_to_load_from_cache
from huggingface_hub.errors import HFValidationError, OfflineModeIsEnabled
from yaml import YAMLError

from lead_hub.access import Access
from lead_hub.candidates import Candidate
from lead_hub.checkpoint_files.checked_folder import (
    ADAPTER,
    CONFIGURATION,
    PICKLE_PATTERNS,
    PICKLES,
    SAFETENSORS,
    SAFETENSORS_PATTERNS,
    check_json_size,
    check_plain_files,
    check_weights,
)
from lead_hub.checkpoint_files.pinned_commit import HubCheckpoint, RemoteFile, listed, pin, refused, snapshot
from lead_hub.checkpoint_files.verified_download import check_disk, fetch, missing, verify
from lead_hub.errors import CandidateError
from lead_hub.hub import files_sha256, in_utf_8

CARD = "README.md"
MOST_CARD_BYTES = 4 << 20
SETTINGS = (*CONFIGURATION, CARD)


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

    @property
    def is_private(self) -> bool:
        """False only for a repository of which the Hub said in this run that everybody may read it."""
        return self.pinned is None or self.pinned.is_private


def find_checkpoint(candidate: Candidate, access: Access) -> CheckpointFiles:
    """Find a candidate and all of its files but the weights, downloading those that are not there yet.

    Nothing that was kept of a checkpoint is used before this: a folder that is refused is refused, whether or not
    another one with the same weights was run.

    Raises:
        CandidateError: neither a folder nor a valid Hub id (stage "find"), the Hub did not give its files or has none
            that may be read (stage "download"), or a folder cannot be a checkpoint's (stage "load").
        HubDownError: the Hub does not answer, and the cache has no copy.
    """
    if in_utf_8(candidate.checkpoint) != candidate.checkpoint:  # no board could name it, and no card
        raise CandidateError(
            "a candidate must be a Hub id or a folder's path of UTF-8 characters, found"
            f" {candidate.checkpoint!r}: rename the folder, or name a link to it",
            stage="find",
        )
    local = candidate.folder
    if local is None:
        pinned = pin(candidate, access)
        check_offered(pinned, access)
        folder, sha = fetch_settings(pinned, access), pinned.sha
        check_plain_files(folder, allow_pickle=access.allow_pickle)
    elif candidate.revision:
        raise CandidateError(
            f"only a Hub repository has revisions, found '@{candidate.revision}' after the local folder"
            f" {candidate.checkpoint!r}: give the folder that holds the wanted version",
            stage="find",
        )
    else:
        check_weights(local, allow_pickle=access.allow_pickle)
        patterns = CONFIGURATION + SAFETENSORS_PATTERNS + (PICKLE_PATTERNS if access.allow_pickle else ())
        pinned, folder, sha = None, local, content_sha(local, patterns)
    card = card_data(folder)
    licence = card.license if card else None
    return CheckpointFiles(
        folder,
        sha=sha,
        licence=candidate.licence or (licence if isinstance(licence, str) else None),
        datasets=names_in(card.datasets if card else None),
        pinned=pinned,
    )


def fetch_weights(
    files: CheckpointFiles, access: Access, *, make_room: Callable[[int], None] | None = None
) -> tuple[Path, ...]:
    """Download a Hub checkpoint's weights where they are not there yet.

    Args:
        files: of `find_checkpoint`.
        access: whose token, and where to.
        make_room: called with the bytes to come before they do.

    Returns:
        The files that were downloaded; none of those that were there before.

    Raises:
        CandidateError: no weights that may be read, no room, or the Hub did not give them (stage "download").
        HubDownError: the Hub does not answer.
    """
    pinned = files.pinned
    if pinned is None:
        return ()
    if has_weights(files.folder, allow_pickle=access.allow_pickle):
        verify(weights_there(files.folder, allow_pickle=access.allow_pickle), pinned, access)
        return ()
    if pinned.files is None:
        pinned = listed(Candidate(pinned.checkpoint, revision=pinned.sha), access)
    offered = weight_files(pinned, access)
    wanted = missing(offered, pinned, access)
    size_bytes = sum(file.size_bytes for file in wanted)
    if make_room:
        make_room(size_bytes)
    check_disk(size_bytes, pinned, access)
    fetch(wanted, pinned, access)
    verify([file.name for file in offered], pinned, access)
    return tuple(files.folder / file.name for file in wanted)


def check_offered(pinned: HubCheckpoint, access: Access) -> None:
    """Refuse a repository that offers no weights that may be read, or only half a checkpoint.

    Raises:
        CandidateError: so it is, as far as the listing, or else the cache, can tell (stage "download").
    """
    if pinned.files is None:
        folder = snapshot(pinned.checkpoint, pinned.sha, access)
        has_pickles = not access.allow_pickle and has_weights(folder, allow_pickle=True)
        if has_pickles and not has_weights(folder, allow_pickle=False):
            raise without_weights(pinned, [name for name in PICKLES if (folder / name).is_file()])
        return
    if any(file.name == ADAPTER for file in pinned.files):
        raise CandidateError(
            f"a checkpoint must hold all of its weights, {pinned.checkpoint}@{pinned.sha} holds an adapter: merge it"
            " into its base model",
            stage="download",
        )
    weight_files(pinned, access)


def content_sha(folder: Path, patterns: tuple[str, ...]) -> str:
    """sha256 over names and contents of the files that can change a checkpoint's outputs."""
    found = {path for pattern in patterns for path in folder.glob(pattern)}
    return files_sha256(
        ((path.name, path) for path in found), heading=lambda name, size_bytes: f"{name}\0{size_bytes}\0"
    )


def card_data(folder: Path) -> ModelCardData | None:
    """The model card's front matter; None without one that can be read."""
    card = folder / CARD
    if not card.is_file() or card.stat().st_size > MOST_CARD_BYTES:
        return None
    try:
        data: ModelCardData = ModelCard.load(card, ignore_metadata_errors=True).data
    except (ValueError, TypeError, AttributeError, RecursionError, OSError, YAMLError):  # as strangers write it
        return None
    return data


def names_in(field: object) -> tuple[str, ...]:
    """The names in a field of a card: one, or several, and nothing else that somebody wrote there."""
    several = field if isinstance(field, list) else [field]
    return tuple(name for name in several if isinstance(name, str))


def fetch_settings(pinned: HubCheckpoint, access: Access) -> Path:
    """Download config, image processor and card; the folder that they are in.

    Raises:
        CandidateError: the Hub did not give them (stage "download").
    """
    folder = snapshot(pinned.checkpoint, pinned.sha, access)
    files = [file for file in pinned.files or () if file.name in SETTINGS]
    for file in files:
        if file.name in CONFIGURATION:
            check_json_size(file.name, file.size_bytes, where=f"{pinned.checkpoint}@{pinned.sha}")
    fetch([file for file in files if file.name != CARD], pinned, access)
    with suppress(CandidateError):  # without its card nothing is known of its licence and data, and it can be ranked
        fetch([file for file in files if file.name == CARD and file.size_bytes <= MOST_CARD_BYTES], pinned, access)
    verify(SETTINGS, pinned, access)
    return folder


def weight_files(pinned: HubCheckpoint, access: Access) -> tuple[RemoteFile, ...]:
    """The files of one weight format: safetensors, else pickles if those are allowed.

    Raises:
        CandidateError: there are none (stage "download").
    """
    by_name = {file.name: file for file in pinned.files or ()}
    formats = [SAFETENSORS, PICKLES] if access.allow_pickle else [SAFETENSORS]
    for whole, index in formats:
        if whole in by_name:
            return (by_name[whole],)
        if index in by_name:
            shard = re.compile(re.escape(whole).replace(r"\.", r"-\d+-of-\d+\.", 1))
            return (by_name[index], *(file for name, file in sorted(by_name.items()) if shard.fullmatch(name)))
    raise without_weights(pinned, by_name)


def without_weights(pinned: HubCheckpoint, names: Iterable[str]) -> CandidateError:
    """What is wrong with a repository that holds these files, and no weights that may be read (stage "download")."""
    endings = (".bin", ".pt", ".pth", ".onnx", ".gguf", ".safetensors")
    found = sorted(name for name in names if name.endswith(endings) or name in PICKLES)
    hint = ": pass allow_pickle=True to read pickles with torch's weights_only" if set(PICKLES) & set(found) else ""
    return CandidateError(
        f"{pinned.checkpoint}@{pinned.sha} must hold its weights as model.safetensors, found"
        f" {', '.join(found[:3]) or 'no weights'}{hint}",
        stage="download",
    )


def are_weights_here(candidate: Candidate, access: Access | None) -> bool:
    """Whether a candidate's weights are in a folder, or in the cache at the commit that its branch was when last asked.

    Nothing is asked of the Hub, which may have another commit by now.
    """
    if candidate.folder is not None:
        return True
    if access is None:
        return False
    with suppress(HFValidationError):
        found = try_to_load_from_cache(
            candidate.checkpoint, "config.json", cache_dir=access.hub_folder, revision=candidate.revision
        )
        return isinstance(found, str) and has_weights(Path(found).parent, allow_pickle=access.allow_pickle)
    return False


def with_weight_bytes(candidate: Candidate, access: Access) -> Candidate:
    """A Hub candidate with the size of its weights.

    Nothing is downloaded. The commit may be another one by the time that its files are fetched.

    Raises:
        CandidateError: the Hub does not give it to this user, or it has no weights that may be read.
        HubDownError: the Hub does not answer.
    """
    try:
        pinned = listed(candidate, access)
    except OfflineModeIsEnabled as error:
        raise refused(candidate, error) from error
    return replace(candidate, weight_bytes=sum(file.size_bytes for file in weight_files(pinned, access)))


def has_weights(folder: Path, *, allow_pickle: bool) -> bool:
    """Whether a whole set of weights is in the folder; an index's shards are checked when they are loaded."""
    formats = [SAFETENSORS, PICKLES] if allow_pickle else [SAFETENSORS]
    for whole, index in formats:
        if (folder / whole).is_file():
            return True
        if (folder / index).is_file():
            named = (folder / index).read_text(encoding="utf-8", errors="replace")  # what it is worth, loading says
            shards = set(re.findall(r'"([^"]+-\d+-of-\d+\.[a-z]+)"', named))
            return bool(shards) and all((folder / shard).is_file() for shard in shards)
    return False


def weights_there(folder: Path, *, allow_pickle: bool) -> tuple[str, ...]:
    """Names of the weight files in the folder, their index included."""
    patterns = SAFETENSORS_PATTERNS + (PICKLE_PATTERNS if allow_pickle else ())
    return tuple(sorted({path.name for pattern in patterns for path in folder.glob(pattern)}))
