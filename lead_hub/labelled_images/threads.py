"""Work on many files or parts of them at a time, which ends for all when it ends for one, or when nobody waits."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

from huggingface_hub.utils import tqdm  # type: ignore[attr-defined]  # public, exported lazily

from lead_hub.access import Access
from lead_hub.errors import RunCancelledError

Job = TypeVar("Job")
Result = TypeVar("Result")


def in_threads(
    work: Callable[[Job, Callable[[], bool]], Result],
    jobs: Sequence[Job],
    *,
    access: Access,
    n_threads: int,
    title: str | None,
) -> list[Result]:
    """What the work gives for each job, in their order; the first that fails ends all.

    Args:
        work: is given a job, and a function that tells whether it is still wanted.
        jobs: for it.
        access: whether anybody waits, and sees bars.
        n_threads: most at a time.
        title: of the bar; None for no bar.

    Raises:
        RunCancelledError: nobody waits any more.
    """
    is_over = threading.Event()

    def cancelled() -> bool:
        return is_over.is_set() or access.cancelled()

    def one(job: Job) -> Result:
        if cancelled():
            raise RunCancelledError("the run is over")
        return work(job, cancelled)

    with ThreadPoolExecutor(max(1, min(n_threads, len(jobs))), "lead-hub-dataset") as threads:
        futures = [threads.submit(one, job) for job in jobs]
        try:
            done, is_shown = as_completed(futures), access.progress and title is not None
            for future in tqdm(done, total=len(jobs), desc=title, disable=not is_shown):  # type: ignore[no-untyped-call]
                future.result()
        except BaseException:
            is_over.set()  # those that are under way end at their next bytes
            threads.shutdown(wait=False, cancel_futures=True)
            raise
    return [future.result() for future in futures]
