"""The project's Markdown files, taken apart: fenced blocks with what they need, commands, links, tables."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
CONTRIBUTING = ROOT / ".github" / "CONTRIBUTING.md"
DOCUMENTS = (README, CONTRIBUTING, *sorted((ROOT / "lead_hub").glob("*/README.md")), ROOT / "spaces_app" / "README.md")

FENCE = re.compile(r"```(\w*)\s*")
NEEDS = re.compile(r"<!-- needs: (.+) -->")
LINK = re.compile(r"\]\(([^)\s]+)\)")
SEPARATORS = {"&&", "|", ";"}


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        document: the file that holds it.
        line: number of its first line of text, from 1.
        language: of the fence, empty without one.
        text: what stands between the fences.
        needs: what it takes that a test has not, as the comment above the fence says; empty without one.
    """

    document: Path
    line: int
    language: str
    text: str
    needs: str

    def __str__(self) -> str:
        return f"{self.document.relative_to(ROOT)}:{self.line}"


def blocks(document: Path) -> list[Block]:
    """The fenced blocks of a document, in order."""
    lines = document.read_text(encoding="utf-8").splitlines()
    found, start = [], None
    for number, line in enumerate(lines):
        fence = FENCE.fullmatch(line)
        if start is None and fence:
            start = number
        elif fence:
            needs = NEEDS.fullmatch(lines[start - 1]) if start else None
            text = "\n".join(lines[start + 1 : number])
            language = FENCE.fullmatch(lines[start])[1]
            found.append(Block(document, start + 2, language, text, needs[1] if needs else ""))
            start = None
    assert start is None, f"{document}: the block that starts in line {start} has no end"
    return found


def prose(document: Path) -> str:
    """The text outside of fenced blocks."""
    return re.sub(r"(?ms)^```.*?^```$", "", document.read_text(encoding="utf-8"))


def commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """Each command of a shell text as its words, after what separates it from the one before ("" for a new line)."""
    for line in text.splitlines():
        reader = shlex.shlex(line, posix=True, punctuation_chars="|&;")
        reader.whitespace_split = True
        separator, words = "", []
        for word in reader:
            if word in SEPARATORS:
                yield separator, words
                separator, words = word, []
            else:
                words.append(word)
        if words:
            yield separator, words


def inline_commands(document: Path) -> list[str]:
    """Commands that stand in the running text."""
    return re.findall(r"`((?:lead-hub|python -m) [^`]+)`", prose(document))


def tables(document: Path) -> list[list[list[str]]]:
    """Every table as its rows of cells, the header first."""
    found: list[list[list[str]]] = []
    is_within = False
    for line in prose(document).splitlines():
        if line.startswith("|"):
            if not is_within:
                found.append([])
            if not set(line) <= set("|-: "):
                found[-1].append([cell.strip() for cell in line.strip("|").split("|")])
        is_within = line.startswith("|")
    return found


def table(document: Path, *header: str) -> list[list[str]]:
    """The rows of the one table whose header starts with these cells."""
    (found,) = (rows for rows in tables(document) if rows[0][: len(header)] == list(header))
    return found[1:]


def names(cell: str) -> list[str]:
    """What stands between backticks."""
    return re.findall(r"`([^`]+)`", cell)


def anchors(document: Path) -> set[str]:
    """What a link may say after "#": the headings as GitHub writes them."""
    titles = re.findall(r"(?m)^#+ (.+)$", prose(document))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
