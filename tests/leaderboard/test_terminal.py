"""A board on a terminal: the verdict first, then one line a checkpoint at any width, with or without colour."""

import io
import re
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from lead_hub.leaderboard import Leaderboard, Skipped, TerminalColumn, duration_in_words, news, print_board
from lead_hub.leaderboard.drawing import Scale
from lead_hub.leaderboard.terminal import board_lines
from lead_hub.leaderboard.text_drawing import fitted, text_bar, text_interval
from tests.leaderboard.made_boards import FAIR, GOOD, LOCAL, board_of, hostile_board

WIDTHS = (80, 120, 160)
LONG = replace(
    GOOD, checkpoint="some-organisation/a-checkpoint-with-a-very-long-name-patch16-224-in21k-ft-in1k", score=-0.3
)
BOARD = board_of(GOOD, LONG, FAIR, LOCAL)


def printed(board: Leaderboard, width: int, **settings: object) -> str:
    console = Console(file=io.StringIO(), width=width, **settings)
    print_board(board, console)
    return str(console.file.getvalue())


def table_lines(board: Leaderboard, width: int, **settings: object) -> list[str]:
    """The header and the lines of the checkpoints."""
    lines = [line.plain for line in board_lines(board, width=width, **settings)]
    first = lines.index("") + 1
    return lines[first : lines.index("", first)]


AT_80 = """\
▌ One of these 3: org/good, some-organisation/a-checkpoint-with-a-very-long-name
▌ -patch16-224-in21k-ft-in1k, org/fair@v1
▌ org/good: 62.4% chance to be best, 71% (58-82%) accuracy expected when
▌ fine-tuned
▌ some-organisation/a-checkpoint-with-a-very-long-name-patch16-224-in21k-ft-in1k
▌ (chance to be best 62.4%) may be as good: these images cannot tell the two
▌ apart.

      checkpoint                      chance of best   expected accuracy    size
▸  1  org/good                        █████     62.4%  71% (58-82%)        11.7M
▸  2  some-organisation/a…1k-ft-in1k  █████     62.4%  71% (58-82%)        11.7M
▸  3  org/fair@v1                     █████     62.4%  71% (58-82%)       176.0K
   4  models/mine                     ▏          1.0%  71% (58-82%)        86.6M

▸ could be the best. org/flowers, split train: 1200 images of 2 classes, ranked
by lead (higher is better)
Learnt from five fine-tunings, maybe unlike yours; in full: --json
"""


def test_at_80_columns() -> None:
    assert [line.rstrip() for line in printed(BOARD, 80).splitlines()] == AT_80.splitlines()


@pytest.mark.parametrize("width", WIDTHS)
def test_one_line_a_checkpoint_that_fits(width: int) -> None:
    for board in (BOARD, hostile_board(), board_of(replace(GOOD, confidence=None), LONG)):
        header, *rows = table_lines(board, width)
        assert len(rows) == len(board.rows)
        assert max(cell_len(line) for line in (header, *rows)) <= width
    wrapped = [line for line in printed(BOARD, width).splitlines() if line.startswith("▸ ") and "could be" not in line]
    assert len(wrapped) == 3


def test_more_columns_where_there_is_room() -> None:
    quick = board_of(*(replace(row, images_per_s=12.0, family="resnet") for row in BOARD.rows))
    headers = [set(re.split(r"  +", table_lines(quick, width)[0].strip())) for width in WIDTHS]
    assert headers[0] == {"checkpoint", "chance of best", "expected accuracy", "size"}
    assert headers[1] - headers[0] == {"ranks", "score", "licence"}
    assert headers[2] - headers[1] == {"family", "images/s"}


def test_columns_that_were_asked_for_come_before_those_that_were_not() -> None:
    asked = board_of(*(replace(row, other_scores={"logme": 0.25, "parc": None}) for row in BOARD.rows))
    assert "logme" in table_lines(asked, 80)[0]
    many = board_of(*(replace(row, other_scores={f"score-{n}": 0.5 for n in range(9)}) for row in BOARD.rows))
    lines = table_lines(many, 80)
    assert "no room for" in lines[-1]
    assert all("org/good"[:3] in lines[1] and cell_len(line) <= 80 for line in lines)
    assert "score-8" in table_lines(many, 300)[0]
    extra = (TerminalColumn("fine-tuned", lambda _: "71.0%"),)
    assert "fine-tuned" in board_lines(BOARD, width=80, extra=extra)[8].plain


def test_without_colour_what_could_be_best_is_marked_all_the_same() -> None:
    plain = printed(BOARD, 80, no_color=True, force_terminal=True)
    assert not re.search(r"\x1b\[(?:[0-9;]*;)?3[0-7]m", plain)
    assert (
        len([line for line in re.sub(r"\x1b\[[0-9;]*m", "", plain).splitlines() if line.startswith("▸ ")]) == 4
    )  # and the key
    assert "\x1b[" in printed(BOARD, 80, force_terminal=True)
    assert "▸ could be the best" in printed(BOARD, 80)


def test_where_letters_are_all_that_there_is() -> None:
    lines = [line.plain for line in board_lines(BOARD, width=80, ascii_only=True)]
    text = "\n".join(lines).replace("…", "")  # what shortens a name
    assert text.isascii()
    assert lines[0].startswith("| One of these 3")
    assert any(line.startswith(">  1  org/good") and "#####" in line for line in lines)


def test_names_cannot_steer_the_terminal() -> None:
    board = hostile_board()
    for name in ("\x1b[31mred", "a\nb", "\x1b]0;title\x07"):
        board = board.with_skipped(Skipped(name, None, stage="load", reason=name))
    seen = printed(board, 120)
    assert not set(seen) & {"\x1b", "\x07", "\r", "\x00", "\u202e", "\u2028"}


def test_rows_are_told_of_as_they_come() -> None:
    first = board_of(GOOD, n_candidates=12)
    assert news(first, None, width=80).split() == ["1/12", "org/good", "71%", "(58-82%)", "1", "of", "1", "so", "far"]
    second = replace(board_of(GOOD, LONG, n_candidates=12))
    assert news(second, first, width=80).startswith(" 2/12  some-organisation/a-ch")
    assert len(news(second, first, width=80)) <= 80
    bare = board_of(replace(GOOD, confidence=None), n_candidates=12)
    assert "score -0.2500" in news(bare, None, width=80)
    skipped = first.with_skipped(Skipped("org/bad", None, stage="load", reason="no weights"))
    assert news(skipped, first, width=80).split() == ["2/12", "org/bad", "skipped", "at", "load"]


def test_before_the_end_there_is_a_leader_and_no_verdict() -> None:
    seen = printed(board_of(GOOD, FAIR, n_candidates=5), 80)
    assert seen.startswith("▌ org/good leads after 2 of 5 checkpoints")
    assert seen.endswith("stopped after 2 of 5 candidates\n")


def test_reasons_of_many_are_not_all_told() -> None:
    board = board_of(GOOD, n_candidates=9)
    for number in range(8):
        board = board.with_skipped(Skipped(f"org/{number}", None, stage="load", reason="no weights"))
    seen = printed(board, 80)
    assert seen.count("skipped at load") == 5
    assert "and 3 more skipped, with their reasons in --json" in seen


def test_bars_and_intervals() -> None:
    assert [text_bar(share, width=4) for share in (0, 0.001, 0.125, 0.5, 1)] == ["    ", "▏   ", "▌   ", "██  ", "████"]
    assert [text_bar(share, width=4, ascii_only=True) for share in (0, 0.001, 0.5, 1)] == [
        "    ",
        "#   ",
        "##  ",
        "####",
    ]
    assert text_interval(0, 0.5, 1, scale=Scale(0, 1), width=9) == "├───●───┤"
    assert text_interval(0.25, 0.25, 0.25, scale=Scale(0, 1), width=9) == "  ●      "
    assert [fitted(name, 8) for name in ("short", "a-very-long-name", "日本語の名前です")] == [
        "short   ",
        "a-ver…me",
        "日本…す ",
    ]


def test_notes_are_said_once() -> None:
    noted = board_of(
        replace(GOOD, note="from cache"), replace(FAIR, note="from cache"), replace(LOCAL, trained_on_dataset=True)
    )
    seen = printed(noted, 120)
    assert "note on 1, 2: from cache" in seen
    assert "note on 3: trained on this dataset" in seen


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "1 s"), (54, "54 s"), (90, "2 min"), (5400, "1.5 h"), (7200, "2 h")]
)
def test_durations_as_one_would_say_them(seconds: float, words: str) -> None:
    assert duration_in_words(seconds) == words


def test_names_by_others_reach_the_terminal_as_text() -> None:
    red = "\x1b[31mred"
    rows = [replace(row, other_scores={red: 0.5}) for row in (GOOD, FAIR)]
    shown = io.StringIO()
    print_board(board_of(*rows), Console(file=shown, width=200))
    assert "\x1b" not in shown.getvalue()
    assert "[31mred" in shown.getvalue()
