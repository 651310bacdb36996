"""How checkpoints stood on other datasets -> candidates that know their standing there.

`lead-hub calibrate --cards` learns it from score cards: lead+prior takes it into account. What this machine's own runs
found is noted after each of them, beside a few numbers on what the images look like, and decides who enters a race
first, never a score: there a dataset counts the more, the more alike its images are to those of the run. All of it
stays on this machine, for this user alone.
"""

import hashlib
import json
import os
import warnings
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from lead_hub.access import Access
from lead_hub.candidates import Candidate, same_dataset
from lead_hub.errors import ScoreError
from lead_hub.hub import write_text_whole
from lead_hub.labelled_images import LabelledImages
from lead_hub.leaderboard import Leaderboard
from lead_hub.recommendation.dataset_similarity import (
    Statistics,
    read_statistics,
    similarity_weights,
    statistics_entry,
    statistics_of,
)
from lead_hub.recommendation.judging import ScoredCandidate
from lead_hub.score_cards import Standings, parse_standings, standings_among, standings_text
from lead_hub.transferability import SCORES

METHOD = "lead"
FEWEST_NOTED = 20  # checkpoints
MOST_EARLIER_BOARDS = 100  # the newest ones


class KnownStandings(NamedTuple):
    """What is known here of how checkpoints stood.

    Attributes:
        by_cards: what was learnt of score cards.
        by_runs: what this machine's own runs found.
        weights: of the datasets of these runs, by how alike their images are to those of the run; 1 for others.
    """

    by_cards: Standings
    by_runs: Standings
    weights: Mapping[str, float]


@dataclass(frozen=True)
class EarlierBoard:
    """What one of this machine's own runs found, and what its images look like, where that is known."""

    standings: Standings
    statistics: Statistics | None


def known_standings(access: Access, images: LabelledImages | None = None) -> KnownStandings:
    """What is known here of how checkpoints stood, for a run on these images; without them all datasets count alike."""
    boards = _earlier_boards(access)
    weights = {} if images is None else _weights(boards, images)
    return KnownStandings(kept_standings(access), _merged(boards), weights)


def kept_standings(access: Access) -> Standings:
    """What this machine learnt of score cards; nothing, with a warning, where it cannot be read."""
    file = access.standings_file
    try:
        return _read(file) if file.is_file() else {}
    except (OSError, ValueError, ScoreError) as error:
        warnings.warn(f"{file} is not used: {error}; `lead-hub calibrate --cards` writes it again", stacklevel=2)
        return {}


def earlier_standings(access: Access) -> Standings:
    """What this machine's own runs found on datasets; files that cannot be read are left out, for runs write others."""
    return _merged(_earlier_boards(access))


def _earlier_boards(access: Access) -> list[EarlierBoard]:
    boards = []
    for file in _newest(access.earlier_boards_folder):
        with suppress(OSError, ValueError, ScoreError):
            boards.append(_read_note(file))
    return boards


def _merged(boards: Sequence[EarlierBoard]) -> Standings:
    merged: dict[str, dict[str, float]] = {}
    for board in boards:
        for checkpoint, by_dataset in board.standings.items():
            merged.setdefault(checkpoint, {}).update(by_dataset)
    return merged


def _weights(boards: Sequence[EarlierBoard], images: LabelledImages) -> dict[str, float]:
    """By the name of each other dataset; the images are looked at only where there is something to compare."""
    looks = {name: board.statistics for board in boards for told in board.standings.values() for name in told}
    here = _full_name(images.dataset)
    others = {name: look for name, look in looks.items() if not same_dataset(name, here)}
    return similarity_weights(statistics_of(images), others) if any(others.values()) else {}


def noted(
    boards: Generator[Leaderboard, None, None],
    get_scored: Callable[[], Mapping[Candidate, ScoredCandidate]],
    images: LabelledImages,
    access: Access,
) -> Generator[Leaderboard, None, None]:
    """The same boards; after the last one it is noted how the checkpoints stood, if all of the run had a turn.

    Args:
        boards: of a run; it ends when these are no longer asked for.
        get_scored: what came of its candidates on the same images.
        images: of the run.
        access: where it is kept, for this user alone.
    """
    board: Leaderboard | None = None
    try:
        with closing(boards):
            for board in boards:
                yield board
    finally:
        if board is not None and board.is_complete and board.method == METHOD:
            note_standings(access, images.dataset, get_scored(), get_statistics=partial(statistics_of, images))


def note_standings(
    access: Access,
    dataset: str,
    scored: Mapping[Candidate, ScoredCandidate],
    *,
    get_statistics: Callable[[], Statistics] | None = None,
) -> None:
    """Keep how checkpoints stood on a dataset, and what its images look like; a note of more checkpoints stays.

    Among few, as on somebody's own short list, standing low says nothing of those that are not on it.
    """
    scores = {_full_name(candidate.checkpoint): one.row.score for candidate, one in scored.items()}
    standings = standings_among(scores) if len(scores) >= FEWEST_NOTED else {}
    if not standings:
        return
    dataset = _full_name(dataset)
    file = access.earlier_boards_folder / f"{hashlib.sha256(dataset.encode(errors='replace')).hexdigest()[:32]}.json"
    try:
        if file.is_file() and len(standings) < len(_read(file)):
            return
    except (OSError, ValueError, ScoreError):
        pass  # written again
    told = {checkpoint: {dataset: value} for checkpoint, value in standings.items()}
    statistics: Statistics | None = None
    if get_statistics is not None:
        with suppress(OSError, ValueError):  # the images are gone: the note is worth having without
            statistics = get_statistics()
    try:
        write_text_whole(file, _note_text(told, statistics), private=True)
        for old in _newest(access.earlier_boards_folder, start=MOST_EARLIER_BOARDS):
            old.unlink(missing_ok=True)
    except OSError as error:
        warnings.warn(f"later races will not know of this board: {error}", stacklevel=2)


def _read(file: Path) -> Standings:
    return parse_standings(file.read_text(encoding="utf-8"), method=METHOD, method_version=SCORES[METHOD].version)


def _note_text(told: Standings, statistics: Statistics | None) -> str:
    """As standings by cards are kept; beside them what the images look like, which an older version skips."""
    text = standings_text(told, method=METHOD, method_version=SCORES[METHOD].version)
    if statistics is None:
        return text
    return json.dumps({**json.loads(text), "images": statistics_entry(statistics)}, sort_keys=True) + "\n"


def _read_note(file: Path) -> EarlierBoard:
    """A note; what the images look like is None where that is damaged, or of another version."""
    text = file.read_text(encoding="utf-8")
    standings = parse_standings(text, method=METHOD, method_version=SCORES[METHOD].version)
    return EarlierBoard(standings, read_statistics(json.loads(text).get("images")))


def _newest(folder: Path, *, start: int = 0) -> list[Path]:
    """Files of a folder from the newest on, or those from a place on; none where it cannot be looked at."""
    files = []
    with suppress(OSError):
        for entry in os.scandir(folder):
            with suppress(OSError):  # another run's, which has just put a newer one in its place
                files.append((entry.stat().st_mtime_ns, Path(entry.path)))
    return [path for _, path in sorted(files, reverse=True) if path.suffix == ".json"][start:]


def _full_name(name: str) -> str:
    """Of something on this machine the whole path, else the id as it is."""
    try:
        path = Path(name).expanduser()
        return str(path.resolve()) if path.exists() else name
    except (OSError, RuntimeError, ValueError):
        return name


def with_known_standings(candidates: Sequence[Candidate], access: Access, *, dataset: str) -> list[Candidate]:
    """The candidates with what is known here of their standing on other datasets, which all count alike.

    A run, which knows its images, lets similar datasets count more.
    """
    return with_standings(candidates, *known_standings(access), dataset=dataset)


def with_standings(
    candidates: Sequence[Candidate],
    standings: Standings,
    earlier: Standings,
    weights: Mapping[str, float] | None = None,
    *,
    dataset: str,
) -> list[Candidate]:
    """The candidates with their mean standing on other datasets, where there is one.

    Args:
        candidates: of a run.
        standings: of all checkpoints and datasets, by score cards; all datasets count alike.
        earlier: by this machine's own runs.
        weights: of the datasets of these; 1 for those that are not there.
        dataset: that the run ranks on: what is known of it from elsewhere counts for nothing.
    """

    def elsewhere(told: Standings, checkpoint: str, here: str, counts: Mapping[str, float]) -> float | None:
        values = {name: one for name, one in told.get(checkpoint, {}).items() if not same_dataset(name, here)}
        shares = {name: counts.get(name, 1.0) for name in values}
        return sum(shares[name] * one for name, one in values.items()) / sum(shares.values()) if values else None

    known = []
    full_name = _full_name(dataset)
    for each in candidates:
        by_cards = elsewhere(standings, each.checkpoint, dataset, {})
        by_runs = elsewhere(earlier, _full_name(each.checkpoint), full_name, weights or {}) if earlier else None
        is_unknown = by_cards is None and by_runs is None
        known.append(each if is_unknown else replace(each, standing=by_cards, standing_here=by_runs))
    return known
