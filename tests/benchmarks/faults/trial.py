"""One trial: what is tried, what must come out, and whether it did."""

import time
import warnings
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLateError
from dataclasses import dataclass
from pathlib import Path

from lead_hub import Leaderboard, LeadHubError

LIMIT_S = 240.0  # a run that takes a second on an idle machine


@dataclass(frozen=True)
class Trial:
    """A fault and the run that meets it.

    Attributes:
        name: of the fault.
        run: gives "" where the run outlived it, else what is wrong with its result.
    """

    name: str
    run: Callable[[], str]


def ended(trial: Trial) -> str:
    """What was lost in a trial; nothing where it was survived."""
    thread = ThreadPoolExecutor(1)
    future = thread.submit(trial.run)
    try:
        return future.result(timeout=LIMIT_S)
    except TooLateError:
        return f"no end after {LIMIT_S:.0f} s"
    except Exception as error:  # noqa: BLE001 - what a trial is there to find
        return f"{type(error).__name__}: {error}"
    finally:
        thread.shutdown(wait=False)


def report(kind: str, trials: Iterable[Trial]) -> None:
    """Try all, and print what was lost and how many were not."""
    tried, lost, start = 0, 0, time.monotonic()
    for trial in trials:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            problem = ended(trial)
        tried += 1
        lost += bool(problem)
        if problem:
            print(f"lost: {kind}: {trial.name}: {' '.join(problem.split())[:300]}", flush=True)
    took_s = time.monotonic() - start
    print(f"{kind}: tried {tried}, survived {tried - lost}, lost {lost}, in {took_s:.0f} s", flush=True)


def scores(board: Leaderboard) -> dict[str, float]:
    """What must not depend on any fault."""
    return {Path(row.checkpoint).name: row.score for row in board.rows}


def clear_error(run: Callable[[], Leaderboard]) -> Leaderboard | LeadHubError:
    """The board, or an error in words: one that says more than its kind."""
    try:
        return run()
    except LeadHubError as error:
        return error
