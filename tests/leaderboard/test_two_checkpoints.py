"""Two checkpoints side by side: every figure that is known, the better one stronger, the classes that differ first."""

from dataclasses import replace

import pytest

from lead_hub.confidence import Confusion
from lead_hub.leaderboard import FineTunedAccuracy, side_by_side
from tests.leaderboard.made_boards import FAIR, GOOD, HOSTILE, SURE, UNSURE, board_of, parsed, text_of

FIRST, SECOND = board_of(GOOD, FAIR).rows


def lines(html: str) -> dict[str, list[tuple[str, bool]]]:
    """Text of the two cells of each line, and whether it is the stronger one, by what the line is about."""
    found = {}
    for line in parsed(html).iter("tr"):
        head = line.find("th[@scope='row']")
        if head is not None:
            cells = [(" ".join("".join(cell.itertext()).split()), "class" in cell.attrib) for cell in line.iter("td")]
            found[" ".join("".join(head.itertext()).split())] = cells
    return found


def test_every_figure_stands_beside_the_other() -> None:
    first = replace(FIRST, parameters=2_200_000, licence="mit", images_per_s=41.6, device="cpu", confidence=SURE)
    second = replace(SECOND, parameters=11_000_000, licence=None, images_per_s=None, confidence=UNSURE)
    found = lines(side_by_side(first, second))
    assert found["rank"] == [("1 (could be 1-2)", True), ("2", False)]
    assert found["chance to be best"][0] == ("62.4%", True)
    assert found["expected accuracy, 90% interval"][0][0] == "71% (58-82)"
    assert found["frozen, left out, 90% interval"][0][0] == "88% (50-95)"
    assert found["parameters"] == [("2.2M", True), ("11.0M", False)]
    assert found["speed here"] == [("42 images/s on cpu", False), ("not known", False)]
    assert found["licence"] == [("mit", False), ("not named", False)]
    assert "really fine-tuned" not in found


def test_classes_that_differ_most_come_first() -> None:
    names = ("cat", "dog", "emu")
    first = replace(FIRST, confidence=replace(SURE, confusion=Confusion(names, ((4, 0, 0), (2, 2, 0), (0, 0, 4)))))
    second = replace(SECOND, confidence=replace(SURE, confusion=Confusion(names, ((3, 1, 0), (0, 4, 0), (0, 0, 4)))))
    found = lines(side_by_side(first, second))
    assert [name for name in found if name.split()[0] in names] == ["dog 4", "cat 4", "emu 4"]
    assert found["dog 4"] == [("50%", False), ("100%", True)]
    assert found["cat 4"] == [("100%", True), ("75%", False)]
    assert found["emu 4"] == [("100%", False), ("100%", False)]


def test_what_fine_tuning_gave_stands_there() -> None:
    outcome = FineTunedAccuracy("full", 0.8126, None, 0.8, 1e-3, 1, 1, 0, 80, 20, 30, "split 'test'", 9.0, "cpu")
    found = lines(side_by_side(replace(FIRST, finetuned=outcome), SECOND))
    assert found["really fine-tuned"] == [("81.3% (full)", False), ("not known", False)]


def test_one_sentence_says_how_sure_it_is() -> None:
    tied = replace(SECOND, confidence=replace(SURE, could_be_best=True))
    words = text_of(side_by_side(replace(FIRST, confidence=SURE), tied))
    assert "may be as good: these images cannot tell the two apart." in words
    assert words == text_of(side_by_side(replace(FIRST, confidence=SURE), tied))
    assert "Choose two different" in text_of(side_by_side(FIRST, FIRST))


def test_of_scores_without_confidence_only_facts_are_compared() -> None:
    found = lines(side_by_side(replace(FIRST, confidence=None), replace(SECOND, confidence=None)))
    assert found["rank"] == [("1", True), ("2", False)]
    assert "chance to be best" not in found
    assert "expected accuracy, 90% interval" not in found


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_text(name: str) -> None:
    table = Confusion((name, "dog"), ((1, 1), (0, 2)))
    sure = replace(SURE, confusion=table)
    one = replace(FIRST, checkpoint=name, licence=name, family=name, device=name, images_per_s=1.0, confidence=sure)
    tags = {element.tag for element in parsed(side_by_side(one, replace(SECOND, confidence=sure))).iter()}
    allowed = {"page", "style", "div", "p", "table", "caption", "thead", "tbody", "tr", "th", "td", "span", "bdi"}
    assert tags <= {*allowed, "svg", "line", "circle", "a"}
