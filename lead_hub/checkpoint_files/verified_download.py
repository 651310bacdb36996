"""Files of a pinned commit, downloaded into the cache, each compared with the hash that the Hub announced."""

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import constants
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

from lead_hub.candidates import Candidate
from lead_hub.checkpoint_files.pinned_commit import HubCache, HubCheckpoint, RemoteFile, why_refused
from lead_hub.errors import CandidateError
from lead_hub.hub import TRANSPORT_ERROR, HubDownError, cancellable_bar, patiently

SPARE_DISK_BYTES = 512 << 20  # never fill a disk to its last byte
HASH_CHUNK_BYTES = 1 << 20
REPAIRS = 2


def missing(files: Sequence[RemoteFile], pinned: HubCheckpoint, cache: HubCache) -> tuple[RemoteFile, ...]:
    """Those that are not in the cache."""
    folder = cache.snapshot(pinned.checkpoint, pinned.sha)
    return tuple(file for file in files if not (folder / file.name).is_file())


def check_disk(size_bytes: int, pinned: HubCheckpoint, cache: HubCache) -> None:
    """Refuse a download that would fill the disk.

    Raises:
        CandidateError: not enough room (stage "download").
    """
    place = next(folder for folder in (cache.folder, *cache.folder.absolute().parents) if folder.is_dir())
    free_bytes = shutil.disk_usage(place).free
    if size_bytes + SPARE_DISK_BYTES > free_bytes:
        raise CandidateError(
            f"{pinned.checkpoint}@{pinned.sha} needs {size_bytes / 1e9:.2f} GB and {SPARE_DISK_BYTES / 1e9:.2f} GB to"
            f" spare, {free_bytes / 1e9:.2f} GB are free in {place}: free some, choose another cache_dir, or limit what"
            " a run keeps with max_disk",
            stage="download",
        )


def fetch(files: Sequence[RemoteFile], pinned: HubCheckpoint, cache: HubCache) -> None:
    """Download files that are not there yet, and compare each with the hash that the Hub gave.

    Raises:
        CandidateError: refused, cut off for good, or other bytes than announced (stage "download").
        HubDownError: the Hub stopped answering.
    """
    for file in missing(files, pinned, cache):
        for attempt in range(REPAIRS + 1):
            path = fetch_one(file, pinned, cache, force=attempt > 0)
            if is_intact(path, file):
                break
        else:
            path.resolve().unlink()
            path.unlink(missing_ok=True)
            raise CandidateError(
                f"{file.name} of {pinned.checkpoint}@{pinned.sha} must have the content that the Hub announced, found"
                f" other bytes {REPAIRS + 1} times: a proxy or a full disk does this, try again",
                stage="download",
            )


def fetch_one(file: RemoteFile, pinned: HubCheckpoint, cache: HubCache, *, force: bool) -> Path:
    try:
        return Path(
            patiently(
                lambda: cache.api.hf_hub_download(
                    pinned.checkpoint,
                    file.name,
                    revision=pinned.sha,
                    cache_dir=cache.folder,
                    force_download=force,
                    tqdm_class=cancellable_bar(cache.cancelled, shown=False),  # the forward passes have one
                ),
                asked_for=f"{file.name} of {pinned.checkpoint}",
                cancelled=cache.cancelled,
            )
        )
    except HfHubHTTPError as error:
        candidate = Candidate(pinned.checkpoint, revision=pinned.sha)
        raise CandidateError(why_refused(candidate, error), stage="download") from error
    except LocalEntryNotFoundError as error:  # what the client makes of a Hub that is down or refuses
        answer = error.__cause__
        if isinstance(answer, HfHubHTTPError):
            candidate = Candidate(pinned.checkpoint, revision=pinned.sha)
            raise CandidateError(why_refused(candidate, answer), stage="download") from error
        if isinstance(answer, TRANSPORT_ERROR):
            raise HubDownError(
                f"{constants.ENDPOINT} cannot be reached while {pinned.checkpoint} is downloaded: check the network, or"
                " try again later"
            ) from error
        raise CandidateError(
            f"{file.name} of {pinned.checkpoint}@{pinned.sha} could not be downloaded: {error}", stage="download"
        ) from error
    except (OSError, RuntimeError, ValueError, TRANSPORT_ERROR) as error:
        raise CandidateError(
            f"{file.name} of {pinned.checkpoint}@{pinned.sha} could not be downloaded: {error}: try again",
            stage="download",
        ) from error


def is_intact(path: Path, file: RemoteFile) -> bool:
    """Whether a file has the size and the hash that the Hub announced."""
    if path.stat().st_size != file.size_bytes:
        return False
    if file.sha256 is None and file.git_sha1 is None:
        return True
    header = b"" if file.sha256 else f"blob {file.size_bytes}\0".encode()
    digest = hashlib.sha256(header) if file.sha256 else hashlib.sha1(header, usedforsecurity=False)
    with path.open("rb") as content:
        while chunk := content.read(HASH_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest() == (file.sha256 or file.git_sha1)
