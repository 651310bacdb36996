"""What a row says of images that are kept smaller than its checkpoint wants them."""

from contextlib import closing
from pathlib import Path

import pytest
from PIL import Image

from lead_hub.access import Access
from lead_hub.checkpoint_files import CheckpointFiles
from lead_hub.checkpoint_outputs import processor_settings, wanted_side_px
from lead_hub.labelled_images import DatasetQuery, LabelledImages, load_labelled_images
from lead_hub.recommendation.board_rows import enlarging_note
from tests.tiny_checkpoints import tiny_processor


def images_of(folder: Path, short_side_px: int) -> LabelledImages:
    for number in range(4):
        path = folder / ("red", "blue")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (short_side_px, short_side_px + 80), (200, 10 * number, 0)).save(path)
    return load_labelled_images(DatasetQuery(str(folder)), Access(folder.parent / "cache", progress=False))


@pytest.mark.parametrize(
    ("image_px", "processor", "wanted_px", "note"),
    [
        (700, "ViTImageProcessor", 518, ""),
        (700, "ViTImageProcessor", 560, "wants images of 560 px, which are kept at 518 px and enlarged again"),
        (700, "CLIPImageProcessor", 600, "wants images of 600 px, which are kept at 518 px and enlarged again"),
        (517, "ViTImageProcessor", 560, ""),  # they are kept as they are
    ],
)
def test_a_processor_that_enlarges_what_was_made_smaller(
    tmp_path: Path, image_px: int, processor: str, wanted_px: int, note: str
) -> None:
    tiny_processor(processor, wanted_px).save_pretrained(tmp_path / "checkpoint")
    (tmp_path / "checkpoint" / "config.json").write_text('{"model_type": "vit"}')
    assert wanted_side_px(processor_settings(tmp_path / "checkpoint")) == wanted_px
    files = CheckpointFiles(tmp_path / "checkpoint", sha="0" * 64, licence=None)
    with closing(images_of(tmp_path / "images", image_px)) as images:
        assert enlarging_note(files, images) == note
