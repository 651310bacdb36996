"""Score cards and what is kept on this machine -> expected accuracies that rest on all these outcomes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lead_hub.access import Access, access_of
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
from lead_hub.score_cards import finetuned_results
from lead_hub.verification.outcome_files import kept_outcomes, outcome_of

METHOD = "lead"


@dataclass(frozen=True)
class Recalibration:
    """What `recommend` uses from now on on this machine, and what it was learnt from.

    Attributes:
        calibration: the constants, with what they rest on in words.
        sources: every repository of score cards and this machine, with how far what it says is from the others.
        n_ignored: outcomes of other versions of the score, or with values that none can have.
        path: where it is kept; None of a dry run, and where there was nothing to learn from.
    """

    calibration: Calibration
    sources: tuple[SourceOfOutcomes, ...]
    n_ignored: int
    path: Path | None = None

    def in_words(self) -> str:
        """A line a source, then what came of it."""
        used = [source for source in self.sources if source.is_used]
        lines = [source.in_words() for source in self.sources]
        if self.n_ignored:
            lines.append(f"ignored: {self.n_ignored} outcomes of another version of the score, or that cannot be")
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
    for repo_id in dict.fromkeys([cards] if isinstance(cards, str) else cards):
        told, n_others = outcomes_on_cards(repo_id, access, method_version=shipped.method_version)
        outcomes, n_ignored = [*outcomes, *told], n_ignored + n_others
    found = refit(shipped, once_each(outcomes), keep_all=keep_all)
    recalibration = Recalibration(found.calibration, found.sources, n_ignored)
    if dry_run or not any(source.is_used for source in found.sources):
        return recalibration
    path = access.calibration_file(METHOD)
    try:
        write_text_whole(path, calibrations_text({"all": found.calibration}), private=True)
    except OSError as error:
        raise LeadHubError(f"a calibration must be kept in a folder that can be written, but: {error}") from error
    return replace(recalibration, path=path)


def forget_calibration(*, cache_dir: str | Path | None = None) -> bool:
    """Go back to the package's own calibration; outcomes stay. Whether there was another one."""
    path = access_of(cache_dir=cache_dir, progress=False).calibration_file(METHOD)
    there = path.is_file()
    path.unlink(missing_ok=True)
    return there


def outcomes_on_cards(repo_id: str, access: Access, *, method_version: int) -> tuple[list[Outcome], int]:
    """What a repository tells of the score as it is defined today, and how many results tell something else."""
    outcomes, n_others = [], 0
    for result in finetuned_results(repo_id, api=access.api, method=METHOD):
        try:
            told = outcome_of(result.dataset, result.row, source=repo_id)
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
