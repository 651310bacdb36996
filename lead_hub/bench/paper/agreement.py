"""Every dataset of the paper's list through `recommend`, its order compared with the published accuracies."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lead_hub.access import Access
from lead_hub.bench.paired_bootstrap import weighted_taus
from lead_hub.bench.paper.published import published_accuracy, published_taus
from lead_hub.bench.paper.repositories import GROUPS, PaperDataset, PaperList
from lead_hub.errors import CandidateError, DatasetError, HubError, RunCancelledError
from lead_hub.leaderboard import Leaderboard, RankedCheckpoint, Skipped
from lead_hub.recommendation import recommend

# Any two checkpoints have a tau of 1 or -1.
FEWEST_CHECKPOINTS = 3
NOT_STATED = "not stated"


@dataclass(frozen=True)
class PaperSettings:
    """How `recommend` is called: see there."""

    methods: tuple[str, ...] = ("lead",)
    max_images: int = 2000
    seed: int = 0
    max_disk: str | None = None


@dataclass(frozen=True)
class PaperRow:
    """How well our scores, and published ones, order one group of checkpoints on one dataset.

    Attributes:
        group: "supervised" or "self-supervised".
        dataset: as published.
        taus: our weighted Kendall tau with the published accuracies, by score, over the checkpoints that were ranked;
            one for which a score is undefined ranks last. Empty with fewer than three of them.
        n_checkpoints: how many were ranked and have a published accuracy.
        n_published: how many have a published accuracy.
        published: published taus by method, over all checkpoints of the group.
        missing: why checkpoints, or all of them, are missing, in sentences.
    """

    group: str
    dataset: str
    taus: Mapping[str, float]
    n_checkpoints: int
    n_published: int
    published: Mapping[str, float]
    missing: tuple[str, ...]


@dataclass(frozen=True)
class PaperReport:
    """What was found; `departures` says where the Hub's checkpoints and datasets are not the published ones."""

    methods: tuple[str, ...]
    rows: tuple[PaperRow, ...]
    departures: tuple[str, ...]
    is_complete: bool = True

    def to_document(self) -> dict[str, Any]:
        """Plain JSON values."""
        return dataclasses.asdict(self)


def run_paper(paper: PaperList, settings: PaperSettings, access: Access) -> PaperReport:
    """Rank every dataset's checkpoints and compare.

    A dataset that cannot be had is left out, and its rows say why; once cancelled, so are all that are left.
    """
    rows: list[PaperRow] = []
    for dataset in paper.datasets:
        if dataset.repository is None or access.cancelled():
            continue
        rows += rows_of(dataset, paper, settings=settings, access=access)
    rows.sort(key=lambda row: GROUPS.index(row.group))
    return PaperReport(settings.methods, tuple(rows), paper.departures, is_complete=not access.cancelled())


def rows_of(dataset: PaperDataset, paper: PaperList, *, settings: PaperSettings, access: Access) -> list[PaperRow]:
    """A row for every group of which the list has a checkpoint on the Hub."""
    board, reason = None, ""
    try:
        board = ranked(dataset, paper, settings=settings, access=access)
    except (DatasetError, HubError, CandidateError, RunCancelledError) as error:
        reason = f"{dataset.repository}: {error}"
    groups = [group for group in GROUPS if any(each.group == group and each.repository for each in paper.checkpoints)]
    return [compared(dataset.name, group, paper, board=board, reason=reason) for group in groups]


def ranked(dataset: PaperDataset, paper: PaperList, *, settings: PaperSettings, access: Access) -> Leaderboard:
    """The board of one dataset, all groups in one run."""
    assert dataset.repository is not None  # those without were left out
    return recommend(
        dataset.repository,
        [each.repository for each in paper.checkpoints if each.repository],
        settings.methods,
        config=dataset.config,
        split=dataset.split,
        image_column=dataset.image_column,
        label_column=dataset.label_column,
        max_images=settings.max_images,
        seed=settings.seed,
        cache_dir=access.cache_dir,
        token=access.token,
        max_disk=settings.max_disk,
        progress=access.progress,
        cancelled=access.cancelled,
    )


def compared(dataset: str, group: str, paper: PaperList, *, board: Leaderboard | None, reason: str) -> PaperRow:
    """Put one group of one board beside the published numbers."""
    accuracy = published_accuracy().get((group, dataset), {})
    taus = published_taus()
    published = {
        **taus.get((group, dataset), {}),
        **{f"{method} (group not stated)": tau for method, tau in taus.get((NOT_STATED, dataset), {}).items()},
    }
    scores: dict[str, Mapping[str, float | None]] = {}
    missing = [reason] if reason else []
    if board:
        names = {each.repository: each.name for each in paper.checkpoints if each.group == group and each.repository}
        rows = {asked_for(row): row for row in board.rows}
        scores = {
            name: {board.method: rows[repository].score, **rows[repository].other_scores}
            for repository, name in names.items()
            if repository in rows and name in accuracy
        }
        missing += [f"{asked_for(skip)}: {skip.reason}" for skip in board.skipped if asked_for(skip) in names]
    return PaperRow(
        group=group,
        dataset=dataset,
        taus=agreements(scores, accuracy),
        n_checkpoints=len(scores),
        n_published=len(accuracy),
        published=published,
        missing=tuple(missing),
    )


def asked_for(candidate: RankedCheckpoint | Skipped) -> str:
    """A checkpoint as the list names it."""
    return f"{candidate.checkpoint}@{candidate.revision}" if candidate.revision else candidate.checkpoint


def agreements(scores: Mapping[str, Mapping[str, float | None]], accuracy: Mapping[str, float]) -> dict[str, float]:
    """Weighted tau by method; none where there are too few checkpoints or all accuracies are equal."""
    if len(scores) < FEWEST_CHECKPOINTS or len({accuracy[name] for name in scores}) < 2:
        return {}
    truth = np.array([accuracy[name] for name in scores])
    once = np.ones((1, len(scores)), dtype=np.int64)
    methods = next(iter(scores.values()))
    taus = {}
    for method in methods:
        values = [by_method[method] for by_method in scores.values()]
        numbers = np.array([np.nan if value is None else value for value in values])
        taus[method] = float(weighted_taus(numbers, truth, once)[0])
    return taus
