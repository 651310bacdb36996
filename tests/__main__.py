"""Everything that must hold, in one command: `python -m tests`. Extra arguments go to pytest.

`python -m tests quick` leaves out the tests that are marked slow, those that need a browser or a second process or that
take long, and measures no coverage.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.browser import install_browser
from tests.report import what_did_not_run

ROOT = Path(__file__).parents[1]
STYLE = (("ruff", "check", "."), ("ruff", "format", "--check", "."))
QUICK = "quick"
# A file's tests in one process, files in their order: those that take longest are not among the last.
IN_PROCESSES = (
    f"--numprocesses={max(2, min(8, (os.cpu_count() or 1) // 2))}",
    "--dist=loadfile",
    "--no-loadscope-reorder",
)
WITHOUT_SLOW = ("-m", "not slow")
COVERED = ("--cov=lead_hub", "--cov=spaces_app", "--cov-report=")
# From Python 3.12 on the interpreter itself tells which lines are met, which costs next to nothing.
CORE = {"COVERAGE_CORE": "sysmon"} if sys.version_info >= (3, 12) else {}


def main(arguments: Sequence[str]) -> int:
    """Run every check, also after one has failed; the exit code is that of the first failure."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "tests.xml"
        if arguments[:1] == [QUICK]:
            codes = quick_checks(report, arguments[1:])
            last = f"quick: tests marked slow were left out; all of them: {sys.executable} -m tests"
        else:
            browser = install_browser()
            codes = all_checks(report, arguments)
            last = "\n== ".join(filter(None, [coverage(Path(folder)), browser]))
        print("==", *what_did_not_run(report), sep="\n")
        print(f"== {last}")
    return next((code for code in codes if code), 0)


def all_checks(report: Path, arguments: Sequence[str]) -> list[int]:
    """One after the other; the exit code of each."""
    os.environ |= {"COVERAGE_FILE": str(report.with_name("coverage")), **CORE}
    tests = ("pytest", *IN_PROCESSES, *COVERED, f"--junitxml={report}", *arguments)
    return [run(*check) for check in (*STYLE, ("mypy",), tests)]


def quick_checks(report: Path, arguments: Sequence[str]) -> list[int]:
    """Types are checked while the tests run; the exit code of each."""
    with tempfile.TemporaryFile() as output:
        types = subprocess.Popen(python("mypy"), cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
        codes = [
            run(*check)
            for check in (*STYLE, ("pytest", *IN_PROCESSES, *WITHOUT_SLOW, f"--junitxml={report}", *arguments))
        ]
        codes.append(types.wait())
        output.seek(0)
        print("== mypy", output.read().decode().strip(), sep="\n", flush=True)
    return codes


def run(*module: str) -> int:
    """The exit code of a Python module, run from the project's root."""
    print(f"== {' '.join(module)}", flush=True)
    return subprocess.run(python(*module), cwd=ROOT, check=False).returncode


def python(*module: str) -> list[str]:
    return [sys.executable, "-m", *module]


def coverage(folder: Path) -> str:
    """How many of the statements were run, in words."""
    report = python("coverage", "report", "--format=total", f"--data-file={folder / 'coverage'}")
    found = subprocess.run(report, cwd=ROOT, capture_output=True, text=True, check=False)
    figure = f"{found.stdout.strip()}%" if found.returncode == 0 else f"unknown, {found.stdout.strip()}"
    return f"coverage: {figure} of the statements of lead_hub and spaces_app, by what ran in the tests' own processes"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
