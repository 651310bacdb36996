import gc
import io
import os
import threading
import weakref
from collections import namedtuple

import numpy as np
import pytest
from PIL import Image

from lead_hub.access import Access
from lead_hub.errors import DatasetError
from lead_hub.labelled_images import decoded_images
from lead_hub.labelled_images.decoded_folder import is_complete, publish, read_record, scratch_folder, write_record
from lead_hub.labelled_images.decoded_images import DecodedImages, EncodedImage, decode_images


def png(colour, size=(4, 3)):
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, format="PNG")
    return file.getvalue()


def test_images_of_different_sizes_come_back_in_order(tmp_path):
    random = np.random.default_rng(0)
    arrays = [random.integers(0, 256, (height, 70 - height, 3), dtype=np.uint8) for height in range(1, 70)]
    images = []
    for array in arrays:
        file = io.BytesIO()
        Image.fromarray(array).save(file, format="PNG")
        images.append(EncodedImage(file.getvalue(), None))
    decoding = decode_images(iter(images), tmp_path, total=len(images), access=Access(progress=False))
    pixels = DecodedImages(tmp_path, decoding.places)
    assert decoding.readable.tolist() == list(range(69))
    assert decoding.reasons == {}
    assert len(pixels) == 69
    for position, array in enumerate(arrays):
        assert np.array_equal(pixels[position], array)


def test_pixels_are_a_copy_that_the_reader_may_change(tmp_path):
    decoding = decode_images([EncodedImage(png((1, 2, 3)), None)], tmp_path, total=1, access=Access(progress=False))
    pixels = DecodedImages(tmp_path, decoding.places)
    pixels[0][:] = 0
    assert pixels[0][0, 0].tolist() == [1, 2, 3]
    assert pixels[0].flags.writeable


def test_unreadable_images_are_skipped_and_explained(tmp_path):
    path = tmp_path / "whole.png"
    path.write_bytes(png((9, 9, 9)))
    empty = tmp_path / "empty.png"
    empty.write_bytes(b"")
    images = [
        EncodedImage(b"no image", "broken.jpg"),
        EncodedImage(png((5, 5, 5)), None),
        EncodedImage(None, str(tmp_path / "missing.png")),
        EncodedImage(None, str(path)),
        EncodedImage(None, None),
        EncodedImage(None, str(empty)),
    ]
    decoding = decode_images(images, tmp_path, total=6, access=Access(progress=False))
    pixels = DecodedImages(tmp_path, decoding.places)
    assert decoding.readable.tolist() == [1, 3]
    assert [pixels[0][0, 0, 0], pixels[1][0, 0, 0]] == [5, 9]
    assert sorted(decoding.reasons) == [0, 2, 4, 5]
    assert decoding.reasons[0] == "broken.jpg: not an image format that Pillow knows"
    assert decoding.reasons[2] == "missing.png: No such file or directory"
    assert "0 bytes" in decoding.reasons[5]


def test_warnings_of_pillow_cost_no_image(tmp_path):
    """The test session turns warnings into errors, and Pillow warns about this EXIF block."""
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, format="JPEG", exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xffgarbage")
    decoding = decode_images([EncodedImage(file.getvalue(), None)], tmp_path, total=1, access=Access(progress=False))
    assert decoding.reasons == {}


def test_only_a_few_images_are_taken_ahead(tmp_path, monkeypatch):
    """Nothing but the files on disk may grow with the number of images."""
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    taken, written = 0, []

    def endless():
        nonlocal taken
        while True:
            taken += 1
            yield EncodedImage(png((1, 1, 1)), None)

    results = decoded_images._decoded(endless())
    for _ in range(50):
        next(results)
        written.append(taken)
    results.close()
    assert written == [position + 5 for position in range(50)]


def test_progress_bar_goes_to_stderr_only(tmp_path, capsys):
    decode_images([EncodedImage(png((1, 1, 1)), None)], tmp_path, total=1, access=Access(progress=True))
    assert capsys.readouterr().out == ""
    decode_images([EncodedImage(png((1, 1, 1)), None)], tmp_path, total=1, access=Access(progress=False))
    assert capsys.readouterr().err == ""


def test_full_disk_is_foreseen(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(decoded_images.shutil, "disk_usage", lambda _: usage(10**9, 10**9, 100_000))
    # 31 images of 30,000 bytes are on disk when 32 are decoded; 969 more need about 29 MB.
    images = [EncodedImage(png((1, 1, 1), size=(100, 100)), None)] * 1000
    with pytest.raises(DatasetError, match=r"about 0\.0 GB more .* 0\.0 GB free; lower max_images"):
        decode_images(images, tmp_path, total=1000, access=Access(progress=False))


@pytest.mark.slow
def test_temporary_folder_goes_with_its_images(tmp_path):
    for end in ("close", "collect"):
        folder = tmp_path / end
        folder.mkdir()
        decoding = decode_images([EncodedImage(png((1, 1, 1)), None)], folder, total=1, access=Access(progress=False))
        pixels = DecodedImages(folder, decoding.places, temporary=True)
        assert pixels[0].shape == (3, 4, 3)
        if end == "close":
            pixels.close()
            pixels.close()
        alive = weakref.ref(pixels)
        del pixels
        gc.collect()
        assert alive() is None
        assert not folder.exists()


def test_a_forked_child_leaves_the_folder_alone(tmp_path):
    pixels = DecodedImages(tmp_path / "mine", np.zeros((0, 3), dtype=np.int64), temporary=True)
    (tmp_path / "mine").mkdir()
    decoded_images._remove_folder(tmp_path / "mine", os.getpid() + 1)
    assert (tmp_path / "mine").is_dir()
    pixels.close()
    assert not (tmp_path / "mine").exists()


def test_many_threads_read_at_once(tmp_path):
    images = [EncodedImage(png((value, 0, 0), size=(50, 40)), None) for value in range(200)]
    decoding = decode_images(images, tmp_path, total=200, access=Access(progress=False))
    pixels = DecodedImages(tmp_path, decoding.places)
    wrong = []

    def read():
        wrong.extend(position for position in range(200) if pixels[position][0, 0, 0] != position)

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_scratch_folder_stays_only_after_success(tmp_path):
    with scratch_folder(tmp_path / "new") as kept:
        assert kept.parent == tmp_path / "new"
    assert kept.is_dir()
    with pytest.raises(KeyboardInterrupt), scratch_folder(tmp_path) as removed:
        raise KeyboardInterrupt
    assert not removed.exists()


def test_scratch_folder_where_none_can_be_made(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DatasetError, match="cache_dir"), scratch_folder(tmp_path / "file"):
        pass


def test_second_publisher_keeps_the_first_ones_folder(tmp_path):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        write_record(tmp_path / name, {"name": name}, {"labels": np.arange(3)})
        publish(tmp_path / name, tmp_path / "final")
    facts, arrays = read_record(tmp_path / "final")
    assert facts == {"name": "first"}
    assert arrays["labels"].tolist() == [0, 1, 2]
    assert not (tmp_path / "second").exists()


def test_folder_in_the_way_and_damaged_record(tmp_path):
    (tmp_path / "final").mkdir()
    (tmp_path / "final" / "something").write_text("else")
    (tmp_path / "new").mkdir()
    assert not is_complete(tmp_path / "final")
    with pytest.raises(DatasetError, match="unused folder"):
        publish(tmp_path / "new", tmp_path / "final")
    (tmp_path / "final" / "record.json").write_text("{")
    with pytest.raises(DatasetError, match="damaged"):
        read_record(tmp_path / "final")
