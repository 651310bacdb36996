"""What a stranger's config.json asks for, against what the weight files hold: refused before memory or time is spent.

check_declared (the numbers in config.json) -> held_weights (the headers of the files) -> bounded_build (while
transformers builds the model on the meta device, where a tensor takes no memory)
"""

import math
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import safe_open
from torch import Tensor, nn
from torch.nn.modules import module as module_hooks

from lead_hub.checkpoint_files import safetensors_files
from lead_hub.errors import CandidateError

MOST_NESTED = 32  # levels of a config.json; real ones have four
# By the words in a setting's name, the first that fits: the most that it may be. What has weights is judged by them;
# this is for what costs time or memory before the first weight is there. Other names may hold anything.
_UNBOUNDED = 1 << 63
_MOST: Sequence[tuple[re.Pattern[str], int]] = (
    (re.compile(r"theta|seed|(^|_)ids?(_|$)|position_embeddings|step|param|train|data|batch|file|bytes"), _UNBOUNDED),
    (re.compile(r"(image|img)_?size"), 4096),
    (re.compile(r"layer|depth|block|stage|repeat|label|class|level|head"), 100_000),
    (
        re.compile(r"size|dim|width|hidden|channel|patch|window|kernel|expan|group|stride|embed|length|token"),
        10_000_000,
    ),
    (re.compile(r""), _UNBOUNDED),
)
# LeViT lists every pair of places of its first feature map in Python, while it is built.
_MOST_PX_OF = {"levit": 512}
# A missing head or pooler, weights that are split or merged on loading: a model may hold more than its files.
MOST_TIMES_HELD, SPARE_TENSORS, SPARE_NUMBERS = 4, 200, 1_000_000
MOST_BUFFER_NUMBERS = 64_000_000  # not in the files: positions, masks; the largest Swin v2 holds 10 million
BYTES_OF_A_NUMBER = 2  # at the least, in a pickle, whose weights nobody counts before it is read
PLAIN_NUMBERS = frozenset({"F16", "BF16", "F32", "F64"})
# Counters and tables that follow from the config.
_COUNTERS = re.compile(
    r"(^|\.)(num_batches_tracked|position_ids|relative_position_index|attention_bias_idxs|summary_idxs|num_updates|step)$"
)
_NAMES_SHOWN = 3


def check_declared(declared: Mapping[str, Any], folder: Path) -> None:
    """Refuse a config.json whose numbers no real checkpoint has, or that is nested beyond measure.

    Raises:
        CandidateError: so it is (stage "load").
    """
    model_type = declared.get("model_type")
    for level, name, number in _numbers_in(declared):
        if level > MOST_NESTED:
            raise CandidateError(
                f"config.json must be nested at most {MOST_NESTED} levels deep, in {folder} {name!r} is deeper: it"
                " describes no model",
                stage="load",
            )
        most = next(most for words, most in _MOST if words.search(name))
        if most == _MOST[1][1] and isinstance(model_type, str):
            most = _MOST_PX_OF.get(model_type, most)
        if abs(number) > most:
            raise CandidateError(
                f"{name} in config.json must be at most {most:,}, found {number:,} in {folder}: no model of that size"
                " is built",
                stage="load",
            )


def _numbers_in(declared: Mapping[str, Any]) -> Iterator[tuple[int, str, int]]:
    """Level, name and value of every whole number, without recursion: the file may be nested as deep as it likes."""
    waiting: list[tuple[int, str, object]] = [(0, "", declared)]
    while waiting:
        level, name, value = waiting.pop()
        if isinstance(value, Mapping):
            waiting += [(level + 1, str(key).lower(), inner) for key, inner in value.items()]
        elif isinstance(value, list):
            waiting += [(level + 1, name, inner) for inner in value]
        elif isinstance(value, int) and not isinstance(value, bool):
            yield level, name, value
        elif level > MOST_NESTED:
            yield level, name, 0


@dataclass(frozen=True)
class HeldWeights:
    """What a checkpoint's weight files hold, by their headers.

    Attributes:
        names: of the tensors; None for pickles, which nobody opens to look.
        n_numbers: in all of them; for pickles the most that their size allows.
    """

    names: frozenset[str] | None
    n_numbers: int


def held_weights(folder: Path) -> HeldWeights:
    """Count what the weight files hold, reading no weight.

    Raises:
        CandidateError: weights are not plain floating-point numbers (stage "load").
        OSError: a file of the index is missing.
        SafetensorError: a file is damaged.
    """
    files = safetensors_files(folder)
    if not files:
        size_bytes = sum(path.stat().st_size for path in folder.glob("pytorch_model*.bin"))
        return HeldWeights(None, size_bytes // BYTES_OF_A_NUMBER)
    names: set[str] = set()
    n_numbers = 0
    packed: dict[str, str] = {}
    for path in files:
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 - the file itself cannot be iterated
                weight = file.get_slice(name)
                shape, dtype = weight.get_shape(), str(weight.get_dtype())
                names.add(name)
                n_numbers += math.prod(shape)
                if dtype not in PLAIN_NUMBERS and len(shape) > 0 and not _COUNTERS.search(name):
                    packed[name] = dtype
    if packed:
        shown = ", ".join(f"{name} ({dtype})" for name, dtype in sorted(packed.items())[:_NAMES_SHOWN])
        raise CandidateError(
            f"weights must be plain numbers of 16, 32 or 64 bits, {len(packed)} of {len(names)} in {folder} are not:"
            f" {shown}; they are quantised, and nothing says how: use the checkpoint they were made from",
            stage="load",
        )
    return HeldWeights(frozenset(names), n_numbers)


class _Tally:
    """What a model that is being built has asked for so far."""

    def __init__(self, held: HeldWeights, folder: Path) -> None:
        self.thread = threading.get_ident()
        self.folder = folder
        self.held = held
        self.most_tensors = None if held.names is None else MOST_TIMES_HELD * len(held.names) + SPARE_TENSORS
        self.most_numbers = MOST_TIMES_HELD * held.n_numbers + SPARE_NUMBERS
        self.n_tensors = self.n_numbers = self.n_buffer_numbers = 0

    def add_weight(self, _module: nn.Module, _name: str, weight: Tensor | None) -> None:
        if weight is None or threading.get_ident() != self.thread or not weight.is_meta:
            return
        self.n_tensors += 1
        self.n_numbers += weight.numel()
        too_many = self.most_tensors is not None and self.n_tensors > self.most_tensors
        if too_many or self.n_numbers > self.most_numbers:
            self.refuse(f"more than {self.n_numbers:,} numbers in {self.n_tensors:,} weights")

    def add_buffer(self, _module: nn.Module, _name: str, buffer: Tensor | None) -> None:
        if buffer is None or threading.get_ident() != self.thread or not buffer.is_meta:
            return
        self.n_buffer_numbers += buffer.numel()
        if self.n_buffer_numbers > MOST_BUFFER_NUMBERS:
            self.refuse(f"tables of more than {self.n_buffer_numbers:,} numbers beside its weights")

    def refuse(self, asked_for: str) -> None:
        held = f"{self.held.n_numbers:,} numbers" + (
            "" if self.held.names is None else f" in {len(self.held.names):,} weights"
        )
        raise CandidateError(
            f"config.json must describe the model whose weights are in the file, in {self.folder} it asks for"
            f" {asked_for}, and the file holds {held}: config and weights are of different checkpoints",
            stage="load",
        )


@contextmanager
def bounded_build(held: HeldWeights, folder: Path) -> Iterator[None]:
    """Break off a build within the block, by this thread and on the meta device, as soon as it is far too large.

    Raises:
        CandidateError: it is (stage "load").
    """
    tally = _Tally(held, folder)
    with ExitStack() as stack:
        for handle in (
            module_hooks.register_module_parameter_registration_hook(tally.add_weight),
            module_hooks.register_module_buffer_registration_hook(tally.add_buffer),
        ):
            stack.callback(handle.remove)
        yield
