"""What the Hub reads of the Space: its front matter, its requirements, the exported folder."""

import os
import subprocess
import sys
from http import HTTPStatus
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from huggingface_hub import RepoCard
from packaging.requirements import Requirement
from packaging.version import Version

import lead_hub
import spaces_app
from lead_hub.errors import LeadHubError
from spaces_app.exported_space import export, pinned
from tests.loopback_hub import HubServer
from tests.project import project_settings
from tests.spaces_app.asking import answer, asking_client
from tests.spaces_app.seeds import SECRETS, parquet
from tests.spaces_app.served import ServedSpace, check_log, served_space

FOLDER = Path(spaces_app.__file__).parent
PROJECT = project_settings()["project"]


def front_matter(folder: Path = FOLDER) -> dict[str, object]:
    return yaml.safe_load((folder / "README.md").read_text(encoding="utf-8").split("---")[1])


def test_the_front_matter_is_what_the_hub_accepts() -> None:
    facts = front_matter()
    card = RepoCard((FOLDER / "README.md").read_text(encoding="utf-8"))
    assert card.data.to_dict() == facts
    assert facts["sdk"] == "gradio"
    assert facts["colorFrom"] in {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
    assert facts["colorTo"] in {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
    assert len(str(facts["short_description"])) <= 60
    assert (FOLDER / str(facts["app_file"])).is_file()
    assert facts["hf_oauth"] is True
    # The least that reads a visitor's private dataset and writes cards to a repository that the app created.
    assert facts["hf_oauth_scopes"] == ["read-repos", "contribute-repos"]
    assert set(facts) >= {"title", "emoji", "python_version", "sdk_version", "suggested_hardware", "tags"}
    assert str(facts["startup_duration_timeout"]).endswith("m")


def test_requirements_are_those_of_the_package_and_of_its_page() -> None:
    wanted = (FOLDER / "requirements.txt").read_text(encoding="utf-8").split()
    assert sorted(wanted) == sorted(PROJECT["dependencies"] + PROJECT["optional-dependencies"]["space"])


def test_an_exported_space_is_built_of_what_it_was_exported_beside(tmp_path: Path) -> None:
    folder = export(tmp_path / "space")
    wanted = [Requirement(line) for line in PROJECT["dependencies"] + PROJECT["optional-dependencies"]["space"]]
    lines = (folder / "requirements.txt").read_text(encoding="utf-8").splitlines()
    found = [Requirement(line) for line in lines]
    assert {(one.name, *one.extras) for one in found} == {(one.name, *one.extras) for one in wanted}
    for one in found:
        [exactly] = one.specifier
        installed = Version(version(one.name))
        assert (exactly.operator, exactly.version) == ("==", installed.public)
        assert one.url is None
    ranges = {one.name: one.specifier for one in wanted}
    assert all(ranges[one.name].contains(Version(version(one.name)).public) for one in found)
    assert not any(line.startswith("-") or "://" in line for line in lines)  # the builder's own package index
    gradio = next(one for one in found if one.name == "gradio")
    assert gradio.specifier.contains(str(front_matter(folder)["sdk_version"]))
    assert {**front_matter(folder), "sdk_version": ""} == {**front_matter(), "sdk_version": ""}


def test_what_is_not_installed_keeps_its_range() -> None:
    assert pinned("lead-hub-nobody-has[x,y]>=1.2,<2") == "lead-hub-nobody-has[x,y]>=1.2,<2"
    assert pinned("PyYAML[a,b]>=6.0") == f"PyYAML[a,b]=={version('pyyaml')}"


def test_what_the_clone_alone_needs_stays_there(tmp_path: Path) -> None:
    bench = export(tmp_path / "space") / "lead_hub" / "bench"
    kept = {path.name for path in (Path(lead_hub.__file__).parent / "bench").iterdir()} - {"__pycache__"}
    assert {path.name for path in bench.iterdir()} == kept - {"matrix", "real_matrix"}


@pytest.mark.slow
def test_the_exported_folder_runs_on_its_own(tmp_path: Path, hub: HubServer) -> None:
    folder = export(tmp_path / "space")
    assert {path.name for path in folder.iterdir()} == {
        *("README.md", "requirements.txt", "app.py", "lead_hub", "spaces_app")
    }
    look = "import lead_hub, spaces_app; print(lead_hub.__path__[0], spaces_app.__path__[0])"
    found = subprocess.run(
        [sys.executable, "-c", look], cwd=folder, env={**os.environ, "PYTHONPATH": ""}, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert found.stdout.split() == [str(folder / "lead_hub"), str(folder / "spaces_app")]
    with served_space(tmp_path / "home", hub=hub, program=["app.py"], folder=folder) as space:
        check_page(space)
    assert (folder / "lead_hub" / "model_index.json").is_file()
    assert not (folder / "lead_hub" / "model_index.json").is_symlink()
    # Most of it are the demo's checkpoints and photographs.
    assert sum(path.stat().st_size for path in folder.rglob("*")) < 60 * 10**6


def check_page(space: ServedSpace) -> None:
    """It answers, with its own looks."""
    page = answer(f"{space.url}/").text
    assert "lead-hub" in page
    assert "--color-accent" in page  # of style.css
    check_log(space.log)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(LeadHubError, match="must be new or empty"):
        export(tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "mine"


@pytest.mark.slow
def test_a_machine_that_strangers_reach_gives_nobody_its_own_login_or_paths(tmp_path: Path, hub: HubServer) -> None:
    """As a copy of a Space does on another server: it has but some of the Hub's variables."""
    gradio_client = pytest.importorskip("gradio_client", reason="no gradio_client: pip install lead-hub[space,test]")
    hub.add_repo("alice/secret", kind="dataset", files=parquet(SECRETS), private=True)
    login = {"HF_ENDPOINT": hub.endpoint, "HF_TOKEN": hub.add_user("alice"), "OAUTH_CLIENT_ID": "x"}
    with served_space(tmp_path, SPACE_ID="alice/lead-hub", **login) as space:
        assert answer(f"{space.url}/login/huggingface").status_code == HTTPStatus.NOT_FOUND
        stranger = asking_client(space.url)
        for dataset in (str(tmp_path), ".", "alice/secret"):
            with pytest.raises(gradio_client.exceptions.AppError, match=r"id on the Hub|check the spelling"):
                stranger.predict(dataset, ["demo"], api_name="/recommend")
        check_log(space.log)
    assert all(request.user is None for request in hub.requests if "alice/secret" in request.path)
