"""Stage 8: scored and skipped checkpoints -> Leaderboard, its verdict, its files, and the words that people read."""

from lead_hub.leaderboard.board import Leaderboard, rank
from lead_hub.leaderboard.board_file import check_ending
from lead_hub.leaderboard.rows import FineTunedAccuracy, RankedCheckpoint, RankedDataset, Skipped, read_row
from lead_hub.leaderboard.terminal import TerminalColumn, print_board
from lead_hub.leaderboard.verdict import rows_verdict
from lead_hub.leaderboard.words import count_in_words, is_bold, summary, whole_interval

__all__ = [
    "FineTunedAccuracy",
    "Leaderboard",
    "RankedCheckpoint",
    "RankedDataset",
    "Skipped",
    "TerminalColumn",
    "check_ending",
    "count_in_words",
    "is_bold",
    "print_board",
    "rank",
    "read_row",
    "rows_verdict",
    "summary",
    "whole_interval",
]
