"""The answer and the table as HTML: the verdict large, chance and interval drawn, ties marked, names never markup."""

from dataclasses import replace
from xml.etree.ElementTree import Element

import pytest

from lead_hub.leaderboard import FURTHER, FineTunedAccuracy, Leaderboard, RankedCheckpoint, Skipped
from lead_hub.leaderboard.answer import answer_card, ranked_on, skipped_rows, skipped_table
from lead_hub.leaderboard.html_table import board_table
from tests.leaderboard.made_boards import (
    COMMIT,
    DATASET,
    FAIR,
    FINGERPRINT,
    GOOD,
    HOSTILE,
    LOCAL,
    SURE,
    UNSURE,
    board_of,
    hostile_board,
    is_harmless,
    links,
    parsed,
    text_of,
)

HUB = "https://hub.example"
BOARD = board_of(LOCAL, GOOD, FAIR)


def said(html: str) -> str:
    """The text without the style that comes before it."""
    return text_of(html.rpartition("</style>")[2])


def of_class(html: str, name: str) -> list[Element]:
    return [element for element in parsed(html).iter() if name in element.attrib.get("class", "").split()]


def cells(board: Leaderboard, number: int) -> list[str]:
    body = next(parsed(board_table(board)).iter("tbody"))
    return ["".join(list(row)[number].itertext()) for row in body]


def test_the_answer_names_one_and_says_how_sure_and_how_accurate() -> None:
    clear = answer_card(board_of(GOOD, replace(FAIR, confidence=UNSURE)), endpoint=HUB)
    assert said(clear).startswith("Clear winner:org/good62.4%chance to be the best of these 2")
    assert "71%accuracy expected once fine-tuned; 90% interval: 58-82%" in said(clear)
    assert "11.7Mparameters; licence mit" in said(clear)
    assert "org/fair@v1 (chance to be best 1.0%) scores lower by more than" in said(clear)
    assert "five fine-tunings" in said(clear)
    assert links(clear) == [f"{HUB}/org/good"]
    (winner,) = of_class(clear, "lh-winner")
    assert "".join(winner.itertext()) == "org/good"


def test_the_others_that_could_be_best_are_named_while_they_are_few() -> None:
    assert said(answer_card(BOARD)).startswith("One of these 2:org/goodor org/fair@v1")
    many = [replace(GOOD, checkpoint=f"org/{n}", score=-n, parameters=10**7 - n) for n in range(7)]
    text = said(answer_card(board_of(*many, LOCAL)))
    assert text.startswith("No clear winner among 7; choose by size or licence. The first by score:org/0")
    assert "the smallest of them: org/6 (10.0M)" in text


def test_before_the_end_somebody_leads_and_nothing_is_decided() -> None:
    early = said(answer_card(board_of(GOOD, LOCAL, n_candidates=5)))
    assert early.startswith("After 2 of 5 checkpoints, this one leads:org/good")
    assert "scores lower" not in early


def test_without_confidence_there_is_no_verdict_and_no_number() -> None:
    bare = answer_card(board_of(replace(GOOD, confidence=None), replace(FAIR, confidence=None)))
    assert said(bare).startswith("No verdict: these scores (lead) have no terms per image")
    assert "The first by score:org/good" in said(bare)
    assert "chance" not in said(bare).partition("quality")[2]


def test_drawings_stand_where_the_numbers_say() -> None:
    card = answer_card(BOARD)
    (part,) = of_class(card, "lh-part")
    assert (part.attrib["x1"], part.attrib["x2"]) == ("0.00%", "62.43%")
    (reach,) = of_class(card, "lh-reach")
    assert (reach.attrib["x1"], reach.attrib["x2"]) == ("58.00%", "82.00%")
    assert [circle.attrib["cx"] for circle in parsed(card).iter("circle")] == ["71.32%"]
    table = board_table(BOARD)
    assert [part.attrib["x2"] for part in of_class(table, "lh-part")] == ["62.43%", "62.43%", "1.00%"]
    assert len(of_class(table, "lh-reach")) == 3


def test_verdict_warns_of_checkpoints_that_know_the_images() -> None:
    seen = board_of(replace(GOOD, trained_on_dataset=True), FAIR, replace(LOCAL, trained_on_dataset=True))
    assert "org/good was trained on this dataset" in said(answer_card(seen))
    assert "models/mine" not in said(answer_card(seen))


def test_answer_of_nothing() -> None:
    waiting = board_of(n_candidates=2)
    assert said(answer_card(waiting)) == "No checkpoint has been ranked yet."
    for name in ("org/a", "org/b"):
        waiting = waiting.with_skipped(Skipped(name, None, stage="load", reason="no weights"))
    reasons = "org/a (load): no weightsorg/b (load): no weights"
    assert said(answer_card(waiting)) == f"None of the 2 checkpoints could be ranked.{reasons}"
    assert skipped_rows(waiting) == [["org/a", "load", "no weights"], ["org/b", "load", "no weights"]]
    table = [[cell.text for cell in row] for row in parsed(skipped_table(waiting)).iter("tr")]
    assert table[1:] == skipped_rows(waiting)
    many = board_of(n_candidates=12)
    for _ in range(12):
        many = many.with_skipped(Skipped("org/a", None, stage="load", reason="no weights"))
    assert said(answer_card(many)).endswith("The list of those skipped says it of 2 more.")


def test_six_columns() -> None:
    heads = list(parsed(board_table(BOARD)).iter("th"))
    assert ["".join(head.itertext()).split(".")[0][:17] for head in heads][1] == "checkpoint"
    assert len(heads) == 6
    assert cells(BOARD, 0) == ["●1", "●2", "3"]
    assert cells(BOARD, 1) == ["org/good", "org/fair@v1", "models/mine"]
    assert cells(BOARD, 2) == ["62.4%", "62.4%", "1.0%"]
    assert cells(BOARD, 3) == ["71% (58-82)"] * 3
    assert cells(BOARD, 4) == ["11.7M", "176.0K", "86.6M"]
    assert cells(BOARD, 5) == ["mit", "not named", "not named"]


def test_every_header_explains_itself_to_pointer_and_keyboard() -> None:
    tips = of_class(board_table(BOARD), "lh-tip")
    assert len(tips) == 5  # all but the checkpoint
    for tip in tips:
        assert tip.attrib["tabindex"] == "0"
        (words,) = [child for child in tip if child.attrib.get("role") == "tooltip"]
        assert len(words.text or "") > 15


def test_no_chance_is_said_to_be_none() -> None:
    hopeless = replace(LOCAL, confidence=replace(UNSURE, p_best=0.0))
    assert cells(board_of(GOOD, hopeless), 2) == ["62.4%", "<0.1%"]


def test_ties_are_joined_by_a_bracket_and_what_could_be_best_by_more_than_bold() -> None:
    html = board_table(BOARD)
    assert [row.attrib.get("class") for row in next(parsed(html).iter("tbody"))] == ["lh-best", "lh-best", None]
    ranks = [row[0].attrib["class"] for row in next(parsed(html).iter("tbody"))]
    assert ranks == ["lh-rank lh-tie lh-tie-first", "lh-rank lh-tie lh-tie-last", "lh-rank"]
    assert "could be the best. A bracket joins what these images cannot tell apart." in said(html)
    assert "bracket" not in said(board_table(board_of(GOOD, LOCAL))).rpartition("mit")[2]


def test_where_rank_and_expected_accuracy_disagree_there_is_a_word_on_why() -> None:
    better = replace(LOCAL, confidence=replace(UNSURE, predicted_accuracy=0.8))
    assert "models/mine ranks below org/fair@v1 with a higher expected accuracy" in said(
        board_table(board_of(GOOD, FAIR, better))
    )


def test_without_a_prediction_the_score_stands_there() -> None:
    plain = board_of(
        *(replace(row, confidence=replace(SURE, p_best=None, predicted_accuracy=None)) for row in (GOOD, FAIR))
    )
    assert cells(plain, 2) == ["-0.2500", "-0.5000"]
    assert cells(plain, 3) == ["1-2", "1-2"]


def test_of_many_rows_those_that_are_not_shown_are_counted() -> None:
    many = board_of(*(RankedCheckpoint(f"org/{n}", -float(n), sha=COMMIT) for n in range(210)))
    assert len(cells(many, 0)) == 200
    assert "10 of 210 are not shown." in said(board_table(many))
    assert len(list(parsed(board_table(many, rows=many.rows[:3])).iter("tr"))) == 4


def test_further_columns_stand_beside_the_six_where_they_are_asked_for() -> None:
    outcome = FineTunedAccuracy("full", 0.8125, None, 0.8, 1e-3, 1, 1, 0, 80, 20, 30, "split 'test'", 9.0, "cpu")
    tuned = replace(FAIR, family="vit", downloads=1234, finetuned=outcome, trained_on_dataset=True, note="from cache")
    html = board_table(board_of(GOOD, tuned), further=("note", "fine-tuned", "downloads", "images/s", "kind", "none"))
    heads = [next(head.itertext()) for head in parsed(html).iter("th")]
    assert heads[:6] == ["rank", "checkpoint", "chance to be best", "expected accuracy", "size", "licence"]
    assert heads[6:] == ["kind", "images/s", "downloads", "fine-tuned", "note"]
    rows = [["".join(cell.itertext()) for cell in row][6:] for row in next(parsed(html).iter("tbody"))]
    assert rows == [
        ["", "1234", "", "", ""],
        ["vit", "", "1,234", "81.2% (full)", "trained on this dataset; from cache"],
    ]
    unpredicted = replace(GOOD, confidence=replace(SURE, p_best=None, predicted_accuracy=None))
    once = board_table(board_of(unpredicted), further=("score", "ranks"))  # they stand there already
    assert [next(head.itertext()) for head in parsed(once).iter("th")].count("score") == 1


def test_names_of_others_are_never_markup() -> None:
    board = hostile_board()
    for name in HOSTILE:
        board = board.with_skipped(Skipped(name, None, stage=name, reason=name))
    none = replace(board, rows=(), n_candidates=len(HOSTILE))
    for html in (
        answer_card(board),
        answer_card(replace(board, n_candidates=20)),
        answer_card(none),
        board_table(board),
        board_table(board, further=[*FURTHER]),
    ):
        assert is_harmless(html), html
        assert HOSTILE[0] in said(html)
    for html in (ranked_on(board), skipped_table(board)):
        assert is_harmless(html), html


@pytest.mark.parametrize("endpoint", ["javascript:alert(1)", "data:text/html,x", "", "//hub.example"])
def test_links_lead_to_web_pages_alone(endpoint: str) -> None:
    for html in (
        answer_card(BOARD, endpoint=endpoint),
        board_table(BOARD, endpoint=endpoint),
        ranked_on(BOARD, endpoint=endpoint),
    ):
        assert "href" not in html


def test_what_it_was_ranked_on() -> None:
    page = ranked_on(BOARD, endpoint=HUB)
    assert links(page) == [f"{HUB}/datasets/org/flowers"]
    words = (
        "org/flowers, split train: 1,200 images of 2 classes (rose, tulip), ranked by lead; 3 of 3 checkpoints tried"
    )
    assert said(page).startswith(words)
    classes = tuple(f"class {number}" for number in range(30))
    many = replace(DATASET, class_names=classes, config="small", notes=("1 image could not be read",))
    found = said(ranked_on(replace(BOARD, dataset=many)))
    assert "configuration small, split train: 1,200 images of 30 classes (class 0, class 1" in found
    assert "class 11 and 18 more)" in found
    assert found.endswith("Note: 1 image could not be read.")


def test_a_folder_of_the_machine_is_named_not_located() -> None:
    here = replace(DATASET, dataset="/home/me/pictures/flowers", sha=FINGERPRINT, is_local=True)
    page = ranked_on(replace(BOARD, dataset=here), endpoint=HUB)
    assert said(page).startswith("pictures/flowers, split train")
    assert "/home" not in page
    assert links(page) == []
    assert "/home" not in board_table(board_of(LOCAL)) + answer_card(board_of(LOCAL))
