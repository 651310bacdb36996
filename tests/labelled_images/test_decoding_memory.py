"""Memory does not grow with the number of images; the full claim is tests/benchmarks/decoding_memory.py."""

import pytest

from lead_hub.labelled_images import STORED_SHORT_SIDE_PX
from tests.benchmarks.decoding_memory import measured

pytestmark = pytest.mark.slow


def test_peak_memory_of_four_times_the_images_is_the_same(tmp_path):
    few = measured(tmp_path, n_images=60, side=1000, kind="folder")
    many = measured(tmp_path, n_images=240, side=1000, kind="folder")
    assert many["decoded_bytes"] == 240 * STORED_SHORT_SIDE_PX**2 * 3
    # 180 more decoded images would be 142 MB, the same encoded 61 MB.
    assert many["read_bytes"] - few["read_bytes"] < 32 * 2**20
    assert many["read_bytes"] < 1 * 2**30
