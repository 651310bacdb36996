"""Score cards and what is kept on this machine -> expected accuracies that rest on all these outcomes.

And from the same cards, how checkpoints stood on other datasets, for the score `lead+prior`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lead_hub.access import access_of
from lead_hub.confidence import (
    Calibration,
    Outcome,
    SourceOfOutcomes,
    calibrations_text,
    refit,
    shipped_calibration,
)
from lead_hub.errors import LeadHubError, ScoreError
from lead_hub.hub import Token, write_text_whole
from lead_hub.score_cards import ScoreResult, scored_results, standings_of, standings_text
from lead_hub.verification.outcome_files import kept_outcomes, outcome_of

METHOD = "lead"


@dataclass(frozen=True)
class Recalibration:
    """What `recommend` uses from now on on this machine, and what it was learnt from.

    Attributes:
        calibration: the constants, with what they rest on in words.
        sources: every repository of score cards and this machine, with how far what it says is from the others.
        n_ignored: outcomes of other versions of the score, or with values that none can have.
        n_standings: checkpoints of which it is now known how they stood on other datasets.
        path: where it is kept; None of a dry run, and where there was nothing to learn from.
        has_earlier: whether accuracies that were fitted before stay in use.
        has_earlier_standings: whether standings that were learnt before stay in use.
    """

    calibration: Calibration
    sources: tuple[SourceOfOutcomes, ...]
    n_ignored: int
    n_standings: int = 0
    path: Path | None = None
    has_earlier: bool = False
    has_earlier_standings: bool = False

    def in_words(self) -> str:
        """A line a source, then what came of it."""
        used = [source for source in self.sources if source.is_used]
        lines = [source.in_words() for source in self.sources]
        if self.n_ignored:
            lines.append(f"ignored: {self.n_ignored} outcomes of another version of the score, or that cannot be")
        if self.n_standings:
            lines.append(f"lead+prior knows how {self.n_standings} checkpoints stood on other datasets")
        forget = "`lead-hub calibrate --reset` forgets it"
        if self.has_earlier_standings:
            lines.append(f"lead+prior still knows how checkpoints stood, from an earlier call: {forget}")
        if not used and self.has_earlier:
            earlier = f"as an earlier call has fitted them: {forget}"
            return "\n".join([*lines, f"nothing was added: expected accuracies stay {earlier}"])
        if not used:
            return "\n".join([*lines, "nothing was added: expected accuracies stay as the package has them"])
        n_outcomes, n_datasets = sum(one.n_outcomes for one in used), sum(one.n_datasets for one in used)
        total = f"expected accuracies rest on {n_outcomes} more outcomes on {n_datasets} datasets"
        error = f"typical error {self.calibration.error_sd:.2f} in logits"
        return "\n".join([*lines, f"{total}; {error}"])


def calibrate(
    cards: Iterable[str] | str = (),
    *,
    keep_all: bool = False,
    dry_run: bool = False,
    cache_dir: str | Path | None = None,
    token: Token = None,
) -> Recalibration:
    """Fit the accuracies to expect again, on what `verify` found on this machine and what score cards tell.

    A card whose content does not match its hash is ignored with a warning. No source weighs more than what the package
    ships, outcomes far off pull less, and a repository that contradicts all others is set aside; each is told.

    Args:
        cards: repositories of score cards on the Hub.
        keep_all: whether repositories that contradict the others are used nevertheless.
        dry_run: whether to change nothing.
        cache_dir: as of `recommend`, which must be given the same one to use what is found here.
        token: Hub token; None means the Hub's own login, False nobody's, even where one is logged in.

    Raises:
        HubError: the Hub refused a repository or cannot be reached.
        LeadHubError: what was found cannot be kept.
    """
    access = access_of(cache_dir=cache_dir, token=token, progress=False)
    shipped = shipped_calibration()
    outcomes, n_ignored = kept_outcomes(access, method=METHOD, method_version=shipped.method_version)
    results: dict[str, list[ScoreResult]] = {}
    for repo_id in dict.fromkeys([cards] if isinstance(cards, str) else cards):
        own = scored_results(repo_id, api=access.api, method=METHOD)
        told, n_others = outcomes_of(own, source=repo_id, method_version=shipped.method_version)
        outcomes, n_ignored = [*outcomes, *told], n_ignored + n_others
        results[repo_id] = [one for one in own if one.method_version == shipped.method_version]
    found = refit(shipped, once_each(outcomes), keep_all=keep_all)
    set_aside = {source.name for source in found.sources if not source.is_used}
    standings = standings_of([one for repo_id in results if repo_id not in set_aside for one in results[repo_id]])
    is_used = any(source.is_used for source in found.sources)
    recalibration = Recalibration(
        found.calibration,
        found.sources,
        n_ignored,
        n_standings=len(standings),
        has_earlier=not is_used and access.calibration_file(METHOD).is_file(),
        has_earlier_standings=not standings and access.standings_file.is_file(),
    )
    if dry_run:
        return recalibration
    if standings:
        text = standings_text(standings, method=METHOD, method_version=shipped.method_version)
        keep(access.standings_file, text)
    if not is_used:
        return recalibration
    path = access.calibration_file(METHOD)
    keep(path, calibrations_text({"all": found.calibration}))
    return replace(recalibration, path=path)


def keep(path: Path, text: str) -> None:
    """Write a file of this machine's own.

    Raises:
        LeadHubError: it cannot be written.
    """
    try:
        write_text_whole(path, text, private=True)
    except OSError as error:
        raise LeadHubError(f"a calibration must be kept in a folder that can be written, but: {error}") from error


def forget_calibration(*, cache_dir: str | Path | None = None, dry_run: bool = False) -> bool:
    """Go back to the package's own calibration, and know of no standings; outcomes stay. Whether there was another.

    Args:
        cache_dir: as of `recommend`.
        dry_run: whether to change nothing.

    Raises:
        LeadHubError: what was learnt cannot be removed.
    """
    access = access_of(cache_dir=cache_dir, progress=False)
    paths = [path for path in (access.calibration_file(METHOD), access.standings_file) if path.is_file()]
    try:
        for path in paths if not dry_run else ():
            path.unlink(missing_ok=True)
    except OSError as error:
        raise LeadHubError(f"what was learnt can be forgotten where the folder can be written, but: {error}") from error
    return bool(paths)


def outcomes_of(results: Sequence[ScoreResult], *, source: str, method_version: int) -> tuple[list[Outcome], int]:
    """What fine-tuning gave by the score as it is defined today, and how many results tell something else of it."""
    outcomes, n_others = [], 0
    for result in (one for one in results if one.row.get("finetuned")):
        try:
            told = outcome_of(result.dataset, result.row, source=source)
        except ScoreError:
            told = None
        if told is None or result.method_version != method_version:
            n_others += 1
        else:
            outcomes.append(told)
    return outcomes, n_others


def once_each(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Of several outcomes of one checkpoint on one dataset the first: what was pushed may be kept here as well."""
    return list({(one.dataset, one.checkpoint): one for one in reversed(outcomes)}.values())[::-1]
