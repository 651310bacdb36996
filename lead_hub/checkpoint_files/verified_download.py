"""Files of a pinned commit in the cache, each compared with the hash that the Hub announced, whoever downloaded it.

What was compared is noted with the file's size and times, so that no file is read for it a second time.
"""

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from huggingface_hub import constants
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

from lead_hub.access import Access
from lead_hub.candidates import Candidate
from lead_hub.checkpoint_files.pinned_commit import HubCheckpoint, RemoteFile, refused, snapshot
from lead_hub.errors import CandidateError
from lead_hub.hub import (
    TRANSPORT_ERROR,
    AnnouncedHash,
    HubDownError,
    cancellable_bar,
    content_of,
    free_disk,
    is_commit,
    is_content_sha,
    remove_cached,
    write_text_whole,
)

SPARE_DISK_BYTES = 512 << 20  # never fill a disk to its last byte
REPAIRS = 2


def missing(files: Sequence[RemoteFile], pinned: HubCheckpoint, access: Access) -> tuple[RemoteFile, ...]:
    """Those that are not in the cache."""
    folder = snapshot(pinned.checkpoint, pinned.sha, access)
    return tuple(file for file in files if not (folder / file.name).is_file())


def check_disk(size_bytes: int, pinned: HubCheckpoint, access: Access) -> None:
    """Refuse a download that would fill the disk.

    Raises:
        CandidateError: not enough room (stage "download").
    """
    place, free_bytes = free_disk(access.hub_folder)
    if size_bytes + SPARE_DISK_BYTES > free_bytes:
        raise CandidateError(
            f"{pinned.checkpoint}@{pinned.sha} needs {size_bytes / 1e9:.2f} GB and {SPARE_DISK_BYTES / 1e9:.2f} GB to"
            f" spare, {free_bytes / 1e9:.2f} GB are free in {place}: free some, choose another cache_dir, or limit what"
            " a run keeps with max_disk",
            stage="download",
        )


def fetch(files: Sequence[RemoteFile], pinned: HubCheckpoint, access: Access) -> None:
    """Download files that are not there yet, and compare each with the hash that the Hub gave.

    Raises:
        CandidateError: refused, cut off for good, or other bytes than announced (stage "download").
        HubDownError: the Hub stopped answering.
    """
    for file in missing(files, pinned, access):
        fetch_whole(file, pinned, access, force=False)


def fetch_whole(file: RemoteFile, pinned: HubCheckpoint, access: Access, *, force: bool) -> None:
    """Download one file, again where its content is not what was announced; `force` not to take the cache's copy."""
    for attempt in range(REPAIRS + 1):
        path = fetch_one(file, pinned, access, force=force or attempt > 0)
        if file.announced.fits(path):
            note_verified(path, file.announced, access)
            return
    remove_cached(path)
    raise CandidateError(
        f"{file.name} of {pinned.checkpoint}@{pinned.sha} must have the content that the Hub announced, found"
        f" other bytes {REPAIRS + 1} times: a proxy or a full disk does this, try again",
        stage="download",
    )


def verify(names: Sequence[str], pinned: HubCheckpoint, access: Access) -> None:
    """Compare those of the files that are in the cache with their hash, once each, and fetch damaged ones again.

    Without a listing it is known from the cache itself, where a file's content is named by the hash. No request is
    made unless a file is damaged.

    Raises:
        CandidateError: a damaged file could not be had whole (stage "download").
        HubDownError: there is a damaged file, and the Hub does not answer.
    """
    listed = {file.name: file.announced for file in pinned.files or ()}
    folder = snapshot(pinned.checkpoint, pinned.sha, access)
    for name in names:
        path = folder / name
        announced = listed.get(name) or hash_in_the_cache(path)
        if not path.is_file() or announced is None or was_verified(path, announced, access):
            continue
        if announced.fits(path):
            note_verified(path, announced, access)
            continue
        damage = f"{name} of {pinned.checkpoint}@{pinned.sha} in the cache has other bytes than the Hub announced"
        if access.hub_is_down:
            raise HubDownError(f"{damage}, and {constants.ENDPOINT}, which has it whole, did not answer before")
        try:
            fetch_whole(RemoteFile(name, announced), pinned, access, force=True)
        except CandidateError as error:
            raise CandidateError(f"{damage}, and could not be fetched again: {error}", stage="download") from error


def hash_in_the_cache(path: Path) -> AnnouncedHash | None:
    """What the Hub announced of a cached file, by the name of its content; None where the cache does not name it so."""
    name = content_of(path).name
    if is_content_sha(name):
        return AnnouncedHash(None, sha256=name, git_sha1=None)
    return AnnouncedHash(None, sha256=None, git_sha1=name) if is_commit(name) else None  # git's ids have one form


def was_verified(path: Path, announced: AnnouncedHash, access: Access) -> bool:
    """Whether the file was compared with this hash and was not written to since."""
    try:
        noted = json.loads(verdict_file(path, access).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(noted == state_of(path, announced))


def note_verified(path: Path, announced: AnnouncedHash, access: Access) -> None:
    """Note that the file's content is what was announced."""
    with suppress(OSError):  # where nothing can be noted, it is compared again
        write_text_whole(verdict_file(path, access), json.dumps(state_of(path, announced)))


def state_of(path: Path, announced: AnnouncedHash) -> dict[str, str | int | None]:
    """What changes when a file is written to, and what it was compared with."""
    content = path.resolve()
    status = content.stat()
    return {
        "path": str(content),
        "size_bytes": status.st_size,
        "mtime_ns": status.st_mtime_ns,
        "ctime_ns": status.st_ctime_ns,
        "hash": announced.sha256 or announced.git_sha1,
    }


def verdict_file(path: Path, access: Access) -> Path:
    """Where the verdict on a file is noted."""
    return access.verified_folder / f"{hashlib.sha256(str(path.resolve()).encode()).hexdigest()}.json"


def fetch_one(file: RemoteFile, pinned: HubCheckpoint, access: Access, *, force: bool) -> Path:
    try:
        return Path(
            access.ask(
                lambda: access.api.hf_hub_download(
                    pinned.checkpoint,
                    file.name,
                    revision=pinned.sha,
                    cache_dir=access.hub_folder,
                    force_download=force,
                    tqdm_class=cancellable_bar(access.cancelled, shown=False),  # the forward passes have one
                ),
                asked_for=f"{file.name} of {pinned.checkpoint}",
            )
        )
    except HfHubHTTPError as error:
        raise refused(Candidate(pinned.checkpoint, revision=pinned.sha), error) from error
    except LocalEntryNotFoundError as error:  # what the client makes of a Hub that is down or refuses
        answer = error.__cause__
        if isinstance(answer, HfHubHTTPError):
            raise refused(Candidate(pinned.checkpoint, revision=pinned.sha), answer) from error
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
