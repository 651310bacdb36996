"""`lead-hub crawl`, as a person on a terminal and as a program in a pipe meet it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from typer.testing import CliRunner

from lead_hub.candidates import (
    Candidate,
    ModelIndex,
    read_candidates,
    read_model_index,
    user_model_index,
    write_model_index,
)
from lead_hub.candidates.model_index import IndexEntry
from lead_hub.cli import app
from lead_hub.hub import requests as hub_requests
from tests.candidates.published_models import classifier, without
from tests.cli.test_recommend import on_terminal
from tests.loopback_hub import HubServer
from tests.loopback_hub.faults import Fault

Result: TypeAlias = Any  # click's, or the copy of it inside newer versions of Typer


def crawl(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["crawl", *map(str, arguments)], prog_name="lead-hub")


@pytest.fixture
def shas(hub: HubServer) -> dict[str, str]:
    """A Hub with two candidates, a pickle and a model without a licence."""
    return {
        name: hub.add_repo(name, files=files, downloads=downloads)
        for name, files, downloads in (
            ("team/first", classifier(license="mit", datasets=["team/pets"]), 9),
            ("team/second", classifier("vit", "ViTForImageClassification", license="apache-2.0"), 8),
            ("team/pickle", without(classifier(license="mit"), "model.safetensors", pytorch_model__bin=b"p"), 7),
            ("team/unnamed", classifier(numbers={"F32": 2000}), 6),
        )
    }


@pytest.fixture
def own_index(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the user's own index would be, of a user who has none."""
    monkeypatch.delenv("LEAD_HUB_MODEL_INDEX", raising=False)
    path = user_model_index()
    assert not path.exists()
    yield path
    for file in path.parent.iterdir():
        file.unlink()


def test_an_index_is_written_and_counted(hub: HubServer, shas: dict[str, str], tmp_path: Path) -> None:
    output = tmp_path / "index.json"
    finished = crawl("--licence", "permissive", "--dataset", "team/pets", "--output", output)
    assert finished.exit_code == 0
    assert json.loads(finished.stdout) == {
        "n_listed": 4,
        "n_kept": 2,
        "n_left_out": {"pickle only": 1, "licence not allowed": 1},
        "candidates": [{"id": name, "sha": shas[name]} for name in ("team/first", "team/second")],
        "output": str(output),
        "trained_on_dataset": ["team/first"],
    }
    index = read_model_index(output)
    assert [(entry.id, entry.sha) for entry in index.entries] == [
        ("team/first", shas["team/first"]),
        ("team/second", shas["team/second"]),
    ]
    assert {each.id: each.reason for each in index.left_out} == {
        "team/pickle": "pickle only",
        "team/unnamed": "licence not allowed",
    }
    assert (index.hub, index.query) == (hub.endpoint, {"licences": ["permissive"]})
    assert f"wrote {output}" in finished.stderr


def test_an_index_does_not_name_private_models(hub: HubServer, shas: dict[str, str], tmp_path: Path) -> None:
    hub.add_repo("team/secret", files=classifier(), private=True)
    output = tmp_path / "index.json"
    finished = crawl("--token", hub.add_user("member", orgs=("team",)), "--output", output)
    assert json.loads(finished.stdout)["n_left_out"] == {"pickle only": 1, "private": 1}
    assert "secret" not in output.read_text()
    assert "hf_" not in output.read_text()


def test_recommend_reads_the_users_own_index_from_then_on(shas: dict[str, str], own_index: Path) -> None:
    finished = crawl("--family", "vit")
    assert finished.exit_code == 0
    assert "`lead-hub recommend` reads it from now on" in finished.stderr
    (candidate,) = read_candidates()
    assert candidate == Candidate(
        "team/second",
        revision=shas["team/second"],
        parameters=10,
        licence="apache-2.0",
        weight_bytes=40,
        downloads=8,
    )
    assert [file.name for file in own_index.parent.iterdir()] == ["model_index.json"]  # no progress is left behind


def test_the_options_reach_the_query(shas: dict[str, str], tmp_path: Path) -> None:
    def kept(*options: object) -> list[str]:
        finished = crawl(*options, "--dry-run", "--quiet")
        assert finished.stderr == ""
        return [each["id"].removeprefix("team/") for each in json.loads(finished.stdout)["candidates"]]

    assert kept() == ["first", "second", "unnamed"]
    assert kept("--limit", 1) == ["first"]
    assert kept("--max-params", "1K") == ["first", "second"]
    assert kept("--min-downloads", 8) == ["first", "second"]
    assert kept("--licence", "mit", "--allow-pickle") == ["first", "pickle"]
    assert kept("--search", "second") == ["second"]
    assert kept("--exclude", "*/first", "--exclude", "*/second") == ["unnamed"]
    assert kept("--author", "nobody", "--author", "team", "--limit", 1) == ["first"]
    assert kept("--library", "timm") == []
    assert kept("--pipeline-tag", "image-feature-extraction") == []


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--limit", "10"), "--limit"),
        (("--licence", "permissive", "--max-params", "50M"), "--licence, --max-params"),
        (("--copies",), "--copies"),
    ],
)
def test_a_refresh_with_options_of_a_search_is_refused(
    hub: HubServer, own_index: Path, options: tuple[str, ...], named: str
) -> None:
    finished = crawl("--refresh", *options)
    assert finished.exit_code == 2
    assert f"pins all checkpoints of the index again: leave out {named}" in " ".join(finished.stderr.split())
    assert hub.requests == []


def test_a_dry_run_writes_nothing(shas: dict[str, str], own_index: Path, tmp_path: Path) -> None:
    finished = crawl("--dry-run", "--output", tmp_path / "index.json")
    assert (finished.exit_code, json.loads(finished.stdout)["output"]) == (0, None)
    assert list(tmp_path.iterdir()) == []
    assert list(own_index.parent.iterdir()) == []


def test_nothing_found_leaves_the_index_alone(shas: dict[str, str], tmp_path: Path) -> None:
    output = tmp_path / "index.json"
    output.write_text("as before")
    finished = crawl("--min-downloads", 1000, "--output", output)
    assert (finished.exit_code, output.read_text()) == (3, "as before")
    assert json.loads(finished.stdout)["n_left_out"] == {"pickle only": 1, "few downloads": 3}


@pytest.mark.slow
def test_a_table_on_a_terminal(shas: dict[str, str], tmp_path: Path) -> None:
    code, seen = on_terminal("crawl", "--output", tmp_path / "index.json", "--dataset", "team/pets")
    assert code == 0
    lines = [" ".join(line.split()) for line in seen.splitlines()]
    for line in ("4 listed", "3 kept", "1 left out: pickle only"):
        assert line in lines
    assert "trained on team/pets: team/first" in seen


@pytest.mark.parametrize(
    ("options", "message"),
    [(("--max-params", "big"), "must be written like"), (("--limit", "0"), "limit must be 1 or more")],
)
def test_bad_options(options: tuple[str, ...], message: str) -> None:
    finished = crawl(*options)
    assert finished.exit_code == 2
    assert message in finished.stderr


@pytest.mark.slow
def test_a_hub_that_is_down(hub: HubServer, monkeypatch: pytest.MonkeyPatch, own_index: Path) -> None:
    monkeypatch.setattr(hub_requests, "SILENCE_S", 1.0)  # twenty seconds, shortened
    hub.add_fault(Fault("status", status=503, times=None))
    finished = crawl()
    assert finished.exit_code == 2
    assert finished.stderr.startswith(f"error: {hub.endpoint} ")
    assert not own_index.exists()


def test_a_wrong_token(hub: HubServer, own_index: Path) -> None:
    finished = crawl("--token", "hf_secretsecretsecret")
    assert finished.exit_code == 2
    assert "does not know who asks" in finished.stderr
    assert "secret" not in finished.stderr


def test_refresh_pins_the_default_index(shas: dict[str, str], own_index: Path, tmp_path: Path) -> None:
    given = tmp_path / "index.json"
    write_model_index(given, ModelIndex((IndexEntry("team/first"), IndexEntry("team/gone"))))
    finished = crawl("--refresh", "--output", given)
    assert finished.exit_code == 0
    assert json.loads(finished.stdout) == {
        "n_pinned": 1,
        "unpinned": [
            {"id": "team/gone", "reason": "gone", "detail": "the Hub has no such model, or it is private"},
        ],
        "output": str(given),
    }
    assert [entry.sha for entry in read_model_index(given).entries] == [shas["team/first"], None]
    # Without a file of its own, what comes with the package is pinned for this user; none of it is on this Hub.
    finished = crawl("--refresh", "--quiet")
    assert (finished.exit_code, json.loads(finished.stdout)["n_pinned"]) == (0, 0)
    assert len(read_candidates()) >= 40
    assert read_model_index(own_index).hub is not None
