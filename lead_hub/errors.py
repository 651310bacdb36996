"""Everything that can go wrong, as one tree.

    LeadHubError
    ├── DatasetError     the images or labels cannot be used: the run stops
    ├── CandidateError   this checkpoint cannot be used: it is skipped, the run goes on
    ├── ScoreError       the score is undefined for these outputs: never a made-up number
    ├── HubError         the Hub answered no, or not at all
    └── RunCancelledError  the caller wants no more: ends a run, never leaves it

Every message says what must hold, what was found, and what to do next.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal, TypeAlias

# Where a run, or a checkpoint of it, is or has failed; "find" the candidate, "finetune" only to verify.
Stage: TypeAlias = Literal["dataset", "find", "download", "load", "extract", "score", "finetune"]


class LeadHubError(Exception):
    """Base of every error that lead-hub raises on purpose."""


class DatasetError(LeadHubError):
    """The labelled images cannot be read or are not a single-label classification task."""


class CandidateError(LeadHubError):
    """One checkpoint cannot be scored.

    Attributes:
        stage: where it failed.
    """

    def __init__(self, message: str, *, stage: Stage) -> None:
        super().__init__(message)
        self.stage = stage

    def __reduce__(self) -> tuple[Callable[[str], "CandidateError"], tuple[str]]:
        # Exceptions rebuild themselves from positional arguments alone; this one travels between processes.
        return partial(CandidateError, stage=self.stage), (str(self),)


class ScoreError(LeadHubError):
    """A transferability score is undefined for the given features and labels."""


class HubError(LeadHubError):
    """The Hugging Face Hub refused or could not be reached."""


class RunCancelledError(LeadHubError):
    """The caller of a run wants no more of it; its board so far is what it gives."""
