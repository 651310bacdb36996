"""The real client and the real datasets library against a Hub on loopback.

Each case runs in its own process, because the endpoint is read when the libraries are imported.
"""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from tests.loopback_hub import Repository, loopback_hub

SHA = "0123456789abcdef0123456789abcdef01234567"

LOAD = """
import json, sys
from lead_hub.errors import LeadHubError
from lead_hub.labelled_images import DatasetQuery, load_labelled_images
reports = []
for query in json.loads(sys.argv[1]):
    try:
        images = load_labelled_images(DatasetQuery(**query), progress=False)
    except LeadHubError as error:
        reports.append({"error": type(error).__name__, "message": str(error)})
    else:
        reports.append({"sha": images.sha, "is_local": images.is_local, "class_names": images.class_names,
            "labels": images.labels.tolist(), "rows": images.rows.tolist(), "config": images.config,
            "colours": [images.pixels[i][0, 0].tolist() for i in range(len(images))]})
print(json.dumps(reports))
"""


def image_folder(folder, *classes, split="train"):
    """Three images a class; class number c is of colour (c, 0, 0), (c, 1, 0), (c, 2, 0)."""
    for number, name in enumerate(classes):
        for position in range(3):
            path = folder / split / name / f"{position}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (5, 4), (number, position, 0)).save(path)
    return folder


def load(endpoint, home, *queries, offline=False):
    """What each query gave, all asked in one fresh process."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment |= {"HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_HUB_DISABLE_TELEMETRY": "1"}
    environment |= {"HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "1" if offline else "0"}
    environment["PYTHONPATH"] = str(Path(__file__).parents[2])
    command = [sys.executable, "-c", LOAD, json.dumps(queries)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@pytest.fixture
def closed_endpoint():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


def test_image_folder_is_pinned_and_then_read_offline(tmp_path, closed_endpoint):
    folder = image_folder(tmp_path / "repo", "cat", "dog")
    image_folder(folder, "cat", "dog", split="test")
    home = tmp_path / "home"
    with loopback_hub({"org/pets": Repository(folder, SHA)}) as (endpoint, requests):
        online, by_branch, missing = load(
            endpoint, home, *({"dataset": "org/pets", "revision": revision} for revision in (None, "main", "nowhere"))
        )
    assert online == {
        "sha": SHA,
        "is_local": False,
        "class_names": ["cat", "dog"],
        "labels": [0, 0, 0, 1, 1, 1],
        "rows": [0, 1, 2, 3, 4, 5],
        "config": "default",
        "colours": [[0, 0, 0], [0, 1, 0], [0, 2, 0], [1, 0, 0], [1, 1, 0], [1, 2, 0]],
    }
    assert by_branch == online
    assert missing["error"] == "DatasetError"
    assert "no such revision" in missing["message"]
    # The branch is resolved once; every file is asked for at the commit.
    assert not [request for request in requests if "/resolve/main" in request]
    offline, at_commit, other = load(
        closed_endpoint,
        home,
        *({"dataset": "org/pets", "revision": revision} for revision in (None, SHA, "1" * 40)),
        offline=True,
    )
    assert offline == at_commit == online
    assert other["error"] == "HubError"
    assert SHA in other["message"]


def test_configurations_and_splits_are_listed(tmp_path):
    folder = image_folder(tmp_path / "repo", "cat", "dog")
    image_folder(folder, "cow", "hen", split="farm")
    (folder / "README.md").write_text(
        "---\nconfigs:\n- config_name: pets\n  data_files:\n  - split: train\n    path: train/**\n"
        "- config_name: farm\n  data_files:\n  - split: test\n    path: farm/**\n---\n"
    )
    with loopback_hub({"org/animals": Repository(folder, SHA)}) as (endpoint, _):
        none_named, wrong, no_split, chosen = load(
            endpoint,
            tmp_path / "home",
            *({"dataset": "org/animals", "config": config} for config in (None, "birds", "farm", "pets")),
        )
    assert none_named["error"] == wrong["error"] == no_split["error"] == "DatasetError"
    assert "2 configurations; name one with config: pets, farm" in none_named["message"]
    assert "'birds'" in wrong["message"]
    assert "pets, farm" in wrong["message"]
    assert "(test)" in no_split["message"]
    assert (chosen["config"], chosen["class_names"]) == ("pets", ["cat", "dog"])


def test_merged_splits_are_found_on_the_hub_too(tmp_path):
    folder = image_folder(tmp_path / "repo", "cat", "dog", split="Train")
    image_folder(folder, "cat", "dog", split="Test")
    with loopback_hub({"org/pets": Repository(folder, SHA)}) as (endpoint, requests):
        (refused,) = load(endpoint, tmp_path / "home", {"dataset": "org/pets"})
    assert refused["error"] == "DatasetError"
    assert "Test, Train read as one" in refused["message"]
    assert not [request for request in requests if request.endswith(".png")]


REFUSALS = {
    "org/gated": ((403, "GatedRepo"), "HubError", "is gated: accept its terms at"),
    "org/private": ((401, "RepoNotFound"), "DatasetError", "if it is private log in"),
    "org/busy": ((429, "TooMany"), "HubError", "try again later"),
    "org/broken": ((500, "Broken"), "HubError", "try again later"),
    "org/nothing": (None, "DatasetError", "there is no path org/nothing here"),
    "some/where/deep": (None, "DatasetError", "no valid id"),
}


def test_refusals_say_what_to_do(tmp_path):
    (tmp_path / "repo").mkdir()
    repositories = {
        dataset: Repository(tmp_path / "repo", SHA, refusal) for dataset, (refusal, _, _) in REFUSALS.items() if refusal
    }
    with loopback_hub(repositories) as (endpoint, _):
        reports = load(endpoint, tmp_path / "home", *({"dataset": dataset} for dataset in REFUSALS))
    for (dataset, (_, kind, words)), report in zip(REFUSALS.items(), reports, strict=True):
        assert report["error"] == kind, report
        assert words in report["message"]
        assert dataset in report["message"]


def test_unreachable_hub_fails_at_once(tmp_path, closed_endpoint):
    start = time.monotonic()
    (refused,) = load(closed_endpoint, tmp_path / "home", {"dataset": "org/pets"})
    assert refused["error"] == "HubError"
    assert "cannot be reached" in refused["message"]
    assert time.monotonic() - start < 60  # most of it imports; the client's own retries would add 23 s each


def test_offline_without_a_copy(tmp_path, closed_endpoint):
    (refused,) = load(closed_endpoint, tmp_path / "home", {"dataset": "org/pets"}, offline=True)
    assert refused["error"] == "HubError"
    assert "HF_HUB_OFFLINE" in refused["message"]
