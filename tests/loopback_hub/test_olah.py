"""A third party on the read path: olah, a mirror of the Hub, in front of the test Hub.

That a mirror written for the real Hub can live on ours is the one check of the test Hub that does not come from the
client it was written for. Install olah where its command is on the PATH (an environment of its own will do).
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import RemoteEntryNotFoundError

from tests.loopback_hub.server import HubServer

OLAH = shutil.which("olah-cli")
START_TIMEOUT_S = 60
FILES = {"README.md": b"---\nlicense: mit\n---\n", "config.json": b'{"model_type": "vit"}', "a/b.txt": b"text"}
LARGE = bytes(range(256)) * 20_000

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(OLAH is None, reason="olah (PyPI) is not installed: no olah-cli on the PATH"),
]


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text()
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    pytest.fail(f"olah did not start within {START_TIMEOUT_S} s: {log.read_text()}")


@pytest.fixture
def mirror(hub: HubServer, tmp_path: Path) -> Iterator[str]:
    """The endpoint of an olah that mirrors the test Hub."""
    assert OLAH is not None
    port = free_port()
    command = [OLAH, "--port", str(port), "--host", "127.0.0.1", "--hf-scheme", "http"]
    command += ["--hf-netloc", urlsplit(hub.endpoint).netloc, "--hf-lfs-netloc", urlsplit(hub.cdn_endpoint).netloc]
    for option in ("--mirror-netloc", "--mirror-lfs-netloc"):
        command += [option, f"127.0.0.1:{port}"]
    command += ["--repos-path", str(tmp_path / "repos"), "--log-path", str(tmp_path / "logs")]
    log = tmp_path / "olah.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=tmp_path, env=os.environ, stdout=output, stderr=subprocess.STDOUT)
    try:
        wait_for(port, process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=30)


def test_a_mirror_serves_what_the_test_hub_holds(hub: HubServer, mirror: str, tmp_path: Path) -> None:
    sha = hub.add_repo("team/model", files={**FILES, "model.safetensors": LARGE})
    api = HfApi(endpoint=mirror, token=False)
    assert api.model_info("team/model").sha == sha
    folder = Path(api.snapshot_download("team/model", cache_dir=tmp_path / "cache"))
    assert folder.name == sha
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert found == {**FILES, "model.safetensors": LARGE}
    with pytest.raises(RemoteEntryNotFoundError):
        api.hf_hub_download("team/model", "nothing.json", cache_dir=tmp_path / "cache")
    assert {request.status for request in hub.requests if request.path.startswith("/_cdn/")} <= {200, 206}
    assert hub.requests
