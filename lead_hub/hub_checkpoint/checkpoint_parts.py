"""Which files of a checkpoint are needed: config, image processor, card, and one format of its weights."""

import re
from pathlib import Path

from lead_hub.errors import CandidateError
from lead_hub.hub_checkpoint.file_download import fetch
from lead_hub.hub_checkpoint.pinned_commit import PROCESSORS, HubCache, HubCheckpoint, RemoteFile

CARD = "README.md"
SETTINGS = ("config.json", *PROCESSORS, CARD)
SAFETENSORS = ("model.safetensors", "model.safetensors.index.json")
PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json")


def fetch_settings(pinned: HubCheckpoint, cache: HubCache) -> Path:
    """Download config, image processor and card; the folder that they are in.

    Raises:
        CandidateError: the Hub did not give them (stage "download").
    """
    folder = cache.snapshot(pinned.checkpoint, pinned.sha)
    if pinned.files is not None:
        fetch([file for file in pinned.files if file.name in SETTINGS], pinned, cache)
    return folder


def weight_files(pinned: HubCheckpoint, cache: HubCache) -> tuple[RemoteFile, ...]:
    """The files of one weight format: safetensors, else pickles if those are allowed.

    Raises:
        CandidateError: there are none (stage "download").
    """
    by_name = {file.name: file for file in pinned.files or ()}
    formats = [SAFETENSORS, PICKLES] if cache.allow_pickle else [SAFETENSORS]
    for whole, index in formats:
        if whole in by_name:
            return (by_name[whole],)
        if index in by_name:
            shard = re.compile(re.escape(whole).replace(r"\.", r"-\d+-of-\d+\.", 1))
            return (by_name[index], *(file for name, file in sorted(by_name.items()) if shard.fullmatch(name)))
    found = sorted(name for name in by_name if name.endswith((".bin", ".pt", ".pth", ".onnx", ".gguf", ".safetensors")))
    hint = ": pass allow_pickle=True to read pickles with torch's weights_only" if PICKLES[0] in by_name else ""
    raise CandidateError(
        f"{pinned.checkpoint}@{pinned.sha} must hold its weights as model.safetensors, found"
        f" {', '.join(found[:3]) or 'no weights'}{hint}",
        stage="download",
    )


def has_weights(folder: Path, *, allow_pickle: bool) -> bool:
    """Whether a whole set of weights is in the folder; an index's shards are checked when they are loaded."""
    formats = [SAFETENSORS, PICKLES] if allow_pickle else [SAFETENSORS]
    for whole, index in formats:
        if (folder / whole).is_file():
            return True
        if (folder / index).is_file():
            shards = set(re.findall(r'"([^"]+-\d+-of-\d+\.[a-z]+)"', (folder / index).read_text(encoding="utf-8")))
            return bool(shards) and all((folder / shard).is_file() for shard in shards)
    return False
