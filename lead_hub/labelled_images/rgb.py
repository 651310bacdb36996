"""One encoded image file, in any mode -> RGB pixels as a person would see them.

Choices, where a format leaves one:
- transparency is composited on white, the background of most viewers and of product and clip-art images;
- 16-bit grey is divided by 257, so that 65535 becomes 255;
- 32-bit integers and floats carry no range: they are read as 0..1 (floats), 0..255 or 0..65535 if they fit, else
  stretched from their least to their greatest value;
- the first frame stands for an animation, the first page for a document;
- colour profiles are not applied, because training pipelines do not apply them either.
"""

import io
import struct
import zlib

import numpy as np
from jaxtyping import UInt8
from PIL import Image, UnidentifiedImageError

# Image processors of current checkpoints ask for 224 to 518 px, the latter DINOv2 with registers. Storing no more keeps
# 20,000 photos near 16 GB on disk, and one antialiased reduction here replaces one per checkpoint.
STORED_SHORT_SIDE_PX = 518
# A JPEG's decoder delivers a half, a quarter or an eighth of the size for less time: the smallest that is at least so
# much larger than what is stored: tests/checkpoint_outputs/test_large_photographs.py shows what that changes.
DELIVERED_AT_LEAST = 1.4

# A processor enlarges an image until its short side has the size that the checkpoint wants, up to about this one; the
# long side grows with it: a panorama of 10,000 x 50 px is still read, and takes 120 MB as floats at 224 px.
LARGEST_SHORT_SIDE_PX = 1000
MOST_RESIZED_PIXELS = 200_000_000

# What Pillow's plugins raise on damaged files, beside OSError for the honest cases.
_PILLOW_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    IndexError,
    KeyError,
    AttributeError,
    AssertionError,
    EOFError,
    OverflowError,
    MemoryError,
    NotImplementedError,
    RuntimeError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)

_ORIENTATION_TAG = 0x0112
_TRANSPOSE_BY_ORIENTATION = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def rgb_pixels(encoded: bytes) -> UInt8[np.ndarray, "height width 3"]:
    """Decode one image; its short side is reduced to STORED_SHORT_SIDE_PX when it is longer.

    Raises:
        OSError: the bytes are not a whole image that Pillow can read within its size limit, or it is so narrow that
            it would have more than MOST_RESIZED_PIXELS with a short side of LARGEST_SHORT_SIDE_PX.
    """
    if not encoded:
        raise OSError("empty file, 0 bytes")
    try:
        with Image.open(io.BytesIO(encoded)) as image:
            _refuse_dangerous(image)
            image.draft(None, _draft_size(image.size))
            image.load()
            upright = _upright(image)
            return np.asarray(_reduced(_rgb(upright)), dtype=np.uint8)
    except UnidentifiedImageError as error:
        raise OSError("not an image format that Pillow knows") from error
    except _PILLOW_ERRORS as error:
        raise OSError(f"{type(error).__name__}: {error}") from error


def _refuse_dangerous(image: Image.Image) -> None:
    if image.format == "EPS":
        raise ValueError("EPS is a program, which Pillow would run in Ghostscript")
    # Pillow itself only warns up to twice its limit, and whether a warning stops anything is up to the caller.
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and image.width * image.height > limit:
        raise Image.DecompressionBombError(f"{image.width} x {image.height} pixels, more than the limit of {limit}")
    short, long = sorted(image.size)
    resized = LARGEST_SHORT_SIDE_PX**2 * long // max(short, 1)
    if resized > MOST_RESIZED_PIXELS:
        raise ValueError(
            f"{image.width} x {image.height} pixels are too narrow: with a short side of {LARGEST_SHORT_SIDE_PX} px,"
            f" as processors may ask for, it has {resized:,} pixels, more than the limit of {MOST_RESIZED_PIXELS:,}"
        )


def _draft_size(size: tuple[int, int]) -> tuple[int, int]:
    """What a JPEG decoder must at least deliver."""
    scale = min(1.0, DELIVERED_AT_LEAST * STORED_SHORT_SIDE_PX / min(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _upright(image: Image.Image) -> Image.Image:
    """Turn as EXIF asks. Read after loading: Pillow turns TIFF and AVIF itself and then forgets the tag."""
    try:
        orientation = image.getexif().get(_ORIENTATION_TAG)
    except _PILLOW_ERRORS:
        return image  # damaged metadata does not make the pixels unreadable
    transpose = _TRANSPOSE_BY_ORIENTATION.get(orientation) if isinstance(orientation, int) else None
    return image if transpose is None else image.transpose(transpose)


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(_eight_bit(image)).convert("RGB")
    if image.has_transparency_data:
        return _on_white(image)
    return image.convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    with_alpha = image.convert("LA").convert("RGBA") if image.mode == "La" else image.convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, with_alpha).convert("RGB")


def _eight_bit(image: Image.Image) -> UInt8[np.ndarray, "height width"]:
    values = np.asarray(image).astype(np.float64)
    if not np.isfinite(values).all():
        raise ValueError("pixel values must be finite, found NaN or infinity")
    low, high = _value_range(values, image)
    return np.rint((values - low) * (255 / (high - low))).astype(np.uint8)


def _value_range(values: np.ndarray, image: Image.Image) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
        return 0.0, 65535.0
    known_ranges = [1.0, 255.0, 65535.0] if image.mode == "F" else [255.0, 65535.0]
    for known in known_ranges:
        if low >= 0 and high <= known:
            return 0.0, known
    return low, max(high, low + 1)


def _reduced(image: Image.Image) -> Image.Image:
    scale = STORED_SHORT_SIDE_PX / min(image.size)
    if scale >= 1:
        return image
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)
