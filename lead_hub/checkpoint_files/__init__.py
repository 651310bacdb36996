"""Stage 3: Candidate -> its files on this machine, at one commit, each with the bytes that the Hub announced.

`local_files.py` reads from top to bottom as its steps; `downloads.py` fetches the next candidates ahead.
"""

from lead_hub.checkpoint_files.downloads import Downloads
from lead_hub.checkpoint_files.local_files import CheckpointFiles, fetch_weights, find_checkpoint

__all__ = [
    "CheckpointFiles",
    "Downloads",
    "fetch_weights",
    "find_checkpoint",
]
