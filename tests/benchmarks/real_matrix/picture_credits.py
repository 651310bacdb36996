"""Who took the photographs of GCompris, and under which licence they are: the README files beside them say it.

A README is paragraphs of `Copyright:`, `Source:`, `License:`, perhaps `Comments:`, and `Files:` with a name a line.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

# Names that a README has otherwise than the file beside it.
MISSPELT = {"screDriver.webp": "screwDriver.webp", "germany/audaPalatina.webp": "germany/aulaPalatina.webp"}
FIELD = re.compile(r"(Copyright|Source|License|Comments?|Files?):\s*(.*)")


@dataclass(frozen=True)
class Credit:
    """Of one picture: who made it, under which licence, and where it is from."""

    author: str
    licence: str
    source: str


def read_credits(resources: Mapping[str, bytes]) -> dict[str, Credit]:
    """The credit of every picture that a README of the same resource file names, by the picture's path."""
    found: dict[str, Credit] = {}
    for path, content in resources.items():
        if PurePosixPath(path).name == "README":
            folder = PurePosixPath(path).parent
            for name, credit in _named(content.decode()):
                found[str(folder / MISSPELT.get(name, name))] = credit
    return found


def _named(readme: str) -> Iterator[tuple[str, Credit]]:
    for paragraph in re.split(r"\n\s*\n", readme):
        fields: dict[str, list[str]] = {}
        current = ""
        for line in paragraph.strip().splitlines():
            match = FIELD.match(line)
            current = match[1].removesuffix("s") if match else current
            fields.setdefault(current, []).append((match[2] if match else line).strip())
        author, licence, source = (" ".join(fields.get(name, [])) for name in ("Copyright", "License", "Source"))
        for name in fields.get("File", []):
            if name and author and licence:
                yield name, Credit(author, licence, source)
