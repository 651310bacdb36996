"""Stellarium's catalogue of deep-sky objects -> the type of the object that a picture is named after.

The file is gzip of Qt's data stream: edition and version, then one record an object; numbers are big-endian, a text is
its length in bytes and UTF-16.
"""

import gzip
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

# Numbers of types in the catalogue; what is of two kinds at once, or of none, is in no class.
TYPES = {
    0: "galaxy",
    1: "galaxy",
    6: "open_cluster",
    7: "globular_cluster",
    11: "planetary_nebula",
    12: "dark_nebula",
    13: "reflection_nebula",
    17: "emission_nebula",
    18: "supernova_remnant",
}
NO_TEXT = 0xFFFFFFFF
NUMBERED = ("ngc", "ic", "m", "c", "b", "sh2", "vdb", "rcw", "ldn", "lbn", "cr", "mel", "pgc", "ugc")


@dataclass
class _Stream:
    content: bytes
    place: int = 0

    def numbers(self, form: str) -> tuple[float, ...]:
        values = struct.unpack_from(f">{form}", self.content, self.place)
        self.place += struct.calcsize(f">{form}")
        return values

    def text(self) -> str:
        (size,) = struct.unpack_from(">I", self.content, self.place)
        self.place += 4
        if size == NO_TEXT:
            return ""
        self.place += size
        return self.content[self.place - size : self.place].decode("utf-16-be")


def read_types(content: bytes) -> dict[tuple[str, int], int]:
    """Catalogue and number of every object -> number of its type."""
    stream = _Stream(content)
    stream.text()
    stream.text()
    types: dict[tuple[str, int], int] = {}
    while stream.place < len(content):
        *_, kind = stream.numbers("IddddI")
        stream.text()
        stream.numbers("ddIdddddd")
        numbers = stream.numbers("14I")
        stream.text()
        stream.numbers("2I")
        for _ in range(7):
            stream.text()
        stream.numbers("5I")
        types |= {
            (catalogue, int(number)): int(kind)
            for catalogue, number in zip(NUMBERED, numbers, strict=True)
            if number
        }
    return types


def object_type(path: Path) -> Callable[[str], str | None]:
    """A function from the name of a picture, such as "ngc7000-vasey", to the class of its object, None for no class."""
    types = read_types(gzip.decompress(path.read_bytes()))

    def named(picture: str) -> str | None:
        match = re.fullmatch(r"(n|ngc|ic|m|b|barnard|sh2-|ldn|lbn|vdb)(\d+)(?!\d|-\d).*", picture.lower())
        if match is None:
            return None
        catalogue = {"n": "ngc", "barnard": "b", "sh2-": "sh2"}.get(match[1], match[1])
        return TYPES.get(types.get((catalogue, int(match[2])), -1))

    return named
