"""Pixels shrunk once for many checkpoints: exactly what each processor makes itself, kept within bounds."""

import os
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import transformers
from transformers import BaseImageProcessor

from lead_hub.checkpoint_outputs import ExtractionSettings, extract, load_checkpoint
from lead_hub.checkpoint_outputs.image_preparation import prepare_images
from lead_hub.checkpoint_outputs.shrunk_images import KeptPixels, PartOfShrunkImages, ShrunkImages, shrinking_key
from lead_hub.errors import CandidateError
from lead_hub.labelled_images import Pixels
from lead_hub.processes import running_processes
from tests.tiny_checkpoints import random_images, save_checkpoint, save_timm, tiny_processor
from tests.tiny_families import FAMILIES

# Whose two parts are the whole. Others refuse 8 bits, or would turn the order of colours round twice.
APART = (
    *("BitImageProcessor", "CLIPImageProcessor", "ConvNextImageProcessor", "DeiTImageProcessor"),
    *("LevitImageProcessor", "MobileNetV2ImageProcessor", "ViTImageProcessor"),
)
WHOLE = ("EfficientNetImageProcessor", "MobileViTImageProcessor", "Siglip2ImageProcessor")


class CountedImages:
    """Images that count how often each is read."""

    def __init__(self, n_images: int) -> None:
        generator = np.random.default_rng(0)
        sides = generator.integers(40, 130, (n_images, 2))
        self.images = [generator.integers(0, 256, (*side, 3), dtype=np.uint8) for side in sides]
        self.reads = [0] * n_images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, position: int) -> Pixels:
        self.reads[position] += 1
        return self.images[position]


def timm_processor(folder: Path) -> BaseImageProcessor:
    save_timm(folder, "resnet10t", classes=3)
    return load_checkpoint(folder).image_processor


def prepared(
    shrunk: ShrunkImages | PartOfShrunkImages, processor: BaseImageProcessor, *, on_device: bool = False
) -> torch.Tensor:
    how = shrunk.prepared_by(processor, on_device=on_device)
    return how.finish(how.make([how.images[position] for position in range(len(shrunk))]))


@pytest.mark.parametrize("name", [*APART, *WHOLE, "timm"])
def test_pixels_are_exactly_the_processors_own(name: str, tmp_path: Path) -> None:
    processor = timm_processor(tmp_path) if name == "timm" else tiny_processor(name)
    images = CountedImages(7)
    expected = prepare_images(processor, images.images)
    shrunk = ShrunkImages(images)
    for _ in range(2):  # computed, then kept
        assert torch.equal(prepared(shrunk, processor), expected)
    first = list(images.reads)
    prepared(shrunk, processor)
    was_read_again = images.reads[1:-1] != first[1:-1]  # the first and the last are also tried beforehand
    assert was_read_again is (name in WHOLE)


@pytest.mark.parametrize("name", [*APART, *WHOLE, "timm"])
def test_a_device_gets_8_bits_and_makes_exactly_the_same_of_them(name: str, tmp_path: Path) -> None:
    processor = timm_processor(tmp_path) if name == "timm" else tiny_processor(name)
    images = CountedImages(7)
    shrunk = ShrunkImages(images)
    how = shrunk.prepared_by(processor, on_device=True)
    gets = how.make([how.images[position] for position in range(7)])
    assert gets.dtype == (torch.float32 if name in WHOLE else torch.uint8)
    assert torch.equal(how.finish(gets), prepare_images(processor, images.images))
    assert torch.equal(prepared(shrunk.part([3]), processor, on_device=True), how.finish(gets)[3:4])


def test_a_timm_network_that_turns_pictures_into_tensors_in_its_own_way_is_left_to_it(tmp_path: Path) -> None:
    processor = timm_processor(tmp_path)
    images = CountedImages(3)
    *shrinks, _, _ = processor.val_transforms.transforms
    without_range = [timm.data.transforms.ToTensor(), torch.nn.Identity()]  # from 0 to 255, not from 0 to 1
    processor.val_transforms.transforms = [*shrinks, *without_range]
    how = ShrunkImages(images).prepared_by(processor, on_device=True)
    found = how.finish(how.make([how.images[position] for position in range(3)]))
    assert torch.equal(found, prepare_images(processor, images.images))
    assert found.max() > 200


def test_a_processor_that_works_with_pillow_does_all_of_it_itself() -> None:
    processor = transformers.ViTImageProcessorPil(size={"height": 32, "width": 32})
    images = CountedImages(3)
    how = ShrunkImages(images).prepared_by(processor, on_device=True)
    gets = how.make([how.images[position] for position in range(3)])
    assert gets.dtype == torch.float32
    assert torch.equal(how.finish(gets), prepare_images(processor, images.images))


def test_what_a_device_gets_of_several_shapes_is_refused_as_ever() -> None:
    processor = transformers.ViTImageProcessor(do_resize=False)
    images = [np.zeros((9, side, 3), dtype=np.uint8) for side in (9, 8, 9)]
    how = ShrunkImages(images).prepared_by(processor, on_device=True)
    with pytest.raises(CandidateError, match="of the same size of every image"):
        how.make([how.images[position] for position in range(3)])


def test_checkpoints_of_one_size_and_other_ranges_share_pixels() -> None:
    images = CountedImages(6)
    shrunk = ShrunkImages(images)
    one, other = (
        transformers.ViTImageProcessor(size={"height": 32, "width": 32}, image_mean=[mean] * 3, image_std=[0.2] * 3)
        for mean in (0.4, 0.5)
    )
    larger = transformers.ViTImageProcessor(size={"height": 48, "width": 48})
    assert shrinking_key(one) == shrinking_key(other) != shrinking_key(larger)
    prepared(shrunk, one)
    reads = list(images.reads)
    assert torch.equal(prepared(shrunk, other), prepare_images(other, images.images))
    assert images.reads == reads
    assert torch.equal(prepared(shrunk, larger), prepare_images(larger, images.images))
    assert images.reads[1:-1] == [number + 1 for number in reads[1:-1]]


def test_a_part_shares_what_the_whole_remembers() -> None:
    images = CountedImages(6)
    processor = tiny_processor()
    shrunk = ShrunkImages(images)
    expected = prepare_images(processor, [images.images[4], images.images[1]])
    assert torch.equal(prepared(shrunk.part([4, 1]), processor), expected)
    reads = list(images.reads)
    prepared(shrunk, processor)
    assert [after - before for before, after in zip(reads, images.reads, strict=True)] == [1, 0, 1, 1, 0, 1]


def test_the_oldest_go_where_there_is_no_room() -> None:
    images = CountedImages(5)
    sizes = [transformers.ViTImageProcessor(size={"height": side, "width": side}) for side in (32, 33, 34)]
    shrunk = ShrunkImages(images, most_bytes=5 * 3 * (33**2 + 34**2))
    for processor in sizes:
        prepared(shrunk, processor)
    reads = list(images.reads)
    for processor in sizes[1:]:
        prepared(shrunk, processor)
    assert images.reads == reads
    prepared(shrunk, sizes[0])
    assert images.reads[1:-1] == [number + 1 for number in reads[1:-1]]


def test_processes_that_share_a_folder_shrink_each_image_once(tmp_path: Path) -> None:
    images, others = CountedImages(6), CountedImages(6)
    processor, larger = tiny_processor(), transformers.ViTImageProcessor(size={"height": 48, "width": 48})
    one, other = (ShrunkImages(each, folder=tmp_path, is_shared=True) for each in (images, others))
    prepared(one.part([0, 1, 2]), processor)
    assert torch.equal(prepared(other, processor), prepare_images(processor, images.images))
    assert others.reads[1:3] == [0, 0]  # found; the first and the last are read by each, to see what its processor does
    assert others.reads[3:5] == [1, 1]
    reads = list(images.reads)
    assert torch.equal(prepared(one, processor), prepare_images(processor, images.images))
    assert images.reads == reads
    assert torch.equal(prepared(one, larger), prepare_images(larger, images.images))
    assert len(list(tmp_path.iterdir())) == 2
    assert {path.stat().st_mode & 0o077 for path in tmp_path.iterdir()} == {0}


def test_what_one_process_forgets_another_still_reads(tmp_path: Path) -> None:
    images = CountedImages(5)
    sizes = [transformers.ViTImageProcessor(size={"height": side, "width": side}) for side in (32, 33)]
    one = ShrunkImages(images, folder=tmp_path, is_shared=True, most_bytes=5 * 3 * 33**2)
    other = ShrunkImages(images, folder=tmp_path, is_shared=True)
    for shrunk in (one, other):
        prepared(shrunk, sizes[0])
    reads = list(images.reads)
    prepared(one, sizes[1])  # for which the first size makes room
    assert len(list(tmp_path.iterdir())) == 1
    assert torch.equal(prepared(other, sizes[0]), prepare_images(sizes[0], images.images))
    assert images.reads[1:-1] == [number + 1 for number in reads[1:-1]]  # by the other size


def test_an_array_that_was_not_written_to_its_end_is_not_there(tmp_path: Path) -> None:
    kept = KeptPixels((2, 3), n_images=3, folder=tmp_path, name="pixels")
    pixels = np.arange(6, dtype=np.uint8).reshape(2, 3)
    kept.write(1, pixels)
    assert [found.tolist() if (found := kept.read(number)) is not None else None for number in range(3)] == [
        *(None, pixels.tolist(), None)
    ]
    # As another process leaves it that is killed between the pixels and the byte before them.
    with (tmp_path / "pixels").open("r+b") as file:
        file.seek(2 * 7 + 1)
        file.write(pixels.tobytes())
    assert kept.read(2) is None
    assert KeptPixels((2, 3), n_images=3, folder=tmp_path, name="pixels").read(1) is not None


def test_nothing_is_kept_where_there_is_no_room_at_all() -> None:
    images = CountedImages(3)
    processor = tiny_processor()
    shrunk = ShrunkImages(images, most_bytes=100)
    for _ in range(2):
        assert torch.equal(prepared(shrunk, processor), prepare_images(processor, images.images))


def test_a_folder_that_cannot_be_written_costs_time_alone(tmp_path: Path) -> None:
    images = CountedImages(3)
    processor = tiny_processor()
    (tmp_path / "file").touch()
    with pytest.warns(UserWarning, match="shrunk anew for every checkpoint"):
        found = prepared(ShrunkImages(images, folder=tmp_path / "file" / "folder"), processor)
    assert torch.equal(found, prepare_images(processor, images.images))


def test_where_a_system_cannot_read_at_a_place_images_are_shrunk_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "pread")  # as on Windows
    images = CountedImages(3)
    processor = tiny_processor()
    assert torch.equal(prepared(ShrunkImages(images), processor), prepare_images(processor, images.images))


def test_a_narrow_image_is_refused_as_ever() -> None:
    narrow = [np.zeros((64, 64, 3), dtype=np.uint8), np.zeros((2, 30_000, 3), dtype=np.uint8)]
    processor = tiny_processor("ConvNextImageProcessor", 224)
    with pytest.raises(CandidateError, match="must be resized to at most"):
        prepared(ShrunkImages([*narrow, narrow[0]]), processor)


def test_outputs_are_the_same_number_by_number(tmp_path: Path) -> None:
    family = FAMILIES["resnet"]
    checkpoint = load_checkpoint(save_checkpoint(tmp_path, family.build(head=True), tiny_processor(family.processor)))
    images = random_images(9)
    shrunk = ShrunkImages(images)
    settings = {"processes": running_processes(), "settings": ExtractionSettings(device="cpu", batch_size=4)}
    plain, first, second = (
        extract(checkpoint, each, advance=lambda _n: None, **settings) for each in (images, shrunk, shrunk)
    )
    for outputs in (first, second):
        assert torch.equal(outputs.features, plain.features)
        assert outputs.depth_kernel is not None
        assert plain.depth_kernel is not None
        assert torch.equal(outputs.depth_kernel, plain.depth_kernel)


def sized(side: int) -> BaseImageProcessor:
    return transformers.ViTImageProcessor(size={"height": side, "width": side})


def test_images_are_shrunk_ahead_as_long_as_there_is_time() -> None:
    images = CountedImages(8)
    shrunk, asked = ShrunkImages(images), list[int]()

    def is_time_left() -> bool:
        asked.append(len(asked))
        return len(asked) <= 3

    shrunk.shrink_ahead(sized(32), [1, 2, 4, 5, 6], is_time_left=is_time_left)
    assert images.reads == [2, 1, 1, 0, 1, 0, 0, 1]  # the first is tried and measured, the last tried
    assert torch.equal(prepared(shrunk, sized(32)), prepare_images(sized(32), images.images))
    assert images.reads == [3, 1, 1, 1, 1, 1, 1, 2]


def test_what_is_shrunk_or_being_shrunk_is_not_shrunk_ahead() -> None:
    images = CountedImages(4)
    shrunk = ShrunkImages(images)
    shrunk.prepared_by(sized(32))  # whose turn it is
    reads = list(images.reads)
    shrunk.shrink_ahead(sized(32), range(4), is_time_left=lambda: True)
    assert images.reads == reads


def test_nothing_goes_for_what_is_shrunk_ahead() -> None:
    images = CountedImages(5)
    shrunk = ShrunkImages(images, most_bytes=5 * 3 * (32**2 + 33**2) - 1)
    prepared(shrunk, sized(32))
    shrunk.shrink_ahead(sized(33), range(5), is_time_left=lambda: True)
    reads = list(images.reads)
    prepared(shrunk, sized(32))
    assert images.reads == reads


def test_what_is_being_shrunk_ahead_does_not_go_for_others() -> None:
    images = CountedImages(5)
    shrunk = ShrunkImages(images, most_bytes=5 * 3 * 33**2)

    def is_time_left() -> bool:
        larger = prepared(shrunk, sized(33))  # by the checkpoint whose turn it is: not kept, for there is no room
        assert torch.equal(larger, prepare_images(sized(33), images.images))
        return True

    shrunk.shrink_ahead(sized(32), range(5), is_time_left=is_time_left)
    reads = list(images.reads)
    assert torch.equal(prepared(shrunk, sized(32)), prepare_images(sized(32), images.images))
    assert images.reads == reads
