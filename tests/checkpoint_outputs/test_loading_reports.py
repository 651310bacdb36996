"""transformers is quiet while a checkpoint loads, also when another thread reads one's settings meanwhile."""

import logging
import threading

import pytest
from transformers.utils import logging as transformers_logging

from lead_hub.checkpoint_outputs.checkpoint_folder import quiet_transformers


@pytest.mark.slow
def test_one_thread_does_not_end_the_quiet_of_another() -> None:
    before = transformers_logging.get_verbosity()
    inside, first_is_out = threading.Event(), threading.Event()
    seen: list[int] = []

    def second() -> None:
        with quiet_transformers():
            inside.set()
            first_is_out.wait(timeout=0.5)
            seen.append(transformers_logging.get_verbosity())

    thread = threading.Thread(target=second)
    with quiet_transformers():
        thread.start()
        inside.wait(timeout=0.5)
    first_is_out.set()
    thread.join()
    assert seen == [logging.CRITICAL]
    assert transformers_logging.get_verbosity() == before
