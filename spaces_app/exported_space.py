"""The folder of a Space that runs without an installed lead-hub: its README and requirements, app.py, both packages."""

import shutil
from pathlib import Path

import lead_hub
from lead_hub.errors import LeadHubError

HERE = Path(__file__).parent
AT_THE_ROOT = ("README.md", "requirements.txt")  # where the Hub looks for them
APP = '''"""What the Hub runs."""

from spaces_app.app import main

if __name__ == "__main__":
    main()
'''
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", "matrix")  # the benchmark's stored outputs, 30 MB


def export(folder: Path) -> Path:
    """Write the Space's repository, ready for `hf upload`.

    Raises:
        LeadHubError: the folder has something in it, or cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise LeadHubError(f"the folder of a Space must be new or empty, found something at {folder}: name another")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in AT_THE_ROOT:
            shutil.copyfile(HERE / name, folder / name)
        (folder / "app.py").write_text(APP, encoding="utf-8")
        for package in (Path(lead_hub.__file__).parent, HERE):
            shutil.copytree(package, folder / package.name, ignore=LEFT_OUT)
    except OSError as error:
        raise LeadHubError(f"the Space cannot be written to {folder}: {error}") from error
    return folder
