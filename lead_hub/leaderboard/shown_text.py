"""Text by others (names, notes, reasons) -> text that is safe to show: one line, no markup, written one way."""

import re
from html import escape
from pathlib import PurePath
from urllib.parse import quote, urlsplit

from lead_hub.hub import is_commit, is_content_sha
from lead_hub.leaderboard.rows import RankedCheckpoint
from lead_hub.score_cards import HUB_ID

HUB = "https://huggingface.co"
LONGEST_NAME = 60
LONGEST_ID = 193  # 96 characters each for owner and name, and the slash
# A path of a machine: a slash that begins a word, and two parts or more. No Hub id, link or class "a/b" has one.
# A name within it may hold blanks where another part follows: rather a word too many is hidden than a folder shown.
_PART = r"[^\s/'\"`<>|,;:()\[\]{}]+"
_PATH = re.compile(rf"(?:(?<=file://)|(?<![\w./~-]))~?(?:/{_PART}(?:(?: (?!~){_PART}){{1,8}}(?=/))?){{2,}}/?")
_CACHED = re.compile(
    r"/(?:model|dataset|space)s--([^/]+?)/snapshots/[0-9a-f]+"
)  # where the Hub's client keeps a repository
_JOINERS = "\u200c\u200d"  # part of some scripts' words and of emoji; harmless, though str.isprintable says no


def one_line(text: str, *, at_most: int | None = None) -> str:
    """The text without line breaks, control characters and marks that turn the direction of writing.

    Args:
        text: by anybody.
        at_most: characters; what is too long loses its middle. None keeps all.
    """
    line = " ".join("".join(sign if sign.isprintable() or sign in _JOINERS else " " for sign in text).split())
    if at_most is None or len(line) <= at_most:
        return line
    end = at_most // 3
    return f"{line[: at_most - end - 1]}…{line[-end:]}"


def escaped(text: str, *, at_most: int | None = None) -> str:
    """HTML that shows the text and does nothing else, in an element or an attribute in double quotes."""
    return escape(one_line(text, at_most=at_most), quote=True)


def bdi(text: str, *, at_most: int = LONGEST_NAME) -> str:
    """HTML of a name within other text: it keeps its own direction, and tells the whole of it when pointed at."""
    title = f' title="{escaped(text)}"' if len(one_line(text)) > at_most else ""
    return f"<bdi{title}>{escaped(text, at_most=at_most)}</bdi>"


def without_paths(text: str) -> str:
    """The text with "…/name" for every path of a machine, and the id of a repository for its place on the disk."""
    return _PATH.sub(_place, text)


def _place(path: re.Match[str]) -> str:
    cached = _CACHED.search(path[0])
    if cached is None:
        return f"…/{PurePath(path[0]).name}"
    return cached[1].replace("--", "/") + path[0][cached.end() :].rstrip("/")


def folder_name(path: str) -> str:
    """The last two parts of a path."""
    return "/".join(PurePath(path).parts[-2:])


def hub_link(name: str, sha: str, *, pages: str) -> str | None:
    """Address of a Hub page, or None for what is no repository of the Hub.

    Args:
        name: Hub id, or anything else.
        sha: the commit that was read; what came from a folder has another kind of sha, and no page.
        pages: the Hub's address, with "/datasets" for those.
    """
    is_id = HUB_ID.fullmatch(name) is not None and len(name) <= LONGEST_ID and ".." not in name
    is_web = urlsplit(pages).scheme in ("http", "https")
    return f"{pages.rstrip('/')}/{quote(name)}" if is_id and is_web and is_commit(sha) else None


def linked(name: str, address: str | None, *, at_most: int = LONGEST_NAME) -> str:
    """HTML of a name, with a link where there is an address; opens beside the page."""
    if address is None:
        return bdi(name, at_most=at_most)
    return f'<a href="{escape(address, quote=True)}" target="_blank" rel="noopener">{bdi(name, at_most=at_most)}</a>'


def row_name(row: RankedCheckpoint) -> str:
    """A Hub id, with the branch or tag if one was asked for; a folder by its own name and its parent's. Not escaped."""
    name = folder_name(row.checkpoint) if is_content_sha(row.sha) else row.checkpoint
    return one_line(name if row.revision in (None, row.sha) else f"{name}@{row.revision}")
