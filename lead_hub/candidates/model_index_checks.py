"""Whether a JSON document is a model index: each value checked, and the line on which a bad one stands."""

import json
import re
from collections.abc import Mapping
from datetime import date, datetime
from types import MappingProxyType
from typing import NoReturn, TypeAlias

from lead_hub.hub import is_commit

JsonPath: TypeAlias = tuple[str | int, ...]

# What a checkpoint learnt from before any fine-tuning: labels, noisy labels of the web, images alone, images and their
# texts, or several other encoders; ", then supervised" where it saw labels afterwards.
PRETRAINING_KINDS = (
    *("supervised", "weakly supervised", "self-supervised", "image-text", "distilled"),
    *("self-supervised, then supervised", "image-text, then supervised"),
)
DEFAULT, BEST = "default", "best"
CHOICES = (DEFAULT, BEST)

NULL = type(None)
TEXT = (str, NULL)
COUNT = (int, NULL)
TEXTS = (list, NULL)
ENTRY_TYPES: Mapping[str, tuple[type, ...]] = MappingProxyType(
    {
        "id": (str,),
        **dict.fromkeys(("sha", "library", "architecture", "model_type", "family", "pipeline_tag"), TEXT),
        **dict.fromkeys(
            ("weight_format", "licence", "last_modified", "base_model", "pretraining", "pretraining_kind"), TEXT
        ),
        **dict.fromkeys(("parameters", "weight_bytes", "multiply_adds", "downloads", "likes"), COUNT),
        **dict.fromkeys(("datasets", "base_datasets", "chosen_for"), TEXTS),
        "imagenet_top1_percent": (int, float, NULL),
        "gated": (bool, str, NULL),
    }
)
HEAD_TYPES: Mapping[str, tuple[type, ...]] = MappingProxyType(
    {"hub": TEXT, "crawled": TEXT, "query": (dict, NULL), "left_out": (list, NULL)}
)
LEFT_OUT_TYPES: Mapping[str, tuple[type, ...]] = MappingProxyType({"id": (str,), "reason": (str,), "detail": (str,)})

# Of a valid document: strings, brackets and separators, and what stands between them (numbers, true, false, null).
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')


class BadIndexValueError(ValueError):
    """A value that no model index has.

    Attributes:
        path: keys and places in lists that lead to it.
    """

    def __init__(self, path: JsonPath, message: str) -> None:
        super().__init__(message)
        self.path = path


def check_document(document: object, schema_version: int) -> None:
    """Refuse what is no model index of this version.

    Raises:
        BadIndexValueError: the first value that is wrong.
    """
    if not isinstance(document, dict) or not isinstance(document.get("candidates"), list):
        wrong((), 'must be an object with a list under the key "candidates"')
    found = document.get("schema_version")
    if found != schema_version:
        wrong(("schema_version",), f'"schema_version" must be {schema_version}, found {found!r}')
    check_types(document, HEAD_TYPES, ())
    if document.get("crawled") is not None and not is_iso(document["crawled"], date):
        wrong(("crawled",), f"must be a day such as '2026-01-31' or null, found {document['crawled']!r}")
    for number, entry in enumerate(document["candidates"]):
        check_entry(entry, ("candidates", number))
    for number, row in enumerate(document.get("left_out") or ()):
        check_object(row, LEFT_OUT_TYPES, ("left_out", number))
        for key in ("id", "reason"):
            if key not in row:
                wrong(("left_out", number), f'"left_out"[{number}] must have "{key}"')


def check_entry(entry: object, path: JsonPath) -> None:
    """Refuse what is no candidate of an index."""
    fields = check_object(entry, ENTRY_TYPES, path)
    if not fields.get("id"):
        wrong(path, f'{name_of(path)} must have an "id", found only {sorted(fields)}')
    sha, percent, last_modified = (fields.get(key) for key in ("sha", "imagenet_top1_percent", "last_modified"))
    if isinstance(sha, str) and not is_commit(sha):
        wrong((*path, "sha"), f"must be 40 hex digits or null, found {sha!r} ({fields['id']})")
    if isinstance(percent, (int, float)) and not 0 <= percent <= 100:  # NaN, which Python's JSON knows, is refused too
        wrong((*path, "imagenet_top1_percent"), f"must be between 0 and 100, found {percent}")
    if isinstance(last_modified, str) and not is_iso(last_modified, datetime):
        wrong((*path, "last_modified"), f"must be an ISO 8601 time, found {last_modified!r}")
    check_choices(fields, path)
    for key, value in fields.items():
        if ENTRY_TYPES[key] == COUNT and isinstance(value, int) and value < 0:
            wrong((*path, key), f"must be 0 or more, found {value}")
        if isinstance(value, list) and not all(isinstance(each, str) for each in value):
            wrong((*path, key), f"must be a list of texts, found {value!r}")


def check_choices(fields: Mapping[str, object], path: JsonPath) -> None:
    """Keys that have only a few values."""
    if (weight_format := fields.get("weight_format")) not in {None, "safetensors", "pickle"}:
        wrong((*path, "weight_format"), f"must be 'safetensors', 'pickle' or null, found {weight_format!r}")
    if (gated := fields.get("gated")) not in {None, False, "auto", "manual"}:
        wrong((*path, "gated"), f"must be false, 'auto', 'manual' or null, found {gated!r}")
    if (kind := fields.get("pretraining_kind")) not in {None, *PRETRAINING_KINDS}:
        wrong((*path, "pretraining_kind"), f"must be one of {', '.join(PRETRAINING_KINDS)}, or null, found {kind!r}")
    if others := [each for each in fields.get("chosen_for") or () if each not in CHOICES]:  # type: ignore[attr-defined]
        wrong((*path, "chosen_for"), f"must be made of {', '.join(CHOICES)}, found {others[0]!r}")


def check_object(value: object, types: Mapping[str, tuple[type, ...]], path: JsonPath) -> dict[str, object]:
    """An object whose keys are all known and whose values are all of their types."""
    if not isinstance(value, dict):
        wrong(path, f"{name_of(path)} must be an object, found {value!r}")
    for key in value:
        if key not in types:
            wrong((*path, key), f"unknown key {key!r} in {name_of(path)}; known are {', '.join(types)}")
    check_types(value, types, path)
    return value


def check_types(value: Mapping[str, object], types: Mapping[str, tuple[type, ...]], path: JsonPath) -> None:
    """The keys that are there hold values of their types; True and False are no numbers here."""
    for key, allowed in types.items():
        if key not in value:
            continue
        found = value[key]
        if not isinstance(found, allowed) or (isinstance(found, bool) and bool not in allowed):
            words = " or ".join("null" if each is NULL else each.__name__ for each in allowed)
            wrong((*path, key), f"must be {words}, found {found!r}")


def is_iso(text: str, kind: type[date]) -> bool:
    """Whether a text is a day (date) or a time (datetime) of ISO 8601."""
    try:
        kind.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return False
    return True


def name_of(path: JsonPath) -> str:
    """("candidates", 3) -> '"candidates"[3]'."""
    return "".join(f"[{step}]" if isinstance(step, int) else f'"{step}"' for step in path)


def wrong(path: JsonPath, message: str) -> NoReturn:
    raise BadIndexValueError(path, message)


def line_of(text: str, path: JsonPath) -> int:
    """The line, from 1, of the value at `path` in valid JSON; of the whole document's start if it is not there."""
    here: list[str | int] = []  # leads to the value that stands, or begins, at the token
    key = ""
    for token in TOKEN.finditer(text):
        symbol = token.group()
        if symbol == ":":
            here[-1] = key
        elif symbol in "]}":
            here.pop()
        elif symbol == ",":
            here[-1] = here[-1] + 1 if isinstance(here[-1], int) else ""
        else:
            key = json.loads(symbol) if symbol.startswith('"') else ""
            if tuple(here) == path:
                return text.count("\n", 0, token.start()) + 1
            if symbol in "[{":
                here.append(0 if symbol == "[" else "")
    return 1
