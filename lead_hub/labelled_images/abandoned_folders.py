"""Folders of decoded images carry their owner in their name, so that those of a killed process are found and removed.

A process that is killed with `kill -9` removes nothing, and the images may be private. A folder that several processes
share holds an empty file of each instead, and is abandoned once all of them are.
"""

import hashlib
import os
import shutil
import socket
import stat
import time
from contextlib import suppress
from pathlib import Path

PREFIX = "lead-hub-images-"
SHARED_PREFIX = "lead-hub-shared-"
# Of what another machine wrote into a shared folder nobody here can tell whether its process lives.
FOREIGN_AFTER_S = 7 * 24 * 3600.0


def prefix_of_this_process() -> str:
    """How the name of a folder that this process makes begins: machine, process and when it started."""
    return f"{PREFIX}{_machine()}-{os.getpid()}-{_started(os.getpid()) or 0}-"


def mark_as_used(folder: Path) -> None:
    """Say in a shared folder, or one within it, that this process uses it, for as long as it lives."""
    if not any(path.name.startswith(SHARED_PREFIX) for path in (folder, folder.parent)):
        return
    with suppress(OSError):  # a folder that is not marked is not removed
        (folder / f"{prefix_of_this_process()}used").touch()


def remove_abandoned(parent: Path) -> None:
    """Remove the folders of decoded images in `parent` whose processes are over; never fails, and follows no link."""
    if os.name != "posix":
        return  # elsewhere nobody can be asked whether a process lives without harm
    try:
        found = [entry for entry in os.scandir(parent) if entry.name.startswith((PREFIX, SHARED_PREFIX))]
    except OSError:
        return
    for entry in found:
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError:
            continue  # somebody else was faster
        is_ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
        if not is_ours:
            continue
        owners = [entry.name]
        if entry.name.startswith(SHARED_PREFIX):
            owners = [name for _, folders, files in os.walk(entry.path) for name in (*folders, *files)]
            owners = [name for name in owners if name.startswith(PREFIX)]
        if owners and all(_is_abandoned(name, changed_at=status.st_mtime) for name in owners):
            shutil.rmtree(entry.path, ignore_errors=True)


def _is_abandoned(name: str, *, changed_at: float) -> bool:
    machine, _, rest = name.removeprefix(PREFIX).partition("-")
    pid, _, rest = rest.partition("-")
    started, _, _ = rest.partition("-")
    if machine != _machine() or not (pid.isdigit() and started.isdigit()):
        return time.time() - changed_at > FOREIGN_AFTER_S
    return not _lives(int(pid)) if started == "0" else _started(int(pid)) != int(started)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _started(pid: int) -> int | None:
    """When a process started, in ticks since the machine did; None where it is over or the system does not tell."""
    try:
        facts = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    values = facts.rpartition(")")[2].split()  # the name of the program, in brackets, may hold anything
    return None if values[0] in ("Z", "X") else int(values[19])


def _machine() -> str:
    """This machine since it started, and the set of processes that are visible here: 12 hex digits."""
    boot, processes = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    facts = [
        socket.gethostname(),
        boot.read_text(encoding="utf-8").strip() if boot.exists() else "",
        str(processes.readlink()) if processes.is_symlink() else "",
    ]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:12]
