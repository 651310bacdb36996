"""The figures of races as a table for people, and what must be said of them."""

from lead_hub.bench.race_replay import CALIBRATED_ON, RaceFigures, RaceReport
from lead_hub.bench.report_text import FITTED_ON

POOL = 201  # checkpoints of the index that comes with lead-hub
MOST_FULL_ONES = 50  # that racing all of them should cost


def race_headers(report: RaceReport) -> tuple[str, ...]:
    """One a column."""
    few, many = report.n_stored_images
    return (
        *("targets", "candidates", "winner loses", "same winner", "set kept", "of its members", "best in set, full"),
        "best in set, race",
        f"passes, {few} to {many} images",
        f"passes, {report.settings.n_images_of_run:,} images",
        f"all {POOL}, full checkpoints",
    )


def race_cells(figures: RaceFigures) -> tuple[str, ...]:
    """One line of the table."""
    fewest, most = figures.n_candidates
    candidates = f"{most}" if fewest == most else f"{fewest} to {most}"
    return (
        f"{figures.half} ({figures.n_targets})",
        f"{candidates} drawn" if figures.is_drawn else candidates,
        f"{figures.lost_points:.2f}",
        f"{figures.same_winner:.1%}",
        f"{figures.kept:.1%}",
        f"{figures.members_kept:.1%}",
        f"{figures.full_holds_best:.1%}",
        f"{figures.race_holds_best:.1%}",
        f"{figures.passes:.1%}",
        f"{figures.passes_of_run:.1%}",
        f"{full_checkpoints(figures):.0f}" if figures.is_drawn else "",
    )


def full_checkpoints(figures: RaceFigures) -> float:
    """How many checkpoints on all images of a run take as many forward passes as a race of the whole pool."""
    return POOL * figures.passes_of_run


def race_legend(report: RaceReport) -> list[str]:
    """What the columns mean, and what they do not say."""
    settings, rules = report.settings, report.settings.rules
    fitted = "; ".join(f"{half} by constants fitted on {FITTED_ON[CALIBRATED_ON[half]]}" for half in settings.halves)
    few, many = report.n_stored_images
    return [
        f"a race: all see {rules.first_images} images or {rules.first_per_class} a class, at most"
        f" {rules.largest_first_share:.0%} of all; those outside the smallest set that holds the best with"
        f" {rules.level:.1%} drop out, but never the best {rules.least_share:.0%}; the others see twice as many,"
        f" until all ({settings.n_repetitions} seeded samples a target; {fitted}; the rules were chosen on the study"
        " targets)",
        "winner loses: accuracy points after fine-tuning between the full run's winner and the race's, the mean; set"
        " kept: share of races in which every checkpoint of the full run's 90% set of possible best ones was in the"
        " race to its end; of its members: share of them that were, the mean; best in"
        " set: share in which the 90% set of the full run, and of the race's board, holds the truly best",
        f"passes: share of the full run's forward passes. A target stores {few} to {many} images, so that a quarter of"
        f" them, which all candidates see, is already {rules.largest_first_share:.0%}; the next column is computed for"
        f" a run of {settings.n_images_of_run:,} images in which all that are left at the end here see the rest: what"
        " further stages would spare, and whether the full run's set would be another one, is not in it",
        f"drawn: {settings.n_drawn} candidates from the same checkpoints with replacement, the score of each moved by"
        " a normal error of pi / sqrt(6) spreads of the calibration, the same at all stages",
        f"goals: winner loses at most 0.5, set kept at least 95%, passes at most 25%, of {settings.n_drawn} drawn 15%",
        f"all {POOL}: the whole pool that comes with lead-hub, at the share of passes of the {settings.n_drawn} drawn"
        f" ones in the column before, costs as much as so many checkpoints on all {settings.n_images_of_run:,} images;"
        f" the goal is at most {MOST_FULL_ONES}{missed(report)}",
        *report.left_out,
    ]


def missed(report: RaceReport) -> str:
    """On which targets the whole pool costs more than it should, as the end of a sentence."""
    over = [each.half for each in report.figures if each.is_drawn and full_checkpoints(each) > MOST_FULL_ONES]
    return f", missed on {', '.join(over)}" if over else ""
