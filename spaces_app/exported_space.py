"""The folder of a Space that runs without an installed lead-hub: its README and requirements, app.py, both packages.

A Space is built again whenever the Hub likes, so its requirements name the very versions that it was exported beside.
"""

import re
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import lead_hub
from lead_hub.errors import LeadHubError

HERE = Path(__file__).parent
SDK_VERSION = re.compile(r"^sdk_version: .*$", re.MULTILINE)
REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(?P<extras>\[[^\]]*\])?.*")
APP = '''"""What the Hub runs."""

from spaces_app.app import main

if __name__ == "__main__":
    main()
'''
# The benchmarks' stored outputs are for the clone.
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", "matrix", "real_matrix")


def export(folder: Path) -> Path:
    """Write the Space's repository, ready for `hf upload`.

    Raises:
        LeadHubError: the folder has something in it, or cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise LeadHubError(f"the folder of a Space must be new or empty, found something at {folder}: name another")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "README.md").write_text(_readme(), encoding="utf-8")  # where the Hub looks for it
        (folder / "requirements.txt").write_text(_requirements(), encoding="utf-8")
        (folder / "app.py").write_text(APP, encoding="utf-8")
        for package in (Path(lead_hub.__file__).parent, HERE):
            shutil.copytree(package, folder / package.name, ignore=LEFT_OUT)
    except OSError as error:
        raise LeadHubError(f"the Space cannot be written to {folder}: {error}") from error
    return folder


def pinned(requirement: str) -> str:
    """A requirement with the version that is installed here, as everybody can install it; as it is where none is.

    A build of one's own hardware, such as 2.9.1+cpu, is no package of the index: the version stands without it.
    """
    parts = REQUIREMENT.fullmatch(requirement)
    installed = _installed(parts["name"]) if parts else None
    return f"{parts['name']}{parts['extras'] or ''}=={installed}" if parts and installed else requirement


def _installed(package: str) -> str | None:
    try:
        return version(package).partition("+")[0]
    except PackageNotFoundError:
        return None


def _requirements() -> str:
    lines = (HERE / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return "".join(f"{pinned(line)}\n" for line in lines)


def _readme() -> str:
    """With Gradio's version as the requirements pin it, for the Hub installs the one that is named there."""
    text = (HERE / "README.md").read_text(encoding="utf-8")
    installed = _installed("gradio")
    return SDK_VERSION.sub(f"sdk_version: {installed}", text, count=1) if installed else text
