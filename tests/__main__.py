"""Everything that must hold, in one command: `python -m tests`. Extra arguments go to pytest."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

CHECKS = (
    ("ruff", "check", "."),
    ("ruff", "format", "--check", "."),
    ("mypy",),
    ("pytest", *sys.argv[1:]),
)


def main() -> int:
    """Run every check, also after one has failed; the exit code is that of the first failure."""
    codes = []
    for check in CHECKS:
        print(f"== {' '.join(check)}", flush=True)
        codes.append(subprocess.run([sys.executable, "-m", *check], cwd=ROOT, check=False).returncode)
    return next((code for code in codes if code), 0)


if __name__ == "__main__":
    sys.exit(main())
