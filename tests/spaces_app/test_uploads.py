"""Zips of strangers: what is unpacked, and what is not."""

import io
import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from PIL import Image

import spaces_app.uploads
from lead_hub.errors import DatasetError
from spaces_app.uploads import unpacked


def picture() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (4, 4), "red").save(file, "PNG")
    return file.getvalue()


def zipped(path: Path, members: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_classes_are_found_below_the_folder_that_zips_often_add(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", {"birds/robin/1.png": picture(), "birds/wren/2.PNG": picture()})
    with unpacked(archive) as folder:
        assert names(folder) == {"robin/1.png", "wren/2.PNG"}
        assert (folder / "robin/1.png").read_bytes() == picture()
    assert not folder.exists()


def test_a_lone_split_stays_a_split(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", {"birds/train/robin/1.png": picture(), "birds/train/wren/2.png": picture()})
    with unpacked(archive) as folder:
        assert names(folder) == {"train/robin/1.png", "train/wren/2.png"}


def test_nothing_is_written_outside_and_only_data_is_unpacked(tmp_path: Path) -> None:
    members = {
        **{"cat/1.png": picture(), "dog/1.png": picture(), "../up.png": picture(), "/root.png": picture()},
        **{"a/../../up.png": picture(), "..\\up.png": picture(), "cat/code.py": b"x", "C:/x.png": picture()},
        **{"__MACOSX/cat/1.png": picture(), "cat/._1.png": picture(), ".git/x.png": picture()},
    }
    with unpacked(zipped(tmp_path / "a.zip", members)) as folder:
        assert names(folder) == {"cat/1.png", "dog/1.png"}
        assert {path.name for path in folder.parent.iterdir()}.isdisjoint({"up.png", "root.png"})


def test_a_link_in_a_zip_is_not_followed(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        link = zipfile.ZipInfo("cat/passwords.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("cat/1.png", picture())
        archive.writestr("dog/1.png", picture())
    with unpacked(tmp_path / "a.zip") as folder:
        assert names(folder) == {"cat/1.png", "dog/1.png"}


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spaces_app.uploads, "MOST_BYTES", 1000)
    archive = zipped(tmp_path / "a.zip", {"cat/1.png": bytes(1001)})
    with pytest.raises(DatasetError, match=r"found 1 files of 0\.0 GB"), unpacked(archive):
        pass


@pytest.mark.parametrize("content", [b"", b"no zip at all", b"PK\x03\x04 cut off"])
def test_what_is_no_zip_says_so(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(DatasetError, match="must be a zip of image folders"), unpacked(tmp_path / "a.zip"):
        pass


def test_a_zip_without_images_says_what_it_should_hold(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", {"a.txt": b"a"})
    with pytest.raises(DatasetError, match="in one folder a class"), unpacked(archive):
        pass


def test_a_damaged_member_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", {"cat/1.png": picture(), "dog/1.png": picture()})
    content = bytearray(archive.read_bytes())
    content[content.index(picture()[:20]) + 25] ^= 0xFF
    archive.write_bytes(bytes(content))
    with pytest.raises(DatasetError, match="cannot be read"), unpacked(archive):
        pass
