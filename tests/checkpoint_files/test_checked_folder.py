"""A folder that cannot be a checkpoint's is refused when it is found: at once, and before any of its files is read."""

import os
from pathlib import Path

import pytest

from lead_hub.access import Access
from lead_hub.candidates import Candidate
from lead_hub.checkpoint_files.checked_folder import MOST_JSON_BYTES
from lead_hub.checkpoint_files.local_files import MOST_CARD_BYTES, find_checkpoint
from lead_hub.errors import CandidateError
from tests.checkpoint_files.test_local_files import write_checkpoint

READ = ("config.json", "preprocessor_config.json", "processor_config.json", "model.safetensors")


def refusal(folder: Path, *, allow_pickle: bool = False) -> str:
    with pytest.raises(CandidateError) as caught:
        find_checkpoint(Candidate(str(folder)), Access(folder / "unused", allow_pickle=allow_pickle))
    assert caught.value.stage == "load"
    return str(caught.value)


@pytest.mark.parametrize("name", READ)
def test_a_pipe_is_no_file(tmp_path: Path, name: str) -> None:
    """Nobody writes into it: reading it would never end."""
    folder = write_checkpoint(tmp_path / "mine")
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    assert f"{name} must be a plain file, in {folder} it is a pipe" in refusal(folder)


@pytest.mark.parametrize("name", READ)
def test_a_device_is_no_file(tmp_path: Path, name: str) -> None:
    folder = write_checkpoint(tmp_path / "mine")
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to("/dev/zero")
    assert "it is a device" in refusal(folder)


@pytest.mark.parametrize("name", [*READ, "model-00001-of-00002.safetensors", "model.safetensors.index.json"])
def test_a_folder_is_no_file(tmp_path: Path, name: str) -> None:
    folder = write_checkpoint(tmp_path / "mine")
    (folder / name).unlink(missing_ok=True)
    (folder / name).mkdir()
    assert f"{name} must be a plain file, in {folder} it is a folder" in refusal(folder)


@pytest.mark.parametrize("name", ["config.json", "processor_config.json", "model.safetensors.index.json"])
def test_json_of_an_absurd_size_is_not_read(tmp_path: Path, name: str) -> None:
    folder = write_checkpoint(tmp_path / "mine")
    with (folder / name).open("wb") as file:
        file.truncate(MOST_JSON_BYTES + 1)
    assert f"{name} must take at most 17 MB" in refusal(folder)


def test_an_adapter_beside_whole_weights_is_refused(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "mine")
    (folder / "adapter_config.json").write_text("{}")
    assert "holds an adapter: merge it" in refusal(folder)


def test_no_weights_that_may_be_read(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "mine")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert "holds only pickles (pytorch_model.bin): pass allow_pickle=True" in refusal(folder)
    (folder / "pytorch_model.bin").rename(folder / "weights.h5")
    assert "holds no weights that can be read" in refusal(folder, allow_pickle=True)


def test_a_card_that_cannot_be_one_is_not_read(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "mine", card="---\nlicense: mit\n---\n" + "x" * MOST_CARD_BYTES)
    assert find_checkpoint(Candidate(str(folder)), Access(tmp_path)).licence is None
    (folder / "README.md").unlink()
    os.mkfifo(folder / "README.md")
    assert find_checkpoint(Candidate(str(folder)), Access(tmp_path)).licence is None


@pytest.mark.parametrize(
    ("datasets", "names"),
    [("7", ()), ("{a: 1}", ()), ("org/pets", ("org/pets",)), ("[org/pets, 7, [x]]", ("org/pets",)), ("", ())],
)
def test_strange_datasets_of_a_card_are_no_names(tmp_path: Path, datasets: str, names: tuple[str, ...]) -> None:
    folder = write_checkpoint(tmp_path / "mine", card=f"---\ndatasets: {datasets}\nlicense: mit\n---\n# Mine\n")
    files = find_checkpoint(Candidate(str(folder)), Access(tmp_path))
    assert (files.datasets, files.licence) == (names, "mit")
