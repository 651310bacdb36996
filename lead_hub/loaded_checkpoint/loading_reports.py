"""transformers' own reports while it loads: silenced, because what matters of them becomes a CandidateError."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars
from transformers.utils import logging as transformers_logging

_one_at_a_time = threading.RLock()  # the switches are global: a second thread would put them back under the first


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Silence its loading report and progress bar: what matters of them becomes CandidateError. Put back after."""
    with _one_at_a_time:
        reports: Any = transformers_logging  # partly untyped
        verbosity, bars, no_hub_bars = (
            reports.get_verbosity(),
            reports.is_progress_bar_enabled(),
            are_progress_bars_disabled(),
        )
        reports.set_verbosity(logging.CRITICAL)
        if bars:
            reports.disable_progress_bar()
        try:
            yield
        finally:
            reports.set_verbosity(verbosity)
            if bars:
                reports.enable_progress_bar()
            if no_hub_bars:  # transformers switches the bars of huggingface_hub along with its own
                disable_progress_bars()
