"""Figures: marks stand where the numbers say, names are text, and a browser shows them at any width."""

import math
import random
import re
from collections.abc import Callable
from dataclasses import replace
from xml.etree.ElementTree import Element

import numpy as np
import pytest

from lead_hub.confidence import Confusion
from lead_hub.confidence.class_errors import confusion
from lead_hub.leaderboard import Leaderboard, RankedCheckpoint, answer_card, board_table
from lead_hub.leaderboard.drawing import Scale, labels, log_scale_of, rank_ticks, scale_of, ticks
from lead_hub.leaderboard.figures import confusion_heat_map, pareto_front, rank_intervals, score_against_parameters
from tests.leaderboard.made_boards import (
    FAIR,
    GOOD,
    HOSTILE,
    LOCAL,
    SURE,
    UNSURE,
    board_of,
    hostile_board,
    is_harmless,
    parsed,
    text_of,
)

BOARD = board_of(LOCAL, GOOD, FAIR)
BOTH = (rank_intervals, score_against_parameters)


def of_class(html: str, name: str) -> list[Element]:
    return [element for element in parsed(html).iter() if name in element.attrib.get("class", "").split()]


def numbers(element: Element, *names: str) -> tuple[float, ...]:
    return tuple(float(element.attrib[name].removesuffix("%")) for name in names)


def many(n_rows: int) -> Leaderboard:
    generator = random.Random(0)
    rows = [
        RankedCheckpoint(
            f"org/number-{number}",
            generator.gauss(-2, 1),
            sha="a" * 40,
            parameters=int(10 ** generator.uniform(6, 9)),
            confidence=replace(SURE, rank_low=max(1, number - 5), rank_high=number + 9, could_be_best=number < 4),
        )
        for number in range(1, n_rows + 1)
    ]
    return board_of(*rows)


def test_scales() -> None:
    assert [Scale(1, 5).position(rank) for rank in (1, 2, 5)] == [0, 25, 100]
    assert Scale(3, 3).position(3) == 50
    decades = Scale(10**5, 10**9, is_logarithmic=True)
    assert [decades.position(10.0**power) for power in (5, 6, 9)] == [0, 25, 100]
    assert decades.position(math.sqrt(10**5 * 10**9)) == pytest.approx(50)
    for values in ([-1.0], [0.0], [5.0, 5.0], [-2.0, 3.0]):
        around = scale_of(values)
        assert around.low < min(values) <= max(values) < around.high
    assert log_scale_of([10**7]).position(10**7) == pytest.approx(50)


@pytest.mark.parametrize("seed", range(40))
def test_ticks_are_round_and_within(seed: int) -> None:
    generator = random.Random(seed)
    width = 10 ** generator.uniform(-6, 6)
    low = width * generator.uniform(-50, 50)
    scale = Scale(low, low + width)
    found = ticks(scale)
    assert 2 <= len(found) <= 6
    assert all(scale.low <= tick <= scale.high for tick in found)
    step = found[1] - found[0]
    assert round(step / 10 ** math.floor(math.log10(step) + 1e-4), 2) in (1, 2, 5)
    assert [tick / step - round(tick / step) for tick in found] == pytest.approx([0] * len(found), abs=1e-3)


def test_labels_of_ticks_tell_them_apart() -> None:
    assert labels([-2.5, -2.0, -1.5]) == ["-2.5", "-2.0", "-1.5"]
    assert labels([1.2341, 1.2342, 1.2343]) == ["1.2341", "1.2342", "1.2343"]
    assert labels([0, 200_000, 400_000]) == ["0", "200000", "400000"]
    assert labels([0.5]) == ["0.5"]


def test_ticks_by_hand() -> None:
    assert ticks(Scale(-2.61, -1.05)) == [-2.5, -2.0, -1.5]
    assert ticks(Scale(0, 10)) == [0, 2, 4, 6, 8, 10]
    assert ticks(Scale(8e4, 7e5, is_logarithmic=True)) == [1e5, 2e5, 5e5]
    assert ticks(Scale(5e5, 2e9, is_logarithmic=True), at_most=5) == [1e6, 1e7, 1e8, 1e9]
    assert ticks(Scale(2.2e6, 4.7e6, is_logarithmic=True), at_most=5) == [2.5e6, 3e6, 3.5e6, 4e6, 4.5e6]
    assert len(ticks(Scale(1, 1e30, is_logarithmic=True))) <= 6
    assert [rank_ticks(worst) for worst in (1, 2, 5, 14, 60)] == [
        [1],
        [1, 2],
        [1, 2, 3, 4, 5],
        [1, 5, 10, 14],
        [1, 10, 20, 30, 40, 50, 60],
    ]


@pytest.mark.parametrize("seed", range(20))
def test_the_front_is_what_nobody_beats(seed: int) -> None:
    generator = random.Random(seed)
    rows = [
        RankedCheckpoint(f"org/{number}", float(generator.randint(-4, 4)), parameters=generator.randint(1, 9))
        for number in range(12)
    ]
    front = pareto_front(rows)
    for row in rows:
        beaten = any(
            other.parameters <= row.parameters
            and other.score >= row.score
            and (other.parameters, other.score) != (row.parameters, row.score)
            for other in rows
        )
        twin = any((one.parameters, one.score) == (row.parameters, row.score) for one in front)
        assert twin != beaten
    assert [row.parameters for row in front] == sorted({row.parameters for row in front})


def test_points_stand_where_their_numbers_are() -> None:
    sizes = {"org/a": (10**6, -3.0), "org/b": (10**7, -1.0), "org/c": (10**8, -2.0)}
    board = board_of(*(RankedCheckpoint(name, score, parameters=size) for name, (size, score) in sizes.items()))
    html = score_against_parameters(board)
    points = {
        "".join(circle.itertext()).split(":")[0]: numbers(circle, "cx", "cy") for circle in parsed(html).iter("circle")
    }
    (left, low), (middle, high), (right, between) = (points[name] for name in sizes)
    assert middle == pytest.approx(50, abs=0.01)  # 10 million is the geometric mean of 1 and 100 million
    assert middle - left == pytest.approx(right - middle, abs=0.02)
    assert 0 < left < right < 100
    assert between == pytest.approx((low + high) / 2, abs=0.02)
    assert 0 < high < low < 100  # a better score is further up


def test_scores_of_a_races_earlier_stages_are_no_points() -> None:
    """On fewer images a score is another one: the best of them may be higher than that of the race's winner."""
    dropped = RankedCheckpoint("org/dropped", -0.1, parameters=100, n_images=200)
    kept = {"org/a": (10**6, -3.0), "org/b": (10**7, -1.0)}
    board = board_of(*(RankedCheckpoint(name, s, parameters=n) for name, (n, s) in kept.items()), dropped)
    html = score_against_parameters(board)
    drawn = {"".join(circle.itertext()).split(":")[0] for circle in parsed(html).iter("circle")}
    assert drawn == set(kept)
    assert "1 more dropped out of the race earlier: their scores are of fewer images and do not compare." in html
    assert "not shown" not in html


def test_the_front_is_numbered_by_rank_and_named_below() -> None:
    beaten = replace(FAIR, checkpoint="org/beaten", score=-2.5, parameters=200_000_000)
    html = score_against_parameters(board_of(GOOD, FAIR, LOCAL, beaten))
    # GOOD, rank 1, is larger than FAIR, rank 2; the other two are larger and worse.
    assert [text.text for group in of_class(html, "lh-front") for text in group.iter("text")] == ["2", "1"]
    (key,) = of_class(html, "lh-key")
    assert [" ".join("".join(item.itertext()).split()) for item in key] == [
        "1org/good 11.7M parameters, score -0.25",
        "2org/fair@v1 176.0K parameters, score -0.5",
    ]
    small, large = (numbers(next(group.iter("circle")), "cx", "cy") for group in of_class(html, "lh-front"))
    steps = {numbers(step, "x1", "y1", "x2", "y2") for step in of_class(html, "lh-step")}
    assert (*small, large[0], small[1]) in steps  # level with the small one's score up to the large one
    assert (large[0], small[1], *large) in steps  # then up
    assert "org/beaten" in html


def test_intervals_reach_from_the_best_to_the_worst_rank() -> None:
    rows = [GOOD, FAIR, replace(LOCAL, confidence=replace(UNSURE, rank_low=2, rank_high=5))]
    html = rank_intervals(board_of(*rows))
    # Ranks 1 to 5 lie at 0, 25, 50, 75 and 100 percent.
    assert [numbers(bar, "x1", "x2") for bar in of_class(html, "lh-bar")] == [(0, 25), (0, 25), (25, 100)]
    assert [numbers(dot, "cx") for dot in parsed(html).iter("circle")] == [(0,), (25,), (50,)]
    assert [len(of_class(html, name)) for name in ("lh-best", "lh-other")] == [2, 1]
    assert ["".join(each.itertext()) for each in of_class(html, "lh-interval")] == ["1-2", "1-2", "2-5"]


def test_what_could_be_best_stands_out_only_where_there_is_such() -> None:
    sentence = "The coloured ones could be the best."
    assert sentence in text_of(rank_intervals(BOARD))
    assert sentence not in text_of(rank_intervals(board_of(LOCAL)))


def test_without_confidence_there_are_ranks_alone() -> None:
    html = rank_intervals(board_of(*(replace(row, confidence=None) for row in (GOOD, FAIR))))
    assert "How far it may be off is not known" in text_of(html)
    assert [numbers(bar, "x1", "x2") for bar in of_class(html, "lh-bar")] == [(0, 0), (100, 100)]


def test_of_many_rows_the_first_are_shown() -> None:
    board = many(200)
    html = rank_intervals(board)
    assert len(of_class(html, "lh-bar")) == 40
    assert "The first 40 of 200 are shown." in text_of(html)
    assert len(list(parsed(score_against_parameters(board)).iter("circle"))) == 200
    assert "are shown" not in text_of(rank_intervals(many(40)))


@pytest.mark.parametrize("figure", BOTH)
def test_one_row_equal_rows_and_none(figure: Callable[[Leaderboard], str]) -> None:
    assert text_of(figure(board_of(n_candidates=2))).startswith("There is nothing to draw yet")
    equal = [replace(GOOD, checkpoint=f"org/{number}") for number in range(3)]
    for board, n_points in ((board_of(GOOD), 1), (board_of(*equal), 3)):
        places = [numbers(circle, "cx", "cy") for circle in parsed(figure(board)).iter("circle")]
        assert len(places) == n_points
        assert all(0 <= each <= 100 for place in places for each in place)


def test_checkpoints_of_unknown_size_are_not_drawn_and_counted() -> None:
    unknown = replace(FAIR, parameters=0)
    assert "1 more are not shown." in text_of(score_against_parameters(board_of(GOOD, unknown)))
    alone = text_of(score_against_parameters(board_of(unknown)))
    assert alone.startswith("There is nothing to draw: of none of these checkpoints")


def test_the_heat_map_is_a_table_that_reads_well_aloud() -> None:
    html = confusion_heat_map(GOOD)
    (table,) = parsed(html).iter("table")
    assert ["".join(head.itertext()) for head in table.iter("th") if head.attrib["scope"] == "col"] == [
        *("rose", "tulip", "right"),
    ]
    assert ["".join(head.itertext()) for head in table.iter("th") if head.attrib["scope"] == "row"] == ["rose", "tulip"]
    assert "".join(next(table.iter("caption")).itertext()).startswith("Images of each class (rows)")
    body = next(table.iter("tbody"))
    assert [["".join(cell.itertext()) for cell in row.iter("td")] for row in body] == [
        ["4", "", "100%"],
        ["1", "3", "75%"],
    ]
    # 62% of the colour for all images of a class, and the root of the share of that for fewer.
    shares = [re.findall(r"--lh-share: (\d+)%", cell.attrib.get("style", "")) for cell in body.iter("td")]
    assert shares == [["62"], ["0"], [], ["31"], ["54"], []]
    assert [cell.attrib.get("class") for cell in body.iter("td")] == [
        *("lh-right", None, "lh-total", None, "lh-right", "lh-total"),
    ]


def test_the_heat_map_says_the_worst_in_words() -> None:
    said = text_of(confusion_heat_map(GOOD))
    assert said.startswith(".lh-figure")
    assert "Which classes org/good confuses" in said
    assert "All classes: 88% right." in said  # 7 of 8
    assert "Lowest accuracy: tulip 75% of 4 images." in said
    assert "Most often confused, in images: tulip taken for rose: 1" in said
    assert said.index("Most often confused") < said.index("Lowest accuracy") < said.index("Images of each class")


def test_of_many_classes_the_worst_are_drawn_and_the_others_told() -> None:
    """Of 100 classes, each of 4 images, class n < 30 loses one image to class 99; the others are right."""
    labels = np.repeat(np.arange(100), 4)
    predicted = np.where((np.arange(400) % 4 == 0) & (labels < 30), 99, labels)
    counted = confusion(labels, predicted, [f"class {number}" for number in range(100)])
    html = confusion_heat_map(replace(GOOD, confidence=replace(SURE, confusion=counted)))
    heads = ["".join(head.itertext()) for head in parsed(html).iter("th") if head.attrib["scope"] == "row"]
    assert heads == [*(f"class {number}" for number in range(20)), "others"]
    assert "the 20 classes that are right least often, and all others together" in text_of(html)
    last = [*next(parsed(html).iter("tbody"))][-1]
    # 80 classes of 4 images, of which 10 were taken for another of these classes: not all 320 are right.
    assert ["".join(cell.itertext()) for cell in last.iter("td")] == [*[""] * 20, "320", ""]
    assert "lh-right" not in {cell.attrib.get("class") for cell in last.iter("td")}


def test_a_perfect_row_a_row_of_a_card_and_one_that_predicts_no_classes() -> None:
    perfect = replace(SURE, worst_classes=(), confused_pairs=(), confusion=Confusion(("a", "b"), ((2, 0), (0, 0))))
    html = confusion_heat_map(replace(GOOD, confidence=perfect))
    assert "No image is taken for another class." in text_of(html)
    assert [["".join(cell.itertext()) for cell in row.iter("td")] for row in next(parsed(html).iter("tbody"))] == [
        ["2", "", "100%"],
        ["", "", ""],  # a class without images
    ]
    of_a_card = confusion_heat_map(replace(GOOD, confidence=replace(SURE, confusion=None)))
    assert "tulip taken for rose" in text_of(of_a_card)
    assert list(parsed(of_a_card).iter("table")) == []
    predicts_none = replace(SURE, worst_classes=(), confused_pairs=(), confusion=None, probe_accuracy=None)
    for confidence in (None, predicts_none):
        said = text_of(confusion_heat_map(replace(GOOD, confidence=confidence)))
        assert said.startswith("Which classes org/good confuses is not known")


def hostile_figures() -> list[str]:
    board = hostile_board()
    rows = [*board.rows, *(replace(row, confidence=None) for row in board.rows)]
    return [*(figure(board) for figure in BOTH), *map(confusion_heat_map, rows)]


def test_names_of_others_are_never_markup() -> None:
    for html in hostile_figures():
        assert is_harmless(html), html
    for html in hostile_figures()[:2]:
        assert HOSTILE[0] in text_of(html)


@pytest.mark.parametrize("html", [rank_intervals(BOARD), score_against_parameters(BOARD)])
def test_every_drawing_says_what_it_is(html: str) -> None:
    drawings = [drawing for drawing in parsed(html).iter("svg") if drawing.attrib.get("aria-hidden") != "true"]
    assert drawings
    for drawing in drawings:
        assert drawing.attrib["role"] == "img"
        assert [child.tag for child in drawing][:2] == ["title", "desc"]
        assert all(drawing[number].text for number in (0, 1))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_all_of_it(browser: "Browser", scheme: str) -> None:  # noqa: F821
    """No text below 11 px, nothing wider than the page but what scrolls in its own box, no script that runs."""
    window = browser.new_page(viewport={"width": 390, "height": 800}, color_scheme=scheme)
    said: list[str] = []
    window.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    classes = Confusion(tuple(f"class {n}" for n in range(21)), tuple(tuple(range(21)) for _ in range(21)))
    wide = replace(GOOD, confidence=replace(SURE, confusion=classes))
    board = many(60)
    figures = [*hostile_figures(), rank_intervals(board), score_against_parameters(board), confusion_heat_map(wide)]
    page = "".join(f"<div>{figure}</div>" for figure in figures)
    window.set_content(f"<html><head><meta name=color-scheme content='light dark'></head><body>{page}</body></html>")
    sizes = window.evaluate(
        "[...document.querySelectorAll('figure *')].filter(e => e.checkVisibility() &&"
        " [...e.childNodes].some(n => n.nodeType == 3 && n.data.trim()) && !['title', 'desc'].includes(e.tagName))"
        ".map(e => parseFloat(getComputedStyle(e).fontSize))"
    )
    assert min(sizes) >= 11
    assert window.evaluate("document.documentElement.scrollWidth") <= 390
    assert window.evaluate("document.querySelectorAll('script, img').length") == 0
    assert said == []
    window.close()


def test_a_few_colours_of_the_visitors_own_leave_bars_and_cells_to_be_seen(browser: "Browser") -> None:  # noqa: F821
    """In forced colours no ground and no theme's colour is left: lines and borders of the system's colours remain."""
    window = browser.new_page(forced_colors="active")
    parts = (answer_card(BOARD), board_table(BOARD), rank_intervals(BOARD), confusion_heat_map(GOOD))
    system = "<p id=chosen style='color: Highlight'></p><p id=text style='color: CanvasText'></p>"
    window.set_content(f"<!doctype html><body>{system}{''.join(parts)}</body>")

    def style(selector: str, name: str) -> str:
        return window.locator(selector).first.evaluate("(place, name) => getComputedStyle(place)[name]", name)

    chosen, text = style("#chosen", "color"), style("#text", "color")
    assert chosen != text
    for bar in (".lh-answer .lh-part", ".lh-answer .lh-reach", ".lh-board .lh-part", ".lh-ranks .lh-best .lh-bar"):
        assert (style(bar, "stroke"), style(bar, "opacity")) == (chosen, "1")
    assert float(style(".lh-answer .lh-whole", "strokeWidth").removesuffix("px")) < float(
        style(".lh-answer .lh-part", "strokeWidth").removesuffix("px")
    )
    assert style(".lh-ranks .lh-other .lh-bar", "stroke") == text
    assert style(".lh-confusion td.lh-right", "borderTopWidth") == "2px"
    assert style(".lh-confusion td:not(.lh-right, .lh-total)", "borderTopWidth") == "1px"
    window.close()
