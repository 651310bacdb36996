"""README and the rooms' own READMEs: snippets run, and commands, names, links and tables are those of the code."""

import ast
import importlib
import inspect
import json
import re
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from lead_hub import recommend
from lead_hub.candidates import user_model_index
from lead_hub.cli import app
from tests.candidates.published_models import card
from tests.loopback_hub import HubServer
from tests.readme import (
    DOCUMENTS,
    LINK,
    README,
    ROOT,
    Block,
    anchors,
    blocks,
    commands,
    inline_commands,
    prose,
)
from tests.spaces_app.seeds import COLOURS, parquet
from tests.transferability.made_features import balanced_labels, clusters

LANGUAGES = {"python", "sh", "text"}
# What a snippet may take that it is not run for.
NEEDS = {"network", "a GPU", "minutes", "a running page"}
BLOCKS = [block for document in DOCUMENTS for block in blocks(document)]
SHELL = [block for block in BLOCKS if block.language == "sh"]
PYTHON = [block for block in BLOCKS if block.language == "python"]
MOST_LINES = 200

every_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def test_readme_is_for_a_newcomer() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) < MOST_LINES


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_a_block_is_run_or_says_what_it_needs(block: Block) -> None:
    assert block.language in LANGUAGES
    assert block.needs in {"", *NEEDS}


@pytest.fixture
def place(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, colour_folder: Path, tiny_pool: Path
) -> Iterator[dict[str, object]]:
    """A folder and a Hub with what the snippets name, and the arrays that they use."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_TOKEN", hub.add_user("me"))
    hub.add_repo("my-org/my-dataset", kind="dataset", files=parquet(COLOURS))
    for name, kin in PUBLISHED.items():
        facts = {"README.md": card(pipeline_tag="image-classification", license="apache-2.0")}
        hub.add_repo(name, folder=tiny_pool / kin, files=facts)
    shutil.copytree(colour_folder, "path/to/images")
    shutil.copytree(tiny_pool / "resnet", "path/to/my-checkpoint")
    Path("candidates.txt").write_text("path/to/my-checkpoint\nfacebook/dinov2-small\n", encoding="utf-8")
    labels = balanced_labels(60, 3).numpy()
    features = clusters(balanced_labels(60, 3), 8, distance=2.0).numpy()
    np.savez("features.npz", features=features, labels=labels)
    recommend("my-org/my-dataset", candidates="candidates.txt", progress=False).save("board.json")
    yield {"features": features, "labels": labels, "scores": [0.1, 0.3, 0.2], "accuracies": [50.0, 70.0, 65.0]}
    user_model_index().unlink(missing_ok=True)


PUBLISHED = {
    "timm/resnet50.a1_in1k": "resnet",
    "facebook/dinov2-small": "dinov2",
    "google/vit-base-patch16-224": "vit",
}


@pytest.mark.slow
@every_document
def test_snippets_run(document: Path, place: dict[str, object]) -> None:
    """In order, the Python ones of a document as one program."""
    for block in blocks(document):
        if block.needs or block.language == "text":
            continue
        if block.language == "sh":
            run_shell(block)
        else:
            exec(compile("\n" * (block.line - 1) + block.text, str(block.document), "exec"), place)


def run_shell(block: Block) -> None:
    output = ""
    for separator, words in commands(block.text):
        if separator == "|":
            assert words[0] == "jq"
            value = json.loads(output)
            for step in re.findall(r"\w+", words[1]):
                value = value[int(step) if step.isdecimal() else step]
        else:
            assert words[0] == "lead-hub", f"{block}: `{words[0]}` is not run here: say what it needs"
            finished = CliRunner().invoke(app, words[1:], prog_name="lead-hub")
            assert finished.exit_code == 0, f"{block}: {words}\n{finished.output}"
            output = finished.stdout


def known_commands() -> dict[str, set[str]]:
    """Every command of the command line, and its options."""
    group = typer.main.get_command(app)
    return {
        name: {option for parameter in each.params for option in (*parameter.opts, *parameter.secondary_opts)}
        for name, each in group.commands.items()
    }


COMMANDS = known_commands()


def check_command(words: list[str]) -> None:
    """A command of ours has its options, a module of ours is there; what others' programs can is theirs to say."""
    if "-m" in words:
        module, rest = words[words.index("-m") + 1], words[words.index("-m") + 2 :]
        assert find_spec(module) is not None, f"no module {module}"
        words = ["lead-hub", *rest] if module == "lead_hub" else []
    if words and Path(words[0]).name == "lead-hub" and words[1:]:
        assert words[1] in COMMANDS, f"no command {words[1]}"
        options = {word.partition("=")[0] for word in words[2:] if word.startswith("-")}
        assert options <= COMMANDS[words[1]] | {"--help"}


@pytest.mark.parametrize("block", SHELL, ids=str)
def test_commands_and_options_exist(block: Block) -> None:
    for _, words in commands(block.text):
        check_command(words)


@every_document
def test_commands_in_the_text_exist(document: Path) -> None:
    for command in inline_commands(document):
        ((_, words),) = commands(command)
        check_command(words)


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_names_and_arguments_exist(block: Block) -> None:
    tree, imported = ast.parse(block.text), {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "lead_hub":
            module = importlib.import_module(str(node.module))
            imported |= {alias.asname or alias.name: getattr(module, alias.name) for alias in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in imported:
            known = inspect.signature(imported[node.func.id]).parameters
            assert {keyword.arg for keyword in node.keywords} <= set(known), node.func.id


@every_document
def test_links_lead_somewhere(document: Path) -> None:
    for link in LINK.findall(prose(document)):
        if "://" not in link:
            path, _, anchor = link.partition("#")
            target = (document.parent / path).resolve() if path else document
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link


@every_document
def test_files_that_are_named_exist(document: Path) -> None:
    named = re.findall(r"`((?:lead_hub|spaces_app|tests)/[\w./]+)`", prose(document))
    assert [path for path in named if not (ROOT / path).exists()] == []
