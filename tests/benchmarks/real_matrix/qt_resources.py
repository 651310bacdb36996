"""A Qt resource file (.rcc) -> the files in it, by the path that programs know them by.

The format, all numbers big-endian: "qres", version, offsets of tree, data and names, and from version 3 on flags for
all. A node of the tree is the offset of its name, two bytes of flags, then for a folder the number of its children and
the first of them, for a file country, language and the offset of its data; from version 2 on a time of change follows.
A name is its length, a hash and UTF-16. Data is its length and the bytes.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MAGIC = b"qres"
VERSIONS = (1, 2, 3)
COMPRESSED, FOLDER, COMPRESSED_ZSTD = 1, 2, 4
TIME_SIZE = 8


class ResourceError(ValueError):
    """A file is no Qt resource file, or one that this reader does not know."""


@dataclass(frozen=True)
class _Resource:
    content: bytes
    node_size: int
    tree: int
    data: int
    names: int

    def name(self, offset: int) -> str:
        (length,) = struct.unpack_from(">H", self.content, self.names + offset)
        start = self.names + offset + 6
        return self.content[start : start + 2 * length].decode("utf-16-be")

    def files(self, node: int, folder: str) -> Iterator[tuple[str, bytes]]:
        """The files at or under a node of the tree."""
        place = self.tree + node * self.node_size
        name, flags = struct.unpack_from(">IH", self.content, place)
        path = folder + self.name(name) if node else ""
        if flags & FOLDER:
            count, first = struct.unpack_from(">II", self.content, place + 6)
            for child in range(first, first + count):
                yield from self.files(child, f"{path}/" if node else "")
        else:
            (offset,) = struct.unpack_from(">I", self.content, place + 10)
            yield path, self.unpacked(offset, flags, path)

    def unpacked(self, offset: int, flags: int, path: str) -> bytes:
        (size,) = struct.unpack_from(">I", self.content, self.data + offset)
        start = self.data + offset + 4
        packed = self.content[start : start + size]
        if flags & COMPRESSED_ZSTD:
            raise ResourceError(f"{path} must be stored plainly or by zlib, found zstd")
        # Qt puts the unpacked size before zlib's stream.
        return zlib.decompress(packed[4:]) if flags & COMPRESSED else packed


def read_resources(content: bytes) -> dict[str, bytes]:
    """All files in the bytes of a .rcc file.

    Raises:
        ResourceError: another format, or a compression that is not read here.
    """
    if content[:4] != MAGIC:
        raise ResourceError(f"a Qt resource file begins with {MAGIC!r}, found {content[:4]!r}")
    version, tree, data, names = struct.unpack_from(">4I", content, 4)
    if version not in VERSIONS:
        raise ResourceError(f"the version must be one of {VERSIONS}, found {version}")
    node_size = 14 + (TIME_SIZE if version > 1 else 0)
    return dict(_Resource(content, node_size, tree, data, names).files(0, ""))


def read_resource_file(path: Path) -> dict[str, bytes]:
    """The files of a .rcc file on disk; raises as `read_resources`."""
    return read_resources(path.read_bytes())
