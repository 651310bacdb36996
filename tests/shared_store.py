"""The Hub's cache as huggingface_hub 2 leaves it for files that came by Xet: content in a store of all repositories."""

import hashlib
import os
from pathlib import Path


def move_to_shared_store(cache: Path) -> list[Path]:
    """Move every large file's content there, and link to it from where it was; the new places."""
    store = cache / "blobs"
    store.mkdir(exist_ok=True)
    (store / ".huggingface-shared-blobs").write_text("1\n")
    moved = []
    for content in sorted(cache.glob("*--*/blobs/*")):
        if content.is_symlink() or len(content.name) != 64:
            continue
        # Xet's own hash of the content is another one; any of its form will do.
        other = hashlib.sha256(b"of another form " + content.read_bytes()).hexdigest()
        place = store / other[:2] / other
        place.parent.mkdir(exist_ok=True)
        content.rename(place)
        content.symlink_to(os.path.relpath(place, content.parent))
        links = place.with_name(f"{other}.refs")
        with links.open("a") as file:
            file.write(f"{content.relative_to(cache).as_posix()}\n")
        moved.append(place)
    return moved
