"""The pictures on the buttons of the embedded datasets are those that the datasets give."""

import io
from base64 import b64decode

import numpy as np
import pytest
from PIL import Image

from lead_hub.demo import TARGETS
from spaces_app.demo_buttons import PICTURES_EACH, demo_pictures, pictures_style
from tests.benchmarks.demo_pictures import made_pictures


def pixels_of(encoded: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(b64decode(encoded))), dtype=np.int16)


def test_every_embedded_dataset_has_its_pictures() -> None:
    assert set(demo_pictures()) == set(TARGETS)
    for target, pictures in demo_pictures().items():
        assert len(pictures) == PICTURES_EACH
        assert f"#try-{target} {{background-image: url(data:image/jpeg;base64,{pictures[0]})" in pictures_style()


@pytest.mark.slow
def test_they_are_what_the_datasets_give() -> None:
    """Within what another version of the JPEG library rounds."""
    for target, pictures in made_pictures().items():
        for made, shipped in zip(pictures, demo_pictures()[target], strict=True):
            np.testing.assert_allclose(pixels_of(made), pixels_of(shipped), atol=16)
