"""Models to publish on the test Hub, as their files: what a crawl can tell of them follows from these alone."""

import json
import struct
from collections.abc import Mapping

WIDTHS = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I8": 1, "U8": 1}


def safetensors(numbers: Mapping[str, int]) -> bytes:
    """A safetensors file with one tensor of zeros for each dtype."""
    header, start = {}, 0
    for dtype, count in numbers.items():
        end = start + count * WIDTHS[dtype]
        header[f"weights_{dtype}"] = {"dtype": dtype, "shape": [count], "data_offsets": [start, end]}
        start = end
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(start)


def card(**front_matter: object) -> bytes:
    """A README whose front matter is JSON, which is YAML."""
    return f"---\n{json.dumps(front_matter)}\n---\n".encode()


def classifier(
    model_type: str = "resnet",
    architecture: str = "ResNetForImageClassification",
    *,
    numbers: Mapping[str, int] | None = None,
    config: Mapping[str, object] | None = None,
    **front_matter: object,
) -> dict[str, bytes]:
    """A whole checkpoint of transformers: config, weights of 10 numbers, image processor, card."""
    facts = {"architectures": [architecture], "model_type": model_type, **(config or {})}
    return {
        "config.json": json.dumps(facts).encode(),
        "model.safetensors": safetensors(numbers or {"F32": 10}),
        "preprocessor_config.json": b"{}",
        "README.md": card(**{"pipeline_tag": "image-classification", **front_matter}),
    }


def without(files: Mapping[str, bytes], *names: str, **more: bytes) -> dict[str, bytes]:
    """The files less some, and with others (keys with "__" for the dot)."""
    kept = {name: content for name, content in files.items() if name not in names}
    return kept | {name.replace("__", "."): content for name, content in more.items()}
