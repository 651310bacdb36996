"""Ranked and skipped checkpoints -> Leaderboard: sorted once, read by people, programs and score cards."""

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lead_hub.errors import CandidateError, LeadHubError
from lead_hub.hub import hub_address
from lead_hub.leaderboard.board_file import read_board, write_board
from lead_hub.leaderboard.html_page import Drawing, board_page, drawing_of, notebook_html
from lead_hub.leaderboard.opening import readme_opening
from lead_hub.leaderboard.rows import (
    FineTunedAccuracy,
    RankedCheckpoint,
    RankedDataset,
    Skipped,
    confidence_columns,
    finetuned_figures,
    read_row,
)
from lead_hub.leaderboard.shown_text import without_paths
from lead_hub.leaderboard.verdict import rows_verdict

if TYPE_CHECKING:
    import pandas as pd

    from lead_hub.score_cards import Push

__all__ = ["FineTunedAccuracy", "Leaderboard", "RankedCheckpoint", "RankedDataset", "Skipped", "rank"]

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Leaderboard:
    """Checkpoints by score, best first, and all that is needed to make the ranking again.

    Attributes:
        dataset: the images.
        method: name of the score, a key of SCORES.
        rows: scored checkpoints, best first.
        skipped: checkpoints that could not be scored, in the order they were met.
        settings: arguments of the run (seed, max_images, batch_size, ...).
        versions: of Python and the packages that can change a number.
        n_candidates: checkpoints asked for; more than rows and skipped while a run goes on.
        method_version: of the score; scores of different versions are not comparable.
    """

    dataset: RankedDataset
    method: str
    rows: tuple[RankedCheckpoint, ...]
    skipped: tuple[Skipped, ...]
    settings: Mapping[str, str | int | None]
    versions: Mapping[str, str]
    n_candidates: int
    method_version: int = 1

    @property
    def best(self) -> RankedCheckpoint:
        """The first row.

        Raises:
            CandidateError: no checkpoint could be scored; the message gives every reason.
        """
        if not self.rows:
            reasons = "; ".join(f"{skip.checkpoint} ({skip.stage}): {skip.reason}" for skip in self.skipped)
            raise CandidateError(f"no candidate could be scored: {reasons or 'none was tried yet'}", stage="score")
        return self.rows[0]

    @property
    def is_complete(self) -> bool:
        """Whether every candidate has been tried."""
        return len(self.rows) + len(self.skipped) == self.n_candidates

    @property
    def verdict(self) -> str:
        """Whether there is a winner, in one sentence; empty without rows."""
        return rows_verdict(self.rows, method=self.method)

    def with_skipped(self, skipped: Skipped) -> "Leaderboard":
        """The board with one more checkpoint that could not be scored."""
        return replace(self, skipped=(*self.skipped, skipped))

    def to_pandas(self) -> "pd.DataFrame":
        """One row a candidate: the scored ones by rank (status "ranked"), then the skipped ones ("skipped")."""
        import pandas as pd  # noqa: PLC0415 - half a second that `lead-hub --version` need not wait for

        facts = [
            fact.name
            for fact in dataclasses.fields(RankedCheckpoint)
            if fact.name not in {"companions", "other_scores", "finetuned", "confidence"}
        ]
        figures = [{**row.companions, **row.other_scores} for row in self.rows]
        outcomes = [{**confidence_columns(row), **finetuned_figures(row)} for row in self.rows]
        records = [
            {**{name: getattr(row, name) for name in facts}, "status": "ranked", **beside, **outcome}
            for row, beside, outcome in zip(self.rows, figures, outcomes, strict=True)
        ] + [
            {"checkpoint": skip.checkpoint, "revision": skip.revision, "status": "skipped", "stage": skip.stage}
            | {"note": skip.reason}
            for skip in self.skipped
        ]
        leading = [
            "rank",
            "checkpoint",
            "score",
            "status",
            *sorted({name for beside in figures for name in beside}),
            *dict.fromkeys(name for outcome in outcomes for name in outcome),
        ]
        columns = [*leading, *(name for name in facts if name not in leading), "stage"]
        whole_numbers = ["rank", "parameters", "downloads", "n_features", "n_source_classes", "n_images"]
        whole_numbers += [name for name in columns if name.startswith("finetuned_n_")]
        whole_numbers += [name for name in ("rank_low", "rank_high", "tie_group") if name in columns]
        return pd.DataFrame.from_records(records, columns=columns).astype(dict.fromkeys(whole_numbers, "Int64"))

    def save(self, path: str | Path) -> Path:
        """Write `.json` or `.parquet` (complete: `load` gives an equal board), `.csv` (the table alone) or `.html`.

        The `.html` file is for people: answer, table and drawings; a browser loads nothing from elsewhere for it.

        Raises:
            LeadHubError: another ending, or a place that cannot be written.
        """
        return write_board(Path(path), self.to_document(), table=self.to_pandas, page=self.to_html)

    def to_html(self) -> str:
        """One HTML page for people, as `save("board.html")` writes it: answer, table, drawings, how it was made."""
        from huggingface_hub.constants import ENDPOINT  # noqa: PLC0415 - as the environment has it by now

        return board_page(without_machine(self), endpoint=ENDPOINT, settings=self.settings, versions=self.versions)

    def _repr_html_(self) -> str:
        """What a notebook shows of it."""
        from huggingface_hub.constants import ENDPOINT  # noqa: PLC0415 - as the environment has it by now

        return notebook_html(without_machine(self), endpoint=ENDPOINT)

    def plot(
        self, kind: Literal["ranks", "size", "confusion"] | None = None, *, checkpoint: str | None = None
    ) -> Drawing:
        """Draw it: a notebook shows the result, and `.save("board-ranks.html")` keeps it.

        Args:
            kind: "ranks", how sure they are; "size", score against number of parameters; "confusion", which classes a
                checkpoint takes for which; None for all three.
            checkpoint: whose confusion, by its name here; None means the best.

        Raises:
            LeadHubError: another kind, or no such checkpoint.
        """
        return drawing_of(self, kind, checkpoint=checkpoint)

    @staticmethod
    def load(path: str | Path) -> "Leaderboard":
        """Read a board that was saved as `.json` or `.parquet`.

        Raises:
            LeadHubError: no such file, another ending, or a file that holds no leaderboard of this version.
        """
        return Leaderboard.from_document(read_board(Path(path)))

    def push_to_hub(  # noqa: PLR0913 - the one call that users see carries every choice that they may make
        self,
        repo_id: str,
        *,
        private: bool | None = None,
        create_pr: bool = False,
        commit_message: str | None = None,
        collection: bool = False,
        pr_to_models: bool = False,
        dry_run: bool = False,
        token: str | bool | None = None,
    ) -> "Push":
        """Write the scores as score cards into a dataset repository, which is created if it is missing.

        What is there already is kept: pushing the same board twice makes no second commit. Paths of this machine are
        never written, local data and checkpoints go by their folder's name. Where all can see the repository, rows of
        checkpoints that not everybody may read (folders, private and gated repositories) are left out, and counted.

        Args:
            repo_id: "user/name" or "organisation/name".
            private: whether a new repository is private; None means if the ranked dataset is. False also allows to
                write a private dataset's scores, and private checkpoints' rows, where all can see them.
            create_pr: open a pull request instead of writing to the main branch.
            commit_message: title of the commit or pull request.
            collection: also keep a collection of the best checkpoints for the dataset; private where dataset or
                repository are, unless `private` is False.
            pr_to_models: also open a pull request with the card to each ranked model in the user's own namespace; where
                dataset or repository are private, to private models alone, unless `private` is False.
            dry_run: read only, and say what would be written.
            token: Hub token; None means the Hub's own login, False nobody's, even where one is logged in.

        Raises:
            LeadHubError: no rows, or one that does not name its files by a sha.
            HubError: the Hub refused or cannot be reached, or a private dataset's scores, or nothing but private
                checkpoints' rows, would become public.
        """
        from lead_hub.access import Access  # noqa: PLC0415 - reading a saved board needs no Hub
        from lead_hub.score_cards import PushSettings, push_scores  # noqa: PLC0415

        api = Access(token=token).api
        settings = PushSettings(
            private=private,
            create_pr=create_pr,
            commit_message=commit_message,
            collection=collection,
            pr_to_models=pr_to_models,
            dry_run=dry_run,
        )
        return push_scores(
            self.to_document(),
            repo_id,
            api=api,
            opening=partial(_opening, endpoint=hub_address(api.endpoint)),
            settings=settings,
        )

    @staticmethod
    def from_hub(
        repo_id: str,
        *,
        dataset: str,
        method: str | None = None,
        revision: str | None = None,
        token: str | bool | None = None,
    ) -> "Leaderboard":
        """The ranking of a dataset that was pushed last to a repository of score cards.

        Args:
            repo_id: the repository.
            dataset: Hub id; for local data the folder's name.
            method: name of the score; None means whichever was pushed last.
            revision: branch, tag or commit of the repository.
            token: Hub token; None means the Hub's own login, False nobody's, even where one is logged in.

        Raises:
            HubError: the Hub refused or cannot be reached, or holds no such ranking.
            LeadHubError: the scores were written by another version of lead-hub.
        """
        from lead_hub.access import Access  # noqa: PLC0415 - reading a saved board needs no Hub
        from lead_hub.score_cards import read_scores  # noqa: PLC0415

        document = read_scores(repo_id, api=Access(token=token).api, dataset=dataset, method=method, revision=revision)
        return Leaderboard.from_document(document)

    def to_document(self) -> dict[str, Any]:
        """The board as plain JSON values."""
        return {"schema_version": SCHEMA_VERSION, "verdict": self.verdict, **dataclasses.asdict(self)}

    @staticmethod
    def from_document(document: object) -> "Leaderboard":
        """The board of `to_document`, also after a journey through JSON.

        Raises:
            LeadHubError: not a leaderboard, of another schema version, or with keys missing or unknown.
        """
        version = document.get("schema_version") if isinstance(document, dict) else None
        if not isinstance(document, dict) or version != SCHEMA_VERSION:
            raise LeadHubError(
                f'a leaderboard must be an object with "schema_version" {SCHEMA_VERSION}, found {version!r}:'
                " was it written by another version of lead-hub?"
            )
        # The verdict follows from the rows.
        values = {key: value for key, value in document.items() if key not in {"schema_version", "verdict"}}
        try:
            dataset = values["dataset"]
            listed = {key: tuple(dataset[key]) for key in ("class_names", "notes")}
            values["dataset"] = RankedDataset(**{**dataset, **listed})
            values["rows"] = tuple(read_row(row) for row in values["rows"])
            values["skipped"] = tuple(Skipped(**skip) for skip in values["skipped"])
            return Leaderboard(**values)
        except (KeyError, TypeError) as error:
            raise LeadHubError(f"a leaderboard of schema version {SCHEMA_VERSION} has other keys: {error}") from error


def _opening(document: dict[str, Any], n_left_out: int, *, endpoint: str) -> str:
    board = Leaderboard.from_document(document)
    n_whole = board.n_candidates if n_left_out else len(board.rows)  # what was skipped is not written
    return readme_opening(replace(board, n_candidates=n_whole), endpoint=endpoint, n_left_out=n_left_out)


def without_machine(board: Leaderboard) -> Leaderboard:
    """The board without the places of this machine's disk that notes and reasons may name."""
    dataset = replace(board.dataset, notes=tuple(map(without_paths, board.dataset.notes)))
    rows = tuple(replace(row, note=without_paths(row.note)) for row in board.rows)
    skipped = tuple(
        replace(skip, checkpoint=without_paths(skip.checkpoint), reason=without_paths(skip.reason))
        for skip in board.skipped
    )
    return replace(board, dataset=dataset, rows=rows, skipped=skipped)


def rank(rows: Iterable[RankedCheckpoint]) -> tuple[RankedCheckpoint, ...]:
    """Sort by score, best first, those on more images first of all; equal ones share a rank, the smaller first."""

    def place(row: RankedCheckpoint) -> tuple[float, float]:
        return -(float("inf") if row.n_images is None else row.n_images), -row.score

    ordered = sorted(rows, key=lambda row: (*place(row), row.parameters, row.checkpoint))
    places = [place(row) for row in ordered]
    return tuple(replace(row, rank=places.index(place(row)) + 1) for row in ordered)
