"""How the processes of one run (one a GPU, started by `accelerate launch`, `torchrun` or the run) stay in step.

A process that fails alone would leave the others waiting for ever at the next gather. So every step that can fail
ends in an exchange of what went wrong, and either all processes go on or all raise the same error. Exchanged is what
lead-hub raises on purpose; a step of one candidate is `guarded`, so that whatever else it meets is such an error too.
"""

import logging
import os
import shutil
import subprocess
import tempfile
import time
import traceback
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import IO, Protocol, TypeVar, runtime_checkable

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list, gather, gather_object, parse_flag_from_env
from threadpoolctl import ThreadpoolController
from torch import Tensor
from torch.distributed import TCPStore  # type: ignore[attr-defined]  # public

from lead_hub.errors import CandidateError, LeadHubError, Stage, redacted

log = logging.getLogger("lead_hub")

Result = TypeVar("Result")
LONGEST_WAIT = timedelta(hours=3)  # of one process for another


@runtime_checkable
class Processes(Protocol):
    """The processes that do a piece of work together, as one of them sees them."""

    @property
    def num_processes(self) -> int: ...
    @property
    def process_index(self) -> int: ...
    @property
    def is_main_process(self) -> bool: ...
    @property
    def is_local_main_process(self) -> bool: ...
    @property
    def device(self) -> torch.device: ...


@dataclass(frozen=True)
class OneProcess:
    """A process that works by itself, also where others of the same run do other work.

    Attributes:
        device: where it computes.
    """

    device: torch.device
    num_processes: int = 1
    process_index: int = 0
    is_main_process: bool = True
    is_local_main_process: bool = True


def running_processes() -> PartialState:
    """The processes of this run: one unless `accelerate launch`, `torchrun` or `--processes` started more."""
    # Without being told that it is on the CPU, accelerate takes each of several CPU processes for the only one.
    cpu = not torch.accelerator.is_available() or parse_flag_from_env("ACCELERATE_USE_CPU")
    # While one of them reads the dataset, or fetches a large file, the others wait: longer than torch's ten minutes.
    return PartialState(cpu=cpu, timeout=LONGEST_WAIT)


LAUNCHED = ("WORLD_SIZE", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE")  # as accelerate looks for
LONGEST_GOODBYE_S = 20.0
ENDS = (0, 2, 3, 130)  # of a command that was not struck down


def n_to_start(asked: int | None, *, device: str, n_gpus: int, environment: Mapping[str, str]) -> int:
    """How many processes a run on this machine should consist of: one a GPU, unless somebody has chosen otherwise.

    Args:
        asked: what the user asked for; None: nothing.
        device: as the user named it, or "auto".
        n_gpus: that this process can see.
        environment: of this process: one of several that were launched already starts no others.

    Raises:
        LeadHubError: no such number, or not on this device.
    """
    if any(name in environment for name in LAUNCHED):
        return 1
    if asked is None:
        return max(1, n_gpus) if device == "auto" else 1
    if asked < 1:
        raise LeadHubError(f"the processes of a run must be at least 1, found {asked}")
    if asked > 1 and device not in {"auto", "cpu"}:
        raise LeadHubError(f"several processes choose their own GPUs, found {device}: leave it out, or name cpu")
    if n_gpus and device == "auto" and asked > n_gpus:
        raise LeadHubError(
            f"each process needs a GPU of its own, found {asked} processes and {n_gpus} GPUs: ask for no more, or run"
            " on the cpu"
        )
    return asked


def n_visible_gpus() -> int:
    """How many GPUs this process can see that each may have a process of its own."""
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


@contextmanager
def with_others(n_processes: int, command: Sequence[str], *, on_cpu: bool) -> Iterator[None]:
    """Within the block this process is the first of a run of so many; the others run a command, silently.

    They meet as those of `torchrun` do, and unlike these they live on where one of them dies. Of one that died it is
    warned at the end.

    Args:
        n_processes: of the run, on this machine.
        command: what the others run: the same as this process.
        on_cpu: whether they leave GPUs alone.
    """
    # This process keeps the store, and says as torchrun does that somebody does: the run's first process must not.
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    os.environ |= meeting_point(n_processes, store.port, on_cpu=on_cpu)
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    patience_s = LONGEST_GOODBYE_S
    with ExitStack() as stack:
        said = [stack.enter_context(tempfile.TemporaryFile()) for _ in range(1, n_processes)]
        others = [
            subprocess.Popen(  # noqa: S603 - this very program
                command,
                env={**os.environ, "RANK": str(rank), "LOCAL_RANK": str(rank)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=output,
            )
            for rank, output in enumerate(said, start=1)
        ]
        try:
            yield
        except KeyboardInterrupt:
            patience_s = 0.0
            raise
        finally:
            end_all(others, said, patience_s=patience_s)
            if torch.distributed.is_initialized():
                torch.distributed.destroy_process_group()


def meeting_point(n_processes: int, port: int, *, on_cpu: bool) -> dict[str, str]:
    """Where the processes of a run on this machine meet, as the environment of the first one tells."""
    size = str(n_processes)
    threads = max(1, (os.cpu_count() or 1) // n_processes)
    return {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",
        "WORLD_SIZE": size,
        "LOCAL_WORLD_SIZE": size,
        "RANK": "0",
        "LOCAL_RANK": "0",
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(threads)),
        **({"ACCELERATE_USE_CPU": "true"} if on_cpu else {}),
    }


def end_all(processes: Sequence[subprocess.Popen[bytes]], said: Sequence[IO[bytes]], *, patience_s: float) -> None:
    """Wait for processes that have no more to do, warn of those that had died, and end what does not end."""
    deadline = time.monotonic() + patience_s
    while any(process.poll() is None for process in processes) and time.monotonic() < deadline:
        time.sleep(0.02)
    for process, output in zip(processes, said, strict=True):
        if process.returncode is None:
            process.kill()
            process.wait()
        elif process.returncode not in ENDS:
            last = f"{process.returncode}: {last_words(output)}"
            warnings.warn(f"a process of the run died ({last}); the others did its share", stacklevel=2)


def last_words(output: IO[bytes]) -> str:
    """The last line that a process wrote there."""
    output.seek(0)
    lines = redacted(output.read().decode(errors="replace")).split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")


def n_on_this_machine() -> int:
    """How many processes of the run share this machine and its disk, at least 1."""
    return max(1, int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


@cache
def to_one_core() -> Callable[[], None]:
    """What lets a thread that begins with it compute by itself, without helpers of its own.

    For threads beside the one that computes: helpers that outnumber the cores make that one's give way at every step.
    """
    openmp = ThreadpoolController()  # finds the libraries, once and not in each thread

    def begin() -> None:
        torch.get_num_threads()  # a thread's first computation sets its number of helpers, which is then changed
        openmp.limit(limits=1, user_api="openmp")  # of this thread alone

    return begin


def guarded(step: Callable[[], Result], *, stage: Stage) -> Callable[[], Result]:
    """A step of one candidate that raises, of all that is an error, only what lead-hub raises on purpose.

    A checkpoint by a stranger, and the libraries that read it, can fail in ways that nobody has seen; none of them may
    cost the other candidates. The traceback is logged at level DEBUG.

    Args:
        step: does a part of the work for one candidate.
        stage: what that part is, for the CandidateError that an unforeseen error becomes.
    """

    def run() -> Result:
        try:
            return step()
        except LeadHubError:
            raise
        except Exception as error:
            log.debug("unforeseen at stage %s:\n%s", stage, redacted(traceback.format_exc()))
            raise CandidateError(unforeseen(error), stage=stage) from error

    return run


def unforeseen(error: Exception) -> str:
    """What to say of an error that nobody has foreseen."""
    said = " ".join(str(error).split())
    found = f"{type(error).__name__}: {said}" if said else type(error).__name__
    if isinstance(error, MemoryError):
        return f"the checkpoint must fit into this machine's memory, found {found}: use a smaller one, or more memory"
    return (
        f"the checkpoint must be one that can be read and run, found {found}: are its files whole and its model card"
        " sound? The traceback is in the log 'lead_hub', at level DEBUG"
    )


def on_every_process(step: Callable[[], Result], processes: Processes) -> Result:
    """Run the step on every process; a LeadHubError on any of them is raised on all.

    Returns:
        This process's own result.
    """
    if processes.num_processes == 1:
        return step()
    result: Result | None = None
    failure: LeadHubError | None = None
    try:
        result = step()
    except LeadHubError as error:
        failure = error
    failures = [error for error in gather_object([failure]) if error is not None]
    if failures:
        raise failures[0]
    return result  # type: ignore[return-value]  # None only where the step failed


def on_main_process(step: Callable[[], Result], processes: Processes) -> Result:
    """Run the step on the main process alone; every process gets its result, or raises its LeadHubError."""
    if processes.num_processes == 1:
        return step()
    outcome: list[object] = [None]
    if processes.is_main_process:
        try:
            outcome = [step()]
        except LeadHubError as error:
            outcome = [error]
    broadcast_object_list(outcome)
    if isinstance(outcome[0], LeadHubError):
        raise outcome[0]
    return outcome[0]  # type: ignore[return-value]  # what the main process's step returned


def first_on_each_node(step: Callable[[], Result], processes: Processes) -> Result:
    """Run the step on every process, on each machine's first one before its others, which find its work done."""
    first = on_every_process(lambda: [step()] if processes.is_local_main_process else [], processes)
    others = on_every_process(lambda: [] if first else [step()], processes)
    return [*first, *others][0]


@contextmanager
def shared_folder(processes: Processes, *, prefix: str) -> Iterator[Path | None]:
    """A temporary folder's path, the same for all processes of a machine; None where there is one process only.

    Args:
        processes: those of the run.
        prefix: how the folder's name begins.
    """
    if processes.num_processes == 1:
        yield None
        return
    folder = Path(tempfile.gettempdir()) / on_main_process(lambda: f"{prefix}{uuid.uuid4().hex}", processes)
    try:
        yield folder
    finally:
        if processes.is_local_main_process:
            shutil.rmtree(folder, ignore_errors=True)


def gather_rows(part: Tensor, *, n_rows: int, processes: Processes) -> Tensor:
    """Put the rows that the processes hold back in order.

    Args:
        part: [row, number], on the CPU: process p holds rows p, p + P, p + 2 P, ... of P processes, or one row
            that nobody reads where that leaves it none.
        n_rows: number of rows altogether.
        processes: those of the run.

    Returns:
        All rows, [n_rows, number], on the CPU of every process.

    Raises:
        CandidateError: a row that no process sent (stage "extract").
    """
    if processes.num_processes == 1:
        return part
    longest = -(-n_rows // processes.num_processes)
    padded = part.new_zeros(longest, part.shape[1])
    padded[: len(part)] = part
    received = gather(padded.to(processes.device)).cpu().view(processes.num_processes, longest, -1)
    whole = part.new_empty(n_rows, part.shape[1])
    filled = torch.zeros(n_rows, dtype=torch.bool)
    for process, rows in enumerate(received):
        held = range(process, n_rows, processes.num_processes)
        whole[list(held)] = rows[: len(held)]
        filled[list(held)] = True
    if not bool(filled.all()):
        raise CandidateError(f"every image must have its outputs, {int((~filled).sum())} have none", stage="extract")
    return whole
