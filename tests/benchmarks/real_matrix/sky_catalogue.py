"""Stellarium's catalogue of deep-sky objects -> the object that a picture is named after.

The file is gzip of Qt's data stream: edition and version, then one record an object; numbers are big-endian, a text is
its length in bytes and UTF-16.
"""

import gzip
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# Numbers of types in the catalogue; what is of two kinds at once, or of none, is in no class.
GALAXIES = (0, 1, 3)
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
# De Vaucouleurs' types as the catalogue writes them, with or without a ring and the stage behind the family.
HUBBLE_TYPES = {
    "elliptical_or_lenticular": r"d?E|dSph|S(A|B|AB)?(\(\w+\))?0",
    "irregular": r"d?I",
    "weakly_barred_spiral": r"(\(R'?\))?SAB",
    "barred_spiral": r"(\(R'?\))?SB",
    "ordinary_spiral": r"(\(R'?\))?S(A|[abcd])",
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


@dataclass(frozen=True)
class SkyObject:
    """What the catalogue says of an object.

    Attributes:
        kind: number of its type.
        shape: its Hubble type or the like as a text, "" where it has none.
    """

    kind: int
    shape: str


@dataclass(frozen=True)
class Catalogue:
    """The objects by catalogue and number."""

    objects: Mapping[tuple[str, int], SkyObject]

    def named(self, picture: str) -> SkyObject | None:
        """The one object that a picture such as "n7000-vasey" is named after; None for none, or for several."""
        match = re.fullmatch(r"(n|ngc|ic|m|b|barnard|sh2-|ldn|lbn|vdb)(\d+)(?!\d|-\d).*", picture.lower())
        if match is None:
            return None
        catalogue = {"n": "ngc", "barnard": "b", "sh2-": "sh2"}.get(match[1], match[1])
        return self.objects.get((catalogue, int(match[2])))


def read_catalogue(path: Path) -> Catalogue:
    """The catalogue of a file."""
    return parse_catalogue(gzip.decompress(path.read_bytes()))


def parse_catalogue(content: bytes) -> Catalogue:
    """The catalogue of an unpacked file's bytes; every byte is read."""
    stream = _Stream(content)
    stream.text()
    stream.text()
    objects: dict[tuple[str, int], SkyObject] = {}
    while stream.place < len(content):
        *_, kind = stream.numbers("IddddI")
        shape = stream.text()
        stream.numbers("ddIdddddd")
        numbers = stream.numbers(f"{len(NUMBERED)}I")
        stream.text()
        stream.numbers("2I")
        for _ in range(7):
            stream.text()
        stream.numbers("5I")
        found = SkyObject(int(kind), shape)
        objects |= {(name, int(number)): found for name, number in zip(NUMBERED, numbers, strict=True) if number}
    return Catalogue(objects)


def sky_class(found: SkyObject) -> str | None:
    """What kind of object it is."""
    return TYPES.get(found.kind)


def galaxy_class(found: SkyObject) -> str | None:
    """Of which shape a galaxy is; None for all else."""
    if found.kind not in GALAXIES:
        return None
    return next((name for name, pattern in HUBBLE_TYPES.items() if re.match(pattern, found.shape)), None)
