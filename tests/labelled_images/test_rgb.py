"""Each mode against colours known beforehand, with formats that keep pixels exactly."""

import io
import struct
import warnings
import zlib

import numpy as np
import PIL
import pytest
from PIL import Image, ImageCms

from lead_hub.labelled_images.rgb import STORED_SHORT_SIDE_PX, rgb_pixels

RED, GREEN, BLUE, WHITE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)


def encoded(image, file_format="PNG", **options):
    file = io.BytesIO()
    image.save(file, format=file_format, **options)
    return file.getvalue()


def row_of(mode, values):
    """An image one pixel high."""
    image = Image.new(mode, (len(values), 1))
    for x, value in enumerate(values):
        image.putpixel((x, 0), value)
    return image


def colours(content):
    return [tuple(int(channel) for channel in pixel) for pixel in rgb_pixels(content)[0]]


def test_rgb_is_unchanged_and_has_height_before_width():
    image = Image.new("RGB", (3, 2))
    image.putpixel((2, 0), RED)
    image.putpixel((0, 1), BLUE)
    pixels = rgb_pixels(encoded(image))
    assert pixels.shape == (2, 3, 3)
    assert pixels.dtype == np.uint8
    assert tuple(pixels[0, 2]) == RED
    assert tuple(pixels[1, 0]) == BLUE


def test_one_bit():
    assert colours(encoded(row_of("1", [0, 1]))) == [BLACK, WHITE]


def test_grey():
    assert colours(encoded(row_of("L", [0, 77, 255]))) == [BLACK, (77, 77, 77), WHITE]


def test_grey_with_alpha_is_laid_on_white():
    # 255 - (255 - 100) * 0.2 = 224 where alpha is 51 / 255 = 0.2
    assert colours(encoded(row_of("LA", [(100, 255), (100, 0), (100, 51)]))) == [
        (100, 100, 100),
        WHITE,
        (224, 224, 224),
    ]


def test_rgba_is_laid_on_white():
    # red at alpha 51 / 255 = 0.2: green and blue are 255 * 0.8 = 204
    assert colours(encoded(row_of("RGBA", [(255, 0, 0, 255), (255, 0, 0, 0), (255, 0, 0, 51)]))) == [
        RED,
        WHITE,
        (255, 204, 204),
    ]


def palette_image():
    image = Image.new("P", (3, 1))
    image.putpalette([*RED, *GREEN, *BLUE])
    for x in range(3):
        image.putpixel((x, 0), x)
    return image


def test_palette():
    assert colours(encoded(palette_image())) == [RED, GREEN, BLUE]


def test_palette_with_one_transparent_entry():
    assert colours(encoded(palette_image(), transparency=1)) == [RED, WHITE, BLUE]


def test_palette_with_an_alpha_for_each_entry():
    assert colours(encoded(palette_image(), transparency=bytes([255, 0, 51]))) == [RED, WHITE, (204, 204, 255)]


def test_grey_and_rgb_with_a_transparent_colour():
    assert colours(encoded(row_of("L", [7, 8]), transparency=7)) == [WHITE, (8, 8, 8)]
    assert colours(encoded(row_of("RGB", [RED, BLUE]), transparency=RED)) == [WHITE, BLUE]


def test_cmyk_tiff():
    # no ink, all black ink, all cyan ink (which takes the red away)
    values = [(0, 0, 0, 0), (0, 0, 0, 255), (255, 0, 0, 0)]
    assert colours(encoded(row_of("CMYK", values), "TIFF")) == [WHITE, BLACK, (0, 255, 255)]


def test_cmyk_jpeg_of_adobe_is_not_a_negative():
    content = encoded(Image.new("CMYK", (16, 16), (0, 0, 0, 0)), "JPEG", quality=95)
    assert b"Adobe" in content[:200]
    assert np.abs(rgb_pixels(content).astype(int) - 255).max() <= 2


RAW_YCBCR = pytest.mark.skipif(
    int(PIL.__version__.partition(".")[0]) < 13, reason="Pillow 12 cannot read the raw YCbCr TIFF that it writes"
)


@pytest.mark.parametrize("compression", ["tiff_lzw", pytest.param("raw", marks=RAW_YCBCR)])
def test_ycbcr(compression):
    # Y = 0.299 * 255 = 76 with the chroma of pure red (JFIF): Cb = 128 - 0.168736 * 255 = 85, Cr = 255
    pixels = rgb_pixels(encoded(row_of("YCbCr", [(76, 85, 255), (128, 128, 128)]), "TIFF", compression=compression))
    assert np.abs(pixels[0].astype(int) - [[254, 0, 0], [128, 128, 128]]).max() <= 1


def test_lab():
    to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    lab = ImageCms.applyTransform(row_of("RGB", [WHITE, BLACK, (200, 30, 90)]), to_lab)
    pixels = rgb_pixels(encoded(lab, "TIFF"))
    assert np.abs(pixels[0].astype(int) - [WHITE, BLACK, (200, 30, 90)]).max() <= 3


def test_sixteen_bit_png_uses_its_whole_range():
    # 257 * 100 = 25700: 16-bit white is 65535 = 257 * 255
    image = Image.fromarray(np.array([[0, 25700, 65535]], dtype=np.uint16))
    assert image.mode == "I;16"
    assert colours(encoded(image)) == [BLACK, (100, 100, 100), WHITE]


def test_dark_sixteen_bit_stays_dark():
    image = Image.fromarray(np.array([[0, 257, 514]], dtype=np.uint16))
    assert colours(encoded(image)) == [BLACK, (1, 1, 1), (2, 2, 2)]


def test_big_endian_sixteen_bit_tiff():
    image = Image.frombytes("I;16B", (2, 1), struct.pack(">HH", 25700, 65535))
    assert colours(encoded(image, "TIFF")) == [(100, 100, 100), WHITE]


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0, 128, 255], [0, 128, 255]), ([0, 25700, 65535], [0, 100, 255]), ([-1000, 0, 1000], [0, 128, 255])],
)
def test_thirty_two_bit_integers(values, expected):
    image = Image.fromarray(np.array([values], dtype=np.int32))
    assert image.mode == "I"
    assert [colour[0] for colour in colours(encoded(image, "TIFF"))] == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    # 0.4 * 255 = 102; stretched from -2..2, 0 lies half way at 127.5, which rounds to the even 128
    [([0.0, 0.4, 1.0], [0, 102, 255]), ([0.0, 102.0, 255.0], [0, 102, 255]), ([-2.0, 0.0, 2.0], [0, 128, 255])],
)
def test_floats(values, expected):
    image = Image.fromarray(np.array([values], dtype=np.float32))
    assert image.mode == "F"
    assert [colour[0] for colour in colours(encoded(image, "TIFF"))] == expected


def test_constant_values_outside_every_known_range():
    assert colours(encoded(Image.fromarray(np.full((1, 2), -5, dtype=np.int32)), "TIFF")) == [BLACK, BLACK]


def test_floats_that_are_not_numbers_are_unreadable():
    with pytest.raises(OSError, match="finite"):
        rgb_pixels(encoded(Image.fromarray(np.array([[0.0, np.nan]], dtype=np.float32)), "TIFF"))


@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize(
    ("orientation", "expected"),
    # stored: red green / blue white. Each entry is what EXIF says a viewer shows, row by row.
    [
        (1, [[RED, GREEN], [BLUE, WHITE]]),
        (2, [[GREEN, RED], [WHITE, BLUE]]),
        (3, [[WHITE, BLUE], [GREEN, RED]]),
        (4, [[BLUE, WHITE], [RED, GREEN]]),
        (5, [[RED, BLUE], [GREEN, WHITE]]),
        (6, [[BLUE, RED], [WHITE, GREEN]]),
        (7, [[WHITE, GREEN], [BLUE, RED]]),
        (8, [[GREEN, WHITE], [RED, BLUE]]),
    ],
)
def test_exif_orientation(file_format, orientation, expected):
    image = Image.new("RGB", (2, 2))
    for x, y, colour in [(0, 0, RED), (1, 0, GREEN), (0, 1, BLUE), (1, 1, WHITE)]:
        image.putpixel((x, y), colour)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True, "exact": True} if file_format == "WEBP" else {}
    assert np.array_equal(rgb_pixels(encoded(image, file_format, exif=exif, **options)), expected)


def test_a_rotated_jpeg_photo_changes_its_sides():
    exif = Image.Exif()
    exif[0x0112] = 6
    content = encoded(Image.new("RGB", (40, 20), RED), "JPEG", exif=exif)
    assert rgb_pixels(content).shape == (40, 20, 3)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_damaged_exif_does_not_cost_the_image():
    content = encoded(Image.new("RGB", (8, 8), RED), "JPEG", exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xffgarbage")
    assert rgb_pixels(content).shape == (8, 8, 3)


@pytest.mark.parametrize("file_format", ["GIF", "WEBP"])
def test_first_frame_of_an_animation(file_format):
    frames = [Image.new("RGB", (4, 4), RED), Image.new("RGB", (4, 4), BLUE)]
    options = {"lossless": True} if file_format == "WEBP" else {}
    content = encoded(frames[0], file_format, save_all=True, append_images=frames[1:], **options)
    assert set(colours(content)) == {RED}


@pytest.mark.parametrize("size", [(30_000, 1), (1, 30_000), (20_100, 100), (402, 2)])
def test_too_narrow_for_any_processor(size):
    """With a short side of 1000 px it would have more than 200 million pixels: 1000 * 1000 * 201."""
    with pytest.raises(OSError, match=rf"{size[0]} x {size[1]} pixels are too narrow: .* limit of 200,000,000"):
        rgb_pixels(encoded(Image.new("RGB", size, RED)))
    width, height = (200, 1) if size[0] > size[1] else (1, 200)
    assert rgb_pixels(encoded(Image.new("RGB", (width, height), RED))).shape == (height, width, 3)


def test_short_side_is_reduced_and_a_panorama_is_not():
    assert rgb_pixels(encoded(Image.new("RGB", (2000, 1000), RED), "JPEG")).shape == (518, 1036, 3)
    assert rgb_pixels(encoded(Image.new("RGB", (1000, 3001), RED), "PNG")).shape == (1555, 518, 3)
    assert rgb_pixels(encoded(Image.new("RGB", (10_000, 50), RED))).shape == (50, 10_000, 3)
    assert rgb_pixels(encoded(Image.new("RGB", (1, 1), RED))).tolist() == [[list(RED)]]
    assert rgb_pixels(encoded(Image.new("RGB", (518, 600), RED))).shape == (600, STORED_SHORT_SIDE_PX, 3)


@pytest.mark.parametrize("file_format", ["PNG", "JPEG"])
def test_reduction_averages_instead_of_picking_pixels(file_format):
    # Columns alternate black and white; without antialiasing stripes would be left.
    stripes = np.zeros((2048, 2048), dtype=np.uint8)
    stripes[:, ::2] = 255
    options = {"quality": 95} if file_format == "JPEG" else {}
    reduced = rgb_pixels(encoded(Image.fromarray(stripes), file_format, **options))
    inside = reduced[50:-50, 50:-50].astype(int)
    assert inside.min() > 120
    assert inside.max() < 135


def test_unreadable_content_says_why():
    whole = encoded(Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)))
    with pytest.raises(OSError, match="0 bytes"):
        rgb_pixels(b"")
    with pytest.raises(OSError, match="not an image format"):
        rgb_pixels(b"this is no image")
    with pytest.raises(OSError, match=r"OSError|SyntaxError"):
        rgb_pixels(whole[: len(whole) // 2])


def test_decompression_bomb_is_refused_with_warnings_as_they_are():
    # 10,000 x 10,000 pixels is above Pillow's limit of 89 million, where it only warns.
    size = struct.pack(">IIBBBBB", 10_000, 10_000, 1, 0, 0, 0, 0)
    chunks = [(b"IHDR", size), (b"IDAT", zlib.compress(b"\0" * 10_000)), (b"IEND", b"")]
    content = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    for action in ("ignore", "error"):
        with warnings.catch_warnings():
            warnings.simplefilter(action)
            with pytest.raises(OSError, match="DecompressionBomb"):
                rgb_pixels(content)


def test_postscript_is_not_run():
    with pytest.raises(OSError, match="EPS is a program"):
        rgb_pixels(encoded(Image.new("RGB", (8, 8), RED), "EPS"))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "file_format", ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "JPEG2000", "ICO", "ICNS", "PPM", "TGA"]
)
def test_damaged_files_raise_nothing_but_oserror(file_format):
    """Thousands of damaged copies: whatever Pillow's plugins raise is translated."""
    random = np.random.default_rng(0)
    image = Image.fromarray(random.integers(0, 256, (16, 16, 3), dtype=np.uint8)).convert(
        "P" if file_format == "ICNS" else "RGB"
    )
    whole = encoded(image, file_format)
    outcomes = {"read": 0, "refused": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(300):
            damaged = bytearray(whole)
            for place in random.integers(0, min(len(whole), 200), 3):
                damaged[place] = random.integers(0, 256)
            try:
                rgb_pixels(bytes(damaged[: random.integers(1, len(whole) + 1)]))
                outcomes["read"] += 1
            except OSError:
                outcomes["refused"] += 1
    assert outcomes["refused"] > 0
