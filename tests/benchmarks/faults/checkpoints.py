"""60 checkpoints that are not as they should be: each is skipped with its reason, and the good one beside is ranked."""

import json
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from lead_hub import Leaderboard, recommend
from tests.benchmarks.faults.trial import Trial, scores
from tests.conftest import COLOURS, coloured_images
from tests.tiny_checkpoints import save_checkpoint, tiny_processor
from tests.tiny_families import FAMILIES

NAMES = ("resnet", "vit", "dinov2", "swin")
WEIGHTS, CONFIG, PROCESSOR = "model.safetensors", "config.json", "preprocessor_config.json"
Damage = Callable[[Path], object]


def write(name: str, content: bytes, folder: Path) -> None:
    (folder / name).write_bytes(content)


def remove(name: str, folder: Path) -> None:
    (folder / name).unlink()


def a_folder(name: str, folder: Path) -> None:
    remove(name, folder)
    (folder / name).mkdir()


def settings(name: str, changed: dict[str, object], folder: Path) -> None:
    before = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps({**before, **changed}))


def weights(change: Callable[[dict[str, Tensor]], dict[str, Tensor]], folder: Path) -> None:
    changed = {key: value.contiguous() for key, value in change(load_file(folder / WEIGHTS)).items()}
    save_file(changed, folder / WEIGHTS, metadata={"format": "pt"})


def cut(folder: Path) -> None:
    path = folder / WEIGHTS
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def only_a_pickle(folder: Path) -> None:
    torch.save(load_file(folder / WEIGHTS), folder / "pytorch_model.bin")
    remove(WEIGHTS, folder)


DAMAGES: dict[str, Damage] = {
    "weights cut": cut,
    "weights empty": partial(write, WEIGHTS, b""),
    "weights a page": partial(write, WEIGHTS, b"<html>404</html>"),
    "weights a folder": partial(a_folder, WEIGHTS),
    "no weights": partial(remove, WEIGHTS),
    "a pickle": only_a_pickle,
    "half of the weights": partial(
        weights, lambda all_of: {key: all_of[key] for key in sorted(all_of)[: len(all_of) // 2]}
    ),
    "weights of other shapes": partial(weights, lambda all_of: {key: value.flatten() for key, value in all_of.items()}),
    "weights NaN": partial(
        weights,
        lambda all_of: {
            key: torch.full_like(value, torch.nan) if value.is_floating_point() else value
            for key, value in all_of.items()
        },
    ),
    "config half": partial(write, CONFIG, b'{"model_type": "vi'),
    "config a list": partial(write, CONFIG, b"[]"),
    "config of nothing known": partial(settings, CONFIG, {"model_type": "nothing-known"}),
    "config wants code": partial(settings, CONFIG, {"model_type": "own", "auto_map": {"AutoModel": "own.Own"}}),
    "no processor": partial(remove, PROCESSOR),
    "processor a page": partial(write, PROCESSOR, b"<html>404</html>"),
}


def trials(folder: Path) -> Iterator[Trial]:
    """Each damage to a checkpoint of each of four families."""
    images = coloured_images(folder / "images", classes=COLOURS, n_images=4)
    for name in NAMES:
        save_checkpoint(
            folder / name, FAMILIES[name].build(head=name != "dinov2"), tiny_processor(FAMILIES[name].processor)
        )
    good = shutil.copytree(folder / "resnet", folder / "good")
    run = partial(recommend, images, cache_dir=folder / "cache", progress=False)
    alone = scores(run(good))
    for damage_name, damage in DAMAGES.items():
        for name in NAMES:
            bad = folder / damage_name.replace(" ", "-") / name
            shutil.copytree(folder / name, bad)
            damage(bad)
            yield Trial(f"{name}: {damage_name}", partial(skipped, run, bad, good=good, alone=alone))


def skipped(run: Callable[..., Leaderboard], bad: Path, *, good: Path, alone: dict[str, float]) -> str:
    board = run([bad, good])
    if scores(board) != alone:
        return f"ranked {scores(board)} in place of {alone}"
    told = [(skip.checkpoint, len(skip.reason) > 40) for skip in board.skipped]
    return "" if told == [(str(bad), True)] else f"skipped {board.skipped}"
