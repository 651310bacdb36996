"""The browser that tests of the page drive: where it is, and how it comes onto a fresh machine."""

import os
import shutil
import subprocess

NAMES = ("chromium", "chromium-browser", "google-chrome")
NO_BROWSER = "no chromium: apt-get install chromium"
INSTALL = (("apt-get", "update", "-qq"), ("apt-get", "install", "-y", "-qq", "chromium"))


def find_browser() -> str | None:
    """The program of the installed browser; playwright's own download is not used."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def install_browser() -> str:
    """Install the browser where that is allowed; gives in words what came of it, empty where it was there already."""
    if find_browser():
        return ""
    if not hasattr(os, "geteuid") or os.geteuid() != 0 or shutil.which("apt-get") is None:
        return "no browser, and only root on a machine with apt-get can install it here"
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in INSTALL:
        if code := subprocess.run(command, env=quiet, check=False).returncode:
            return f"no browser: `{' '.join(command)}` failed with exit code {code}"
    return "the browser was installed" if find_browser() else f"no browser, although chromium was installed: {NAMES}"
