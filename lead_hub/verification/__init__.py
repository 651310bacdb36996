"""A leaderboard's first checkpoints, really fine-tuned; and what is learnt from how that came out.

leaderboard  ->  verification: the same with outcomes  ->  outcome_files: on this machine, privately
score cards and kept outcomes  ->  recalibration: expected accuracies that rest on all of them
"""

from lead_hub.verification.recalibration import Recalibration, calibrate, forget_calibration
from lead_hub.verification.verification import (
    FAILED,
    Agreement,
    Verification,
    VerificationProgress,
    agreement,
    verify,
)

__all__ = [
    "FAILED",
    "Agreement",
    "Recalibration",
    "Verification",
    "VerificationProgress",
    "agreement",
    "calibrate",
    "forget_calibration",
    "verify",
]
