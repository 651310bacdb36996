"""Which pretrained vision checkpoint to fine-tune on your dataset, ranked without fine-tuning any.

The path, one room an arrow:

    dataset id -> LabelledImages -> Candidate... -> files -> CheckpointOutputs -> score -> Leaderboard -> score cards

    from lead_hub import recommend
    board = recommend("my-org/my-dataset")     # or a folder of images, with candidates=[...] of your own
    board.best.checkpoint

`recommend` is the whole path, and `for board in Recommendation(...)` the same step by step; `score` is one arrow of it:
features and labels in, one number out.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lead_hub.candidates import Candidate as Candidate
    from lead_hub.candidates import CandidateQuery as CandidateQuery
    from lead_hub.candidates import IndexQuery as IndexQuery
    from lead_hub.candidates import find_candidates as find_candidates
    from lead_hub.errors import CandidateError as CandidateError
    from lead_hub.errors import DatasetError as DatasetError
    from lead_hub.errors import HubError as HubError
    from lead_hub.errors import LeadHubError as LeadHubError
    from lead_hub.errors import ScoreError as ScoreError
    from lead_hub.leaderboard import Leaderboard as Leaderboard
    from lead_hub.recommendation import Recommendation as Recommendation
    from lead_hub.recommendation import recommend as recommend
    from lead_hub.transferability import SCORES as SCORES
    from lead_hub.transferability import score as score
    from lead_hub.verification import calibrate as calibrate
    from lead_hub.verification import verify as verify

# Public name -> its module. Loaded on first use, because torch and transformers take seconds to import and
# `lead-hub --version` needs neither.
_HOMES = {
    "recommend": "lead_hub.recommendation",
    "Recommendation": "lead_hub.recommendation",
    "verify": "lead_hub.verification",
    "calibrate": "lead_hub.verification",
    "score": "lead_hub.transferability",
    "SCORES": "lead_hub.transferability",
    "Leaderboard": "lead_hub.leaderboard",
    "Candidate": "lead_hub.candidates",
    "CandidateQuery": "lead_hub.candidates",
    "IndexQuery": "lead_hub.candidates",
    "find_candidates": "lead_hub.candidates",
    "LeadHubError": "lead_hub.errors",
    "DatasetError": "lead_hub.errors",
    "CandidateError": "lead_hub.errors",
    "ScoreError": "lead_hub.errors",
    "HubError": "lead_hub.errors",
}

__version__ = "0.1.0"
__all__ = [*_HOMES, "__version__"]  # noqa: PLE0604 - the keys are strings


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'lead_hub' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
