"""How passes are run fastest on this machine: measured once, in two seconds, and remembered for it.

One answer for all networks of all runs: the number format, which is part of the key of what is kept, and what changes
numbers by no more than rounding, the layout of convolutions and the number of threads. It is kept in a small file under
HF_ASSETS_CACHE, one for every processor, GPU and version of torch; whoever deletes it has it measured again.
"""

import hashlib
import json
import math
import os
import platform
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from lead_hub.checkpoint_outputs.number_format import fast_dtype
from lead_hub.checkpoint_outputs.timed_pieces import (
    TimedPieces,
    decided_dtype,
    decided_layouts,
    decided_threads,
    number_of_threads,
)
from lead_hub.hub import assets_folder, write_text_whole
from lead_hub.processes import n_on_this_machine

# Raise when the same machine would be judged otherwise.
RULES_VERSION = 3
FOLDER = "machine"
MEASURED_S, THREADS_S = 1.5, 0.5
# "0": nothing is measured and nothing remembered, and the processor's instructions tell, as where there was no time.
MEASURE_VARIABLE = "LEAD_HUB_MEASURE_MACHINE"
# By which a user says how many threads there are to be.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
# What the library that multiplies on a processor is told by its users, by the beginning of the variables' names.
LIBRARY_VARIABLES = ("ONEDNN_", "DNNL_")
HALF_FROM = 16  # threads, of which half may be as fast: two on a core, or more than the memory feeds
FORMATS = MappingProxyType({"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16})


@dataclass(frozen=True)
class Threads:
    """How many threads a pass on a processor has.

    Attributes:
        usual: those that torch takes by itself.
        fastest: those to take.
    """

    usual: int
    fastest: int


@dataclass(frozen=True)
class MachineSettings:
    """How a device runs passes.

    Attributes:
        dtype: number format where nobody asks for another.
        layouts: of number formats, whether convolutional networks have their channels last; elsewhere they have.
        threads: None where that was not looked into, or could not be told.
        milliseconds: what was measured, in words; nothing where the processor's instructions told.
    """

    dtype: torch.dtype
    layouts: Mapping[torch.dtype, bool] = field(default_factory=dict)
    threads: Threads | None = None
    milliseconds: Mapping[str, float] = field(default_factory=dict)

    def is_channels_last(self, dtype: torch.dtype) -> bool:
        """Whether convolutional networks are faster so in that format."""
        return self.layouts.get(dtype, True)

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Within the block passes on a processor have the fastest number of threads, if nobody chose another."""
        is_asked = self.threads is not None and may_choose_threads() and torch.get_num_threads() == self.threads.usual
        with number_of_threads(self.threads.fastest if self.threads and is_asked else None):
            yield

    def to_document(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "dtype": name_of(self.dtype),
            "channels_last": {name_of(dtype): is_last for dtype, is_last in self.layouts.items()},
            "threads": self.threads and {"usual": self.threads.usual, "fastest": self.threads.fastest},
            "milliseconds": dict(self.milliseconds),
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "MachineSettings":
        """What `to_document` gave.

        Raises:
            KeyError, TypeError, ValueError: it did not give this.
        """
        threads = document["threads"] and Threads(**document["threads"])
        counts = (threads.usual, threads.fastest) if threads else ()
        layouts = {FORMATS[name]: is_last for name, is_last in dict(document["channels_last"]).items()}
        if not all(isinstance(count, int) and count >= 1 for count in counts):
            raise ValueError(f"threads must be at least 1, found {document['threads']}")
        if not all(isinstance(is_last, bool) for is_last in layouts.values()):
            raise ValueError(f"channels_last must say true or false, found {document['channels_last']}")
        return cls(FORMATS[document["dtype"]], layouts, threads or None, dict(document["milliseconds"]))


def machine_settings(device: torch.device) -> MachineSettings:
    """How this machine runs passes on a device, measured now where it is not known yet."""
    if not may_measure():
        return MachineSettings(fast_dtype(device))
    return _measured_once(device, settings_file(device), with_threads=bool(other_thread_counts(device)))


def known_settings(device: torch.device) -> MachineSettings:
    """The same as far as it is known: what is remembered, else what the processor's instructions tell."""
    known = remembered(settings_file(device)) if may_measure() else None
    return known or MachineSettings(fast_dtype(device))


def may_measure() -> bool:
    """Whether nobody forbade it."""
    return os.environ.get(MEASURE_VARIABLE) != "0"


@cache
def _measured_once(device: torch.device, file: Path, *, with_threads: bool) -> MachineSettings:
    known = remembered(file)
    if known is not None and (known.threads is not None or not with_threads):
        return known
    found = known or measured_settings(device)
    if not found.milliseconds:  # nothing could be measured in time: the next process asks again
        return found
    if with_threads:
        found = with_measured_threads(found, device)
    if found != known:
        remember(file, found, device)
    return found


def measured_settings(device: torch.device, *, limit_s: float = MEASURED_S) -> MachineSettings:
    """Number format and layouts as the stopwatch says; what was not measured in time as the instructions tell."""
    usual = fast_dtype(device)
    candidate = {"cuda": usual, "cpu": torch.bfloat16}.get(device.type)  # other devices were never tried in another
    seconds, fast = TimedPieces(device, limit_s=limit_s).formats(candidate)
    dtype = torch.float32 if fast is None else decided_dtype(seconds, fast, usual=usual)
    return MachineSettings(dtype, decided_layouts(seconds), milliseconds=in_milliseconds(seconds))


def with_measured_threads(
    settings: MachineSettings, device: torch.device, *, limit_s: float = THREADS_S
) -> MachineSettings:
    """The same with the number of threads as the stopwatch says; where it says nothing the next process asks again."""
    usual, is_last = torch.get_num_threads(), settings.is_channels_last(settings.dtype)
    counts = [usual, *other_thread_counts(device)]
    pieces = TimedPieces(device, limit_s=limit_s)
    seconds = pieces.threads(counts, settings.dtype, channels_last=is_last, n_cores=usable_cores())
    if not seconds:
        return settings
    threads = Threads(usual, decided_threads(seconds, usual=usual))
    return replace(settings, threads=threads, milliseconds={**settings.milliseconds, **in_milliseconds(seconds)})


def other_thread_counts(device: torch.device) -> list[int]:
    """Numbers of threads that may be faster than torch's own; none where they are not for this process to choose."""
    usual = torch.get_num_threads()
    if device.type != "cpu" or not may_choose_threads() or usual not in own_thread_counts():
        return []
    return thread_counts(usual, usable_cores())


def thread_counts(usual: int, n_cores: int) -> list[int]:
    """Others than the usual that may be faster: one for every core that may be used, and half of many."""
    half = {usual // 2} if usual >= HALF_FROM else set()
    return sorted({n_cores, *half} - {usual})


def may_choose_threads() -> bool:
    """Whether the number of threads is nobody else's choice, and the machine's cores are this process's alone."""
    return not any(name in os.environ for name in THREAD_VARIABLES) and n_on_this_machine() == 1


def own_thread_counts() -> set[int]:
    """How many threads torch takes by itself: one for every core, where two share one perhaps one for both."""
    return {n_logical_cores(), n_physical_cores()}


def allowed_cores() -> set[int]:
    """Those that this process may run on."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return set(os.sched_getaffinity(0))
    return set(range(os.cpu_count() or 1))


def n_logical_cores() -> int:
    """How many this process may run on, those that share one counted each."""
    return len(allowed_cores())


def n_physical_cores() -> int:
    """The same, those that share one counted once, where the system tells."""
    shared = Path("/sys/devices/system/cpu")
    try:
        lists = {(shared / f"cpu{core}/topology/thread_siblings_list").read_text() for core in allowed_cores()}
    except OSError:
        return n_logical_cores()
    return len(lists)


def usable_cores() -> int:
    """How many cores' time this process may have: a container may have less than it sees cores."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        return max(1, min(n_logical_cores(), math.ceil(int(quota) / int(period))))
    except (OSError, ValueError):  # no such limit: "max"
        return n_logical_cores()


def facts(device: torch.device) -> dict[str, Any]:
    """Everything that could change the answer, but the number of threads, which several processes share.

    A board must be the same of one process and of several, and each of those has a part of the threads.
    """
    of_all = {"rules": RULES_VERSION, "torch": torch.__version__, "device": device.type}
    if device.type == "cuda":
        return {**of_all, "name": torch.cuda.get_device_name(device), "products": product_precision()}
    told = {name: value for name, value in sorted(os.environ.items()) if name.startswith(LIBRARY_VARIABLES)}
    cores = {"cores": os.cpu_count(), "allowed": n_logical_cores(), "usable": usable_cores()}
    instructions = torch.backends.cpu.get_cpu_capability()
    return {**of_all, "name": processor_name(), "instructions": instructions, "told": told, **cores}


def product_precision() -> str:
    """How a GPU may round products in float32, by whichever of torch's two settings it was said."""
    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError:  # both were used
        return str(torch.backends.cuda.matmul.fp32_precision)


@cache
def processor_name() -> str:
    """What the processor is called."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    # On ARM there is no name, but numbers of the maker, of the part and of its state.
    wanted = ("vendor_id", "cpu family", "model", "model name", "CPU implementer", "CPU part", "CPU variant")
    pairs = [[part.strip() for part in line.split(":", 1)] for line in lines if ":" in line]
    told = dict.fromkeys(f"{name} {value}" for name, value in pairs if name in wanted)
    return "; ".join([platform.machine(), *told] if told else [platform.machine(), platform.processor()])


def settings_file(device: torch.device) -> Path:
    """Where the answer is kept: for the machine, not for a cache_dir, as it says nothing of what was ranked."""
    key = hashlib.sha256(json.dumps(facts(device), sort_keys=True).encode()).hexdigest()
    return assets_folder(FOLDER) / f"{device.type}-{key[:16]}.json"


def remembered(file: Path) -> MachineSettings | None:
    """The answer that is kept in a file; None where there is none that can be read, with a warning of a damaged one."""
    try:
        return MachineSettings.from_document(json.loads(file.read_text(encoding="utf-8"))["settings"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        warnings.warn(f"{file} is not used, and what it should say is measured again: {error!r}", stacklevel=2)
        return None


def remember(file: Path, settings: MachineSettings, device: torch.device) -> None:
    """Keep an answer; where it cannot be written that is a warning, and the next process measures again."""
    text = json.dumps({"machine": facts(device), "settings": settings.to_document()}, indent=1)
    try:
        write_text_whole(file, text + "\n")
    except OSError as error:
        warnings.warn(f"how this machine computes fastest is measured again by the next run: {error}", stacklevel=2)


def in_milliseconds(seconds: Mapping[Any, float]) -> dict[str, float]:
    """Each way in words, and its time."""
    return {str(way): round(1000 * took, 3) for way, took in seconds.items()}


def name_of(dtype: torch.dtype) -> str:
    """As it is called, e.g. "bfloat16"."""
    return str(dtype).removeprefix("torch.")
