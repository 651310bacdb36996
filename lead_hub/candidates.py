"""Which checkpoints to rank: ids, folders, a text file, `model_index.json` or the demo pool -> Candidates."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Candidate:
    """A checkpoint that may be ranked, before anything of it was downloaded.

    Attributes:
        checkpoint: Hub id ("org/name") or path of a local checkpoint folder, as the user gave it.
        revision: branch, tag or commit asked for; None means the default branch, or a local folder.
        parameters: number of weights where known beforehand.
        licence: the Hub's licence identifier where known beforehand, e.g. "apache-2.0".
    """

    checkpoint: str
    revision: str | None = None
    parameters: int | None = None
    licence: str | None = None
