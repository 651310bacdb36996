"""What the C library of most Linux systems does with freed memory: keep it for the next pass, or give it back.

By itself it gives large pieces back at once, and each pass asks for its feature maps anew: the system hands them over
page by page and blank, which takes up to a third of the time of networks with large maps and few operations.
`python -m tests.benchmarks.memory_speed` shows how much.
"""

import ctypes
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import torch

# Numbers by which glibc's mallopt calls its settings. https://man7.org/linux/man-pages/man3/mallopt.3.html
TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX = -1, -3, -4
# No piece is mapped for itself, and what is free at the end stays.
KEEPING = MappingProxyType({MMAP_MAX: 0, TRIM_THRESHOLD: 2**31 - 1})
# Arenas are what memory is handed out from: beside the main one, which can grow at its end, others of fixed size.
ARENA_MAX = -8
PROBED_BYTES = 64 << 10  # more than a thread keeps for itself alone, and less than is ever mapped
# The library's own, its two thresholds as large as it lets them grow in a process that frees large pieces.
USUAL = MappingProxyType({MMAP_MAX: 1 << 16, TRIM_THRESHOLD: 64 << 20, MMAP_THRESHOLD: 32 << 20})


@contextmanager
def freed_memory_kept(device: torch.device) -> Iterator[None]:
    """Within the block this process keeps what passes on a processor free, and gives it back at its end.

    On the main thread, and on others that began after `memory_shared_by_threads`: to the rest the library hands out no
    large pieces but mapped ones. Of several blocks at once the first that ends gives it back. Where somebody has set
    the library's memory for this process, by variables of its environment, it stays as it is.
    """
    if device.type != "cpu" or not _is_usual() or not _can_keep():
        yield
        return
    _set(KEEPING)
    try:
        yield
    finally:
        _set(USUAL)
        give_freed_memory_back()


def memory_shared_by_threads() -> None:
    """Let threads that begin from now on have their memory from where the main thread has its own.

    For a process that does not compute on its main thread. The earlier it is asked for the better: a thread may go on
    with what one before it has left.
    """
    if _is_usual():
        _set({ARENA_MAX: 1})


def _is_usual() -> bool:
    return not any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ)


def _can_keep() -> bool:
    """Whether this thread's memory comes from the main arena, which alone has large pieces that are not mapped."""
    if threading.current_thread() is threading.main_thread():
        return True
    try:
        library = ctypes.CDLL(None)
        library.malloc.restype, library.malloc.argtypes = ctypes.c_void_p, (ctypes.c_size_t,)
        library.free.argtypes = (ctypes.c_void_p,)
        maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
    except (AttributeError, OSError, TypeError):
        return False
    piece = library.malloc(PROBED_BYTES)
    library.free(piece)
    main_arenas = [line.split()[0].split("-") for line in maps.splitlines() if line.endswith(" [heap]")]
    return any(int(first, 16) <= (piece or 0) < int(last, 16) for first, last in main_arenas)


def give_freed_memory_back() -> None:
    """Let the system have what this process has freed: without it, memory grows with the number of networks.

    The library keeps freed pieces for itself as long as one that is in use lies above them.
    """
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # another C library, or Windows
        return
    trim(ctypes.c_size_t(0))


def _set(settings: Mapping[int, int]) -> None:
    try:
        library = ctypes.CDLL(None)
        library.gnu_get_libc_version  # noqa: B018 - others call other settings by these numbers
        change = library.mallopt
    except (AttributeError, OSError, TypeError):
        return
    for name, value in settings.items():
        change(name, value)
