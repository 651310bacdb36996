"""A tiny ground-truth matrix on disk, with features made so that the truth is known."""

import csv
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

TARGETS = {"letters": "study", "digits": "held-out", "shapes": "held-out"}
# The more of the class's own direction there is in the features, the better the checkpoint: a known order.
QUALITY = {"resnet-a": 4.0, "resnet-b": 2.0, "resnet-c": 1.0, "vit-a": 0.5, "vit-b": 0.0}
N_CLASSES, PER_CLASS, N_FEATURES = 3, 20, 6
RATES, SEEDS = (0.001, 0.01), (0, 1, 2)


def all_runs(*run: object) -> bool:
    """Every target, checkpoint, learning rate and seed has its run."""
    return True


def write_small_matrix(
    folder: Path,
    *,
    quality: dict[str, float] = QUALITY,
    targets: dict[str, str] = TARGETS,
    with_logits: Iterable[str] = ("resnet-a", "resnet-b", "vit-a"),
    is_run: Callable[[str, str, float, int], bool] = all_runs,
) -> Path:
    """Accuracy at the better rate is 0.5 + quality / 10 + seed / 100, on every target; at the other 0.1 less."""
    (folder / "outputs").mkdir(parents=True)
    write_table(
        folder / "checkpoints.csv",
        [
            {
                "checkpoint": name,
                "family": name.split("-")[0],
                "source": "letters",
                "method": "supervised",
                "steps": 100,
                "learning_rate": 0.001,
                "parameters": 1000 * (number + 1),
                "source_accuracy": "" if name == "vit-b" else 0.5 + number / 100,
            }
            for number, name in enumerate(quality)
        ],
    )
    write_table(
        folder / "targets.csv",
        [
            {
                "target": name,
                "half": half,
                "n_classes": N_CLASSES,
                "n_train": N_CLASSES * PER_CLASS,
                "n_test": 100,
                "images_from": "numbers",
                "note": "",
            }
            for name, half in targets.items()
        ],
    )
    write_table(
        folder / "finetuned_accuracy.csv",
        [
            {
                "target": target,
                "checkpoint": checkpoint,
                "learning_rate": rate,
                "seed": seed,
                "epochs": 3,
                "validation_accuracy": 0.8 if rate == RATES[1] else 0.7,
                "test_accuracy": round(0.5 + level / 10 + seed / 100 - (0 if rate == RATES[1] else 0.1), 6),
            }
            for target in targets
            for checkpoint, level in quality.items()
            for rate in RATES
            for seed in SEEDS
            if is_run(target, checkpoint, rate, seed)
        ],
    )
    for number, target in enumerate(targets):
        write_outputs(folder / "outputs" / f"{target}.safetensors", quality, with_logits=with_logits, seed=number)
    return folder


def write_outputs(path: Path, quality: dict[str, float], *, with_logits: Iterable[str], seed: int) -> None:
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(N_CLASSES), PER_CLASS).astype(np.int16)
    noise = random.normal(size=(len(labels), N_FEATURES))
    tensors = {"labels": labels}
    for name, level in quality.items():
        features = noise + level * np.eye(N_CLASSES, N_FEATURES)[labels]
        tensors[f"{name}.features"] = features.astype(np.float16)
        if name in with_logits:
            tensors[f"{name}.logits"] = np.ascontiguousarray(features[:, :4]).astype(np.float16)
    save_file(tensors, path)


def write_table(path: Path, rows: list[dict[str, object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
