"""RGB pixels -> model input, by the checkpoint's own image processor."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from lead_hub.checkpoint_outputs.image_preparation import prepare_images, processor_settings
from lead_hub.checkpoint_outputs.loaded_checkpoint import load_checkpoint
from lead_hub.errors import CandidateError
from tests.checkpoint_outputs.damaged_checkpoints import edit, refusal, vit_classifier
from tests.tiny_checkpoints import random_images, save_timm, tiny_processor


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return vit_classifier(tmp_path / "checkpoint")


def test_sizes_that_do_not_agree(folder: Path) -> None:
    edit(folder, "preprocessor_config.json", size={"height": 48, "width": 48})
    checkpoint = load_checkpoint(folder)
    with pytest.raises(CandidateError, match=r"\(3, 3, 48, 48\).*sizes.*agree") as caught:
        checkpoint.forward(checkpoint.prepare(random_images()))
    assert caught.value.stage == "extract"


def test_pixels_by_hand() -> None:
    """A uniform image stays uniform: ((value / 255) - mean) / std per channel, whatever the resizing does."""
    processor = tiny_processor()
    colour = np.array([51, 102, 255], dtype=np.uint8)
    pixels = prepare_images(processor, [np.broadcast_to(colour, (30, 20, 3)), np.broadcast_to(colour, (3, 9, 3))])
    expected = torch.tensor([(0.2 - 0.5) / 0.5, (0.4 - 0.5) / 0.5, (1 - 0.5) / 0.5])
    torch.testing.assert_close(pixels, expected[None, :, None, None].expand(2, 3, 64, 64), rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("height", [1, 3, 4])
@pytest.mark.parametrize("width", [1, 3, 4])
def test_tiny_images_are_not_read_sideways(height: int, width: int, tmp_path: Path) -> None:
    """Every processor must read [height, width, channel], even where each could be the channel."""
    save_timm(tmp_path, "test_resnet", classes=0)
    red = np.zeros((height, width, 3), dtype=np.uint8)
    red[:, :, 0] = 255
    for processor in (tiny_processor(), load_checkpoint(tmp_path).image_processor):
        pixels = prepare_images(processor, [red])
        assert (pixels[:, 0].amin(), pixels[:, 1:].amax() <= pixels[:, 0].amin()) == (pixels[:, 0].amax(), True)


def test_images_are_not_changed_and_may_be_read_only(folder: Path) -> None:
    checkpoint = load_checkpoint(folder)
    images = random_images()
    copies = [image.copy() for image in images]
    for image in images:
        image.flags.writeable = False
    read_only = checkpoint.prepare(images)
    assert torch.equal(read_only, checkpoint.prepare(copies))
    assert all(np.array_equal(image, copy) for image, copy in zip(images, copies, strict=True))


def test_batch_does_not_change_an_image(folder: Path) -> None:
    checkpoint = load_checkpoint(folder)
    images = [*random_images(4), *random_images(2)]  # some of the same shape, which are resized together
    one_by_one = torch.cat([checkpoint.prepare([image]) for image in images])
    torch.testing.assert_close(checkpoint.prepare(images), one_by_one, rtol=0, atol=1e-6)


def test_images_must_come_out_the_same_size(folder: Path) -> None:
    edit(folder, "preprocessor_config.json", do_resize=False)
    checkpoint = load_checkpoint(folder)
    with pytest.raises(CandidateError, match="makes 3 shapes") as caught:
        checkpoint.prepare(random_images())
    assert caught.value.stage == "extract"


def test_processor_with_other_outputs_is_refused() -> None:
    processor = transformers.DetrImageProcessor(size={"height": 32, "width": 32})
    with pytest.raises(CandidateError, match=r"pixel_values alone.*pixel_mask"):
        prepare_images(processor, random_images())


def test_settings_are_json_and_tell_processors_apart(folder: Path, tmp_path: Path) -> None:
    settings = processor_settings(folder)
    assert settings["class"] == "ViTImageProcessor"
    assert settings["size"] == {"height": 64, "width": 64}
    assert json.loads(json.dumps(settings)) == settings
    moved = Path(shutil.copytree(folder, tmp_path / "elsewhere"))
    assert processor_settings(moved) == settings
    edit(moved, "preprocessor_config.json", image_mean=[0.1, 0.2, 0.3])
    assert processor_settings(moved) != settings
    (moved / "model.safetensors").unlink()
    assert processor_settings(moved)["image_mean"] == [0.1, 0.2, 0.3]


INCOMPLETE = [
    ({}, "size, image_mean, image_std"),
    ({"image_processor_type": "ViTImageProcessor"}, "size, image_mean, image_std"),
    ({"do_resize": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}, "size"),
    ({"size": {"height": 64, "width": 64}}, "image_mean, image_std"),
    ({"size": 64, "image_mean": [0.5] * 3}, "image_std"),
]


@pytest.mark.parametrize(("settings", "lacking"), INCOMPLETE)
@pytest.mark.parametrize("nested", [False, True])
def test_what_a_processor_does_not_say_is_not_guessed(
    settings: dict[str, object], lacking: str, nested: bool, folder: Path
) -> None:
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    if nested:
        (folder / "preprocessor_config.json").unlink()
        (folder / "processor_config.json").write_text(json.dumps({"image_processor": settings}))
    message = refusal(folder)
    assert "must bring its own image processor" in message
    assert f"says nothing of {lacking}, neither" in message


@pytest.mark.parametrize(
    "settings",
    [
        {"size": 64, "image_mean": [0.5] * 3, "image_std": [0.5] * 3},  # as old versions wrote them
        {"size": {"height": 64, "width": 64}, "do_normalize": False},
        {"do_resize": False, "image_mean": [0.5] * 3, "image_std": [0.5] * 3},
    ],
)
def test_a_processor_that_says_all_that_counts_is_taken(settings: dict[str, object], folder: Path) -> None:
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    assert load_checkpoint(folder).processor == "ViTImageProcessor"


def test_settings_of_timm_are_not_filled_in_where_another_file_stands_by(tmp_path: Path) -> None:
    save_timm(tmp_path, "test_resnet", classes=3)
    tiny_processor().save_pretrained(tmp_path)
    edit(tmp_path, "config.json", pretrained_cfg={"input_size": [3, 64, 64]})
    assert "says nothing of mean, std" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("name", "changes", "found"),
    [
        ("ViTImageProcessor", {"size": {"height": 8000, "width": 8000}}, "8,000"),
        ("ViTImageProcessor", {"size": {"height": 64, "width": 1e9}}, "1,000,000,000"),
        ("ViTImageProcessor", {"size": 3000}, "3,000"),
        ("CLIPImageProcessor", {"size": {"shortest_edge": 5000}}, "5,000"),
        ("CLIPImageProcessor", {"crop_size": {"height": 2049, "width": 64}}, "2,049"),
        ("ConvNextImageProcessor", {"crop_pct": 0.001}, "64,000"),  # 64 px, cropped out of 64,000
        ("Siglip2ImageProcessor", {"max_num_patches": 10**6}, "16,000"),  # a million patches of 16 px: 16,000 a side
    ],
)
def test_a_processor_of_huge_images_is_refused(name: str, changes: dict[str, object], found: str, folder: Path) -> None:
    tiny_processor(name).save_pretrained(folder)
    edit(folder, "preprocessor_config.json", **changes)
    assert f"at most 2048 px a side, that of {folder} asks for {found}" in refusal(folder)


@pytest.mark.parametrize("changes", [{"input_size": [3, 9000, 9000]}, {"crop_pct": 0.001}])
def test_timm_settings_of_huge_images_are_refused(changes: dict[str, object], tmp_path: Path) -> None:
    save_timm(tmp_path, "test_resnet", classes=3)
    settings = json.loads((tmp_path / "config.json").read_text())["pretrained_cfg"]
    edit(tmp_path, "config.json", pretrained_cfg=settings | changes)
    assert "at most 2048 px a side" in refusal(tmp_path)


@pytest.mark.parametrize("is_timm", [False, True])
def test_a_long_narrow_image_does_not_become_huge(is_timm: bool, tmp_path: Path) -> None:
    """Its short side of 2 px becomes 64 px, its long side of 20,000 px 640,000: 41 million pixels."""
    if is_timm:
        save_timm(tmp_path, "test_resnet", classes=0)
        processor = load_checkpoint(tmp_path).image_processor
    else:
        processor = tiny_processor("CLIPImageProcessor")
    with pytest.raises(CandidateError, match="makes 40,960,000 of one of 20000 x 2") as caught:
        prepare_images(processor, [np.zeros((2, 20_000, 3), dtype=np.uint8)])
    assert caught.value.stage == "extract"
    assert prepare_images(processor, [np.zeros((20, 2_000, 3), dtype=np.uint8)]).shape == (1, 3, 64, 64)
