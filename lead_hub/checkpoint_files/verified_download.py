"""Files of a pinned commit, downloaded into the cache, each compared with the hash that the Hub announced."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import constants
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

from lead_hub.access import Access
from lead_hub.candidates import Candidate
from lead_hub.checkpoint_files.pinned_commit import HubCheckpoint, RemoteFile, refused, snapshot
from lead_hub.errors import CandidateError
from lead_hub.hub import TRANSPORT_ERROR, HubDownError, cancellable_bar

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
    place = next(folder for folder in (access.hub_folder, *access.hub_folder.absolute().parents) if folder.is_dir())
    free_bytes = shutil.disk_usage(place).free
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
        for attempt in range(REPAIRS + 1):
            path = fetch_one(file, pinned, access, force=attempt > 0)
            if file.announced.fits(path):
                break
        else:
            path.resolve().unlink()
            path.unlink(missing_ok=True)
            raise CandidateError(
                f"{file.name} of {pinned.checkpoint}@{pinned.sha} must have the content that the Hub announced, found"
                f" other bytes {REPAIRS + 1} times: a proxy or a full disk does this, try again",
                stage="download",
            )


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
