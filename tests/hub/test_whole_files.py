"""Files of lead-hub's own: whole, and where they tell of private things for their owner alone."""

from pathlib import Path

import pytest

from lead_hub.access import Access
from lead_hub.hub import assets_folder, write_text_whole, written_whole


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_private_file_and_the_folders_made_for_it_are_their_owners_alone(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    file = tmp_path / "outputs" / "deep" / "board.json"
    with written_whole(file, private=True) as part:
        assert mode(part) == 0o600  # also while it is written
        part.unlink()
        part.write_text("{}")  # as a library does that writes beside and renames
    assert (mode(file), mode(file.parent), mode(file.parent.parent)) == (0o600, 0o700, 0o700)
    assert mode(tmp_path) == 0o755
    file.chmod(0o644)
    write_text_whole(file, "[]", private=True)
    assert (mode(file), file.read_text()) == (0o600, "[]")


def test_another_file_is_as_the_umask_says(tmp_path: Path) -> None:
    write_text_whole(tmp_path / "a" / "index.json", "{}")
    (tmp_path / "plain").write_text("")
    assert mode(tmp_path / "a" / "index.json") == mode(tmp_path / "plain")


def test_where_things_are_kept_is_known_without_making_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import cached_assets_path, constants

    monkeypatch.setattr(constants, "HF_ASSETS_CACHE", str(tmp_path / "assets"))
    assert Access().outputs_folder == assets_folder("outputs")
    assert not (tmp_path / "assets").exists()
    expected = cached_assets_path(library_name="lead_hub", namespace="outputs", assets_dir=tmp_path / "assets")
    assert assets_folder("outputs") == expected
