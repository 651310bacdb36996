"""Lines that repeat a question: what they say comes back as it was asked, and names stay literals."""

import ast
import inspect
import os
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lead_hub import CandidateQuery, recommend
from lead_hub.candidates import IndexQuery
from spaces_app.request import RunRequest
from spaces_app.snippets import literal, repeat_line, shell_line
from tests.leaderboard.made_boards import NASTY

ROOT = Path(__file__).parents[2]
DEMO = RunRequest("demo:scripts", source="demo")


def call_of(code: str) -> ast.Call:
    """The call of recommend, where the code holds nothing else but imports and the print of the verdict."""
    *imports, assigned, printed = ast.parse(code).body
    assert all(isinstance(node, ast.Import | ast.ImportFrom) for node in imports)
    assert ast.unparse(printed) == "print(board.verdict)"
    assert isinstance(assigned, ast.Assign)
    assert isinstance(assigned.value, ast.Call)
    assert ast.unparse(assigned.value.func) == "lead_hub.recommend"
    return assigned.value


def keywords(call: ast.Call) -> dict[str | None, object]:
    return {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}


@pytest.mark.parametrize("value", [*NASTY, None, 3, 2e-4, (), ("a",), ["a", "b"], ("it's", ('"', 1))])
def test_literals_come_back_as_they_were(value: object) -> None:
    assert ast.literal_eval(literal(value)) == value
    assert literal(value).isprintable()


def test_python_with_nothing_but_a_dataset() -> None:
    # The page leaves the budget to the estimate, recommend() has none by itself.
    for budget, asked in (("auto", ', budget="auto"'), ("none", ""), ("20%", ', budget="20%"')):
        assert repeat_line(RunRequest("org/flowers", budget=budget)) == (
            f'import lead_hub\nboard = lead_hub.recommend("org/flowers"{asked})\nprint(board.verdict)'
        )


def test_the_defaults_are_those_of_recommend() -> None:
    """What is left out must be what `recommend` does by itself."""
    of_recommend = inspect.signature(recommend).parameters
    question = RunRequest("org/flowers")
    for name in ("score", "config", "split", "image_column", "label_column", "revision", "max_images"):
        assert getattr(question, name) == of_recommend[name].default
    assert question.candidates(paths_allowed=False) == [IndexQuery()]


def test_python_with_every_choice() -> None:
    choices = {
        **{"config": "small", "split": "validation", "image_column": "picture", "label_column": "kind"},
        **{"revision": "v2", "max_images": 300, "score": "logme"},
    }
    call = call_of(repeat_line(RunRequest("org/flowers", **choices, budget="2h")))
    assert keywords(call) == {**choices, "budget": "2h"}
    assert [ast.literal_eval(argument) for argument in call.args] == ["org/flowers"]


def test_python_with_candidates_from_everywhere() -> None:
    filters = {"max_parameters": 30_000_000, "permissive": True, "families": ("resnet", "vit"), "limit": 5}
    asked = {"max_parameters": 30_000_000, "licences": ("permissive",), "families": ("resnet", "vit"), "limit": 5}
    for source, name, kind in (
        ("index", "IndexQuery", IndexQuery),
        ("hub", "lead_hub.CandidateQuery", CandidateQuery),
    ):
        question = RunRequest("org/flowers", source=source, **filters)
        _, query = call_of(repeat_line(question)).args
        assert isinstance(query, ast.Call)
        assert ast.unparse(query.func) == name
        assert keywords(query) == asked
        assert [kind(**keywords(query))] == question.candidates(paths_allowed=False)
    for narrower in ({}, {"limit": 5, "max_parameters": 1_000_000}):
        question = RunRequest("org/flowers", preset="small", **narrower)
        names: dict[str, object] = {}
        *imports, _, _ = ast.parse(repeat_line(question)).body
        exec(compile(ast.Module(imports, []), "", "exec"), names)
        _, query = call_of(repeat_line(question)).args
        assert 'IndexQuery.preset("small")' in repeat_line(question)
        assert [eval(ast.unparse(query), names)] == question.candidates(paths_allowed=False)
    own = RunRequest("org/flowers", source="own", own_candidates=("org/a", "org/b@v1"))
    assert ast.literal_eval(call_of(repeat_line(own)).args[1]) == ["org/a", "org/b@v1"]
    assert [ast.unparse(argument) for argument in call_of(repeat_line(DEMO)).args] == [
        "target_folder('scripts')",
        "pool('scripts')",
    ]


@pytest.mark.parametrize("name", NASTY)
def test_whatever_is_asked_stays_a_literal(name: str) -> None:
    question = RunRequest(
        name, config=name, split=name, image_column=name, label_column=name, revision=name, score=name,
        source="own", own_candidates=(name, name),
    )  # fmt: skip
    call = call_of(repeat_line(question))
    assert [ast.literal_eval(argument) for argument in call.args] == [name, [name, name]]
    expected = dict.fromkeys(("score", "config", "split", "image_column", "label_column", "revision"), name)
    assert keywords(call) == {**expected, "budget": "auto"}
    demo = call_of(repeat_line(RunRequest(f"demo:{name}", source="demo")))
    assert isinstance(demo.args[0], ast.Call)
    assert [ast.literal_eval(argument) for argument in demo.args[0].args] == [name]


@pytest.mark.slow
@pytest.mark.parametrize("name", NASTY)
def test_the_shell_gets_the_words_that_were_asked_and_no_other_command(name: str, tmp_path: Path) -> None:
    question = RunRequest(name, config=name, source="own", own_candidates=(name, name), split=name)
    line = shell_line(question)
    assert line.replace("\n", "").isprintable()
    # A shell that knows each command only as one that writes its words.
    (tmp_path / "bin").mkdir()
    for command in ("lead-hub", "python"):
        script = tmp_path / "bin" / command
        script.write_text(f"#!{sys.executable}\nimport sys\nprint(ascii(sys.argv[1:]))\n")
        script.chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", "-c", line], cwd=tmp_path, env={"PATH": str(tmp_path / "bin")}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin"]
    (said,) = done.stdout.splitlines()
    words = ast.literal_eval(said)
    if words[0] == "-c":
        assert words == ["-c", repeat_line(question)]
        return
    assert name.isprintable()
    split = ["--split=" + name]
    place = ["--", name] if name.startswith("-") else [name]
    assert words == ["recommend", f"--config={name}", *split, *[f"--candidates={name}"] * 2, *place]


def test_shell_lines() -> None:
    assert shell_line(DEMO) == "lead-hub demo --target=scripts"
    assert shell_line(replace(DEMO, score="knn")) == "lead-hub demo --target=scripts --score=knn"
    assert shell_line(RunRequest("org/flowers", max_images=300)) == "lead-hub recommend --max-images=300 org/flowers"
    found = RunRequest("org/flowers", source="hub", permissive=True, families=("vit",), max_parameters=30_000_000)
    crawl, ranking = shell_line(found).split(" &&\n")
    assert shlex.split(crawl) == [
        *("lead-hub", "crawl", "--max-params=30000000", "--licence=permissive", "--family=vit", "--limit=20"),
        "--output=candidates.json",
    ]
    assert ranking == "lead-hub recommend --candidates=candidates.json org/flowers"
    part = RunRequest("org/flowers", limit=3, families=("vit",), preset="small", budget="none")
    assert shell_line(part) == "lead-hub recommend --budget=none --preset=small --family=vit --limit=3 org/flowers"
    assert shell_line(RunRequest("org/flowers", budget="20%")) == "lead-hub recommend --budget=20% org/flowers"
    assert shell_line(replace(DEMO, budget="none")) == "lead-hub demo --target=scripts"
    for question in (replace(DEMO, max_images=100), replace(DEMO, budget="20%"), replace(DEMO, source="index")):
        assert shlex.split(shell_line(question)) == ["python", "-c", repeat_line(question)]


@pytest.mark.slow
def test_the_command_line_takes_the_options_that_shell_lines_have() -> None:
    question = RunRequest(
        "org/flowers", "small", "test", "picture", "kind", "v2", "hub", 10**6, True, ("vit",), 3, (), 300, "knn", "none"
    )  # fmt: skip
    of_index = replace(question, source="index", preset="best")
    for command in [*shell_line(question).split(" &&\n"), shell_line(of_index)]:
        _, name, *words = shlex.split(command)
        shown = subprocess.run(
            [sys.executable, "-m", "lead_hub", name, "--help"],
            capture_output=True, text=True, check=True, cwd=ROOT, env={**os.environ, "COLUMNS": "200"},
        )  # fmt: skip
        assert [word for word in words if word.startswith("-") and word.partition("=")[0] not in shown.stdout] == []
