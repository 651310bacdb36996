"""Stage 3: Candidate -> its files on this machine, at one commit, each with the bytes that the Hub announced.

`local_files.py` reads from top to bottom as its steps; `downloads.py` fetches the next candidates ahead.
`checked_folder.py` says what must hold of the files before any of them is read.
"""

from lead_hub.checkpoint_files.checked_folder import check_weights, read_json, safetensors_files
from lead_hub.checkpoint_files.downloads import Downloads
from lead_hub.checkpoint_files.local_files import (
    CheckpointFiles,
    are_weights_here,
    fetch_weights,
    find_checkpoint,
    with_weight_bytes,
)

__all__ = [
    "CheckpointFiles",
    "Downloads",
    "are_weights_here",
    "check_weights",
    "fetch_weights",
    "find_checkpoint",
    "read_json",
    "safetensors_files",
    "with_weight_bytes",
]
