"""`model_index.json`, the list of candidate checkpoints on disk: read, and checked entry by entry.

    {
      "what": "lead-hub: index of candidate checkpoints",
      "schema_version": 1,
      "candidates": [
        {"id": "org/name", "sha": null, "parameters": 25557032, "licence": "apache-2.0"}
      ]
    }

Of an entry `id` is required; `sha` (the commit, 40 hex digits, null where unpinned), `parameters` and `licence` may
be null or missing. diffusers gives its pipeline manifest the same file name; ours never has its `_class_name` key.
"""

import json
import re
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import NoReturn

from lead_hub.errors import CandidateError

SCHEMA_VERSION = 1
COMMIT = re.compile(r"[0-9a-f]{40}")
TYPES = {
    "id": (str,),
    "sha": (str, type(None)),
    "parameters": (int, type(None)),
    "licence": (str, type(None)),
}


@dataclass(frozen=True)
class IndexEntry:
    """One checkpoint of a model index.

    Attributes:
        id: the Hub id, "org/name".
        sha: the commit that the index pins, 40 hex digits, or None where it pins none.
        parameters: number of weights, if known.
        licence: the Hub's licence identifier, if known.
    """

    id: str
    sha: str | None = None
    parameters: int | None = None
    licence: str | None = None


def shipped_model_index() -> Path:
    """The index that comes with the package: the default pool of candidates."""
    return Path(str(resources.files("lead_hub").joinpath("model_index.json")))


def read_model_index(path: Path) -> list[IndexEntry]:
    """Read a model index, in its order.

    Raises:
        CandidateError: not JSON, not a model index, or an entry with a missing, unknown or ill-typed key.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        refuse(path, f"must be readable JSON: {error}")
    if not isinstance(document, dict) or not isinstance(document.get("candidates"), list):
        refuse(path, 'must be an object with a list under the key "candidates"')
    if document.get("schema_version") != SCHEMA_VERSION:
        refuse(path, f'"schema_version" must be {SCHEMA_VERSION}, found {document.get("schema_version")!r}')
    return [read_entry(path, number, entry) for number, entry in enumerate(document["candidates"])]


def read_entry(path: Path, number: int, entry: object) -> IndexEntry:
    """Check one entry and turn it into its record."""
    where = f'"candidates"[{number}]'
    if not isinstance(entry, dict):
        refuse(path, f"{where} must be an object, found {entry!r}")
    for key, value in entry.items():
        if key not in TYPES:
            refuse(path, f"{where} has the unknown key {key!r}; known are {', '.join(TYPES)}")
        if not isinstance(value, TYPES[key]) or isinstance(value, bool):
            refuse(
                path,
                f"{where} key {key!r} must be {' or '.join(t.__name__ for t in TYPES[key])}, found {value!r}",
            )
    if "id" not in entry:
        refuse(path, f'{where} must have an "id", found only {sorted(entry)}')
    if entry.get("sha") is not None and not COMMIT.fullmatch(entry["sha"]):
        refuse(path, f"{where} ({entry['id']}) key 'sha' must be 40 hex digits or null, found {entry['sha']!r}")
    return IndexEntry(**entry)


def refuse(path: Path, what: str) -> NoReturn:
    raise CandidateError(f"model index {str(path)!r}: {what}", stage="find")
