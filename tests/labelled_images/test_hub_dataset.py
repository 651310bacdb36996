"""The real client and the real datasets library against a Hub on loopback.

Each case runs in its own process, because the endpoint is read when the libraries are imported.
"""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.loopback_hub import HubServer
from tests.loopback_hub.faults import Fault
from tests.shared_store import move_to_shared_store

pytestmark = pytest.mark.slow

LOAD = """
import json, sys
from lead_hub.access import Access
from lead_hub.errors import LeadHubError
from lead_hub.labelled_images import DatasetQuery, load_labelled_images
reports = []
for query in json.loads(sys.argv[1]):
    try:
        images = load_labelled_images(DatasetQuery(**query), Access(progress=False))
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
    environment = os.environ | {"HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_HUB_OFFLINE": str(int(offline))}
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


def test_image_folder_is_pinned_and_then_read_offline(hub: HubServer, tmp_path, closed_endpoint):
    folder = image_folder(tmp_path / "repo", "cat", "dog")
    image_folder(folder, "cat", "dog", split="test")
    home = tmp_path / "home"
    sha = hub.add_repo("org/pets", kind="dataset", folder=folder)
    online, by_branch, missing = load(
        hub.endpoint, home, *({"dataset": "org/pets", "revision": revision} for revision in (None, "main", "nowhere"))
    )
    assert online == {
        "sha": sha,
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
    assert [request for request in hub.requests if f"/resolve/{sha}/" in request.path]
    assert not [request for request in hub.requests if "/resolve/main" in request.path]
    offline, at_commit, other = load(
        closed_endpoint,
        home,
        *({"dataset": "org/pets", "revision": revision} for revision in (None, sha, "1" * 40)),
        offline=True,
    )
    assert offline == at_commit == online
    assert other["error"] == "HubError"
    assert sha in other["message"]


def test_images_in_the_store_of_all_repositories_are_the_datasets_own(hub: HubServer, tmp_path, closed_endpoint):
    folder = image_folder(tmp_path / "repo", "cat", "dog")
    home = tmp_path / "home"
    sha = hub.add_repo("org/pets", kind="dataset", folder=folder)
    (before,) = load(hub.endpoint, home, {"dataset": "org/pets"})
    assert before["sha"] == sha
    (cache,) = (path.parent for path in home.rglob("datasets--org--pets") if (path / "snapshots").is_dir())
    assert len(move_to_shared_store(cache)) == 6
    after, offline = (
        *load(hub.endpoint, home, {"dataset": "org/pets"}),
        *load(closed_endpoint, home, {"dataset": "org/pets"}, offline=True),
    )
    assert after == offline == before


def test_configurations_and_splits_are_listed(hub: HubServer, tmp_path):
    folder = image_folder(tmp_path / "repo", "cat", "dog")
    image_folder(folder, "cow", "hen", split="farm")
    (folder / "README.md").write_text(
        "---\nconfigs:\n- config_name: pets\n  data_files:\n  - split: train\n    path: train/**\n"
        "- config_name: farm\n  data_files:\n  - split: test\n    path: farm/**\n---\n"
    )
    hub.add_repo("org/animals", kind="dataset", folder=folder)
    none_named, wrong, no_split, chosen = load(
        hub.endpoint,
        tmp_path / "home",
        *({"dataset": "org/animals", "config": config} for config in (None, "birds", "farm", "pets")),
    )
    assert none_named["error"] == wrong["error"] == "DatasetError"
    assert no_split["error"] == "SplitNotFoundError"  # a DatasetError too
    assert "2 configurations; name one with config: pets, farm" in none_named["message"]
    assert "'birds'" in wrong["message"]
    assert "pets, farm" in wrong["message"]
    assert "(test)" in no_split["message"]
    assert (chosen["config"], chosen["class_names"]) == ("pets", ["cat", "dog"])


def test_merged_splits_are_found_on_the_hub_too(hub: HubServer, tmp_path):
    folder = image_folder(tmp_path / "repo", "cat", "dog", split="Train")
    image_folder(folder, "cat", "dog", split="Test")
    hub.add_repo("org/pets", kind="dataset", folder=folder)
    (refused,) = load(hub.endpoint, tmp_path / "home", {"dataset": "org/pets"})
    assert refused["error"] == "DatasetError"
    assert "Test, Train read as one" in refused["message"]
    assert [request for request in hub.requests if "/tree/" in request.path]
    assert not [request for request in hub.requests if request.path.endswith(".png")]


REFUSALS = {
    "org/gated": ("HubError", "is gated: accept its terms at"),
    "org/private": ("DatasetError", "if it is private log in"),
    "org/busy": ("HubError", "asks to wait 999 s"),
    "org/broken": ("HubDownError", "try again later"),
    "org/nothing": ("DatasetError", "there is no path org/nothing here"),
    "some/where/deep": ("DatasetError", "is named 'user/name'"),
}


def test_refusals_say_what_to_do(hub: HubServer, tmp_path):
    files = {path.name: path.read_bytes() for path in image_folder(tmp_path / "repo", "cat").rglob("*.png")}
    hub.add_repo("org/gated", kind="dataset", files=files, gated="auto")
    hub.add_repo("org/private", kind="dataset", files=files, private=True)
    hub.add_fault(Fault("status", match="org/busy", status=429, headers={"Retry-After": "999"}, times=None))
    hub.add_fault(Fault("status", match="org/broken", status=500, times=None))
    reports = load(hub.endpoint, tmp_path / "home", *({"dataset": dataset} for dataset in REFUSALS))
    for (dataset, (kind, words)), report in zip(REFUSALS.items(), reports, strict=True):
        assert report["error"] == kind, report
        assert words in report["message"]
        assert dataset in report["message"] or dataset == "org/busy"  # a busy Hub is busy for every dataset


def test_unreachable_hub_fails_at_once(tmp_path, closed_endpoint):
    (refused,) = load(closed_endpoint, tmp_path / "home", {"dataset": "org/pets"})
    assert refused["error"] == "HubDownError"
    assert "cannot be reached" in refused["message"]


def test_offline_without_a_copy(tmp_path, closed_endpoint):
    (refused,) = load(closed_endpoint, tmp_path / "home", {"dataset": "org/pets"}, offline=True)
    assert refused["error"] == "HubError"
    assert "HF_HUB_OFFLINE" in refused["message"]
