"""The names that other people's code calls."""

import inspect
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import lead_hub
from tests.project import ROOT, project_settings

PUBLIC = [
    *("recommend", "verify", "score", "SCORES", "Leaderboard", "Candidate", "CandidateQuery", "find_candidates"),
    *("IndexQuery", "Recommendation", "calibrate"),
    *("LeadHubError", "DatasetError", "CandidateError", "ScoreError", "HubError", "__version__"),
]


def test_every_public_name_can_be_imported() -> None:
    assert sorted(lead_hub.__all__) == sorted(PUBLIC)
    assert all(getattr(lead_hub, name) is not None for name in PUBLIC)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        lead_hub.no_such_name  # noqa: B018 - the access is the test


def test_recommend_takes_the_documented_arguments() -> None:
    parameters = inspect.signature(lead_hub.recommend).parameters
    defaults = {name: parameter.default for name, parameter in parameters.items() if name != "dataset"}
    assert defaults == {
        "candidates": None,
        "score": "lead",
        "stream": False,
        "config": None,
        "split": "train",
        "image_column": None,
        "label_column": None,
        "group_column": None,
        "revision": None,
        "max_images": 2000,
        "seed": 0,
        "batch_size": "auto",
        "device": "auto",
        "dtype": "auto",
        "cache_dir": None,
        "token": None,
        "progress": True,
        "allow_pickle": False,
        "max_disk": None,
        "budget": None,
        "reuse_cards": None,
        "cancelled": None,
        "on_progress": None,
        "on_race": None,
        "on_pictures": None,
    }


def test_the_record_and_the_call_take_the_same_arguments() -> None:
    call, record = (dict(inspect.signature(each).parameters) for each in (lead_hub.recommend, lead_hub.Recommendation))
    del call["stream"]
    assert call == record


def test_a_record_shows_no_token() -> None:
    assert "secret" not in repr(lead_hub.Recommendation("org/pets", token="hf_secret"))


def test_score_takes_the_documented_arguments() -> None:
    parameters = inspect.signature(lead_hub.score).parameters
    assert list(parameters) == ["features", "labels", "method", "logits", "facts", "seed", "groups", "kernels"]
    assert parameters["method"].default == "lead"


@pytest.mark.slow
def test_importing_the_package_does_no_work() -> None:
    code = "import sys, lead_hub; sys.exit(bool({'torch', 'transformers', 'datasets', 'evaluate'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_version_is_that_of_the_project() -> None:
    project = (Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8")
    assert f'\nversion = "{lead_hub.__version__}"\n' in project


# The wheel is a zip file, which makes weights and pictures hardly smaller.
MOST_WHEEL_BYTES = 60e6


def wheel_files(package: str) -> set[Path]:
    """What setuptools puts into the wheel, by the patterns of pyproject.toml."""
    tool = project_settings()["tool"]["setuptools"]
    folder, excluded = ROOT / package, tool["exclude-package-data"].get(package, ())
    wanted = {path for pattern in (*tool["package-data"][package], "**/*.py") for path in folder.glob(pattern)}
    left_out = {path for pattern in excluded for path in folder.glob(f"{pattern}/*")}
    return {path for path in wanted - left_out if path.is_file() and "__pycache__" not in path.parts}


def test_the_wheel_stays_small() -> None:
    files = wheel_files("lead_hub") | wheel_files("spaces_app")
    assert ROOT / "lead_hub" / "confidence" / "outcomes.csv" in files
    assert any(path.suffix == ".safetensors" and "photographs" in path.parts for path in files)
    assert not [path for path in files if {"matrix", "real_matrix"} & set(path.parts)]
    assert sum(path.stat().st_size for path in files) < MOST_WHEEL_BYTES


def test_calls_can_be_sent_to_another_process() -> None:
    """A pool of processes sends a function by its name."""
    for call in (lead_hub.score, lead_hub.recommend, lead_hub.verify):
        assert pickle.loads(pickle.dumps(call)) is call
