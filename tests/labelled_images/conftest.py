import pytest

from lead_hub.access import Access
from lead_hub.labelled_images import read_in_part
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


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every split is a large one, and of few of its groups images are taken at random."""
    monkeypatch.setattr(read_in_part, "WHOLE_UP_TO_BYTES", 0)
    monkeypatch.setattr(read_in_part, "GROUPS_BYTES", 1)
