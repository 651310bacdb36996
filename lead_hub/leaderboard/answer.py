"""A leaderboard -> its answer as HTML: which checkpoint, how sure, how accurate, and why not the second.

Text by others leaves here escaped. Page, HTML file and notebook show the same.
"""

from lead_hub.leaderboard.drawing import ANSWER_STYLE, interval_drawing, share_drawing, styled
from lead_hub.leaderboard.rows import Board, RankedDataset
from lead_hub.leaderboard.shown_text import HUB, bdi, escaped, folder_name, hub_link, linked, one_line, row_name
from lead_hub.leaderboard.verdict import MOST_NAMED, rows_verdict, why_not_second
from lead_hub.leaderboard.words import (
    calibrated_on,
    chance_in_words,
    count_in_words,
    expected_interval,
    is_bold,
    percent,
    summary,
)

CLASSES_NAMED = 12
REASONS_SHOWN = 10
LONGEST_NOTE = 300
LONGEST_SHOWN = 80


def answer_card(board: Board, *, endpoint: str = HUB) -> str:
    """The verdict, large: also before the end, and where nothing could be ranked.

    Args:
        board: also while its run goes on.
        endpoint: the Hub's address, for links.
    """
    if not board.rows:
        return styled(f'<div class="lh-answer lh-none">{_nothing_ranked(board)}</div>', ANSWER_STYLE)
    best = board.rows[0]
    name = linked(row_name(best), hub_link(best.checkpoint, best.sha, pages=endpoint), at_most=LONGEST_SHOWN)
    why = escaped(why_not_second(board.rows, name=row_name)) if board.is_complete else ""
    parts = [
        f'<p class="lh-verdict">{escaped(_before_name(board))}</p><p class="lh-winner">{name}</p>',
        _also(board),
        _figures(board),
        f'<p class="lh-why">{why}.</p>' if why else "",
        *_warnings(board),
        _basis(board),
    ]
    return styled(f'<div class="lh-answer">{"".join(parts)}</div>', ANSWER_STYLE)


def _before_name(board: Board) -> str:
    """The verdict without the names, which stand below it, the first one large."""
    if not board.is_complete:
        return f"After {_tried(board)} of {board.n_candidates} checkpoints, this one leads:"
    sentence = rows_verdict(board.rows, method=board.method, name=lambda _: "")
    kind, colon, rest = sentence.partition(":")
    begun = f"{sentence[:1].upper()}{sentence[1:]}"
    return f"{begun[: len(kind)]}:" if colon and not rest.strip(" ,") else f"{begun}. The first by score:"


def _also(board: Board) -> str:
    """The others that could be the best, or the smallest of them where they are too many to name."""
    others = [row for row in board.rows[1:] if is_bold(row)] if board.is_complete and is_bold(board.rows[0]) else []
    if not others:
        return ""
    if len(others) < MOST_NAMED:
        names = " or ".join(bdi(row_name(row), at_most=LONGEST_SHOWN) for row in others)
        return f'<p class="lh-also">or {names}</p>'
    smallest = min((board.rows[0], *others), key=lambda row: row.parameters)
    size = f" ({count_in_words(smallest.parameters)})" if smallest.parameters else ""
    name = bdi(row_name(smallest), at_most=LONGEST_SHOWN)
    return f'<p class="lh-also">the smallest of them: {name}{size}</p>' if smallest is not board.rows[0] else ""


def _figures(board: Board) -> str:
    best, sure = board.rows[0], board.rows[0].confidence
    parts = []
    if sure is not None and sure.p_best is not None:
        words = f"chance to be the best of these {len(board.rows)}" if len(board.rows) > 1 else "chance to be the best"
        parts.append(_figure(chance_in_words(sure.p_best), words, share_drawing(sure.p_best)))
    if sure is not None and sure.predicted_accuracy is not None:
        low, high = sure.predicted_low or 0.0, sure.predicted_high or 1.0
        drawn = interval_drawing(low, sure.predicted_accuracy, high)
        words = f"accuracy expected once fine-tuned; 90% interval: {expected_interval(sure)}%"
        parts.append(_figure(percent(sure.predicted_accuracy), words, drawn))
    if best.parameters:
        licence = f"licence {escaped(best.licence, at_most=40)}" if best.licence else "licence not named"
        parts.append(_figure(count_in_words(best.parameters), f"parameters; {licence}", ""))
    return f'<div class="lh-figures">{"".join(parts)}</div>' if parts else ""


def _figure(number: str, words: str, drawn: str) -> str:
    return f'<div><p class="lh-number">{escaped(number)}</p>{drawn}<p class="lh-words">{words}</p></div>'


def _nothing_ranked(board: Board) -> str:
    if not board.is_complete:
        return '<p class="lh-verdict">No checkpoint has been ranked yet.</p>'
    reasons = [
        f"<li>{bdi(skip.checkpoint)} ({escaped(skip.stage)}): {escaped(skip.reason)}</li>"
        for skip in board.skipped[:REASONS_SHOWN]
    ]
    more = len(board.skipped) - len(reasons)
    rest = f"<p>The list of those skipped says it of {more} more.</p>" if more > 0 else ""
    words = f"None of the {board.n_candidates} checkpoints could be ranked."
    return f'<p class="lh-verdict">{words}</p><ul>{"".join(reasons)}</ul>{rest}'


def _tried(board: Board) -> int:
    return len(board.rows) + len(board.skipped)


def _basis(board: Board) -> str:
    rests_on = calibrated_on(board)
    if not rests_on:
        return ""
    return (
        "<details><summary>What this rests on</summary><p>The chance and the expected accuracy were learnt from"
        f" {escaped(rests_on)}. For larger networks and more images than these they are unverified: trust the order"
        " more than the number.</p></details>"
    )


def _warnings(board: Board) -> list[str]:
    """Of the checkpoints that could be best, those that have seen the dataset."""
    return [
        f'<p class="lh-warning">{bdi(row_name(row))} was trained on this dataset: its score says little about new'
        " images.</p>"
        for row in board.rows
        if row.trained_on_dataset and is_bold(row)
    ]


def ranked_on(board: Board, *, endpoint: str = HUB) -> str:
    """What was ranked on, by what, and where it ran."""
    images = board.dataset
    classes = ", ".join(bdi(name, at_most=30) for name in images.class_names[:CLASSES_NAMED])
    more = len(images.class_names) - CLASSES_NAMED
    named_classes = f"{classes} and {more} more" if more > 0 else classes
    where = summary(board)
    lines = [
        f"<p>{_dataset_name(images, endpoint)}, {_part(images)}: {images.n_images:,} images of"
        f" {len(images.class_names)} classes ({named_classes}), ranked by {escaped(board.method)};"
        f" {_tried(board)} of {board.n_candidates} checkpoints tried{f'; {escaped(where)}' if where else ''}.</p>",
        *(f"<p>Note: {escaped(note.rstrip('.'), at_most=LONGEST_NOTE)}.</p>" for note in images.notes),
    ]
    return styled(f'<div class="lh-ranked-on">{"".join(lines)}</div>', ANSWER_STYLE)


def _dataset_name(images: RankedDataset, endpoint: str) -> str:
    if images.is_local:
        return bdi(folder_name(images.dataset))
    return linked(images.dataset, hub_link(images.dataset, images.sha, pages=f"{endpoint.rstrip('/')}/datasets"))


def _part(images: RankedDataset) -> str:
    config = f"configuration {bdi(images.config, at_most=40)}, " if images.config not in (None, "default") else ""
    return f"{config}split {bdi(images.split, at_most=40)}"


def skipped_rows(board: Board) -> list[list[str]]:
    """Checkpoint, stage and reason of what could not be scored, as text."""
    return [[one_line(skip.checkpoint), one_line(skip.stage), one_line(skip.reason)] for skip in board.skipped]


def skipped_table(board: Board) -> str:
    """A table of what could not be scored, and why."""
    head = "".join(f'<th scope="col">{header}</th>' for header in ("checkpoint", "at", "why, and what to do"))
    rows = "".join(
        f"<tr>{''.join(f'<td>{escaped(cell)}</td>' for cell in cells)}</tr>" for cells in skipped_rows(board)
    )
    return styled(
        f'<table class="lh-skipped"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>', ANSWER_STYLE
    )
