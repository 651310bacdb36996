"""Good checkpoint folders to be damaged, and what lead-hub says of the damage."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file
from torch import Tensor

from lead_hub.checkpoint_outputs.loaded_checkpoint import load_checkpoint
from lead_hub.errors import CandidateError
from tests.tiny_checkpoints import save_checkpoint
from tests.tiny_families import FAMILIES


def vit_classifier(folder: Path) -> Path:
    return save_checkpoint(folder, FAMILIES["vit"].build(head=True))


def edit(folder: Path, name: str, **changes: object) -> None:
    content = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps(content | changes))


def edit_weights(folder: Path, change: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> None:
    file = folder / "model.safetensors"
    save_file(change(load_file(file)), file, metadata={"format": "pt"})


def refusal(folder: Path, *, allow_pickle: bool = False) -> str:
    with pytest.raises(CandidateError) as caught:
        load_checkpoint(folder, allow_pickle=allow_pickle)
    assert caught.value.stage == "load"
    return str(caught.value)
