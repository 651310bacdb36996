"""Names under which things are published."""

import hashlib
from pathlib import Path

import pytest

from lead_hub.score_cards.public_names import public_name, slug, without_paths


def marked(text: str, name: str) -> str:
    return f"{text}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("org/name", "org--name"),
        ("squad", "squad"),
        ("org/na me", marked("org--na-me", "org/na me")),
        ("../../etc", marked("---------etc", "../../etc")),
        (".hidden", marked("-hidden", ".hidden")),
        ("a/b--c", marked("a--b--c", "a/b--c")),
        ("local/x", marked("local--x", "local/x")),
        ("local--x", "local--x"),
    ],
)
def test_slugs_by_hand(name: str, expected: str) -> None:
    if name == "../../etc":  # ".." is replaced as one, "/" as ever
        expected = marked("------etc", name)
    assert slug(name) == expected


def test_distinct_names_have_distinct_slugs_that_are_safe_file_names() -> None:
    names = [
        "a/b",
        "a--b",
        "a-b",
        "a b",
        "a\tb",
        "a:b",
        "a..b",
        ".a",
        "-a",
        "..",
        "ü",
        "local/b",
        "local--b",
        "x" * 300,
    ]
    slugs = [slug(name) for name in [*names, "x" * 301]]
    assert len(set(slugs)) == len(names) + 1
    for text in slugs:
        assert len(text) < 150
        assert ".." not in text
        assert not text.startswith(".")
        assert set(text) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")


@pytest.mark.parametrize(
    ("name", "is_local", "expected"),
    [
        ("org/name", False, "org/name"),
        ("/home/me/flowers", True, "local--flowers"),
        ("/home/me/flowers/", True, "local--flowers"),
        ("C:\\data\\flowers", True, "local--flowers"),
        ("/home/me/flowers", False, "local--flowers"),
        ("../flowers", False, "local--flowers"),
        ("local--flowers", True, "local--flowers"),
    ],
)
def test_public_names_by_hand(name: str, is_local: bool, expected: str) -> None:
    assert public_name(name, is_local=is_local) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2 files in /srv/a b are bad", "2 files in a b are bad"),
        ("see '/srv/x/y.png'.", "see 'y.png'."),
        ("found '/home/me/Secret Study 2024/patient 7.png': rename it", "found 'patient 7.png': rename it"),
        ("found /home/me/Secret Study 2024/scans of may/7.png, and others", "found 7.png, and others"),
        ("in C:\\My Files\\of me\\7.png", "in 7.png"),
        ("'/' is no class, and '/home/me/a' is one", "'/' is no class, and 'a' is one"),
        ("file:///srv/x/y.png", "y.png"),
        ("C:\\x\\y.png and ~/z.png", "y.png and z.png"),
        ("/data/my images/1.png", "local--mine/1.png"),
        ("4/5 of org/name at https://hub.example/a/b", "4/5 of org/name at https://hub.example/a/b"),
        (f"{Path.home()}/x.png", "x.png"),
    ],
)
def test_notes_lose_their_paths(text: str, expected: str) -> None:
    assert without_paths(text, {"/data/my images": "local--mine"}) == expected
