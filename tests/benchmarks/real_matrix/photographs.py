"""Labelled photographs, and how one becomes a square picture of a target."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

PIXELS = 160
BORDER = 1 / 20  # around a cut-out, of the picture's side
WHITE = (255, 255, 255, 255)


@dataclass(frozen=True)
class Photograph:
    """A picture of a package.

    Attributes:
        source: the file it is from, which names it.
        label: name of its class.
        image: as the package has it; may be transparent.
        is_cutout: whether the thing stands alone before nothing, so that no edge of the picture may be cut off.
    """

    source: str
    label: str
    image: Image.Image
    is_cutout: bool = False


def square_picture(photograph: Photograph) -> NDArray[np.uint8]:
    """RGB [PIXELS, PIXELS, 3]: the middle square of a photograph; a cut-out as a whole, on white."""
    image = photograph.image.convert("RGBA")
    ground = Image.new("RGBA", image.size, WHITE)
    ground.alpha_composite(image)
    flat = ground.convert("RGB")
    if photograph.is_cutout:
        return np.asarray(_padded(flat.crop(image.getbbox()) if image.getbbox() else flat))
    return np.asarray(_middle(flat))


def _middle(image: Image.Image) -> Image.Image:
    side = min(image.size)
    left, top = ((length - side) / 2 for length in image.size)
    box = (left, top, left + side, top + side)
    return image.resize((PIXELS, PIXELS), Image.Resampling.LANCZOS, box=box, reducing_gap=3.0)


def _padded(image: Image.Image) -> Image.Image:
    inside = round(PIXELS * (1 - 2 * BORDER))
    scale = inside / max(image.size)
    width, height = (max(1, round(length * scale)) for length in image.size)
    picture = Image.new("RGB", (PIXELS, PIXELS), WHITE[:3])
    small = image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3.0)
    picture.paste(small, ((PIXELS - width) // 2, (PIXELS - height) // 2))
    return picture
