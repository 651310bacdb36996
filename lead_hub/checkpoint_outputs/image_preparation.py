"""A checkpoint's own image processor: loading it, its settings, and RGB pixels -> model input."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor
from transformers import AutoImageProcessor, BaseImageProcessor, TimmWrapperImageProcessor
from transformers.image_utils import ChannelDimension

from lead_hub.checkpoint_files import read_json
from lead_hub.checkpoint_outputs.checkpoint_folder import LOAD_ERRORS, PATCH_INPUTS, quiet_transformers
from lead_hub.errors import CandidateError

_ALL_KEYS = ("pixel_values", *PATCH_INPUTS)
_TIMM_SETTINGS = ("input_size", "mean", "std")
_ANY_SETTINGS = ("size", "image_mean", "image_std")
_PATCHES = "max_num_patches"
_SIZE_SETTINGS = ("size", "crop_size", "pad_size", _PATCHES)
MOST_SIDE_PX = 2048
MOST_RESIZED_PIXELS = 1 << 24  # of one image, before it is cropped: 200 MB


def load_image_processor(folder: Path) -> BaseImageProcessor:
    """The image processor that the checkpoint came with, as transformers resolves it; never a guessed one.

    Raises:
        CandidateError: the folder has none or only half of one, it makes huge images, or it cannot be built without
            remote code.
    """
    stated = _stated_settings(folder)
    if not stated:
        raise _incomplete(_ANY_SETTINGS, folder)
    try:
        with quiet_transformers():
            processor = cast(Any, AutoImageProcessor).from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            )
    except LOAD_ERRORS as error:
        raise CandidateError(
            f"the image processor must load without remote code, in {folder} it does not: {error}; save it again with"
            " save_pretrained",
            stage="load",
        ) from error
    if not isinstance(processor, BaseImageProcessor):
        raise CandidateError(
            f"the processor must be an image processor, found {type(processor).__name__} in {folder}", stage="load"
        )
    _check_stated(stated, processor, folder)
    check_image_size(json.loads(processor.to_json_string()), folder)
    return processor


def _stated_settings(folder: Path) -> dict[str, Any]:
    """What the checkpoint itself says of its image processor, in the place where transformers looks first."""
    if (folder / "processor_config.json").is_file():
        nested = read_json(folder, "processor_config.json").get("image_processor")
        if isinstance(nested, dict):
            return nested
    # timm keeps the settings in config.json, and fills in ImageNet's for those that are not there.
    timm_settings = read_json(folder, "config.json").get("pretrained_cfg")
    if isinstance(timm_settings, dict):
        return timm_settings
    return read_json(folder, "preprocessor_config.json") if (folder / "preprocessor_config.json").is_file() else {}


def _check_stated(stated: Mapping[str, Any], processor: BaseImageProcessor, folder: Path) -> None:
    """Refuse settings that transformers or timm would fill in with those of another checkpoint."""
    if isinstance(processor, TimmWrapperImageProcessor):
        lacking = [name for name in _TIMM_SETTINGS if not stated.get(name)]
    else:
        says_size = stated.get("do_resize") is False or any(stated.get(name) for name in _SIZE_SETTINGS)
        lacking = [] if says_size else ["size"]
        if getattr(processor, "do_normalize", False):
            lacking += [name for name in _ANY_SETTINGS[1:] if stated.get(name) is None]
    if lacking:
        raise _incomplete(lacking, folder)


def _incomplete(lacking: Sequence[str], folder: Path) -> CandidateError:
    return CandidateError(
        f"a checkpoint must bring its own image processor, {folder} says nothing of {', '.join(lacking)}, neither in"
        " preprocessor_config.json nor in timm's pretrained_cfg in config.json: save the right one there; none is"
        " guessed, because other pixels change the ranking",
        stage="load",
    )


def check_image_size(settings: Mapping[str, Any], folder: Path) -> None:
    """Refuse an image processor that makes images larger than any checkpoint takes.

    Raises:
        CandidateError: a side, a crop or what is resized to before it is beyond the bounds (stage "load").
    """
    numbers = dict(_numbers_in(settings))
    side_px = max((abs(number) for name, number in numbers.items() if name != _PATCHES), default=0)
    resized_px = wanted_side_px(settings)
    patches_px = numbers.get(_PATCHES, 0) * numbers.get("patch_size", 1) ** 2
    if max(side_px, resized_px) > MOST_SIDE_PX or patches_px > MOST_SIDE_PX**2:
        raise CandidateError(
            f"an image processor must make images of at most {MOST_SIDE_PX} px a side, that of {folder} asks for"
            f" {max(side_px, resized_px, patches_px**0.5):,.0f}: is its size right?",
            stage="load",
        )


def wanted_side_px(settings: Mapping[str, Any]) -> float:
    """The side, in px, that an image processor resizes images to, before it crops them; 0 where it keeps their shape.

    Args:
        settings: as `processor_settings` gives them.
    """
    numbers = dict(_numbers_in(settings))
    crop_share = min((number for name, number in numbers.items() if name.endswith("crop_pct")), default=1)
    sizes_px = [
        number
        for name, number in numbers.items()
        if name != _PATCHES and (name.split(".")[0] in _SIZE_SETTINGS or "input_size" in name)
    ]
    return max(sizes_px, default=0) / crop_share if crop_share > 0 else math.inf


def _numbers_in(settings: object, name: str = "") -> Iterator[tuple[str, float]]:
    """Every number of the settings, under its dotted name."""
    if isinstance(settings, Mapping):
        for key, inner in settings.items():
            yield from _numbers_in(inner, f"{name}.{key}".lstrip("."))
    elif isinstance(settings, list):
        for place, inner in enumerate(settings):
            yield from _numbers_in(inner, f"{name}.{place}")
    elif isinstance(settings, (int, float)) and not isinstance(settings, bool):
        yield name, settings


def processor_settings(folder: Path) -> dict[str, Any]:
    """All that decides what the image processor does, as JSON values; reads no weights.

    Under "class" is the name of the processor's class.
    """
    processor = load_image_processor(folder)
    settings: dict[str, Any] = json.loads(processor.to_json_string())
    return {"class": type(processor).__name__, **settings}


def prepare_images(
    processor: BaseImageProcessor, images: Sequence[UInt8[np.ndarray, "_height _width 3"]]
) -> Float[Tensor, "image ..."]:
    """Model input of RGB images of any sizes, all of one shape: [image, channel, height, width] but for SigLIP 2.

    Raises:
        CandidateError: the processor failed, or its outputs do not fit one batch (stage "extract").
    """
    for image in images:
        check_resized(processor, image)
    try:
        prepared = _processed(processor, images)
    except LOAD_ERRORS as error:
        raise CandidateError(
            f"{type(processor).__name__} must prepare RGB images, it failed: {error}; see preprocessor_config.json",
            stage="extract",
        ) from error
    return one_batch(processor, prepared)


def check_resized(processor: BaseImageProcessor, image: np.ndarray) -> None:
    """Refuse a long narrow image that its short side's new length would make huge.

    Raises:
        CandidateError: it would (stage "extract").
    """
    height, width = image.shape[:2]
    short_px = _short_side_px(processor)
    pixels = short_px**2 * max(height, width) / max(1, min(height, width))
    if pixels > MOST_RESIZED_PIXELS:
        raise CandidateError(
            f"an image must be resized to at most {MOST_RESIZED_PIXELS:,} pixels, {type(processor).__name__} makes"
            f" {pixels:,.0f} of one of {width} x {height}: leave such narrow images out, or this checkpoint",
            stage="extract",
        )


def _short_side_px(processor: BaseImageProcessor) -> float:
    """What the short side of an image becomes before it is cropped; 0 where the long side is bounded as well."""
    if isinstance(processor, TimmWrapperImageProcessor):
        return float(max(processor.data_config["input_size"][1:])) / float(processor.data_config["crop_pct"])
    size = getattr(processor, "size", None) or {}
    if not getattr(processor, "do_resize", False) or not size.get("shortest_edge") or size.get("longest_edge"):
        return 0.0
    return float(size["shortest_edge"]) / float(getattr(processor, "crop_pct", None) or 1)


def _processed(processor: BaseImageProcessor, images: Sequence[np.ndarray]) -> Mapping[str, Any]:
    if isinstance(processor, TimmWrapperImageProcessor):
        # Its evaluation transform wants PIL images; made here, because from an array it guesses where channels are.
        return dict(processor([Image.fromarray(image) for image in images]))
    # Channels first and said so: a picture 3 pixels high would be read sideways. The copy of a read-only array
    # is made here because torch warns of those.
    pixels = [torch.from_numpy(image if image.flags.writeable else image.copy()).permute(2, 0, 1) for image in images]
    return dict(processor(pixels, input_data_format=ChannelDimension.FIRST))


def one_batch(processor: BaseImageProcessor, prepared: Mapping[str, Any]) -> Tensor:
    """What a processor gives of some images, as one tensor.

    Raises:
        CandidateError: it gives other inputs, or images of several shapes (stage "extract").
    """
    if set(prepared) == {"pixel_values", *PATCH_INPUTS}:
        return _packed_patches(prepared)
    if set(prepared) != {"pixel_values"}:
        raise CandidateError(
            f"an image processor must give pixel_values alone, {type(processor).__name__} gives {sorted(prepared)}:"
            " models with other inputs are not supported",
            stage="extract",
        )
    tensors = [torch.as_tensor(image) for image in prepared["pixel_values"]]
    shapes = sorted({tuple(tensor.shape) for tensor in tensors})
    if len(shapes) != 1 or len(shapes[0]) != 3:
        raise CandidateError(
            "the image processor must make [channel, height, width] of the same size of every image,"
            f" {type(processor).__name__} makes {len(shapes)} shapes such as {shapes[:3]}: set do_resize and a fixed"
            " size in preprocessor_config.json",
            stage="extract",
        )
    return torch.stack(tensors).float()


def _packed_patches(prepared: Mapping[str, Any]) -> Tensor:
    """SigLIP 2 keeps each image's shape: patches up to a fixed number, a mask of the real ones, the grid's size.

    One tensor holds all three, so that a batch of it is cut and moved like any other: the last three numbers of a
    patch are its mask and the grid's height and width (small integers, exact in every number format).
    """
    patches, mask, grid = (torch.stack([torch.as_tensor(row) for row in prepared[key]]).float() for key in _ALL_KEYS)
    return torch.cat([patches, mask[:, :, None], grid[:, None, :].expand(-1, patches.shape[1], -1)], dim=2)


def unpacked_patches(pixel_values: Float[Tensor, "image patch numbers"]) -> dict[str, Tensor]:
    """The three inputs of SigLIP 2, from what `prepare_images` made of them."""
    if pixel_values.ndim != 3:
        raise ValueError(f"pixels must be [image, patch, numbers], found shape {tuple(pixel_values.shape)}")
    parts = (pixel_values[:, :, :-3], pixel_values[:, :, -3].int(), pixel_values[:, 0, -2:].long())
    return dict(zip(_ALL_KEYS, parts, strict=True))
