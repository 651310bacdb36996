"""Small pictures of what was read."""

import io

import numpy as np
import pytest
from PIL import Image

from lead_hub.labelled_images import jpeg_thumbnail


@pytest.mark.parametrize(
    ("height", "width", "size"), [(300, 200, (64, 96)), (96, 192, (96, 48)), (20, 30, (30, 20)), (3, 9000, (96, 1))]
)
def test_the_whole_image_fits_into_a_square(height: int, width: int, size: tuple[int, int]) -> None:
    content = jpeg_thumbnail(np.full((height, width, 3), (10, 200, 30), dtype=np.uint8))
    with Image.open(io.BytesIO(content)) as image:
        assert (image.format, image.size, image.mode) == ("JPEG", size, "RGB")
        np.testing.assert_allclose(np.asarray(image)[0, 0], (10, 200, 30), atol=4)


def test_noise_takes_a_few_kilobytes_at_most() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (512, 512, 3), dtype=np.uint8)
    assert len(jpeg_thumbnail(noise)) < 8_000
