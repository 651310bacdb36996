"""What must hold of a checkpoint's folder before any of its files is read: plain files, of a sane size, whole weights.

Judged wherever a candidate is found, so before anything that was kept of the same content is used.
"""

import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lead_hub.errors import CandidateError

PROCESSORS = ("preprocessor_config.json", "processor_config.json")
CONFIGURATION = ("config.json", *PROCESSORS)
SAFETENSORS = ("model.safetensors", "model.safetensors.index.json")
PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json")
SAFETENSORS_PATTERNS = ("model*.safetensors", "model.safetensors.index.json")
PICKLE_PATTERNS = ("pytorch_model*.bin", "pytorch_model.bin.index.json")
# A config that names and describes 21,841 classes takes 3 MB, an index of a thousand shards less than 16.
MOST_JSON_BYTES = 16 << 20
ADAPTER = "adapter_config.json"
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def check_plain_files(folder: Path, *, allow_pickle: bool) -> None:
    """Refuse a folder whose files cannot be a checkpoint's, judged by their names, kinds and sizes alone.

    Raises:
        CandidateError: something other than a plain file, JSON of an absurd size, or an adapter (stage "load").
    """
    for path in _files_that_are_read(folder, allow_pickle=allow_pickle):
        _check_plain(path, folder)
    if (folder / ADAPTER).is_file():
        # With peft installed, transformers would fetch the base model it names from the Hub.
        raise CandidateError(
            f"a checkpoint must hold all of its weights, {folder} holds an adapter: merge it into its base model",
            stage="load",
        )


def _files_that_are_read(folder: Path, *, allow_pickle: bool) -> Iterator[Path]:
    yield from (folder / name for name in (*CONFIGURATION, ADAPTER))
    for pattern in SAFETENSORS_PATTERNS + (PICKLE_PATTERNS if allow_pickle else ()):
        yield from sorted(folder.glob(pattern))


def _check_plain(path: Path, folder: Path) -> None:
    try:
        status = path.stat()
    except FileNotFoundError:  # nothing of that name, or a link to nothing: said where the file is needed
        return
    except OSError as error:
        raise CandidateError(
            f"{path.name} must be a readable file, in {folder} it is not: {error}", stage="load"
        ) from error
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "something else")
        raise CandidateError(
            f"{path.name} must be a plain file, in {folder} it is {kind}: put the checkpoint's own file there",
            stage="load",
        )
    if path.suffix == ".json":
        check_json_size(path.name, status.st_size, where=str(folder))


def check_json_size(name: str, size_bytes: int, *, where: str) -> None:
    """Refuse a JSON file that is too large to be what its name says.

    Raises:
        CandidateError: it is (stage "load").
    """
    if size_bytes > MOST_JSON_BYTES:
        raise CandidateError(
            f"{name} must take at most {MOST_JSON_BYTES / 1e6:.0f} MB, in {where} it takes {size_bytes / 1e6:.0f} MB:"
            " it is no settings file of a checkpoint",
            stage="load",
        )


def read_json(folder: Path, name: str) -> dict[str, Any]:
    """A JSON object in the checkpoint's folder.

    Raises:
        CandidateError: there is none, or it cannot be read (stage "load").
    """
    _check_plain(folder / name, folder)
    try:
        content = json.loads((folder / name).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CandidateError(
            f"a checkpoint folder must hold {name}, {folder} does not: save the model with save_pretrained",
            stage="load",
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise CandidateError(
            f"{name} must be a readable JSON file, in {folder} it is not: {error}; download it again", stage="load"
        ) from error
    if not isinstance(content, dict):
        raise CandidateError(
            f"{name} must hold a JSON object, found {type(content).__name__} in {folder}", stage="load"
        )
    return content


def check_weights(folder: Path, *, allow_pickle: bool) -> None:
    """Refuse a folder without weights, or with pickles only unless they are allowed.

    Raises:
        CandidateError: so it is, or its files cannot be a checkpoint's (stage "load").
    """
    check_plain_files(folder, allow_pickle=allow_pickle)
    whole, index = SAFETENSORS
    if (folder / whole).is_file():
        return
    if (folder / index).is_file():
        shard_names(folder)
        return
    pickles = sorted(path.name for path in folder.glob("*.bin"))
    if allow_pickle and any((folder / name).is_file() for name in PICKLES):
        return
    if pickles and not allow_pickle:
        raise CandidateError(
            f"weights must be safetensors, {folder} holds only pickles ({', '.join(pickles)}): pass allow_pickle=True"
            " to read them with torch's weights_only, or convert them",
            stage="load",
        )
    raise CandidateError(
        f"a checkpoint folder must hold model.safetensors (or its index), {folder} holds no weights that can be"
        " read: save the model with save_pretrained",
        stage="load",
    )


def shard_names(folder: Path) -> tuple[str, ...]:
    """The safetensors files that the folder's index names, in order.

    Raises:
        CandidateError: the index cannot be read, or names none or other files (stage "load").
    """
    # An index could name pickles, or files elsewhere on this machine.
    index = SAFETENSORS[1]
    shards = read_json(folder, index).get("weight_map")
    names = set(map(str, shards.values())) if isinstance(shards, dict) else set()
    strange = sorted(name for name in names if not name.endswith(".safetensors") or Path(name).name != name)
    if strange or not names:
        raise CandidateError(
            f"{index} must name safetensors files beside it, found {strange[:3] or 'none'} in {folder}", stage="load"
        )
    return tuple(sorted(names))


def safetensors_files(folder: Path) -> tuple[Path, ...]:
    """The folder's safetensors weights; none where it has pickles.

    Raises:
        CandidateError: the index cannot be read, or names none or other files (stage "load").
    """
    whole, index = SAFETENSORS
    if (folder / whole).is_file():
        return (folder / whole,)
    return tuple(folder / name for name in shard_names(folder)) if (folder / index).is_file() else ()
