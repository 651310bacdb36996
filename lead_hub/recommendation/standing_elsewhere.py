"""What `lead-hub calibrate --cards` learnt of checkpoints on other datasets -> candidates that know their standing."""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

from lead_hub.access import Access
from lead_hub.candidates import Candidate, same_dataset
from lead_hub.errors import ScoreError
from lead_hub.score_cards import Standings, parse_standings
from lead_hub.transferability import SCORES

METHOD = "lead"


def kept_standings(access: Access) -> Standings:
    """What this machine knows; nothing, with a warning, where it cannot be read."""
    file = access.standings_file
    try:
        text = file.read_text(encoding="utf-8") if file.is_file() else None
        version = SCORES[METHOD].version
        return {} if text is None else parse_standings(text, method=METHOD, method_version=version)
    except (OSError, ValueError, ScoreError) as error:
        warnings.warn(f"{file} is not used: {error}; `lead-hub calibrate --cards` writes it again", stacklevel=2)
        return {}


def with_standings(candidates: Sequence[Candidate], standings: Standings, *, dataset: str) -> list[Candidate]:
    """The candidates with their mean standing on other datasets, where there is one.

    Args:
        candidates: of a run.
        standings: of all checkpoints and datasets.
        dataset: that the run ranks on: what is known of it from elsewhere counts for nothing.
    """
    known = []
    for candidate in candidates:
        told = standings.get(candidate.checkpoint, {}).items()
        elsewhere = [standing for name, standing in told if not same_dataset(name, dataset)]
        known.append(replace(candidate, standing=fmean(elsewhere)) if elsewhere else candidate)
    return known
