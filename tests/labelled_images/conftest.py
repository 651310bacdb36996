import pytest

from lead_hub.labelled_images.loading import LabelledImages, load_labelled_images
from lead_hub.labelled_images.query import DatasetQuery


@pytest.fixture
def load(tmp_path):
    def load(dataset, *, decoded_folder=None, **query) -> LabelledImages:
        return load_labelled_images(
            DatasetQuery(str(dataset), **query),
            cache_dir=tmp_path / "cache",
            decoded_folder=decoded_folder,
            progress=False,
        )

    return load
