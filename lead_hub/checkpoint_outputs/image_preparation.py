"""A checkpoint's own image processor: loading it, its settings, and RGB pixels -> model input."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor
from transformers import AutoImageProcessor, BaseImageProcessor, TimmWrapperImageProcessor
from transformers.image_utils import ChannelDimension

from lead_hub.checkpoint_outputs.checkpoint_folder import LOAD_ERRORS, quiet_transformers, read_json
from lead_hub.errors import CandidateError

_PATCH_KEYS = ("pixel_attention_mask", "spatial_shapes")
_ALL_KEYS = ("pixel_values", *_PATCH_KEYS)
_TIMM_SETTINGS = ("input_size", "mean", "std")


def load_image_processor(folder: Path) -> BaseImageProcessor:
    """The image processor that the checkpoint came with, as transformers resolves it; never a guessed one.

    Raises:
        CandidateError: the folder has none, or it cannot be built without remote code.
    """
    _check_present(folder)
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
    return processor


def _check_present(folder: Path) -> None:
    if (folder / "preprocessor_config.json").is_file():
        return
    if (folder / "processor_config.json").is_file() and "image_processor" in read_json(folder, "processor_config.json"):
        return
    # timm keeps the settings in config.json, and fills in ImageNet's for those that are not there.
    timm_settings = read_json(folder, "config.json").get("pretrained_cfg")
    if isinstance(timm_settings, dict) and all(timm_settings.get(name) for name in _TIMM_SETTINGS):
        return
    raise CandidateError(
        f"a checkpoint must bring its own image processor, {folder} holds no preprocessor_config.json (nor"
        f" timm's pretrained_cfg with {', '.join(_TIMM_SETTINGS)}): save the right one there; none is guessed, because"
        " other pixels change the ranking",
        stage="load",
    )


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
    try:
        prepared = _processed(processor, images)
    except LOAD_ERRORS as error:
        raise CandidateError(
            f"{type(processor).__name__} must prepare RGB images, it failed: {error}; see preprocessor_config.json",
            stage="extract",
        ) from error
    return _one_batch(processor, prepared)


def _processed(processor: BaseImageProcessor, images: Sequence[np.ndarray]) -> Mapping[str, Any]:
    if isinstance(processor, TimmWrapperImageProcessor):
        # Its evaluation transform wants PIL images; made here, because from an array it guesses where channels are.
        return dict(processor([Image.fromarray(image) for image in images]))
    # Channels first and said so: a picture 3 pixels high would be read sideways. The copy of a read-only array
    # is made here because torch warns of those.
    pixels = [torch.from_numpy(image if image.flags.writeable else image.copy()).permute(2, 0, 1) for image in images]
    return dict(processor(pixels, input_data_format=ChannelDimension.FIRST))


def _one_batch(processor: BaseImageProcessor, prepared: Mapping[str, Any]) -> Tensor:
    if set(prepared) == {"pixel_values", *_PATCH_KEYS}:
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
