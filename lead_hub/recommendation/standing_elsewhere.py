"""How checkpoints stood on other datasets -> candidates that know their standing there.

`lead-hub calibrate --cards` learns it from score cards: lead+prior takes it into account. What this machine's own runs
found is noted after each of them, and decides who enters a race first, never a score.
"""

import hashlib
import os
import warnings
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from statistics import fmean

from lead_hub.access import Access
from lead_hub.candidates import Candidate, same_dataset
from lead_hub.errors import ScoreError
from lead_hub.hub import write_text_whole
from lead_hub.labelled_images import LabelledImages
from lead_hub.leaderboard import Leaderboard
from lead_hub.recommendation.judging import ScoredCandidate
from lead_hub.score_cards import Standings, parse_standings, standings_among, standings_text
from lead_hub.transferability import SCORES

METHOD = "lead"
FEWEST_NOTED = 20  # checkpoints
MOST_EARLIER_BOARDS = 100  # the newest ones


def known_standings(access: Access) -> tuple[Standings, Standings]:
    """What this machine learnt of score cards, and what its own runs found."""
    return kept_standings(access), earlier_standings(access)


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
    merged: dict[str, dict[str, float]] = {}
    for file in _newest(access.earlier_boards_folder):
        try:
            told = _read(file)
        except (OSError, ValueError, ScoreError):
            continue
        for checkpoint, by_dataset in told.items():
            merged.setdefault(checkpoint, {}).update(by_dataset)
    return merged


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
            note_standings(access, images.dataset, get_scored())


def note_standings(access: Access, dataset: str, scored: Mapping[Candidate, ScoredCandidate]) -> None:
    """Keep how checkpoints stood on a dataset; a note of more checkpoints stays.

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
    text = standings_text(told, method=METHOD, method_version=SCORES[METHOD].version)
    try:
        write_text_whole(file, text, private=True)
        for old in _newest(access.earlier_boards_folder, start=MOST_EARLIER_BOARDS):
            old.unlink(missing_ok=True)
    except OSError as error:
        warnings.warn(f"later races will not know of this board: {error}", stacklevel=2)


def _read(file: Path) -> Standings:
    return parse_standings(file.read_text(encoding="utf-8"), method=METHOD, method_version=SCORES[METHOD].version)


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
    """The candidates of a run on a dataset with what is known here of their standing on others."""
    return with_standings(candidates, *known_standings(access), dataset=dataset)


def with_standings(
    candidates: Sequence[Candidate], standings: Standings, earlier: Standings, *, dataset: str
) -> list[Candidate]:
    """The candidates with their mean standing on other datasets, where there is one.

    Args:
        candidates: of a run.
        standings: of all checkpoints and datasets, by score cards.
        earlier: by this machine's own runs.
        dataset: that the run ranks on: what is known of it from elsewhere counts for nothing.
    """

    def elsewhere(told: Standings, checkpoint: str, here: str) -> float | None:
        values = [value for name, value in told.get(checkpoint, {}).items() if not same_dataset(name, here)]
        return fmean(values) if values else None

    known = []
    for each in candidates:
        by_cards = elsewhere(standings, each.checkpoint, dataset)
        by_runs = elsewhere(earlier, _full_name(each.checkpoint), _full_name(dataset)) if earlier else None
        is_unknown = by_cards is None and by_runs is None
        known.append(each if is_unknown else replace(each, standing=by_cards, standing_here=by_runs))
    return known
