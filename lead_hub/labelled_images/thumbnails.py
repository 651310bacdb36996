"""Pixels -> a small JPEG, for people who look at what was read. Never kept: whoever asks decides who sees it."""

import io

from PIL import Image

from lead_hub.labelled_images.decoded_images import Pixels

THUMBNAIL_PX = 96
QUALITY = 75


def jpeg_thumbnail(pixels: Pixels) -> bytes:
    """The whole image within a square of THUMBNAIL_PX, as a JPEG of a few kilobytes; smaller ones stay as they are.

    Args:
        pixels: one image, RGB.
    """
    image = Image.fromarray(pixels)
    image.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=QUALITY)
    return file.getvalue()
