"""Everything that lies in an image folder is read, or told, or refused: nothing of it vanishes without a word."""

import hashlib
import os
import shutil
from pathlib import Path

import pytest
from datasets import ClassLabel

from lead_hub.access import Access
from lead_hub.errors import DatasetError
from lead_hub.labelled_images.description import SplitDescription, describe_dataset
from lead_hub.labelled_images.folder_listing import FolderListing
from lead_hub.labelled_images.image_folder_files import refuse_closed
from lead_hub.labelled_images.loading import load_labelled_images
from lead_hub.labelled_images.query import DatasetQuery
from tests.labelled_images.small_datasets import colours, dataset_of, image_folder, png, refusal, write_image
from tests.loopback_hub import HubServer


@pytest.mark.parametrize(
    "classes",
    [
        ("airport", "train station", "train_tracks"),
        ("test pattern", "still life"),
        ("dev-board", "keyboard", "val thorens"),
        ("cat", "dog", "__background__"),
        ("a[1]", "b*", "c?"),
        ("100% wool", "#1", "ümlaut"),
    ],
)
def test_every_class_is_read_whatever_its_name_is(load, tmp_path, classes):
    images = load(image_folder(tmp_path / "folder", **dict.fromkeys(classes, 3)))
    assert images.class_names == tuple(sorted(classes))
    assert len(images) == 3 * len(classes)
    assert images.notes == ()


def test_words_of_splits_in_file_names_make_no_split(load, tmp_path):
    folder = image_folder(tmp_path / "pets", cat=5, dog=5)
    for number in range(3):
        (folder / f"cat/{number:03}.png").rename(folder / f"cat/my train trip {number}.png")
    (folder / "dog/000.png").rename(folder / "dog/test.png")
    images = load(folder)
    assert (len(images), images.notes) == (10, ())
    assert describe_dataset(str(folder)).splits == (SplitDescription("train", 10),)


@pytest.mark.parametrize("ending", [".JPG", ".Png", ".jPeG"])
def test_endings_in_any_case_are_read(load, tmp_path, ending):
    folder = image_folder(tmp_path / "pets", cat=2, dog=3)
    (folder / "dog/002.png").rename(folder / f"dog/002{ending}")
    assert len(load(folder)) == 5


def test_the_path_of_the_dataset_is_no_pattern(load, tmp_path):
    for number, name in enumerate(("set [v2]", "what?", "all*", "[a-z]")):
        folder = image_folder(tmp_path / name, cat=2, dog=2)
        assert len(load(folder)) == 4
        rows = dataset_of([0, 1, 0, 1], ClassLabel(names=["cat", "dog"]))
        rows.to_parquet(tmp_path / name / f"{number}.parquet")
        assert load(tmp_path / name / f"{number}.parquet").class_names == ("cat", "dog")
        shutil.rmtree(folder / "cat")
        shutil.rmtree(folder / "dog")
        assert load(folder).labels.tolist() == [0, 1, 0, 1]
        assert describe_dataset(str(folder)).splits == (SplitDescription("train", 4),)


def test_a_card_in_a_path_like_a_pattern_still_chooses(load, tmp_path):
    folder = image_folder(tmp_path / "set [v2]", cat=2, dog=2, cow=2)
    (folder / "README.md").write_text(
        "---\nconfigs:\n- config_name: pets\n  data_files: ['cat/*.png', 'dog/*.png']\n---\n"
    )
    images = load(folder)
    assert (images.config, images.class_names) == ("pets", ("cat", "dog"))
    assert images.notes == (
        "found beside the 4 images of the splits and not read: 2, as the configuration 'pets' does not name them"
        " (cow/000.png, cow/001.png)",
    )


def test_links_are_followed_and_loops_end(load, tmp_path):
    folder = image_folder(tmp_path / "pets", cat=3, fox=3)
    image_folder(tmp_path / "elsewhere", dog=3)
    (folder / "dog").symlink_to(tmp_path / "elsewhere" / "dog", target_is_directory=True)
    write_image(tmp_path / "one.png", (77, 0, 0))
    (folder / "cat" / "zz.png").symlink_to(tmp_path / "one.png")
    (folder / "cat" / "again").symlink_to(folder, target_is_directory=True)
    images = load(folder)
    assert images.class_names == ("cat", "dog", "fox")
    assert len(images) == 10
    assert [77, 0, 0] in colours(images)
    assert images.notes == (
        "found beside the 10 images of the splits and not read: 1, links to a directory above them (cat/again)",
    )


def test_a_linked_folder_is_the_dataset(load, tmp_path):
    image_folder(tmp_path / "real", cat=2, dog=2)
    (tmp_path / "link").symlink_to(tmp_path / "real", target_is_directory=True)
    assert load(tmp_path / "link").sha == load(tmp_path / "real").sha


def test_images_of_other_names_are_told(load, tmp_path):
    folder = image_folder(tmp_path / "pets", cat=3, dog=3)
    (folder / "cat" / "nameless").write_bytes(png((9, 9, 9)))
    (folder / "cat" / "photo.png_").write_bytes(png((9, 9, 9)))
    (folder / "dog" / "notes.txt").write_text("no image")
    (folder / "dog" / "empty").write_bytes(b"")
    assert load(folder).notes == (
        "found beside the 6 images of the splits and not read: 2, images by their content, without the ending of an"
        " image format that is read (cat/nameless, cat/photo.png_)",
    )


def test_a_class_of_such_images_alone_is_missed(load, tmp_path):
    folder = image_folder(tmp_path / "pets", cat=3, dog=3, hen=2)
    for file in (folder / "hen").iterdir():
        file.rename(file.with_suffix(""))
    message = refusal(load, folder)
    assert "every class" in message
    assert "found 1 directories (hen) of which no image is: their images are images by their content" in message
    with pytest.raises(DatasetError, match=r"\(hen\)"):
        describe_dataset(str(folder))


def test_a_folder_of_nameless_images_says_how_to_name_them(load, tmp_path):
    folder = image_folder(tmp_path / "pets", cat=2, dog=2)
    for file in [*folder.rglob("*.png")]:
        file.rename(file.with_suffix(""))
    assert "found 4 in" in refusal(load, folder)
    assert "named like 1.png" in refusal(load, folder)


def test_hidden_files_are_told_only_if_they_are_images(load, tmp_path):
    folder = image_folder(tmp_path / "pets", cat=3, dog=3)
    for place in (".DS_Store", "cat/.DS_Store", "dog/Thumbs.db", "cat/._000.png", "__MACOSX/cat/._000.png"):
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X")
    assert load(folder).notes == ()
    write_image(folder / ".ipynb_checkpoints" / "0.png")
    write_image(folder / "dog" / ".secret.png")
    assert load(folder).notes == (
        "found beside the 6 images of the splits and not read: 2, hidden (.ipynb_checkpoints/0.png, dog/.secret.png)",
    )


def test_images_outside_the_splits(load, tmp_path):
    folder = tmp_path / "pets"
    for split in ("train", "test"):
        image_folder(folder / split, cat=2, dog=2)
    write_image(folder / "logo.png")
    write_image(folder / "extra" / "cat" / "0.png")
    assert load(folder).notes == (
        "found beside the 8 images of the splits and not read: 2, outside the directories of the splits"
        " (extra/cat/0.png, logo.png)",
    )
    image_folder(folder, hen=2)
    message = refusal(load, folder)
    assert "(hen) of which no image is" in message
    assert "FOLDER/train/CLASS/image.jpg" in message


def test_the_words_of_splits_count_as_whole_names(load, tmp_path):
    folder = tmp_path / "views"
    image_folder(folder / "train", **{"train station": 2, "test track": 2})
    image_folder(folder / "val", **{"train station": 2, "test track": 2})
    images = load(folder)
    assert images.class_names == ("test track", "train station")
    assert len(images) == 4
    assert len(load(folder, split="validation")) == 4


def test_names_that_are_no_utf_8(load, tmp_path):
    folder = image_folder(tmp_path / "pets", cat=2, dog=2)
    (folder / "cat" / os.fsdecode(b"caf\xe9.png")).write_bytes(png((1, 1, 1)))
    (folder / "cat" / os.fsdecode(b"caf\xe9.txt")).write_text("no image")
    assert load(folder).notes == (
        r"found beside the 4 images of the splits and not read: 1, with names that are no UTF-8 (cat/caf\xe9.png)",
    )
    image_folder(folder / os.fsdecode(b"h\xfchner"), hen=2)
    assert r"(h\xfchner/) of which no image is" in refusal(load, folder)
    with pytest.raises(DatasetError, match="UTF-8 characters"):
        load(os.fsdecode(os.fsencode(folder) + b"/h\xfchner"))


@pytest.mark.parametrize("place", ["cat/pipe.png", "cat/pipe"])
def test_pipes_are_not_opened(load, tmp_path, place):
    folder = image_folder(tmp_path / "pets", cat=2, dog=2)
    os.mkfifo(folder / place)
    (folder / "dog" / "gone.png").symlink_to(folder / "nowhere")
    pipe = "cat/pipe.png, " if place.endswith("png") else ""
    assert load(folder).notes == (
        f"found beside the 4 images of the splits and not read: {1 + bool(pipe)}, neither files nor links to files"
        f" ({pipe}dog/gone.png)",
    )


def test_a_pipe_in_the_place_of_the_card_or_the_dataset(load, tmp_path):
    folder = image_folder(tmp_path / "pets", cat=2, dog=2)
    os.mkfifo(folder / ".huggingface.yaml")
    assert ".huggingface.yaml" in refusal(load, folder)
    os.mkfifo(tmp_path / "pipe")
    assert "must be a folder or a file" in refusal(load, tmp_path / "pipe")


def metadata(folder: Path, lines: dict[str, str]) -> None:
    rows = "".join(f"{name},{kind}\n" for name, kind in lines.items())
    (folder / "metadata.csv").write_text(f"file_name,kind\n{rows}")


# The datasets library leaves a csv file to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_files_of_a_table_that_are_not_there_and_files_that_are_in_no_table(load, tmp_path):
    folder = image_folder(tmp_path / "pets", files=42)
    metadata(folder, {f"files/{number:03}.png": "xy"[number % 2] for number in range(40)} | {"files/lost.png": "x"})
    images = load(folder)
    assert len(images) == 40
    assert images.notes == (
        "images that a table of labels names and that are not there: 1 (lost.png)",
        "images that no table of labels names, not read: 2 (files/040.png, files/041.png)",
        "unreadable images, dropped: 1 of 41; row 40: lost.png: No such file or directory",
    )


def test_a_table_may_name_files_of_any_name_and_their_content_counts(load, tmp_path):
    folder = tmp_path / "pets"
    (folder / "files").mkdir(parents=True)
    for number in range(6):
        (folder / f"files/{number}").write_bytes(png((number, 0, 0)))
    write_image(folder / "files/6.png", (6, 0, 0))
    metadata(folder, {f"files/{number}": "xy"[number % 2] for number in range(6)} | {"files/6.png": "x"})
    first = load(folder)
    assert [colour[0] for colour in colours(first)] == [0, 1, 2, 3, 4, 5, 6]
    (folder / "files/3").write_bytes(png((99, 0, 0)))
    second = load(folder)
    assert [colour[0] for colour in colours(second)] == [0, 1, 2, 99, 4, 5, 6]
    assert first.sha != second.sha


def test_other_data_in_the_folder_is_told(load, tmp_path):
    folder = tmp_path / "tables"
    folder.mkdir()
    rows = dataset_of([0, 1, 0, 1], ClassLabel(names=["cat", "dog"]))
    rows.to_parquet(folder / "train.parquet")
    rows.to_parquet(folder / "more.parquet")
    assert load(folder).notes == ("parquet files in the folder that belong to no split, not read: 1 (more.parquet)",)


def test_zip_archives_are_not_unpacked(load, tmp_path):
    folder = image_folder(tmp_path / "pets", cat=2, dog=2)
    shutil.make_archive(str(tmp_path / "more"), "zip", folder)
    shutil.copy(tmp_path / "more.zip", folder / "more.zip")
    assert load(folder).notes == (
        "found beside the 4 images of the splits and not read: 1, in zip archives, which are not unpacked (more.zip)",
    )
    (tmp_path / "zipped").mkdir()
    shutil.copy(tmp_path / "more.zip", tmp_path / "zipped")
    assert "found only zip archives" in refusal(load, tmp_path / "zipped")


def test_the_hash_of_a_folder_is_over_its_names_sizes_and_content(load, tmp_path):
    """By hand, in the order of the names: what outputs are kept under must never change."""
    folder = image_folder(tmp_path / "pets", cat=2, dog=2)
    (folder / "notes.txt").write_text("not read, and not part of it")
    digest = hashlib.sha256()
    for name in ("cat/000.png", "cat/001.png", "dog/000.png", "dog/001.png"):
        content = (folder / name).read_bytes()
        digest.update(f"11 {len(content)} {name}".encode() + content)
    assert load(folder).sha == digest.hexdigest()


@pytest.mark.slow
@pytest.mark.parametrize(
    "classes", [("airport", "train station", "train_tracks"), ("cat", "__background__"), ("cat", "#1", "100% [a]")]
)
def test_on_the_hub_too(hub: HubServer, tmp_path: Path, classes: tuple[str, ...]) -> None:
    folder = image_folder(tmp_path / "repo", **dict.fromkeys(classes, 3))
    (folder / classes[0] / "000.png").rename(folder / classes[0] / "my train trip.png")
    name = f"org/whole-{len(classes)}-{len(classes[1])}"
    hub.add_repo(name, kind="dataset", folder=folder)
    access = Access(tmp_path / "cache", progress=False)
    for _ in range(2):
        with_all = load_labelled_images(DatasetQuery(name), access)
        assert with_all.class_names == tuple(sorted(classes))
        assert (len(with_all), with_all.notes) == (3 * len(classes), ())
        with_all.close()
    assert describe_dataset(name, cache_dir=tmp_path / "cache").splits == (SplitDescription("train", 3 * len(classes)),)


@pytest.mark.parametrize("name", ["train notes.txt", "test.csv", "__background__"])
def test_a_file_beside_the_images_hides_none_of_them(hub: HubServer, tmp_path: Path, name: str) -> None:
    """The datasets library would read a text or a table, or find no file at all."""
    classes = ("__background__", "__cat__") if name == "__background__" else ("cat", "dog")
    folder = image_folder(tmp_path / "repo", **dict.fromkeys(classes, 3))
    if name not in classes:
        (folder / name).write_text("some,words\n1,2\n")
    dataset = f"org/beside-{name[:3].strip('_')}-images"
    hub.add_repo(dataset, kind="dataset", folder=folder)
    for place in (dataset, str(folder)):
        images = load_labelled_images(DatasetQuery(place), Access(tmp_path / "cache", progress=False))
        assert (images.class_names, len(images), images.notes, images.config) == (classes, 6, (), "default")
        images.close()


def test_what_is_left_out_on_the_hub_is_told_or_refused(hub: HubServer, tmp_path: Path) -> None:
    folder = image_folder(tmp_path / "repo" / "train", cat=3, dog=3).parent
    write_image(folder / "logo.png")
    (folder / "train/cat/one.heic").write_bytes(b"not read")
    hub.add_repo("org/left-out", kind="dataset", folder=folder)
    images = load_labelled_images(DatasetQuery("org/left-out"), Access(tmp_path / "cache", progress=False))
    assert images.notes == (
        "found beside the 6 images of the splits and not read: 1, in a format that the datasets library does not read"
        " (train/cat/one.heic)",
        "found beside the 6 images of the splits and not read: 1, outside the directories of the splits (logo.png)",
    )
    images.close()
    image_folder(folder, hen=3)
    hub.add_repo("org/lost-class", kind="dataset", folder=folder)
    with pytest.raises(DatasetError, match=r"every class of org/lost-class must be read, found 1 directories \(hen\)"):
        load_labelled_images(DatasetQuery("org/lost-class"), Access(tmp_path / "cache", progress=False))


def test_directories_without_images_are_told(load, tmp_path):
    folder = image_folder(tmp_path / "pets", cat=2, dog=2)
    for name in ("hen", "texts/more", ".git/objects"):
        (folder / name).mkdir(parents=True)
    (folder / "texts/more/notes.txt").write_text("no image")
    assert load(folder).notes == (
        "found beside the 4 images of the splits and not read: 2, directories without an image (hen, texts)",
    )


def test_a_text_for_each_image_makes_no_dataset_of_texts(load, tmp_path):
    folder = image_folder(tmp_path / "pets", cat=3, dog=3)
    for file in [*folder.rglob("*.png")]:
        file.with_suffix(".txt").write_text("0 0.5 0.5 0.1 0.1")
    assert len(load(folder)) == 6


def test_directories_that_may_not_be_opened_are_refused():
    """Told of the listing itself: whoever runs the tests may be allowed to open everything."""
    closed = FolderListing(Path("/pets"), ("cat/1.png", "cat/2.png"), closed=("dog",))
    with pytest.raises(DatasetError, match=r"every directory of pets must be readable, found 1 .* \(dog\)"):
        refuse_closed(closed, dataset="pets")
    refuse_closed(FolderListing(Path("/pets"), ("cat/1.png",)), dataset="pets")
