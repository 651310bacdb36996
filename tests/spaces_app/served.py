"""The app as its visitors meet it: a process of its own on loopback, in a home of its own, watched from outside."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.loopback_hub import HubServer

PROJECT = Path(__file__).parent.parent.parent
START_S = 540  # a guard against hanging; a busy machine may take long
SPACE_ID = "lead-hub/lead-hub"
# No test reaches a server outside: a laptop's Hub is a port that nobody answers.
NO_HUB = "http://127.0.0.1:9"
# What must never be in a log: a Hub token, or an application's secret.
SECRETS = re.compile(r"hf_[0-9a-f]{34}|secret-of-app-\d+")


@dataclass(frozen=True)
class ServedSpace:
    """A running app.

    Attributes:
        url: address of its page; by the name localhost, which browsers trust with cookies for https alone.
        home: everything that it wrote is below this folder.
        process_id: of the server.
    """

    url: str
    home: Path
    process_id: int

    @property
    def log(self) -> str:
        """What it has printed so far."""
        return (self.home / "log.txt").read_text(encoding="utf-8", errors="replace")

    @property
    def peak_memory_bytes(self) -> int:
        """The most memory that the process has held so far; only Linux tells."""
        status = Path(f"/proc/{self.process_id}/status").read_text(encoding="ascii")
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024

    @property
    def processor_s(self) -> float:
        """Seconds of computing that the process has used so far; only Linux tells."""
        fields = Path(f"/proc/{self.process_id}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def files_with(self, *texts: str) -> list[Path]:
        """Files below the home, the log aside, whose content or name holds one of the texts."""
        wanted = [text.encode() for text in texts]
        found = []
        for path in self.home.rglob("*"):
            if path.is_file() and path.name != "log.txt":
                content = path.read_bytes() + str(path.relative_to(self.home)).encode()
                if any(text in content for text in wanted):
                    found.append(path)
        return found


@contextmanager
def served_space(
    home: Path,
    *,
    hub: HubServer | None = None,
    program: Sequence[str] = ("-m", "spaces_app.app"),
    folder: Path = PROJECT,
    **environment: str,
) -> Iterator[ServedSpace]:
    """Start the app, as a Space of the test Hub or without one as on a laptop, and stop it after the block.

    Args:
        home: of the process; all that it writes goes there.
        hub: whose Space it is.
        program: what Python is to run.
        folder: where.
        environment: further variables.

    Raises:
        RuntimeError: it does not come up; with its log.
    """
    port = _free_port()
    url = f"http://localhost:{port}"
    variables = _variables(home, port) | (_of_a_space(hub, url) if hub else {}) | environment
    with (home / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, *program], cwd=folder, env=variables, stdout=log, stderr=subprocess.STDOUT
        )
    space = ServedSpace(url, home, process.pid)
    try:
        _wait_for(space, process)
        yield space
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _variables(home: Path, port: int) -> Mapping[str, str]:
    """Nothing of whoever runs the tests but the path to programs."""
    folders = {
        "HOME": home,
        "HF_HOME": home / "huggingface",
        "GRADIO_TEMP_DIR": home / "gradio",
        "TMPDIR": home / "tmp",
    }
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    return {
        "PATH": os.environ["PATH"],
        **{name: str(folder) for name, folder in folders.items()},
        **{"HF_ENDPOINT": NO_HUB, "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"},
        **{"GRADIO_SERVER_NAME": "127.0.0.1", "GRADIO_SERVER_PORT": str(port), "GRADIO_ANALYTICS_ENABLED": "False"},
        **{"PYTHONUNBUFFERED": "1", "NO_COLOR": "1"},
    }


def _of_a_space(hub: HubServer, url: str) -> Mapping[str, str]:
    """What the Hub sets in a Space with `hf_oauth: true`, but SPACE_HOST, which would lead visitors to https."""
    app = hub.add_oauth_app(url)
    return {
        **{"SYSTEM": "spaces", "SPACE_ID": SPACE_ID, "HF_ENDPOINT": hub.endpoint, "OPENID_PROVIDER_URL": hub.endpoint},
        **{"OAUTH_CLIENT_ID": app.client_id, "OAUTH_CLIENT_SECRET": app.client_secret},
        "OAUTH_SCOPES": " ".join(app.scopes),
    }


def _wait_for(space: ServedSpace, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until and process.poll() is None:
        with suppress(httpx.TransportError):
            if httpx.get(f"{space.url}/config", timeout=5).status_code == 200:
                return
        time.sleep(0.1)
    raise RuntimeError(f"the app did not answer at {space.url}; its log:\n{space.log}")


# Tracebacks that are not ours, each with its reason.
HARMLESS = (
    # In a Space, Gradio wants the package `spaces`, which only the Hub's own machines have.
    re.compile(
        r"Exception in thread .*\nTraceback .*\n(?:  .*\n)+"
        r"RuntimeError: `spaces` package is required to run hot-reloading in Spaces"
    ),
    # Gradio makes event loops that it never closes; collected in an unlucky order, they complain.
    re.compile(
        r"Exception ignored in: <function BaseEventLoop.__del__ .*\nTraceback .*\n(?:  .*\n)+"
        r"ValueError: Invalid file descriptor: -1"
    ),
    # Gradio's stream of events to a page that has just been left finds its queue gone, and says so in a stream that
    # has begun already.
    re.compile(
        r"Traceback .*\n(?:  .*\n)+  File .*gradio/routes\.py.* in sse_stream\n +raise HTTPException\(\n"
        r"fastapi\.exceptions\.HTTPException: 404: Not Found\n\n"
        r"The above exception was the direct cause of the following exception:\n\n"
        r"Traceback .*\n(?:  .*\n)+RuntimeError: Caught handled exception, but response already started\."
    ),
)


def check_log(log: str) -> None:
    """No secret was printed, and nothing went wrong behind the visitors' backs."""
    assert not SECRETS.findall(log)
    for pattern in HARMLESS:
        log = pattern.sub("", log)
    assert "Traceback" not in log, log[-5000:]
