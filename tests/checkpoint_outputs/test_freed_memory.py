"""Freed memory: kept between passes within the block, then given back; elsewhere it stays as it is."""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lead_hub.checkpoint_outputs import freed_memory_kept, give_freed_memory_back

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only the GNU C library keeps what was freed")

# Pieces of 80 MiB, which the library maps each for itself: it hands over 20,480 pages of 4 KiB, or 40 of 2 MiB.
FAULTS = """
import json, resource, sys, threading
from pathlib import Path
import torch
from lead_hub.checkpoint_outputs import freed_memory_kept, memory_shared_by_threads

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.ones(20 * 2**20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

def measure():
    faults()
    found = {"before": faults()}
    with freed_memory_kept(torch.device("cpu")):
        faults()
        found |= {"within": faults(), "kept_bytes": resident_bytes()}
    found["given_back_bytes"] = found["kept_bytes"] - resident_bytes()
    return found

if sys.argv[1] == "main":
    print(json.dumps(measure()))
else:
    if sys.argv[1] == "sharing":
        memory_shared_by_threads()
    found = []
    thread = threading.Thread(target=lambda: found.append(measure()))
    thread.start()
    thread.join()
    print(json.dumps(found[0]))
"""


def measured(thread: str, **environment: str) -> dict[str, int]:
    """Of a process of its own: what the library does depends on what a process did before."""
    command = [sys.executable, "-c", FAULTS, thread]
    finished = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **environment})
    return json.loads(finished.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("thread", ["main", "sharing"])
def test_what_passes_free_is_kept_within_the_block_and_given_back_after_it(thread: str) -> None:
    """Of ten pieces one at the most is new within it, and each of them before; 80 MiB are held until its end."""
    found = measured(thread)
    assert found["within"] <= found["before"] / 10
    assert found["given_back_bytes"] >= 70 * 2**20


@pytest.mark.slow
@pytest.mark.parametrize(
    ("thread", "environment"), [("another", {}), ("main", {"MALLOC_MMAP_MAX_": "65536"})], ids=["thread", "variable"]
)
def test_elsewhere_it_stays_as_it_is(thread: str, environment: dict[str, str]) -> None:
    found = measured(thread, **environment)
    assert found["within"] >= found["before"] / 2


def test_numbers_are_the_same() -> None:
    numbers = torch.arange(2**20)
    with freed_memory_kept(torch.device("cpu")):
        assert int((numbers + 1).sum()) == 2**19 * (2**20 + 1)  # 1 + 2 + ... + 2^20


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE")


def test_freed_memory_goes_back_to_the_system() -> None:
    """2,000 pieces of 64 KiB are 125 MiB: freed, they stay with the process: one that is kept lies above."""
    pieces = [torch.ones(2**14) for _ in range(2000)]
    above, before = pieces.pop(), resident_bytes()
    pieces.clear()
    give_freed_memory_back()
    assert before - resident_bytes() > 100 * 2**20
    assert above.sum() == 2**14
