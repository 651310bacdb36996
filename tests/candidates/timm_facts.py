"""What timm itself says of a checkpoint of the shipped index, without its weights.

`python -m tests.candidates.timm_facts` writes it into `model_index.json`, whose lines need only an id, how it was
pretrained and what it is chosen for; the test of the index compares the two.
"""

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import timm
import torch
from torch.utils.flop_counter import FlopCounterMode

from lead_hub.candidates import ModelIndex, read_model_index, write_model_index
from lead_hub.candidates.model_families import family_of
from lead_hub.candidates.model_index import IndexEntry
from lead_hub.checkpoint_outputs.depths import block_taps

INDEX = Path(__file__).parents[2] / "model_index.json"
OWNER = "timm/"


@dataclass(frozen=True)
class BuiltFacts:
    """What only the built network tells.

    Attributes:
        parameters: number of weights, the head of the checkpoint included.
        multiply_adds: of a forward pass up to the classifier's input, for one image of the checkpoint's own size.
        features: width of the classifier's input.
        announced_features: the same, as the network itself says it.
        asked_blocks: which of its blocks are asked what they say of an image, or why none.
        depths: shapes of what they say of one image.
    """

    parameters: int
    multiply_adds: int
    features: tuple[int, ...]
    announced_features: int
    asked_blocks: str
    depths: tuple[tuple[int, ...], ...]


def registered(entry: IndexEntry) -> IndexEntry:
    """The entry with what timm's registry says: architecture, family, licence."""
    name = entry.id.removeprefix(OWNER)
    architecture, _, tag = name.partition(".")
    of_dinov3 = tag.startswith("dinov3_")  # ConvNeXts, whose architecture does not name the method
    family = "dinov3" if of_dinov3 else family_of(architecture)
    licence = timm.get_pretrained_cfg(name).license
    return replace(entry, library="timm", architecture=architecture, family=family, licence=licence)


def built(entry: IndexEntry) -> BuiltFacts:
    """Build the network without memory for its weights, and run it on shapes alone."""
    name = entry.id.removeprefix(OWNER)
    pretrained_cfg: Any = timm.get_pretrained_cfg(name)
    with warnings.catch_warnings(), torch.device("meta"):
        warnings.simplefilter("ignore")  # of timm's own code, while it builds
        network = timm.create_model(name, pretrained=False).eval().requires_grad_(requires_grad=False)
        taps = block_taps(network)
        with (
            FlopCounterMode(display=False) as counter,
            taps.listening(),
        ):  # two for each multiplication with its addition
            hidden = network.forward_features(torch.empty(1, *pretrained_cfg.input_size))
            features = network.forward_head(hidden, pre_logits=True)
        pooled = taps.taken()
    return BuiltFacts(
        parameters=sum(weight.numel() for weight in network.parameters()),
        multiply_adds=counter.get_total_flops() // 2,
        features=tuple(features.shape),
        announced_features=network.head_hidden_size,
        asked_blocks=taps.unfit or taps.words,
        depths=tuple(tuple(part.shape) for part in pooled),
    )


def timm_entries(index: ModelIndex) -> list[IndexEntry]:
    return [entry for entry in index.entries if entry.id.startswith(OWNER)]


def with_facts(entry: IndexEntry) -> IndexEntry:
    if not entry.id.startswith(OWNER):
        return entry
    facts = built(entry)
    return replace(registered(entry), parameters=facts.parameters, multiply_adds=facts.multiply_adds)


if __name__ == "__main__":
    index = read_model_index(INDEX)
    write_model_index(INDEX, replace(index, entries=tuple(map(with_facts, index.entries))))
