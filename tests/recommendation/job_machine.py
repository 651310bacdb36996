"""A machine that carries out Jobs of the test Hub, as the real one does but for the installation."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from tests.loopback_hub import HubServer


class Machine(threading.Thread):
    """Carries out the first Job of the test Hub but for the installation, which is here; the second one fails."""

    def __init__(self, hub: HubServer, folder: Path) -> None:
        super().__init__(daemon=True)
        self.hub, self.folder, self.output = hub, folder, ""

    def run(self) -> None:
        deadline = time.monotonic() + 300
        while len(self.hub.jobs) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        self.hub.jobs["job2"].stage, self.hub.jobs["job2"].message = "ERROR", "Job failed with exit code: 137"
        job = self.hub.jobs["job1"]
        job.stage = "RUNNING"
        shell, option, script = job.spec["command"]
        without_pip = "\n".join(line for line in script.splitlines() if not line.startswith("pip "))
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, **job.secrets, "PATH": path, "HF_HOME": str(self.folder / "home")}
        done = subprocess.run(
            [shell, option, without_pip], cwd=self.folder, env=environment, capture_output=True, text=True, check=False
        )
        self.output = done.stdout + done.stderr
        job.stage = "ERROR" if done.returncode else "COMPLETED"
