"""What the Hub says of a repository because of its files: card, tags, library, task, parameters."""

import json
import struct
from collections import Counter
from collections.abc import Mapping
from math import prod
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from tests.loopback_hub.git_objects import StoredFile

    Files = Mapping[str, StoredFile]

FORMAT_TAGS = {".safetensors": "safetensors", ".onnx": "onnx", ".gguf": "gguf", ".bin": "pytorch", ".pth": "pytorch"}
CONFIG_KEYS = ("architectures", "model_type", "auto_map", "quantization_config", "architecture")
TASKS = ("image-classification", "image-feature-extraction", "object-detection", "image-segmentation")
TASKS += (
    "zero-shot-image-classification",
    "depth-estimation",
    "image-to-text",
    "video-classification",
    "mask-generation",
)
TASK_OF_HEAD = {
    "ForImageClassification": "image-classification",
    "ForObjectDetection": "object-detection",
    "ForSemanticSegmentation": "image-segmentation",
    "ForVideoClassification": "video-classification",
    "ForDepthEstimation": "depth-estimation",
}


def front_matter(content: bytes) -> Any:
    """The YAML between the first two lines of dashes of a README; {} without.

    Raises:
        yaml.YAMLError: it is no YAML.
    """
    lines = content.decode(errors="replace").split("\n")
    if lines[0].strip() != "---" or "---" not in [line.strip() for line in lines[1:]]:
        return {}
    end = [line.strip() for line in lines[1:]].index("---") + 1
    return yaml.safe_load("\n".join(lines[1:end])) or {}


def card_of(files: "Files") -> dict[str, Any]:
    try:
        card = front_matter(files["README.md"].content) if "README.md" in files else {}
    except yaml.YAMLError:
        return {}
    # The Hub hands the card on as JSON; YAML's dates become text.
    return json.loads(json.dumps(card, default=str)) if isinstance(card, dict) else {}


def several(value: Any) -> list[str]:
    return [str(item) for item in (value if isinstance(value, list) else [value]) if item is not None]


def json_file(files: "Files", path: str) -> dict[str, Any]:
    try:
        value = json.loads(files[path].content) if path in files else {}
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def parameter_counts(files: "Files") -> dict[str, Any] | None:
    """The Hub's `safetensors`: elements by dtype, integer buffers included, over all shards."""
    shards = {"model.safetensors"}
    if "model.safetensors" not in files:
        shards = set(several(list(json_file(files, "model.safetensors.index.json").get("weight_map", {}).values())))
    counts: Counter[str] = Counter()
    for shard in shards:
        if shard not in files or not (header := safetensors_header(files[shard].content)):
            return None
        for name, tensor in header.items():
            if name != "__metadata__":
                counts[tensor["dtype"]] += prod(tensor["shape"])
    return {"parameters": dict(counts), "total": counts.total()} if shards else None


def safetensors_header(content: bytes) -> dict[str, Any] | None:
    """The JSON before the tensors; None where the file is none."""
    if len(content) < 8:
        return None
    (size,) = struct.unpack("<Q", content[:8])
    try:
        return json.loads(content[8 : 8 + size])
    except ValueError:
        return None


def library_of(card: dict[str, Any], config: dict[str, Any]) -> str | None:
    if card.get("library_name"):
        return card["library_name"]
    if config.get("architectures") or config.get("auto_map"):
        return "transformers"
    return "timm" if config.get("architecture") else None


def task_of(card: dict[str, Any], config: dict[str, Any], files: "Files") -> str | None:
    if card.get("pipeline_tag"):
        return card["pipeline_tag"]
    for tag in several(card.get("tags")):
        if tag in TASKS:
            return tag
    architecture = next(iter(several(config.get("architectures"))), "")
    for head, task in TASK_OF_HEAD.items():
        if architecture.endswith(head):
            return task
    if architecture.endswith("Model") and "preprocessor_config.json" in files:
        return "image-feature-extraction"
    return "image-classification" if library_of(card, config) == "timm" else None


def card_tags(card: dict[str, Any]) -> list[str]:
    tags = several(card.get("tags"))
    for key, prefix in (("license", "license"), ("datasets", "dataset"), ("base_model", "base_model")):
        tags += [f"{prefix}:{value}" for value in several(card.get(key))]
    relation = card.get("base_model_relation", "finetune")
    return tags + [f"base_model:{relation}:{value}" for value in several(card.get("base_model"))]


def distinct(tags: list[str | None]) -> list[str]:
    return list(dict.fromkeys(tag for tag in tags if tag))


def model_facts(files: "Files", extra_tags: tuple[str, ...]) -> dict[str, Any]:
    """The facts that listing and info serve for a model, None where the Hub would know nothing."""
    card, config = card_of(files), json_file(files, "config.json")
    library, task = library_of(card, config), task_of(card, config, files)
    formats = [tag for suffix, tag in FORMAT_TAGS.items() if any(path.endswith(suffix) for path in files)]
    custom = ["custom_code"] if config.get("auto_map") else []
    tags = [library, *formats, config.get("model_type"), task, *custom, *card_tags(card), *extra_tags, "region:us"]
    bases = several(card.get("base_model"))
    return {
        "tags": distinct(tags),
        "cardData": card or None,
        "library_name": library,
        "pipeline_tag": task,
        "config": {key: config[key] for key in CONFIG_KEYS if key in config} or None,
        "safetensors": parameter_counts(files),
        "transformersInfo": transformers_info(config, task, files) if library == "transformers" else None,
        "baseModels": base_models(card, bases) if bases else None,
    }


def base_models(card: dict[str, Any], bases: list[str]) -> dict[str, Any]:
    return {"relation": card.get("base_model_relation", "finetune"), "models": [{"id": base} for base in bases]}


def transformers_info(config: dict[str, Any], task: str | None, files: "Files") -> dict[str, Any] | None:
    architecture = next(iter(several(config.get("architectures"))), None)
    if architecture is None:
        return None
    head = next((head for head in TASK_OF_HEAD if architecture.endswith(head)), "Model")
    info = {"auto_model": "AutoModel" if head == "Model" else f"AutoModel{head}"}
    if task:
        info["pipeline_tag"] = task
    if "preprocessor_config.json" in files:
        info["processor"] = "AutoImageProcessor"
    return info


def dataset_facts(files: "Files", extra_tags: tuple[str, ...]) -> dict[str, Any]:
    """The facts of a dataset or Space: its card and the tags that come from it."""
    card = card_of(files)
    tags = card_tags(card)
    for key in ("task_categories", "task_ids", "language", "size_categories", "annotations_creators"):
        tags += [f"{key}:{value}" for value in several(card.get(key))]
    return {"tags": distinct([*tags, *extra_tags, "region:us"]), "cardData": card or None}
