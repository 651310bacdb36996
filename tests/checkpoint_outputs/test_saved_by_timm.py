"""Checkpoints as timm's own `save_for_hf` writes them: the vector is what timm gives before its classifier."""

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from timm.models import save_for_hf
from torch import nn

from lead_hub.checkpoint_outputs.image_preparation import processor_settings
from lead_hub.checkpoint_outputs.loaded_checkpoint import load_checkpoint
from tests.checkpoint_outputs.damaged_checkpoints import edit, edit_weights, refusal
from tests.tiny_checkpoints import random_images, randomised

SMALL_VIT = {"embed_dim": 24, "depth": 1, "num_heads": 2, "img_size": 64}
NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "convolutional": ("test_resnet", {}),
    "convolutional, its 1,000 classes": ("test_resnet", {"num_classes": 1000}),
    "maximum": ("test_resnet", {"global_pool": "max"}),
    "mean and maximum": ("test_resnet", {"global_pool": "catavgmax"}),
    "class token": ("test_vit", {}),
    "mean of patches": ("test_vit", {"global_pool": "avg"}),
    "attention pooling": ("test_vit", {"global_pool": "map"}),
    "register tokens": ("test_vit", {"reg_tokens": 3}),
    "another image size": ("test_vit", {"img_size": 96}),
    "fixed image size": ("vit_tiny_patch16_224", SMALL_VIT),
    "ConvNeXt": ("test_convnext", {}),
    "EfficientNet": ("test_efficientnet", {}),
    "BEiT": ("beit_base_patch16_224", SMALL_VIT),
    "EVA-02": ("eva02_tiny_patch14_224", {**SMALL_VIT, "img_size": 56}),
    "Swin": (
        "swin_tiny_patch4_window7_224",
        {"embed_dim": 12, "depths": (1, 1), "num_heads": (1, 2), "img_size": 56},
    ),
}


def saved(folder: Path, architecture: str, **arguments: Any) -> nn.Module:
    torch.manual_seed(0)
    model = timm.create_model(architecture, **arguments)
    randomised(model, 0, 160 if architecture.startswith("test_") else 64) if has_batch_norm(model) else None
    save_for_hf(model.eval(), str(folder), safe_serialization=True)
    return model


def has_batch_norm(model: nn.Module) -> bool:
    return any(isinstance(module, nn.BatchNorm2d) for module in model.modules())


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("classes", [0, 5])
def test_the_vector_is_what_timm_gives_before_its_classifier(name: str, classes: int, tmp_path: Path) -> None:
    architecture, arguments = NETWORKS[name]
    model = saved(tmp_path, architecture, **({"num_classes": classes} | arguments))
    checkpoint = load_checkpoint(tmp_path)
    pixels = checkpoint.prepare(random_images())
    features, logits = checkpoint.forward(pixels)
    with torch.no_grad():
        expected = model.forward_head(model.forward_features(pixels), pre_logits=True)
        torch.testing.assert_close(features, expected, rtol=1e-5, atol=1e-5)
        if model.num_classes:
            torch.testing.assert_close(logits, model(pixels), rtol=1e-5, atol=1e-5)
    assert (logits is None) == (model.num_classes == 0)
    assert pixels.shape[-1] == processor_settings(tmp_path)["data_config"]["input_size"][-1]


@pytest.mark.parametrize("classes", [0, 3])
def test_a_distilled_network_gives_both_tokens(classes: int, tmp_path: Path) -> None:
    """As transformers' DeiT does: each classifier reads one of them, timm's own average of the two tells neither."""
    model = saved(tmp_path, "deit_tiny_distilled_patch16_224", **SMALL_VIT, num_classes=classes)
    checkpoint = load_checkpoint(tmp_path)
    pixels = checkpoint.prepare(random_images())
    features, logits = checkpoint.forward(pixels)
    with torch.no_grad():
        tokens = model.forward_features(pixels)
        torch.testing.assert_close(features, torch.cat([tokens[:, 0], tokens[:, 1]], dim=1), rtol=1e-5, atol=1e-5)
        if classes:
            by_hand = (model.head(features[:, :24]) + model.head_dist(features[:, 24:])) / 2
            torch.testing.assert_close(logits, by_hand, rtol=1e-5, atol=1e-5)
    assert checkpoint.pooling == "timm: class and distillation tokens, concatenated"


def test_two_numbers_of_classes_are_refused(tmp_path: Path) -> None:
    saved(tmp_path, "test_resnet", num_classes=5)
    edit(tmp_path, "config.json", num_classes=7)
    assert "must give one number of classes, found num_classes 7 and 5" in refusal(tmp_path)


def test_a_network_for_other_than_colour_images_is_refused(tmp_path: Path) -> None:
    saved(tmp_path, "test_vit", in_chans=1, num_classes=3)
    assert "must take RGB images" in refusal(tmp_path)


def test_layers_that_the_arguments_leave_out_are_missed(tmp_path: Path) -> None:
    saved(tmp_path, "vit_tiny_patch16_224", **{**SMALL_VIT, "depth": 2}, num_classes=3)
    edit(tmp_path, "config.json", model_args={**SMALL_VIT, "depth": 1})
    assert "12 are left over" in refusal(tmp_path)  # weight and bias of two norms and four linear layers


def test_the_classifier_alone_may_be_left_over(tmp_path: Path) -> None:
    saved(tmp_path, "test_resnet", num_classes=5)
    whole = load_checkpoint(tmp_path)
    edit(tmp_path, "config.json", num_classes=0, model_args={})
    headless = load_checkpoint(tmp_path)
    pixels = whole.prepare(random_images())
    assert torch.equal(headless.forward(pixels)[0], whole.forward(pixels)[0])
    edit_weights(tmp_path, lambda weights: {name: w for name, w in weights.items() if not name.startswith("fc.")})
    assert torch.equal(load_checkpoint(tmp_path).forward(pixels)[0], whole.forward(pixels)[0])
