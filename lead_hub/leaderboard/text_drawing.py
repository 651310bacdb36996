"""Drawings in letters, for terminals and Markdown: a bar, an interval, a name that fits."""

from rich.cells import cell_len

from lead_hub.leaderboard.drawing import Scale
from lead_hub.leaderboard.shown_text import one_line

EIGHTHS = " ▏▎▍▌▋▊▉█"


def text_bar(share: float, *, width: int, ascii_only: bool = False) -> str:
    """A bar of so many cells, filled by a share in [0, 1], to an eighth of a cell; what is above 0 can be seen."""
    if ascii_only:
        return ("#" * max(round(width * share), int(share > 0))).ljust(width)
    eighths = max(round(8 * width * share), int(share > 0))
    return ("█" * (eighths // 8) + EIGHTHS[eighths % 8].strip()).ljust(width)


def text_interval(low: float, value: float, high: float, *, scale: Scale, width: int) -> str:
    """An interval and the value in it, on a scale of so many cells: "  ├──●─┤ "."""
    ends = [round((width - 1) * scale.position(each) / 100) for each in (low, value, high)]
    cells = ["─" if ends[0] <= place <= ends[2] else " " for place in range(width)]
    cells[ends[0]], cells[ends[2]], cells[ends[1]] = "├", "┤", "●"
    return "".join(cells)


def fitted(text: str, width: int) -> str:
    """The text in that many cells of a terminal; what is too long loses its middle."""
    line = one_line(text)
    room = width
    while cell_len(line) > width:  # a letter may take two cells
        line, room = one_line(text, at_most=room), room - 1
    return line + " " * (width - cell_len(line))
