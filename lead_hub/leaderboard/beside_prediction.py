"""A verified leaderboard -> what fine-tuning really gave beside what was expected, as HTML."""

from lead_hub.leaderboard.drawing import NOTHING, circle, line, styled
from lead_hub.leaderboard.rows import Board, RankedCheckpoint
from lead_hub.leaderboard.shown_text import bdi, escaped, row_name
from lead_hub.leaderboard.two_checkpoints import COMPARISON_STYLE
from lead_hub.leaderboard.words import expected_interval, percent

OUTCOME_STYLE = (
    COMPARISON_STYLE
    + """
.lh-drawn .lh-outcome {stroke: var(--lh-text); stroke-width: 4}
.lh-compare .lh-outcomes :is(th, td):first-child {width: 28%}
"""
)


def outcome_table(board: Board, *, words: str = "") -> str:
    """A line a checkpoint that was fine-tuned: expected with its interval, and what it gave, on one scale.

    Args:
        board: some rows of which have outcomes.
        words: how the two agree, a sentence for people.
    """
    rows = [row for row in board.rows if row.finetuned]
    if not rows:
        return NOTHING
    heads = "".join(f'<th scope="col">{head}</th>' for head in ("expected", "really gave", "measured on"))
    lines = "".join(map(_line, rows))
    table = (
        '<table class="lh-outcomes" aria-label="Outcome beside prediction"><thead><tr><th scope="col">checkpoint</th>'
        f"{heads}</tr></thead><tbody>{lines}</tbody></table>"
    )
    said = f"<p>{escaped(words[:1].upper() + words[1:])}.</p>" if words else ""
    return styled(f'<div class="lh-compare">{said}{table}</div>', OUTCOME_STYLE)


def _line(row: RankedCheckpoint) -> str:
    found, sure = row.finetuned, row.confidence
    assert found is not None  # of those alone there are lines
    expected = '<span class="lh-quiet">not predicted</span>'
    if sure is not None and sure.predicted_accuracy is not None:
        expected = f'{percent(sure.predicted_accuracy)} <span class="lh-quiet">({expected_interval(sure)})</span>'
        expected += _drawing(sure.predicted_low or 0.0, sure.predicted_accuracy, sure.predicted_high or 1.0, row)
    seeds = f"{found.n_runs} trainings" if found.n_runs > 1 else "1 training"
    spread = "" if found.accuracy_sd is None else f" ± {100 * found.accuracy_sd:.1f}"
    given = f'<b>{100 * found.accuracy:.1f}{spread}%</b> <span class="lh-quiet">{escaped(found.mode)}, {seeds}</span>'
    on = f"{found.n_test:,} images, {escaped(found.test_source, at_most=60)}"
    head = f'<th scope="row">{row.rank}. {bdi(row_name(row))}</th>'
    return f"<tr>{head}<td>{expected}</td><td>{given}</td><td>{on}</td></tr>"


def _drawing(low: float, value: float, high: float, row: RankedCheckpoint) -> str:
    """The expected interval, and where the outcome lies on it as an upright line."""
    outcome = row.finetuned.accuracy if row.finetuned else value
    drawn = line((0, 50), (100, 50), name="lh-scale") + line((100 * low, 50), (100 * high, 50), name="lh-reach")
    drawn += circle((100 * value, 50), radius=5)
    upright = line((100 * outcome, 0), (100 * outcome, 100), name="lh-outcome")
    return f'<svg class="lh-drawn" aria-hidden="true">{drawn}{upright}</svg>'
