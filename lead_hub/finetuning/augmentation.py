"""Training images, each time a little different: moved by up to a twelfth of the side, mirrored half of the time."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

LARGEST_SHIFT = 12  # the side of a picture by this


def drawn_changes(
    n_images: int, *, pixels: Float[Tensor, "_ ..."], flip: bool, generator: torch.Generator
) -> Int64[Tensor, "image 3"]:
    """For each of `n_images` pictures: rows and columns to cut off from the padded picture, and 1 to mirror it.

    Args:
        n_images: pictures of the step, those of all processes: each draws for all, so that their number changes none.
        pixels: one or more pictures, for their size.
        flip: whether any is mirrored.
        generator: gives the random numbers.
    """
    if pixels.ndim != 4:
        return torch.zeros(n_images, 3, dtype=torch.int64)
    most = torch.tensor([2 * (side // LARGEST_SHIFT) + 1 for side in pixels.shape[-2:]] + [2 if flip else 1])
    return (torch.rand(n_images, 3, generator=generator) * most).long()


def changed(pixels: Float[Tensor, "image ..."], changes: Int64[Tensor, "image 3"]) -> Float[Tensor, "image ..."]:
    """The pictures [image, channel, height, width], changed; other model inputs (packed patches, features) as they are.

    What a shift brings in from outside repeats the picture's edge.
    """
    if pixels.ndim != 4:
        return pixels
    height, width = pixels.shape[-2:]
    down, right = height // LARGEST_SHIFT, width // LARGEST_SHIFT
    padded = functional.pad(pixels, [right, right, down, down], mode="replicate")
    pictures = [
        picture[:, top : top + height, left : left + width].flip(-1 if mirrored else ())
        for picture, (top, left, mirrored) in zip(padded, changes.tolist(), strict=True)
    ]
    return torch.stack(pictures)


def in_words(*, mode: str, flip: bool) -> str:
    """What is done to training images, for the record; SigLIP 2's packed patches are left as they are."""
    if mode == "probe":
        return "none"
    shift = f"shift of up to 1/{LARGEST_SHIFT} of the side"
    return f"{shift}, horizontal flip" if flip else shift
