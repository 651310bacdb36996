"""The same work on many jobs, in processes of one thread each: figures depend on neither's number."""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from typing import TypeVar

import torch

Job = TypeVar("Job")
Result = TypeVar("Result")


def carried_out(
    work: Callable[[Job], Result], jobs: Sequence[Job], *, n_workers: int | None
) -> Iterator[tuple[Job, Result]]:
    """What every job gives, as they are finished.

    Args:
        work: on one job; a function that a fresh process can import.
        jobs: all of them.
        n_workers: processes; None for as many as the machine has cores. One works in this process.
    """
    n_workers = min(n_workers or os.cpu_count() or 1, len(jobs))
    if n_workers <= 1:
        with on_one_thread():
            yield from ((job, work(job)) for job in jobs)
        return
    context = multiprocessing.get_context("spawn")  # a fork of a process in which torch has started threads may hang
    with ProcessPoolExecutor(n_workers, mp_context=context, initializer=one_thread) as pool:
        running = {pool.submit(work, job): job for job in jobs}
        try:
            yield from ((running[future], future.result()) for future in as_completed(running))
        finally:
            pool.shutdown(cancel_futures=True)


def one_thread() -> None:
    torch.set_num_threads(1)


@contextmanager
def on_one_thread() -> Iterator[None]:
    """One torch thread within the block: matrices are so small here that several would mostly wait for each other."""
    n_threads = torch.get_num_threads()
    one_thread()
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)
