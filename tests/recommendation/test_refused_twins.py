"""A checkpoint that is refused is refused also where the outputs of another with the same content are kept."""

import json
import os
import shutil
from pathlib import Path

import pytest

from lead_hub import recommend
from tests.tiny_checkpoints import save_checkpoint
from tests.tiny_families import FAMILIES


def made_adapter(folder: Path) -> None:
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "org/name", "peft_type": "LORA"}')


def made_without_processor(folder: Path) -> None:
    (folder / "preprocessor_config.json").write_text("{}")


def made_garbage(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def made_with_a_pipe(folder: Path) -> None:
    os.mkfifo(folder / "processor_config.json")


def made_shallow(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 1}))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (made_adapter, "holds an adapter"),
        (made_without_processor, "must bring its own image processor"),
        (made_garbage, "config.json must be a readable JSON file"),
        (made_with_a_pipe, "it is a pipe"),
        (made_shallow, "left over"),
    ],
)
def test_a_refused_twin_of_a_kept_checkpoint_is_skipped(
    change: object, words: str, colour_folder: Path, tmp_path: Path
) -> None:
    good = save_checkpoint(tmp_path / "good", FAMILIES["vit"].build(head=True))
    cache = tmp_path / "cache"
    first = recommend(colour_folder, candidates=[str(good)], cache_dir=cache, progress=False)
    assert [row.checkpoint for row in first.rows] == [str(good)]
    twin = Path(shutil.copytree(good, tmp_path / "twin"))
    assert callable(change)
    change(twin)
    board = recommend(colour_folder, candidates=[str(good), str(twin)], cache_dir=cache, progress=False)
    assert [(row.checkpoint, row.note) for row in board.rows] == [(str(good), "from cache")]
    (skipped,) = board.skipped
    assert (skipped.checkpoint, skipped.stage) == (str(twin), "load")
    assert words in skipped.reason
    assert "image processor" not in skipped.reason or words == "must bring its own image processor"


def test_weights_that_tell_no_image_from_another_are_skipped(colour_folder: Path, tmp_path: Path) -> None:
    import torch

    model = FAMILIES["vit"].build(head=True)
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
    dead = save_checkpoint(tmp_path / "dead", model)
    for _ in range(2):
        board = recommend(colour_folder, candidates=[str(dead)], cache_dir=tmp_path / "cache", progress=False)
        assert board.rows == ()
        assert "features must tell images apart" in board.skipped[0].reason
