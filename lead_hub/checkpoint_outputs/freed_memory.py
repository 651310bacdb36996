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
from types import MappingProxyType

import torch

# Numbers by which glibc's mallopt calls its settings. https://man7.org/linux/man-pages/man3/mallopt.3.html
TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX = -1, -3, -4
# No piece is mapped for itself, and what is free at the end stays.
KEEPING = MappingProxyType({MMAP_MAX: 0, TRIM_THRESHOLD: 2**31 - 1})
# The library's own, its two thresholds as large as it lets them grow in a process that frees large pieces.
USUAL = MappingProxyType({MMAP_MAX: 1 << 16, TRIM_THRESHOLD: 64 << 20, MMAP_THRESHOLD: 32 << 20})


@contextmanager
def freed_memory_kept(device: torch.device) -> Iterator[None]:
    """Within the block this process keeps what passes on a processor free, and gives it back at its end.

    On the main thread alone: to others the library hands out no large pieces but mapped ones. Where somebody has set
    the library's memory for this process, by variables of its environment, it stays as it is.
    """
    is_usual = not any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ)
    if device.type != "cpu" or not is_usual or threading.current_thread() is not threading.main_thread():
        yield
        return
    _set(KEEPING)
    try:
        yield
    finally:
        _set(USUAL)
        give_freed_memory_back()


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
