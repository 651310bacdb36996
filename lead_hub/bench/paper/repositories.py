"""Which Hub repositories stand for the checkpoints and datasets of the published comparisons."""

import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from lead_hub.bench.matrix_files import MatrixError

FOLDER = Path(str(resources.files("lead_hub.bench.paper")))
PAPER_LIST = FOLDER / "paper.json"
GROUPS = ("supervised", "self-supervised")


@dataclass(frozen=True)
class PaperCheckpoint:
    """One checkpoint of the published comparisons.

    Attributes:
        name: as published.
        group: "supervised" or "self-supervised"; checkpoints are ranked within their group.
        repository: Hub id, optionally "@revision", or a local folder; None where there is no counterpart.
        nearest: whether the repository differs from what was published, as the note says.
        note: what differs, or why there is no repository.
    """

    name: str
    group: str
    repository: str | None
    nearest: bool = False
    note: str = ""

    def __post_init__(self) -> None:
        if self.group not in GROUPS:
            raise MatrixError(f"{self.name}: group must be one of {', '.join(GROUPS)}, found {self.group!r}")


@dataclass(frozen=True)
class PaperDataset:
    """One dataset of the published comparisons; the columns and the split are those that `recommend` reads."""

    name: str
    repository: str | None
    config: str | None = None
    split: str = "train"
    image_column: str | None = None
    label_column: str | None = None
    nearest: bool = False
    note: str = ""


@dataclass(frozen=True)
class PaperList:
    """All checkpoints and datasets of the published comparisons."""

    checkpoints: tuple[PaperCheckpoint, ...]
    datasets: tuple[PaperDataset, ...]

    @property
    def departures(self) -> tuple[str, ...]:
        """What differs from the published comparisons, in sentences."""
        entries: tuple[PaperCheckpoint | PaperDataset, ...] = (*self.checkpoints, *self.datasets)
        return tuple(
            ", ".join(filter(None, (f"{each.name}: {each.repository or 'left out'}", each.note)))
            for each in entries
            if each.nearest or each.repository is None
        )


def read_paper_list(path: Path = PAPER_LIST) -> PaperList:
    """Read a list: an object with "checkpoints" and "datasets", whose keys are the fields of the records above.

    Raises:
        MatrixError: it cannot be read, or says something else.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        paper = PaperList(
            tuple(PaperCheckpoint(**each) for each in document["checkpoints"]),
            tuple(PaperDataset(**each) for each in document["datasets"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise MatrixError(
            f'a list of the paper must be JSON with "checkpoints" and "datasets", found none in {path}: {error}'
        ) from error
    for names in ([each.name for each in paper.checkpoints], [each.name for each in paper.datasets]):
        if len(set(names)) < len(names):
            raise MatrixError(f"every name in {path} must be there once, found {', '.join(names)}")
    return paper
