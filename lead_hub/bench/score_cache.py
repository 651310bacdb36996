"""Scores that were computed before: one small file a pair and image sample, every score under its version."""

import ast
import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import torch

import lead_hub.transferability
from lead_hub.hub import assets_folder, write_text_whole
from lead_hub.transferability import SCORES

PACKAGE = "lead_hub.transferability"
FOLDER = Path(lead_hub.transferability.__file__).parent


@dataclass(frozen=True)
class Cell:
    """One score of one checkpoint on one target: a value, or the reason why there is none."""

    value: float | None
    seconds: float
    error: str


def default_cache_folder() -> Path:
    """Where scores live unless the caller says otherwise: under HF_ASSETS_CACHE."""
    return assets_folder("bench")


def read_cells(file: Path | None, methods: Iterable[str]) -> dict[str, Cell]:
    """What a file holds of these scores; a file that cannot be read holds nothing."""
    if file is None or not file.is_file():
        return {}
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        return {
            method: Cell(**document[score_version(method)]) for method in methods if score_version(method) in document
        }
    except (OSError, ValueError, TypeError):
        return {}


def write_cells(file: Path | None, cells: dict[str, Cell]) -> None:
    """Replace a file's content, whole or not at all."""
    if file is None:
        return
    write_text_whole(file, json.dumps({score_version(method): asdict(cell) for method, cell in cells.items()}))


@cache
def score_version(method: str) -> str:
    """Everything besides the outputs that can change a score: name, version, its source files, torch."""
    digest = hashlib.sha256()
    for path in sorted(source_files(getattr(SCORES[method].function, "__module__", ""))):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return f"{method} version {SCORES[method].version}, {digest.hexdigest()[:16]}, torch {torch.__version__}"


def source_files(module: str) -> set[Path]:
    """The module's own file and all that it imports of its package, directly or not."""
    found: set[Path] = set()
    waiting = [module]
    while waiting:
        path = FOLDER / f"{waiting.pop().removeprefix(PACKAGE + '.')}.py"
        if not path.is_file():
            return set(FOLDER.rglob("*.py"))  # not one file of the package: any of them may matter
        if path in found:
            continue
        found.add(path)
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        modules = [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
        waiting += [name for name in modules if name.startswith(PACKAGE)]
    return found
