"""Where the time of a run goes, by what the run itself tells of its progress."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lead_hub.recommendation import RunProgress


@dataclass(frozen=True)
class Moment:
    """What a run told, and when: seconds since it began."""

    at_s: float
    progress: RunProgress


@dataclass(frozen=True)
class StageTimes:
    """Seconds of the thread that runs the images, by the clock; what others did beside it is in none of them.

    Attributes:
        images_s: images read and decoded, copies among them looked for, this machine's speed measured for what is told
            of the time that is left.
        files_s: a checkpoint's files found, or waited for.
        load_s: its network loaded, or waited for.
        trial_s: number formats and layouts tried on a few images, and the first images prepared.
        passes_s: images through networks.
        keep_s: outputs put together and kept on disk.
        score_s: scored, and how sure the board is.
        rest_s: before and after.
    """

    images_s: float = 0.0
    files_s: float = 0.0
    load_s: float = 0.0
    trial_s: float = 0.0
    passes_s: float = 0.0
    keep_s: float = 0.0
    score_s: float = 0.0
    rest_s: float = 0.0


WORDS = {
    "images_s": "images read and decoded, copies looked for",
    "files_s": "files found or waited for",
    "load_s": "networks loaded or waited for",
    "trial_s": "number formats and layouts tried",
    "passes_s": "images through networks",
    "keep_s": "outputs kept",
    "score_s": "scored and judged",
    "rest_s": "before and after",
}


def spent_by_stage(moments: Sequence[Moment], *, wall_s: float) -> StageTimes:
    """How long a run was at each stage.

    The time until a checkpoint's first batch is through is that of trying formats and layouts, less what a batch of its
    others took; where there is no other, it is all counted as passes.

    Args:
        moments: all that the run told, in order.
        wall_s: of the whole run.
    """
    spent = dict.fromkeys(WORDS, 0.0)
    if not moments:
        return StageTimes(rest_s=wall_s)
    spent["rest_s"] = moments[0].at_s
    ends = [*(moment.at_s for moment in moments[1:]), wall_s]
    for moment, end_s in zip(moments, ends, strict=True):
        spent[_stage(moment.progress)] += end_s - moment.at_s
    for first_s in _first_batches(moments):
        spent["trial_s"] -= first_s
        spent["passes_s"] += first_s
    return StageTimes(**spent)


def _stage(progress: RunProgress) -> str:
    if progress.stage == "extract":
        if not progress.n_images:
            return "trial_s"
        return "passes_s" if progress.n_images < progress.total_images else "keep_s"
    return {"dataset": "images_s", "load": "load_s", "score": "score_s"}.get(progress.stage, "files_s")


def _first_batches(moments: Sequence[Moment]) -> list[float]:
    """What the first batch of each checkpoint took of the time before it was through."""
    taken = []
    for place, moment in enumerate(moments):
        if _stage(moment.progress) != "trial_s":
            continue
        batches = []
        for later in moments[place + 1 :]:
            if later.progress.stage != "extract" or not later.progress.n_images:
                break
            batches.append(later)
        if batches:
            taken.append(min(batches[0].at_s - moment.at_s, _at_pace(batches)))
    return taken


def _at_pace(batches: Sequence[Moment]) -> float:
    """Seconds for as many images as the first batch has, at the pace of those after it; infinite without any."""
    first, last = batches[0], batches[-1]
    n_after = last.progress.n_images - first.progress.n_images
    if not n_after:
        return math.inf
    return first.progress.n_images * (last.at_s - first.at_s) / n_after
