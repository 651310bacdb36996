"""Everything that must hold, in one command: `python -m tests`. Extra arguments go to pytest.

`python -m tests quick` leaves out the tests that are marked slow: those that need a browser or a second process, or
that take long. It measures no coverage.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.browser import install_browser
from tests.report import what_did_not_run

ROOT = Path(__file__).parents[1]
STYLE = (("ruff", "check", "."), ("ruff", "format", "--check", "."), ("mypy",))
QUICK = "quick"
WITHOUT_SLOW = ("-m", "not slow")


def main(arguments: Sequence[str]) -> int:
    """Run every check, also after one has failed; the exit code is that of the first failure."""
    is_quick = arguments[:1] == [QUICK]
    chosen = arguments[1:] if is_quick else arguments
    browser = "" if is_quick else install_browser()
    codes = [run(*check) for check in STYLE]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "tests.xml"
        tests = ("pytest", f"--junitxml={report}", *(WITHOUT_SLOW if is_quick else ()), *chosen)
        codes.append(run(*tests) if is_quick else run_with_coverage(tests, Path(folder)))
        headline(*what_did_not_run(report))
    if is_quick:
        headline(f"quick: tests marked slow were left out, and no coverage was measured; `{command()}` does all of it")
    if browser:
        headline(browser)
    return next((code for code in codes if code), 0)


def run(*module: str, environment: Mapping[str, str] | None = None) -> int:
    """The exit code of a Python module, run from the project's root."""
    print(f"== {' '.join(module)}", flush=True)
    variables = {**os.environ, **(environment or {})}
    return subprocess.run([sys.executable, "-m", *module], cwd=ROOT, env=variables, check=False).returncode


def run_with_coverage(tests: Sequence[str], folder: Path) -> int:
    """The exit code of the tests; then prints how many of the statements they ran."""
    # From Python 3.12 on the interpreter itself tells which lines are met, which costs next to nothing.
    core = {"COVERAGE_CORE": "sysmon"} if sys.version_info >= (3, 12) else {}
    environment = {"COVERAGE_FILE": str(folder / "coverage"), **core}
    code = run("coverage", "run", "-m", *tests, environment=environment)
    found = subprocess.run(
        [sys.executable, "-m", "coverage", "report", "--format=total"],
        cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    figure = f"{found.stdout.strip()}% of the statements" if found.returncode == 0 else f"unknown: {found.stdout}"
    headline(f"coverage: {figure} of lead_hub and spaces_app, by the tests of this run in its own process")
    return code


def headline(first: str, *lines: str) -> None:
    """Something that nobody should miss, at the very end."""
    print(f"== {first}", *lines, sep="\n", flush=True)


def command() -> str:
    return f"{sys.executable} -m tests"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
