"""`lead-hub scores`, as a person on a terminal and as a program in a pipe meet it."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from lead_hub.cli import app
from lead_hub.transferability import SCORES, transferability
from tests.cli.test_recommend import on_terminal


@pytest.fixture(scope="module")
def listed() -> dict[str, dict[str, object]]:
    """What a program gets, by name."""
    finished = CliRunner().invoke(app, ["scores"], prog_name="lead-hub")
    assert (finished.exit_code, finished.stderr) == (0, "")
    return {score["name"]: score for score in json.loads(finished.stdout)["scores"]}


def test_a_pipe_gets_what_is_known_of_every_score(listed: dict[str, dict[str, object]]) -> None:
    assert list(listed) == list(SCORES)
    assert all(text != "" for score in listed.values() for text in score.values())
    for name, score in listed.items():
        method = SCORES[name]
        assert (score["title"], score["paper"], score["range"]) == (method.title, method.paper, method.range)
        assert (score["cost"], score["version"]) == (method.cost, method.version)
        assert score["direction"] == "higher is better"


def test_what_a_score_needs_is_said(listed: dict[str, dict[str, object]]) -> None:
    assert listed["lead"]["needs"] == "nothing (uses depth kernel)"
    assert listed["logme"]["needs"] == listed["lead-head"]["needs"] == "nothing"
    assert listed["leep"]["needs"] == "source logits"
    assert listed["lead-network"]["needs"] == "depth kernel, network kernel"
    assert listed["parameters"]["needs"] == "the fact parameters"
    assert listed["imagenet-top1"]["needs"] == "the fact imagenet_top1_percent"


@pytest.mark.parametrize("method", list(SCORES))
def test_per_image_terms_are_promised_where_they_are_given(listed: dict[str, dict[str, object]], method: str) -> None:
    labels = np.arange(80) % 4
    features = np.random.default_rng(1).normal(size=(80, 6)) + 3 * labels[:, None]
    facts = {"parameters": 1e6, "imagenet_top1_percent": 80.0, "downloads": 7.0}
    kernels = dict.fromkeys(SCORES[method].needs_kernels, features @ features.T)
    result = transferability(features, labels, method, logits=features, facts=facts, kernels=kernels)
    assert listed[method]["has_per_image_terms"] == (result.per_image is not None)


@pytest.mark.slow
def test_a_terminal_gets_a_table() -> None:
    code, seen = on_terminal("scores")
    assert code == 0
    lines = [line.rstrip() for line in seen.splitlines()]
    assert lines[0].split(maxsplit=1) == ["score", "title, range, needs, cost, paper"]
    assert [line.split()[0] for line in lines[1:-1] if line and not line.startswith(" ")] == list(SCORES)
    lead, leep = (
        next(number for number, line in enumerate(lines) if line.startswith(f"{name} ")) for name in ("lead", "leep")
    )
    assert lines[lead].split(maxsplit=1) == ["lead", SCORES["lead"].title]
    assert (
        lines[lead + 1].strip()
        == "range (-inf, 0], higher is better; needs nothing (uses depth kernel); per-image terms"
    )
    assert "; needs source logits; per-image terms" in lines[leep + 1]
    assert "no per-image terms" in seen
