"""A table beside the images that is none of theirs: an error in words, or all images."""

from contextlib import suppress
from pathlib import Path

import pytest

from lead_hub.access import Access
from lead_hub.errors import DatasetError
from lead_hub.labelled_images import DatasetQuery, describe_dataset, load_labelled_images
from tests.conftest import COLOURS, coloured_images
from tests.loopback_hub import HubServer


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


@pytest.mark.slow
# What the library's JSON reader does not survive, and what it survives.
@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("null\n", "line 1: 'null'"),
        ("\ufeffnull\n", "line 1: 'null'"),
        ("\n  null\n", "line 2: 'null'"),
        ('null{"a": 1}\n', "line 1: 'null"),
        ('{"file_name": "red/0.png", "a": ' + "[" * 50_000 + "]" * 50_000 + "}\n", "nested too deep"),
        ('{"file_name": "red/0.png", "label": "x"}\nnull\n', "line 2: 'null'"),
        ('{"file_name": "red/0.png", "label": "x"}\n7\n', "line 2: '7'"),
        ('[{"file_name": "red/0.png"}]\n', "line 1: "),
    ],
)
def test_a_line_that_is_no_object_ends_no_process(tmp_path: Path, hub: HubServer, text: str, found: str) -> None:
    folder = coloured_images(tmp_path / "images", classes=COLOURS, n_images=3)
    (folder / "metadata.jsonl").write_text(text, encoding="utf-8")
    access = Access(tmp_path / "cache", progress=False)
    with pytest.raises(DatasetError, match=r"every line of metadata.jsonl must be one JSON object") as caught:
        load_labelled_images(DatasetQuery(str(folder)), access)
    assert found in str(caught.value)
    hub.add_repo("org/odd", kind="dataset", folder=folder)
    with pytest.raises(DatasetError, match=r"every line of .* must be one JSON object"):
        load_labelled_images(DatasetQuery("org/odd"), access)
    with pytest.raises(DatasetError, match=r"every line of .* must be one JSON object"):
        describe_dataset("org/odd", cache_dir=tmp_path / "cache")


def test_empty_lines_and_odd_values_in_a_table_are_the_librarys_to_judge(tmp_path: Path) -> None:
    folder = coloured_images(tmp_path / "images", classes=COLOURS, n_images=2)
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))
    lines = [
        f'{{"file_name": "{name}", "label": "{name.split("/")[0]}", "a": NaN, "note": "[[[null"}}' for name in names
    ]
    (folder / "metadata.jsonl").write_text("\n" + "\n\n".join(lines) + "\n")
    images = load_labelled_images(
        DatasetQuery(str(folder), label_column="label"), Access(tmp_path / "cache", progress=False)
    )
    assert len(images) == len(names) == 6
    images.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["train.jsonl", "train.json", "train.csv", "train.txt", "train.xml"])
@pytest.mark.parametrize("text", ["null\n", "a,b\n1,2\n"])
def test_a_table_without_images_is_refused_before_it_is_read(
    tmp_path: Path, hub: HubServer, name: str, text: str
) -> None:
    (tmp_path / "table").mkdir()
    (tmp_path / "table" / name).write_text(text)
    hub.add_repo("org/table", kind="dataset", folder=tmp_path / "table")
    access = Access(tmp_path / "cache", progress=False)
    for dataset in (str(tmp_path / "table"), "org/table"):
        with pytest.raises(
            DatasetError, match="A csv or jsonl table that only names image files is not an image dataset"
        ):
            load_labelled_images(DatasetQuery(dataset), access)
        with pytest.raises(DatasetError, match="is not an image dataset"):
            describe_dataset(dataset, cache_dir=tmp_path / "cache")
