"""Where the content of a file lies in the Hub's cache: a snapshot's file is a link to it.

The link leads to `<repository>/blobs/<hash that the Hub announced>`. From huggingface_hub 2 on that may be a link
itself, into a store that all repositories share, `<cache>/blobs/ab/<another hash>`.
"""

import os
from pathlib import Path

STORE = "blobs"  # in the root of the cache


def content_of(path: Path) -> Path:
    """The content in the repository's own part of the cache, named by the announced hash; elsewhere the file itself."""
    return path.parent / path.readlink() if path.is_symlink() else path


def remove_cached(path: Path) -> None:
    """Remove a snapshot's file and the repository's content of it; what other repositories share stays."""
    content_of(path).unlink(missing_ok=True)
    path.unlink(missing_ok=True)


def lies_in_cache(path: Path, *, home: Path, cache: Path) -> bool:
    """Whether a file that lies in a repository's part of the cache, whatever it is linked to, has its content there.

    Args:
        path: absolute.
        home: the repository's part.
        cache: its root, whose store may hold the content, if the repository names it.
    """
    real, home, store = (Path(os.path.realpath(each)) for each in (path, home, cache / STORE))
    if real.is_relative_to(home):
        return True
    named = content_of(path)
    return Path(os.path.realpath(named.parent)).is_relative_to(home) and real.is_relative_to(store)
