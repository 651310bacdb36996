"""Memory does not grow with the number of images; the full claim is tests/benchmarks/decoding_memory.py."""

from tests.benchmarks.decoding_memory import measured


def test_peak_memory_of_four_times_the_images_is_the_same(tmp_path):
    few = measured(tmp_path, n_images=150, side=1000, kind="folder")
    many = measured(tmp_path, n_images=600, side=1000, kind="folder")
    assert many["decoded_bytes"] == 600 * 512 * 512 * 3
    # 450 more decoded images would be 354 MB, the same encoded 150 MB.
    assert many["read_bytes"] - few["read_bytes"] < 64 * 2**20
    assert many["read_bytes"] < 1 * 2**30
