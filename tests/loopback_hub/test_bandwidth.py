"""A line of limited bandwidth: by hand on a clock of the test, and no faster than that through the real client."""

import time
from pathlib import Path

import pytest
from huggingface_hub import HfApi

from tests.loopback_hub import HubServer, Line
from tests.loopback_hub.bandwidth import CHUNK_BYTES


def test_pieces_wait_for_those_before_them() -> None:
    """100 bytes a second: 50 take half a second, 30 more end 0.3 s after those; a line that was free saves nothing."""
    now_s = [10.0]
    line = Line(100, clock=lambda: now_s[0])
    assert [line.wait_s(50), line.wait_s(30)] == pytest.approx([0.5, 0.8])
    now_s[0] = 10.5
    assert line.wait_s(20) == pytest.approx(0.3 + 0.2)  # of those before, and its own
    now_s[0] = 20.0
    assert line.wait_s(100) == pytest.approx(1.0)


def test_a_body_is_whole_in_pieces() -> None:
    now_s, body = [0.0], bytes(range(256)) * 1024
    line = Line(CHUNK_BYTES, clock=lambda: now_s[0])

    def pause(duration_s: float) -> None:
        now_s[0] += duration_s

    pieces = list(line.pieces(body, pause))
    assert b"".join(pieces) == body
    assert [len(piece) for piece in pieces] == [CHUNK_BYTES] * 4
    assert now_s[0] == 4.0


def test_a_download_is_no_faster_than_the_line(hub: HubServer, tmp_path: Path) -> None:
    hub.add_repo("team/model", files={"model.safetensors": bytes(300_000)})
    hub.line = Line(1_000_000)
    start_s = time.monotonic()
    path = HfApi(endpoint=hub.endpoint).hf_hub_download("team/model", "model.safetensors", cache_dir=tmp_path)
    assert time.monotonic() - start_s >= 0.3
    assert Path(path).read_bytes() == bytes(300_000)
