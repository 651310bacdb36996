"""What identifies files: the form of a commit, one hash over several files, and what the Hub announces of one."""

import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

COMMIT = re.compile(r"[0-9a-f]{40}")
CONTENT = re.compile(r"[0-9a-f]{64}")
READ_BYTES = 1 << 20


def is_commit(text: object) -> bool:
    """Whether it is a commit of the Hub (40 hex digits), and no branch, and not the hash of local files (64)."""
    return isinstance(text, str) and COMMIT.fullmatch(text) is not None


def is_content_sha(text: object) -> bool:
    """Whether it is the sha256 of local files (64 hex digits)."""
    return isinstance(text, str) and CONTENT.fullmatch(text) is not None


def files_sha256(
    files: Iterable[tuple[str, Path]],
    *,
    heading: Callable[[str, int], str],
    check_wanted: Callable[[], None] = lambda: None,
) -> str:
    """64 hex digits over the names and the content of files, in the order of the names.

    Args:
        files: name and place of each; two sets with the same names and content agree, wherever they lie.
        heading: of a name and a size in bytes, put before the content, so that no file's end can be taken for the next
            one's name.
        check_wanted: called all along; what it raises ends the work.

    Raises:
        OSError: a file cannot be read.
    """
    digest = hashlib.sha256()
    for name, path in sorted(files):
        digest.update(heading(name, path.stat().st_size).encode())
        with path.open("rb") as file:
            while part := file.read(READ_BYTES):
                check_wanted()
                digest.update(part)
    return digest.hexdigest()


@dataclass(frozen=True)
class AnnouncedHash:
    """What the Hub says of a file's content.

    Attributes:
        size_bytes: its size; None where it is not told.
        sha256: of the content, for large files; else None.
        git_sha1: git's object id of the content, for the others.
    """

    size_bytes: int | None
    sha256: str | None
    git_sha1: str | None

    def fits(self, content: bytes | Path) -> bool:
        """Whether the content, or that of the file there, is what was announced; nothing announced fits all."""
        size_bytes = len(content) if isinstance(content, bytes) else content.stat().st_size
        if self.size_bytes is not None and self.size_bytes != size_bytes:
            return False
        if self.sha256 is None and self.git_sha1 is None:
            return True
        header = b"" if self.sha256 else f"blob {size_bytes}\0".encode()
        digest = hashlib.sha256(header) if self.sha256 else hashlib.sha1(header, usedforsecurity=False)
        if isinstance(content, bytes):
            digest.update(content)
        else:
            with content.open("rb") as file:
                while part := file.read(READ_BYTES):
                    digest.update(part)
        return digest.hexdigest() == (self.sha256 or self.git_sha1)
