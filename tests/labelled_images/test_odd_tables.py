"""A table beside the images that is none of theirs: an error in words, or all images."""

from contextlib import suppress
from pathlib import Path

import pytest

from lead_hub.access import Access
from lead_hub.errors import DatasetError
from lead_hub.labelled_images import DatasetQuery, load_labelled_images
from tests.conftest import COLOURS, coloured_images


@pytest.mark.parametrize("name", ["metadata.csv", "metadata.jsonl"])
@pytest.mark.parametrize("text", ["a,b\n", "", "file_name\n", "file_name,label\n", "{}\n", "[]\n", "7\n", "\0\n"])
def test_an_odd_table_is_no_traceback(tmp_path: Path, name: str, text: str) -> None:
    folder = coloured_images(tmp_path / "images", classes=COLOURS, n_images=3)
    (folder / name).write_text(text)
    n_images = 0
    with suppress(DatasetError):
        images = load_labelled_images(DatasetQuery(str(folder)), Access(tmp_path / "cache", progress=False))
        n_images = len(images)
        images.close()
    assert n_images in {0, 9}
