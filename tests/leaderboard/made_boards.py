"""Boards made by hand for what shows them, names that try to be more than names, and a strict look at HTML."""

import re
from dataclasses import replace
from xml.etree import ElementTree

from lead_hub.confidence import Confidence, Confusion
from lead_hub.confidence.class_errors import ClassAccuracy, ConfusedPair
from lead_hub.leaderboard import Leaderboard, RankedCheckpoint, RankedDataset
from lead_hub.leaderboard.board import rank

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FINGERPRINT = "f" * 64
HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "[x](javascript:alert(1))",
    "javascript:alert(1)",
    "\"'><svg/onload=alert(1)>",
    '\'" onmouseover="alert(1)',
    "</style></svg></title><script>alert(1)</script>",
    "\u202egnp.exe\u202c \u2066\u200f",
    "one\nline\r\n\x00\x1b[31mred\u2028",
    "&lt;b&gt; ${1+1} {{1+1}} `1`",
    "x" * 300,
)
# And those that would be more than text in Python or a shell.
NASTY = (
    *HOSTILE,
    "$(touch x)",
    "`touch x`",
    "a; touch x",
    "'; touch x #",
    "--output=x",
    "-c",
    "\\",
    "it's",
    '"""',
    "",
    "ü 中",
)
# Whatever is in them, these may not leave as they came.
TURNS_AND_BREAKS = frozenset("\u202e\u202c\u2066\u200f\n\r\x00\x1b\u2028")

DATASET = RankedDataset(
    dataset="org/flowers",
    sha=COMMIT,
    is_local=False,
    config=None,
    split="train",
    image_column="image",
    label_column="label",
    class_names=("rose", "tulip"),
    n_images=1200,
    rows_sha256="b" * 64,
)
CONFUSION = Confusion(("rose", "tulip"), ((4, 0), (1, 3)))
SURE = Confidence(
    score_low=-0.3,
    score_high=-0.2,
    rank_low=1,
    rank_high=2,
    tie_group=1,
    p_best=0.6243,
    could_be_best=True,
    predicted_accuracy=0.7132,
    predicted_low=0.58,
    predicted_high=0.82,
    calibrated_on="five fine-tunings",
    probe_accuracy=7 / 8,
    probe_low=0.5,
    probe_high=0.95,
    worst_classes=(ClassAccuracy("tulip", 0.75, 4),),
    confused_pairs=(ConfusedPair("tulip", "rose", 1),),
    confusion=CONFUSION,
)
UNSURE = replace(SURE, rank_low=3, rank_high=3, tie_group=2, p_best=0.01, could_be_best=False)

GOOD = RankedCheckpoint(
    "org/good",
    -0.25,
    sha=COMMIT,
    parameters=11_700_000,
    licence="mit",
    images_per_s=1234.5,
    confidence=SURE,
    is_private=False,
)
FAIR = RankedCheckpoint(
    "org/fair",
    -0.5,
    revision="v1",
    sha=COMMIT,
    parameters=176_000,
    confidence=SURE,
    is_private=False,
)
LOCAL = RankedCheckpoint("/home/me/models/mine", -2.0, sha=FINGERPRINT, parameters=86_600_000, confidence=UNSURE)


def board_of(*rows: RankedCheckpoint, n_candidates: int | None = None, dataset: RankedDataset = DATASET) -> Leaderboard:
    """A board of these checkpoints, ranked."""
    board = Leaderboard(
        dataset=dataset,
        method="lead",
        rows=(),
        skipped=(),
        settings={"seed": 0},
        versions={},
        n_candidates=len(rows) if n_candidates is None else n_candidates,
    )
    for row in rows:
        board = replace(board, rows=rank([*board.rows, row]))
    return board


def hostile_board() -> Leaderboard:
    """Every name, note and reason is out to be markup."""
    confusion = Confusion(HOSTILE, tuple(tuple(range(len(HOSTILE))) for _ in HOSTILE))
    confidence = replace(
        SURE,
        calibrated_on=HOSTILE[0],
        worst_classes=tuple(ClassAccuracy(name, 0.1, 10) for name in HOSTILE),
        confused_pairs=tuple(ConfusedPair(name, name, 3) for name in HOSTILE),
        confusion=confusion,
    )
    rows = [
        RankedCheckpoint(
            name,
            -float(number),
            revision=name,
            sha=COMMIT if number % 2 else FINGERPRINT,
            parameters=10 ** (number % 7 + 1),
            licence=name,
            device=name,
            dtype=name,
            images_per_s=1.0,
            trained_on_dataset=True,
            note=name,
            confidence=confidence,
        )
        for number, name in enumerate(HOSTILE)
    ]
    named = {"dataset": HOSTILE[0], "config": HOSTILE[3], "split": HOSTILE[4], "class_names": HOSTILE, "notes": HOSTILE}
    return replace(board_of(*rows, dataset=replace(DATASET, **named)), method=HOSTILE[5])


def parsed(html: str) -> ElementTree.Element:
    """The elements, where all are closed and all attributes quoted; fails otherwise."""
    return ElementTree.fromstring(f"<page>{html}</page>")


def text_of(html: str) -> str:
    """What is read, in one line."""
    return " ".join("".join(parsed(html).itertext()).split())


def links(html: str) -> list[str]:
    """Where its links lead."""
    return [element.attrib["href"] for element in parsed(html).iter("a")]


def is_harmless(html: str) -> bool:
    """Whether it holds no element and no attribute but those that a page of ours is made of, nor marks of direction."""
    elements = list(parsed(html).iter())
    tags = {element.tag for element in elements} - {"page"}
    names = {name for element in elements for name in element.attrib}
    places = {value for element in elements for name, value in element.attrib.items() if name in ("href", "src")}
    return (
        tags <= TAGS
        and names <= ATTRIBUTES
        and all(place.startswith("https://") for place in places)
        and not TURNS_AND_BREAKS & set(re.sub(r"<style>[^<]*</style>", "", html))
    )


TAGS = frozenset(
    {
        *("p", "div", "span", "strong", "b", "bdi", "a", "ul", "ol", "li", "details", "summary", "style"),
        *("figure", "figcaption", "svg", "title", "desc", "line", "circle", "text", "g"),
        *("table", "caption", "thead", "tbody", "tr", "th", "td"),
    }
)
ATTRIBUTES = frozenset(
    {
        *(
            "class",
            "style",
            "title",
            "href",
            "target",
            "rel",
            "role",
            "aria-label",
            "aria-hidden",
            "tabindex",
            "scope",
            "data-row",
        ),
        *("x", "y", "dx", "dy", "x1", "x2", "y1", "y2", "cx", "cy", "r", "text-anchor"),
    }
)
