"""Which runs may be races, and what must be known of a candidate before it enters one."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from lead_hub.access import Access
from lead_hub.candidates import Candidate
from lead_hub.checkpoint_files import are_weights_here, with_weight_bytes
from lead_hub.confidence import find_calibration
from lead_hub.errors import CandidateError, HubError, LeadHubError
from lead_hub.hub import HubDownError
from lead_hub.leaderboard import Skipped
from lead_hub.recommendation.race_budget import RaceBudget, by_prior, known_weight_bytes, within_downloads
from lead_hub.transferability import SCORES


def entrants(
    candidates: Sequence[Candidate], budget: RaceBudget, access: Access
) -> tuple[list[Candidate], tuple[Skipped, ...]]:
    """The candidates in the order in which they enter a race, and those that a budget of downloads leaves out.

    Where it is one, the Hub is asked how large the weights are of which nothing else tells.

    Args:
        candidates: with what is known of their standing elsewhere.
        budget: of the race.
        access: in whose cache weights may be already.

    Raises:
        RunCancelledError: nobody waits any more.
    """
    if budget.download_bytes is None:
        return by_prior(candidates), ()
    candidates, skipped = with_known_sizes(candidates, access)
    is_here = partial(are_weights_here, access=access)
    entering, left_out = within_downloads(by_prior(candidates), budget.download_bytes, is_here=is_here)
    reason = f"its weights do not fit into the budget of {budget.text} beside the others'"
    skipped += [Skipped(each.checkpoint, each.revision, "download", reason) for each in left_out]
    return entering, tuple(skipped)


def with_known_sizes(candidates: Sequence[Candidate], access: Access) -> tuple[list[Candidate], list[Skipped]]:
    """The candidates, of which the Hub tells the size of weights that are to come; and those of which it does not.

    Raises:
        RunCancelledError: nobody waits any more.
    """
    sized: list[Candidate] = []
    skipped: list[Skipped] = []
    for each in candidates:
        try:
            is_known = are_weights_here(each, access) or known_weight_bytes(each) is not None
            sized.append(each if is_known else with_weight_bytes(each, access))
        except (CandidateError, HubError) as error:  # noqa: PERF203 - each has its own reason
            skipped.append(Skipped.because(each.checkpoint, each.revision, error))
            access = replace(access, hub_is_down=access.hub_is_down or isinstance(error, HubDownError))
    return sized, skipped


def check_race(methods: Sequence[str], *, reuse_cards: str | None) -> None:
    """Refuse a budget where no race can be.

    Raises:
        LeadHubError: chances of the score are not calibrated, a score needs what cannot be extended image by image, or
            cards are to stand in for computing.
    """
    if reason := why_no_race(methods, reuse_cards=reuse_cards):
        raise LeadHubError(reason)


def can_race(methods: Sequence[str], *, reuse_cards: str | None = None) -> bool:
    """Whether a run with these scores may have a budget; where not, budget="auto" is the full run.

    Args:
        methods: keys of SCORES; the first one ranks.
        reuse_cards: as for `recommend`.
    """
    return not why_no_race(methods, reuse_cards=reuse_cards)


def why_no_race(methods: Sequence[str], *, reuse_cards: str | None) -> str:
    """What stands against a race, and what to do; "" where nothing does."""
    ranks = methods[0]
    costly = [name for name in methods if "network_kernel" in SCORES[name].needs_kernels]
    if find_calibration(ranks, SCORES[ranks].version) is None:
        return (
            f"a budget needs a score whose chances to be best are calibrated, such as lead, found {ranks}: leave out"
            " the budget, or name lead first"
        )
    if costly:
        return f"a budget needs scores to which images can be added, which {', '.join(costly)} is not: leave out one"
    if reuse_cards is not None:
        return "cards hold no scores of few images: give reuse_cards or a budget, not both"
    return ""
