"""A ranked checkpoint and its dataset -> a complete script that fine-tunes the one on the other with transformers."""

from pathlib import PurePath
from string import Template

from lead_hub.demo import TARGETS, pool
from lead_hub.leaderboard_rows import RankedCheckpoint, RankedDataset
from lead_hub.score_cards.public_names import is_hub_sha
from spaces_app.fine_tuning_template import (
    FROM_FOLDER,
    FROM_HUB,
    FROM_PARQUET,
    SCRIPT,
    WITH_A_LAYER,
    WITH_CLASSIFIER,
)
from spaces_app.request import DEMO
from spaces_app.snippet_literals import literal

# The first rate that `lead-hub verify` tries where all weights learn, and the others; a test compares.
LEARNING_RATE = 2e-4
OTHER_RATES = (1e-3, 3e-5)

# The class that makes a classifier of a checkpoint, by model_type. AutoModelForImageClassification knows most of them.
# For distilled ones it may take a class that computes no loss. A masked autoencoder's encoder is a ViT. The rest are
# backbones, which get a linear layer on their pooled output.
CLASSIFIER = "AutoModelForImageClassification"
CLASSIFIERS = {
    "deit": "DeiTForImageClassification",
    "levit": "LevitForImageClassification",
    "vit_mae": "ViTForImageClassification",
}
BACKBONES = {
    "dinov3_vit": "AutoModel",
    "dinov3_convnext": "AutoModel",
    "chinese_clip": "ChineseCLIPVisionModel",
    "chinese_clip_vision_model": "ChineseCLIPVisionModel",
    "clip_vision_model": "CLIPVisionModel",
    "metaclip_2_vision_model": "MetaClip2VisionModel",
    "siglip_vision_model": "SiglipVisionModel",
    "siglip2_vision_model": "Siglip2VisionModel",
}
HERE = "  # where it is on your machine"


def fine_tuning_snippet(row: RankedCheckpoint, dataset: RankedDataset) -> str:
    """Python that fine-tunes the checkpoint on the dataset, both pinned to what was ranked, and measures it.

    The environment's MAX_STEPS shortens it for a try, OUTPUT says where the result is written.

    Args:
        row: the checkpoint; one of the demo's goes by its folder's name.
        dataset: a Hub dataset, a path, or "demo:" and a target of the demo.
    """
    model_class = BACKBONES.get(row.family) or CLASSIFIERS.get(row.family, CLASSIFIER)
    body = WITH_A_LAYER if row.family in BACKBONES else WITH_CLASSIFIER
    checkpoint, images = _demo_checkpoint(row), _demo_target(dataset)
    from_demo = (["FOLDER"] if checkpoint else []) + (["target_folder"] if images else [])
    load = _loading(dataset)
    rate, rate_from = _learning_rate(row)
    return SCRIPT.substitute(
        model_class=model_class,
        path_import="from pathlib import Path\n" if load == FROM_FOLDER else "",
        dataset_names="ClassLabel, Image, load_dataset" + (", load_from_disk" if load == FROM_FOLDER else ""),
        demo_import=f"from lead_hub.demo import {', '.join(from_demo)}\n" if from_demo else "",
        checkpoint=checkpoint or literal(row.checkpoint),
        checkpoint_place="" if checkpoint or is_hub_sha(row.sha) else HERE,
        checkpoint_sha=literal(row.sha if is_hub_sha(row.sha) else None),
        dataset=images or literal(dataset.dataset),
        dataset_place=HERE if dataset.is_local and not images else "",
        dataset_sha=literal(dataset.sha if is_hub_sha(dataset.sha) else None),
        config=literal(None if dataset.is_local and dataset.config == "default" else dataset.config),
        split=literal(dataset.split),
        image_column=literal(dataset.image_column),
        label_column=literal(dataset.label_column),
        learning_rate=literal(rate),
        rate_from=rate_from,
        load_splits=load,
        load_model=Template(body).substitute(model_class=model_class),
    )


def _demo_checkpoint(row: RankedCheckpoint) -> str:
    """The expression for a checkpoint of the demo that goes by its name; empty for any other."""
    is_demo = not is_hub_sha(row.sha) and row.checkpoint in {PurePath(one.checkpoint).name for one in pool()}
    return f'str(FOLDER / "pool" / {literal(row.checkpoint)})' if is_demo else ""


def _demo_target(dataset: RankedDataset) -> str:
    """The expression for a dataset of the demo that goes by its name; empty for any other."""
    target = dataset.dataset.removeprefix(DEMO)
    return f"str(target_folder({literal(target)}))" if dataset.dataset != target and target in TARGETS else ""


def _loading(dataset: RankedDataset) -> str:
    """How to read it."""
    if not dataset.is_local:
        return FROM_HUB
    return FROM_PARQUET if dataset.dataset.endswith(".parquet") else FROM_FOLDER


def _learning_rate(row: RankedCheckpoint) -> tuple[float, str]:
    """The rate, and where it is from."""
    if row.finetuned and row.finetuned.mode == "full":
        return float(row.finetuned.learning_rate), "the best on validation images when this checkpoint was verified"
    others = " and ".join(f"{rate:g}" for rate in OTHER_RATES)
    return LEARNING_RATE, f"a middle one, the first that `lead-hub verify` tries; try {others} too"
