"""What checkpoints, datasets and notes are called in public: never by a path of this machine, safe as a file name."""

import hashlib
import re
from pathlib import Path

LOCAL = "local--"
LONGEST_SLUG = 120
HUB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?")
_PART = r"[^\s\\/'\",;()]+"
_FURTHER = r" (?!~)[^\s\\/'\",;():]+"
# A name within a path may hold blanks where another part follows: rather a word too many is hidden than a folder shown.
PATH_IN_TEXT = re.compile(
    rf"(?<![\w.:/\\])(?:file://)?(?:~|[A-Za-z]:)?(?:[\\/]{_PART}(?:(?:{_FURTHER}){{1,8}}(?=[\\/]))?)+[\\/]?"
)
QUOTED_PATH = re.compile(r"(?P<quote>['\"])(?:file://)?(?:~|[A-Za-z]:)?[\\/][^'\"\\/\n][^'\"\n]*(?P=quote)")


def public_name(name: str, *, is_local: bool) -> str:
    """A Hub id as it is; anything of this machine's disk as "local--" and its own last name."""
    if not is_local and HUB_ID.fullmatch(name) and ".." not in name and LOCAL not in name:
        return name
    last = re.split(r"[\\/]", name.rstrip("\\/"))[-1].removeprefix(LOCAL)
    return LOCAL + slug(last or "unnamed")


def slug(name: str) -> str:
    """A file name for a public name: "/" becomes "--"; whatever else had to change is told apart by 8 hex digits."""
    kept = re.sub(r"[^A-Za-z0-9._-]", "-", name.replace("/", "--"))
    kept = re.sub(r"\.\.+", "-", kept)
    kept = re.sub(r"^\.", "-", kept)[:LONGEST_SLUG]
    # "local/x" and "a/b--c" would read like the names of others.
    ambiguous = "--" in name.removeprefix(LOCAL) or name.startswith("local/")
    if kept == name.replace("/", "--") and not ambiguous:
        return kept
    return f"{kept}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def without_paths(text: str, private: dict[str, str]) -> str:
    """The text with the private paths replaced, and every other absolute path shortened to its last name.

    Args:
        text: a note for people.
        private: public name by the path that it stands for.
    """
    for path, public in sorted(private.items(), key=lambda pair: -len(pair[0])):
        if "/" in path or "\\" in path:
            text = text.replace(path, public)
    text = text.replace(str(Path.home()), "~")
    text = QUOTED_PATH.sub(lambda match: match["quote"] + _last_name(match[0][1:-1]) + match["quote"], text)
    return PATH_IN_TEXT.sub(lambda match: _last_name(match[0]), text)


def _last_name(path: str) -> str:
    return re.split(r"[\\/]", path.rstrip("\\/"))[-1]
