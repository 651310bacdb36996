"""How the processes of one run (one a GPU, started by `accelerate launch` or `torchrun`) stay in step.

A process that fails alone would leave the others waiting for ever at the next gather. So every step that can fail
ends in an exchange of what went wrong, and either all processes go on or all raise the same error. Exchanged is what
lead-hub raises on purpose; a step of one candidate is `guarded`, so that whatever else it meets is such an error too.
"""

import logging
import shutil
import tempfile
import traceback
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias, TypeVar

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list, gather, gather_object, parse_flag_from_env
from torch import Tensor

from lead_hub.errors import CandidateError, LeadHubError, Stage, redacted

log = logging.getLogger("lead_hub")

Result = TypeVar("Result")
Processes: TypeAlias = PartialState


def running_processes() -> Processes:
    """The processes of this run: one unless `accelerate launch` or `torchrun` started more."""
    # Without being told that it is on the CPU, accelerate takes each of several CPU processes for the only one.
    return PartialState(cpu=not torch.accelerator.is_available() or parse_flag_from_env("ACCELERATE_USE_CPU"))


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
def shared_folder(processes: Processes) -> Iterator[Path | None]:
    """A temporary folder's path, the same for all processes of a machine; None where there is one process only."""
    if processes.num_processes == 1:
        yield None
        return
    folder = Path(tempfile.gettempdir()) / on_main_process(lambda: f"lead-hub-{uuid.uuid4().hex}", processes)
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
