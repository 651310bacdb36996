"""Stage 8: scored and skipped checkpoints -> Leaderboard, its verdict, its files, and the words that people read."""

from lead_hub.leaderboard.answer import answer_card, ranked_on, skipped_table
from lead_hub.leaderboard.beside_prediction import outcome_table
from lead_hub.leaderboard.board import Leaderboard, rank
from lead_hub.leaderboard.board_file import check_ending
from lead_hub.leaderboard.drawing import Scale, labels, line, ticks
from lead_hub.leaderboard.figures import confusion_heat_map, rank_intervals, score_against_parameters
from lead_hub.leaderboard.html_table import FURTHER, board_table
from lead_hub.leaderboard.rows import FineTunedAccuracy, RankedCheckpoint, RankedDataset, Skipped, read_row
from lead_hub.leaderboard.shown_text import (
    HUB,
    bdi,
    escaped,
    folder_name,
    hub_link,
    linked,
    one_line,
    row_name,
    without_paths,
)
from lead_hub.leaderboard.terminal import TerminalColumn, news, print_board
from lead_hub.leaderboard.two_checkpoints import side_by_side
from lead_hub.leaderboard.verdict import rows_verdict
from lead_hub.leaderboard.words import (
    count_in_words,
    duration_in_words,
    expected_interval,
    is_bold,
    summary,
    whole_interval,
)

__all__ = [
    "FURTHER",
    "HUB",
    "FineTunedAccuracy",
    "Leaderboard",
    "RankedCheckpoint",
    "RankedDataset",
    "Scale",
    "Skipped",
    "TerminalColumn",
    "answer_card",
    "bdi",
    "board_table",
    "check_ending",
    "confusion_heat_map",
    "count_in_words",
    "duration_in_words",
    "escaped",
    "expected_interval",
    "folder_name",
    "hub_link",
    "is_bold",
    "labels",
    "line",
    "linked",
    "news",
    "one_line",
    "outcome_table",
    "print_board",
    "rank",
    "rank_intervals",
    "ranked_on",
    "read_row",
    "row_name",
    "rows_verdict",
    "score_against_parameters",
    "side_by_side",
    "skipped_table",
    "summary",
    "ticks",
    "whole_interval",
    "without_paths",
]
