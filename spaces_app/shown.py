"""What a visitor's page shows at the end of a run: kept on the server, for that visitor alone."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from lead_hub.leaderboard import Leaderboard, RankedCheckpoint, one_line, row_name
from lead_hub.recommendation import PredictedClasses, RunPictures
from spaces_app.answers import shown_board
from spaces_app.request import RunRequest
from spaces_app.runs import RunState
from spaces_app.visitors import Deployment

LONGEST_CHOICE = 100
NOT_KEPT = "These results are kept for an hour, which is over: press Rank checkpoints again."
ANY = "any"
NO_PICTURES = RunPictures()  # of a board that was found again
ORDERS: dict[str, Callable[[RankedCheckpoint], tuple[float, int]]] = {
    "rank": lambda row: (row.rank, row.parameters),
    "expected accuracy": lambda row: (-((row.confidence and row.confidence.predicted_accuracy) or 0.0), row.rank),
    "size, smallest first": lambda row: (row.parameters or float("inf"), row.rank),
}
SIZES = {ANY: 0, "up to 10M": 10_000_000, "up to 30M": 30_000_000, "up to 100M": 100_000_000}


@dataclass(frozen=True, eq=False)
class Shown:
    """What was asked and found.

    Attributes:
        question: that was asked.
        board: what was found, as the visitor may read it.
        brought: name of the visitor's zip, if its images were ranked on.
        pictures: of the images, for the page that ranked on them alone; none of a board that was found again.
    """

    question: RunRequest
    board: Leaderboard
    brought: str = ""
    pictures: RunPictures = NO_PICTURES

    @staticmethod
    def of(question: RunRequest, state: RunState, deployment: Deployment, *, brought: str = "") -> "Shown | None":
        """None where nothing was found."""
        if state.board is None:
            return None
        board = shown_board(state.board, question, deployment, brought=brought)
        return Shown(question, board, brought, state.pictures)

    def predictions(self, row: RankedCheckpoint) -> PredictedClasses | None:
        """What the row's checkpoint takes each image for, where this page may show it."""
        return self.pictures.left_out.get(row.sha)

    @property
    def link(self) -> str:
        """The query string of a link to the question; no link carries a zip."""
        return "" if self.brought else self.question.to_link()

    def file_name(self, day: date) -> str:
        """What a file with this result is called, without an ending: the dataset and the day, safe on any disk."""
        name = re.sub(r"[^A-Za-z0-9]+", "-", self.brought or self.question.dataset)[:60].strip("-")
        return f"lead-hub-{name or 'board'}-{day.isoformat()}"

    def row(self, number: int | None) -> RankedCheckpoint | None:
        """The row of that number, from 0."""
        return self.board.rows[number] if number is not None and 0 <= number < len(self.board.rows) else None

    def choices(self) -> list[tuple[str, int]]:
        """Every row by rank and name, and its number."""
        return [
            (f"{row.rank}. {one_line(row_name(row), at_most=LONGEST_CHOICE)}", number)
            for number, row in enumerate(self.board.rows)
        ]

    def licences(self) -> list[str]:
        """The licences that there are, for a choice of them."""
        return sorted({one_line(row.licence or "not named", at_most=LONGEST_CHOICE) for row in self.board.rows})

    def families(self) -> list[str]:
        """The families that there are, for a choice of them."""
        return sorted({one_line(row.family, at_most=LONGEST_CHOICE) for row in self.board.rows if row.family})

    def chosen(
        self, *, order: str, size: str, licences: Sequence[str], families: Sequence[str]
    ) -> list[RankedCheckpoint]:
        """The rows that are left, in the order asked for; what is not understood leaves all.

        Args:
            order: a key of ORDERS.
            size: a key of SIZES.
            licences: none for all.
            families: none for all.
        """
        most = SIZES.get(size) or float("inf")
        left = [
            row
            for row in self.board.rows
            if row.parameters <= most
            and (not licences or one_line(row.licence or "not named", at_most=LONGEST_CHOICE) in licences)
            and (not families or one_line(row.family, at_most=LONGEST_CHOICE) in families)
        ]
        return sorted(left, key=ORDERS.get(order, ORDERS["rank"]))
