"""`lead-hub space` on the command line."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def space(*words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "lead_hub", "space", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def test_a_taken_port_is_an_error_in_plain_words() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = space("--port", port)
    assert done.returncode == 2
    assert f"the page needs port {port}, found it taken" in done.stderr
    assert done.stderr.startswith("Starting the page")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("port", ["0", "-1", "65536"])
def test_a_port_that_there_is_not_is_one_line(port: str) -> None:
    done = space("--port", port)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: --port must be from 1 to 65535, found {port}\n"


def test_the_space_is_exported_and_nothing_is_overwritten(tmp_path: Path) -> None:
    folder = tmp_path / "space"
    done = space("--export", str(folder))
    assert (done.returncode, done.stdout.strip()) == (0, str(folder))
    assert (folder / "app.py").is_file()
    again = space("--export", str(folder))
    assert again.returncode == 2
    assert "must be new or empty" in again.stderr
