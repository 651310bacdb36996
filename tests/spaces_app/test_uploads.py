"""Zips of strangers: what is unpacked, and what is not."""

import io
import stat
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from PIL import Image

import spaces_app.uploads
from lead_hub.errors import DatasetError, RunCancelledError
from spaces_app.uploads import ShownZips, keep_for_now, unpacked


def picture() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (4, 4), "red").save(file, "PNG")
    return file.getvalue()


def zipped(path: Path, members: Mapping[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
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


def test_what_is_too_large_is_refused_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spaces_app.uploads, "MOST_BYTES", 1000)
    archive = zipped(tmp_path / "a.zip", {"cat/1.png": bytes(1001)})
    with pytest.raises(DatasetError, match=r"found 1 files of 0\.0 GB"), unpacked(archive):
        pass


@pytest.mark.slow
def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    # 300 MB of zeros in about 0.3 MB; a twentieth of them would be 15 MB.
    members = {f"{name}/{number}.png": bytes(10**7) for name in ("cat", "dog") for number in range(15)}
    archive = zipped(tmp_path / "a.zip", members, zipfile.ZIP_DEFLATED)
    with pytest.raises(DatasetError, match=r"packed to a 20th of them, found 300 MB in 0\.3 MB"), unpacked(archive):
        pass


def test_what_is_tightly_packed_but_small_is_unpacked(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", {"cat/1.bmp": bytes(10**6), "dog/1.bmp": bytes(10**6)}, zipfile.ZIP_DEFLATED)
    assert archive.stat().st_size < 10**4
    with unpacked(archive) as folder:
        assert (folder / "cat/1.bmp").stat().st_size == 10**6


def promised(archive: Path, name: str, **fields: int) -> Path:
    """The zip with another promise in its list of files; the format says where a field lies in an entry."""
    places = {"size": 24, "offset": 42}
    content = bytearray(archive.read_bytes())
    entry = content.index(name.encode(), content.index(b"PK\x01\x02")) - 46
    for field, value in fields.items():
        struct.pack_into("<I", content, entry + places[field], value)
    archive.write_bytes(bytes(content))
    return archive


def test_no_more_comes_out_than_the_list_of_files_promises(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", {"cat/1.png": bytes(10**7), "dog/1.png": bytes(10)}, zipfile.ZIP_DEFLATED)
    with pytest.raises(DatasetError, match="cannot be read"), unpacked(promised(archive, "cat/1.png", size=100)):
        pass


def test_bytes_that_several_entries_share_are_refused(tmp_path: Path) -> None:
    # Each entry alone is small; all of them read the same bytes.
    archive = zipped(tmp_path / "a.zip", {"cat/1.png": picture(), "cat/2.png": picture(), "dog/1.png": picture()})
    with pytest.raises(DatasetError, match="entries that overlap"), unpacked(promised(archive, "cat/2.png", offset=0)):
        pass


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_method_that_expands_in_one_piece_is_refused(tmp_path: Path, method: int) -> None:
    archive = zipped(tmp_path / "a.zip", {"cat/1.png": bytes(100), "dog/1.png": bytes(100)}, method)
    words = f"stored or deflated, found 'cat/1.png' packed by method {method}"
    with pytest.raises(DatasetError, match=words), unpacked(archive):
        pass


def test_a_list_of_very_many_files_is_not_read_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = zipped(tmp_path / "a.zip", {f"cat/{number}.png": b"" for number in range(1000)})
    # 46 bytes an entry and its name, the shortest of which has 9
    monkeypatch.setattr(spaces_app.uploads, "MOST_DIRECTORY_BYTES", 1000 * (46 + 9) - 1)
    with pytest.raises(DatasetError, match=r"50,000 files, found a list of files of 0 MB"), unpacked(archive):
        pass


def test_unpacking_ends_when_its_time_is_over(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", {"cat/1.png": picture(), "dog/1.png": picture()})
    with pytest.raises(DatasetError, match="unpacked within 0 s"), unpacked(archive, within_s=0.0):
        pass


def test_unpacking_ends_when_nobody_waits_for_it(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", {"cat/1.png": picture(), "dog/1.png": picture()})
    with pytest.raises(RunCancelledError), unpacked(archive, is_cancelled=lambda: True):
        pass


def test_a_file_is_not_lost_to_another_of_its_name(tmp_path: Path) -> None:
    members = {"cat/1.png": picture(), "cat\\1.png": picture(), "dog/1.png": picture()}
    with pytest.raises(DatasetError, match=r"'cat/1\.png' 2 times"), unpacked(zipped(tmp_path / "a.zip", members)):
        pass


def test_a_zip_in_a_zip_stays_packed(tmp_path: Path) -> None:
    inner = zipped(tmp_path / "inner.zip", {"cat/1.png": picture()}).read_bytes()
    archive = zipped(tmp_path / "a.zip", {"cat/1.png": picture(), "dog/1.png": picture(), "dog/inner.zip": inner})
    with unpacked(archive) as folder:
        assert names(folder) == {"cat/1.png", "dog/1.png"}


def test_a_zip_is_ranked_on_as_often_as_one_likes_and_says_when_it_is_gone(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", {"cat/1.png": picture(), "dog/1.png": picture()})
    for _ in range(2):
        with unpacked(archive) as folder:
            assert names(folder) == {"cat/1.png", "dog/1.png"}
    archive.unlink()
    with pytest.raises(DatasetError, match=r"found a\.zip gone.*choose it again") as caught, unpacked(archive):
        pass
    assert str(tmp_path) not in str(caught.value)


def test_a_zip_is_kept_while_a_page_shows_it(tmp_path: Path) -> None:
    """Two visitors with the same zip have one file: Gradio names an upload by its content."""
    archive, shown = zipped(tmp_path / "a.zip", {"cat/1.png": picture()}), ShownZips()
    shown.show("alice", archive)
    shown.show("bob", archive)
    shown.forget("alice")
    assert archive.exists()
    shown.show("bob", archive)
    assert archive.exists()
    other = zipped(tmp_path / "b.zip", {"dog/1.png": picture()})
    shown.show("bob", other)
    assert (archive.exists(), other.exists()) == (False, True)
    shown.forget("bob")
    assert not other.exists()
    shown.forget("carol")


def test_a_zip_that_another_visitor_has_just_uploaded_too_is_kept(tmp_path: Path) -> None:
    archive, shown = zipped(tmp_path / "a.zip", {"cat/1.png": picture()}), ShownZips()
    shown.show("alice", archive)
    zipped(tmp_path / "new", {"cat/1.png": picture()}).replace(archive)  # before the page of the other says so
    shown.forget("alice")
    assert archive.exists()


def test_a_zip_that_is_used_is_kept_for_longer(tmp_path: Path) -> None:
    archive, shown = zipped(tmp_path / "a.zip", {"cat/1.png": picture()}), ShownZips()
    shown.show("alice", archive)
    before = archive.stat().st_ctime_ns
    while archive.stat().st_ctime_ns == before:  # until the clock of the disk has moved on
        keep_for_now(archive)
    shown.forget("alice")
    assert not archive.exists()
    keep_for_now(archive)
    assert not archive.exists()


@pytest.mark.parametrize("content", [b"", b"no zip at all", b"PK\x03\x04 cut off"])
def test_what_is_no_zip_says_so(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(DatasetError, match="must be a zip of image folders"), unpacked(tmp_path / "a.zip"):
        pass


def test_a_zip_without_images_says_what_it_should_hold(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", {"a.txt": b"a"})
    with pytest.raises(DatasetError, match="in one folder a class"), unpacked(archive):
        pass


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_damaged_member_is_an_error_and_leaves_nothing(tmp_path: Path, method: int) -> None:
    archive = zipped(tmp_path / "a.zip", {"cat/1.png": picture(), "dog/1.png": picture()}, method)
    content = bytearray(archive.read_bytes())
    content[30 + len("cat/1.png") + 25] ^= 0xFF  # within its bytes, which follow its header and name
    archive.write_bytes(bytes(content))
    with pytest.raises(DatasetError, match="cannot be read"), unpacked(archive):
        pass


def test_a_name_that_is_no_text_is_an_error(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", {"cät/1.png": picture(), "dog/1.png": picture()})
    archive.write_bytes(archive.read_bytes().replace("ä".encode(), b"\xff\xff"))
    with pytest.raises(DatasetError, match="cannot be read"), unpacked(archive):
        pass
