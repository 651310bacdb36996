"""`model_index.json`, the list of candidate checkpoints on disk: its records, read and checked entry by entry, written.

    {
      "what": "lead-hub: index of candidate checkpoints",
      "schema_version": 1,
      "hub": "https://huggingface.co",
      "crawled": "2026-11-21",
      "query": {"pipeline_tags": ["image-classification"], "limit": 100},
      "candidates": [
        {"id": "org/name", "sha": "...40 hex digits...", "family": "resnet", "parameters": 25557032, "licence": "mit"}
      ],
      "left_out": [
        {"id": "org/other", "reason": "pickle only", "detail": "pytorch_model.bin"}
      ]
    }

Required are `schema_version`, `candidates`, and `id` in each of them; the keys of a candidate are the fields of
`IndexEntry`, each of which may be null or missing. diffusers gives its pipeline manifest the same file name; ours
never has its `_class_name` key.
"""

import json
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import NoReturn, TypeAlias

from lead_hub.candidates.model_index_checks import BadIndexValueError, check_document, line_of
from lead_hub.errors import CandidateError, LeadHubError
from lead_hub.hub import assets_folder, hub_address, write_text_whole

WHAT = "lead-hub: index of candidate checkpoints"
SCHEMA_VERSION = 1
OWN_INDEX_VARIABLE = "LEAD_HUB_MODEL_INDEX"

JsonValue: TypeAlias = str | int | float | bool | list["JsonValue"] | dict[str, "JsonValue"] | None


@dataclass(frozen=True)
class IndexEntry:
    """One checkpoint of a model index. All but `id` is None, or empty, where it is not known.

    Attributes:
        id: the Hub id, "org/name".
        sha: the commit that the index pins, 40 hex digits.
        library: "transformers" or "timm".
        architecture: class name of transformers ("ResNetForImageClassification") or timm's name ("resnet50").
        model_type: model_type of the config, of transformers only.
        family: what it shares with its kin in both libraries, e.g. "resnet", "vit", "dinov2", "clip".
        pipeline_tag: the Hub's task, e.g. "image-classification".
        parameters: number of weights, as stored (a head and integer buffers included).
        weight_format: "safetensors" or "pickle".
        weight_bytes: size of the weights in that format.
        licence: the Hub's licence identifier, e.g. "apache-2.0"; of several, separated by ", ".
        gated: False, or how access is granted: "auto" or "manual".
        downloads: of the last 30 days, when crawled.
        likes: when crawled.
        last_modified: time of the last commit, ISO 8601 in UTC.
        base_model: id of the checkpoint that it was fine-tuned from.
        datasets: what it was trained on, as its card says.
        base_datasets: what the checkpoints that it descends from were trained on.
        imagenet_top1_percent: published top-1 accuracy on ImageNet-1k, 0 to 100.
        pretraining: how and on what, in words, e.g. "DINOv2 on LVD-142M".
        pretraining_kind: what it learnt from, e.g. "self-supervised"; all kinds are in `model_index_checks.py`.
        multiply_adds: of one forward pass over one image, of the size that its own image processor makes.
        chosen_for: by the curators of the index: "default" is what a run without a choice of its own ranks, "best" are
            the strongest whatever they cost.
    """

    id: str
    sha: str | None = None
    library: str | None = None
    architecture: str | None = None
    model_type: str | None = None
    family: str | None = None
    pipeline_tag: str | None = None
    parameters: int | None = None
    weight_format: str | None = None
    weight_bytes: int | None = None
    licence: str | None = None
    gated: bool | str | None = None
    downloads: int | None = None
    likes: int | None = None
    last_modified: str | None = None
    base_model: str | None = None
    datasets: tuple[str, ...] = ()
    base_datasets: tuple[str, ...] = ()
    imagenet_top1_percent: float | None = None
    pretraining: str | None = None
    pretraining_kind: str | None = None
    multiply_adds: int | None = None
    chosen_for: tuple[str, ...] = ()


@dataclass(frozen=True)
class LeftOut:
    """A model that was looked at and is no candidate.

    Attributes:
        id: the Hub id.
        reason: a short fixed phrase, to count by.
        detail: what was found, may be empty.
    """

    id: str
    reason: str
    detail: str = ""


@dataclass(frozen=True)
class ModelIndex:
    """A model index in memory.

    Attributes:
        entries: the candidates, in the order of the file.
        left_out: what a crawl saw and did not take.
        hub: endpoint of the Hub that the facts come from, None if they come from none.
        crawled: day of the crawl in UTC, ISO 8601.
        query: the crawl's settings.
    """

    entries: tuple[IndexEntry, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    hub: str | None = None
    crawled: str | None = None
    query: Mapping[str, JsonValue] | None = None


def shipped_model_index() -> Path:
    """The index that comes with the package: the default pool of candidates."""
    return Path(str(resources.files("lead_hub").joinpath("model_index.json")))


def user_model_index() -> Path:
    """Where `lead-hub crawl` keeps the index of this machine's user: under HF_ASSETS_CACHE."""
    return assets_folder("crawl") / "model_index.json"


def default_model_index() -> Path:
    """The index that is read unless the caller names one.

    That is the file named by LEAD_HUB_MODEL_INDEX if it is set, else the user's own if it comes from the Hub in use,
    else the one that comes with the package.

    Raises:
        CandidateError: the user's own index is there and cannot be read.
    """
    if named := os.environ.get(OWN_INDEX_VARIABLE):
        return Path(named).expanduser()
    own = user_model_index()
    if own.is_file() and read_model_index(own).hub == hub_address():
        return own
    return shipped_model_index()


def index_families(index: ModelIndex) -> tuple[str, ...]:
    """The families of an index's entries, the one of most entries first, then by name."""
    counts = Counter(entry.family for entry in index.entries if entry.family)
    return tuple(sorted(counts, key=lambda family: (-counts[family], family)))


def read_model_index(path: Path) -> ModelIndex:
    """Read a model index.

    Raises:
        CandidateError: not JSON, not a model index, or a missing, unknown or ill-typed key; names line and key.
    """
    try:
        text = path.read_text(encoding="utf-8")
        document = json.loads(text)
    except json.JSONDecodeError as error:
        refuse(path, f"line {error.lineno}: must be readable JSON: {error}")
    except (OSError, ValueError, RecursionError) as error:
        refuse(path, f"must be readable JSON: {error}")
    try:
        check_document(document, SCHEMA_VERSION)
    except BadIndexValueError as error:
        key = error.path[-1] if error.path and isinstance(error.path[-1], str) else None
        named = f", key {key!r}" if key else ""
        refuse(path, f"line {line_of(text, error.path)}{named}: {error}")
    return ModelIndex(
        entries=tuple(entry_from_json(entry) for entry in document["candidates"]),
        left_out=tuple(LeftOut(**row) for row in document.get("left_out") or ()),
        hub=document.get("hub"),
        crawled=document.get("crawled"),
        query=document.get("query"),
    )


def entry_from_json(entry: Mapping[str, JsonValue]) -> IndexEntry:
    """The record of a checked entry."""
    known = {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}
    return IndexEntry(**{key: value for key, value in known.items() if value is not None})  # type: ignore[arg-type]


def entry_to_json(entry: IndexEntry) -> dict[str, JsonValue]:
    """The entry as it is written: what is not known is left out, except that it is pinned to no commit."""
    document = asdict(entry)
    return {key: value for key, value in document.items() if key == "sha" or (value is not None and value != ())}


def write_model_index(path: Path, index: ModelIndex) -> None:
    """Write an index, one candidate a line, so that a change reads well in a diff; whole or not at all.

    Raises:
        LeadHubError: the place cannot be written.
    """
    try:
        write_text_whole(path, index_as_text(index))
    except OSError as error:
        raise LeadHubError(
            f"{path.name} must be written to {str(path.parent)!r}, found {error}: name another place with --output, or"
            " set HF_HOME to a folder that can be written"
        ) from error


def index_as_text(index: ModelIndex) -> str:
    """The JSON of an index."""
    head = {
        "what": WHAT,
        "schema_version": SCHEMA_VERSION,
        "hub": index.hub,
        "crawled": index.crawled,
        "query": index.query,
    }
    parts = [f"  {as_json(key)}: {as_json(value)}" for key, value in head.items()]
    parts.append(f'  "candidates": {rows([entry_to_json(entry) for entry in index.entries])}')
    parts.append(f'  "left_out": {rows([asdict(row) for row in index.left_out])}')
    return "{\n" + ",\n".join(parts) + "\n}\n"


def rows(objects: list[dict[str, JsonValue]]) -> str:
    """A list of objects as JSON, one a line."""
    lines = ",\n".join(f"    {as_json(each)}" for each in objects)
    return f"[\n{lines}\n  ]" if lines else "[]"


def as_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def refuse(path: Path, what: str) -> NoReturn:
    raise CandidateError(f"model index {str(path)!r}: {what}", stage="find")
