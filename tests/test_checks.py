"""What `python -m tests` itself promises: shapes are checked where it says, and what did not run is told."""

import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from pkgutil import resolve_name

import pytest

from tests.project import project_settings
from tests.report import what_did_not_run

PYTEST = project_settings()["tool"]["pytest"]["ini_options"]
OPTION = "--jaxtyping-packages="
(CHECKED,) = (word.removeprefix(OPTION) for word in shlex.split(PYTEST["addopts"]) if word.startswith(OPTION))
*PACKAGES, CHECKER = CHECKED.split(",")


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_whose_shapes_are_checked_is_there(name: str) -> None:
    """A name that is not imports nothing, and its shapes would go unchecked without a word."""
    assert find_spec(name) is not None


def test_what_checks_shapes_is_there() -> None:
    assert callable(resolve_name(CHECKER))


OUTCOMES = """
import pytest

def test_good(): pass

@pytest.mark.skip(reason="no browser")
@pytest.mark.parametrize("number", range(3))
def test_pages(number): pass

def test_gpu(): pytest.skip("no GPU")

@pytest.mark.xfail(reason="known")
def test_known(): assert False

def test_bad(): assert False
"""


def reported(folder: Path, text: str) -> list[str]:
    (folder / "test_made.py").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-c", "/dev/null", "--rootdir=.", "--junitxml=tests.xml"]
    subprocess.run([*command, "test_made.py"], cwd=folder, check=False, capture_output=True)
    return what_did_not_run(folder / "tests.xml")


@pytest.mark.slow
def test_what_did_not_run_is_told_with_its_reason(tmp_path: Path) -> None:
    assert reported(tmp_path, OUTCOMES) == [
        "4 of 7 tests DID NOT RUN:",
        "no GPU",
        "    test_made.test_gpu",
        "no browser",
        "    test_made.test_pages (3 cases)",
    ]
    assert reported(tmp_path, "def test_good(): pass") == ["all tests that were asked for ran: 1"]


@pytest.mark.slow
def test_a_file_that_was_left_out_as_a_whole_is_told(tmp_path: Path) -> None:
    assert reported(tmp_path, 'import pytest; pytest.importorskip("no_such_thing", reason="no thing")') == [
        "1 of 1 tests DID NOT RUN:",
        "no thing",
        "    test_made (the whole file)",
    ]


def test_without_a_report_nothing_is_said_to_have_run(tmp_path: Path) -> None:
    (line,) = what_did_not_run(tmp_path / "none.xml")
    assert "no test is known to have run" in line
