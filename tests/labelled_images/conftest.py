import pytest

from lead_hub.access import Access
from lead_hub.labelled_images.loading import LabelledImages, load_labelled_images
from lead_hub.labelled_images.query import DatasetQuery


@pytest.fixture
def load(tmp_path):
    def load(dataset, *, decoded_folder=None, **query) -> LabelledImages:
        return load_labelled_images(
            DatasetQuery(str(dataset), **query),
            Access(tmp_path / "cache", progress=False),
            decoded_folder=decoded_folder,
        )

    return load
