"""A leaderboard -> one HTML file for a colleague, and what a notebook shows: nothing is loaded from elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lead_hub.errors import LeadHubError
from lead_hub.hub import written_whole
from lead_hub.leaderboard.answer import answer_card, ranked_on, skipped_table
from lead_hub.leaderboard.figures import confusion_heat_map, rank_intervals, score_against_parameters
from lead_hub.leaderboard.html_table import board_table
from lead_hub.leaderboard.rows import Board, RankedCheckpoint
from lead_hub.leaderboard.shown_text import escaped, folder_name, row_name
from lead_hub.leaderboard.words import is_bold

DrawingKind = Literal["ranks", "size", "confusion"]
KINDS = ("ranks", "size", "confusion")
MOST_EXPLAINED = 5
# No script, no request, no form: what the file holds is all that a browser shows, whatever a name may try.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
PAGE_STYLE = """
:root {color-scheme: light dark; --color-accent: light-dark(#4f46e5, #818cf8)}
body {margin: 0 auto; max-width: 1100px; padding: 24px 16px 64px; font: 15px/1.5 system-ui, sans-serif}
main {display: grid; grid-template-columns: minmax(0, 1fr); gap: 24px} h1 {font-size: 16px; margin: 0; font-weight: 600;
overflow-wrap: anywhere} h2 {font-size: 18px; margin: 0 0 8px} footer {margin-top: 32px; font-size: 13px; opacity: .8;
overflow-wrap: anywhere} .lh-fold {margin: 0} .lh-fold > summary {cursor: pointer; font-weight: 600}
@media print {body {max-width: none}}
"""


@dataclass(frozen=True)
class Drawing:
    """Pictures of a board: a notebook shows them, `save` keeps them as a page of their own.

    Attributes:
        html: escaped, with its style, without scripts.
        title: of the page.
    """

    html: str
    title: str

    def _repr_html_(self) -> str:
        return self.html

    def save(self, path: str | Path) -> Path:
        """Write an `.html` file that loads nothing from elsewhere; only this machine's user may read it.

        Raises:
            LeadHubError: another ending, or a place that cannot be written.
        """
        place = Path(path)
        if place.suffix != ".html":
            raise LeadHubError(f"a drawing is saved as .html, found {str(place)!r}")
        try:
            with written_whole(place, private=True) as part:
                part.write_text(whole_page(self.title, f"<main>{self.html}</main>"), encoding="utf-8")
        except OSError as error:
            raise LeadHubError(
                f"the drawing must be saved where there is room and a right to write: {error}"
            ) from error
        return place


def drawing_of(board: Board, kind: str | None, *, checkpoint: str | None) -> Drawing:
    """Drawings of a board.

    Args:
        board: to draw.
        kind: "ranks", "size" or "confusion"; None for all three.
        checkpoint: whose confusion; None means the best.

    Raises:
        LeadHubError: another kind, or no such checkpoint.
    """
    if kind is not None and kind not in KINDS:
        raise LeadHubError(f"a drawing is one of {', '.join(KINDS)}, found {kind!r}")
    row = _row_called(board, checkpoint)
    drawn = {
        "ranks": rank_intervals(board),
        "size": score_against_parameters(board),
        "confusion": confusion_heat_map(row) if row else "",
    }
    return Drawing("".join(html for name, html in drawn.items() if kind in (None, name)), _title(board))


def _row_called(board: Board, checkpoint: str | None) -> RankedCheckpoint | None:
    if checkpoint is None:
        return next(iter(board.rows), None)
    found = next((row for row in board.rows if checkpoint in (row.checkpoint, row_name(row))), None)
    if found is None:
        names = ", ".join(row_name(row) for row in board.rows)
        raise LeadHubError(f"checkpoint must be one that is ranked ({names}), found {checkpoint!r}")
    return found


def notebook_html(board: Board, *, endpoint: str) -> str:
    """The answer, the table, and on what it was ranked."""
    parts = (answer_card(board, endpoint=endpoint), board_table(board, endpoint=endpoint))
    inner = "".join((*parts, ranked_on(board, endpoint=endpoint)))
    return f'<div style="max-width: 1100px; display: grid; gap: 16px">{inner}</div>'


def board_page(board: Board, *, endpoint: str, settings: Mapping[str, object], versions: Mapping[str, str]) -> str:
    """The whole file: answer, table, drawings, what was skipped, and how it was made."""
    could_be_best = [row for row in board.rows if is_bold(row)][:MOST_EXPLAINED]
    parts = [
        f"<h1>{escaped(_title(board))}</h1>",
        answer_card(board, endpoint=endpoint),
        board_table(board, endpoint=endpoint) if board.rows else "",
        *((rank_intervals(board), score_against_parameters(board)) if board.rows else ()),
        *(confusion_heat_map(row) for row in could_be_best),
        _folded(f"Skipped checkpoints: {len(board.skipped)}", skipped_table(board)) if board.skipped else "",
        _folded(
            "What it was ranked on, and how", ranked_on(board, endpoint=endpoint) + _made_by(board, settings, versions)
        ),
    ]
    return whole_page(_title(board), f"<main>{''.join(f'<section>{part}</section>' for part in parts if part)}</main>")


def _folded(title: str, html: str) -> str:
    return f'<details class="lh-fold"><summary>{escaped(title)}</summary>{html}</details>'


def _title(board: Board) -> str:
    name = folder_name(board.dataset.dataset) if board.dataset.is_local else board.dataset.dataset
    return f"Which checkpoint to fine-tune on {name}"


def _made_by(board: Board, settings: Mapping[str, object], versions: Mapping[str, str]) -> str:
    """Commits, settings and versions: all that makes the ranking again."""
    said = {
        "dataset": board.dataset.sha,
        **{row_name(row): row.sha for row in board.rows},
        **{name: str(value) for name, value in settings.items() if value is not None},
        **versions,
    }
    rows = "".join(
        f'<tr><th scope="row">{escaped(name)}</th><td>{escaped(value)}</td></tr>'
        for name, value in said.items()
        if value
    )
    return f'<table class="lh-skipped"><tbody>{rows}</tbody></table>'


def whole_page(title: str, body: str) -> str:
    """A page of our own around HTML of ours."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="referrer" content="no-referrer">'
        f"<title>{escaped(title)}</title><style>{PAGE_STYLE}</style></head><body>{body}"
        "<footer>Ranked by lead-hub without fine-tuning any checkpoint. Scores are predictions, comparable within this"
        " table only.</footer></body></html>\n"
    )
