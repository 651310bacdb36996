"""The README that people and the Hub read."""

from dataclasses import replace

import pytest
import yaml
from huggingface_hub import DatasetCard

from lead_hub.score_cards.card import results_of
from lead_hub.score_cards.readme import MOST_RANKINGS, escaped, readme_bytes
from lead_hub.score_cards.table import score_row
from tests.score_cards.boards import BOARD, FAIR, FLOWERS, GOOD, board_of

ENDPOINT = "https://hub.example"


def readme(*boards) -> str:
    rows = [score_row(result) for board in boards for result in results_of(board.to_document())]
    return readme_bytes(rows, endpoint=ENDPOINT).decode()


def test_front_matter_is_what_the_hub_indexes() -> None:
    data = DatasetCard(readme(BOARD)).data
    assert data.tags == [
        *("lead-hub", "transferability", "dataset:org/flowers"),
        *("base_model:alice/poor", "base_model:org/fair", "base_model:org/good"),
    ]
    table = {"config_name": "scores", "data_files": [{"split": "train", "path": "data/scores.parquet"}]}
    assert data.to_dict()["configs"] == [table]
    assert data.license is None


def test_the_ranking_table() -> None:
    lines = [line for line in readme(BOARD).splitlines() if line.startswith("|")]
    good = f"[org/good]({ENDPOINT}/org/good/tree/{'1' * 40})"
    assert lines[0] == "| rank | checkpoint | score | lead&#95;p | loo&#95;accuracy | parameters | licence | note |"
    assert lines[2] == f"| 1 | {good} | -0.2500 | 1e-30 | 0.9375 | 11,000,000 | mit |  |"
    assert lines[3].startswith("| 2 | [org/fair]")
    assert lines[3].endswith("| not named | was trained on this dataset, its score says little |")
    assert len(lines) == 5


def test_what_it_says() -> None:
    text = readme(BOARD)
    for words in ("not a measured accuracy", "comparable within one table", "python 3&#46;11&#46;7", "120 images"):
        assert words in text
    command = text.split("~~~~shell\n")[1].split("\n~~~~")[0]
    assert command.startswith("lead-hub recommend org/flowers --score lead --split train --config small")
    assert f"-c org/good@{'1' * 40}" in command
    assert " --budget none " in command  # what the command line does by itself may be a race


def test_equal_scores_share_a_rank_as_on_the_board() -> None:
    board = board_of(GOOD, replace(FAIR, score=GOOD.score), replace(FAIR, checkpoint="org/last", score=-9.0))
    ranks = [
        line.split("|")[1].strip() for line in readme(board).splitlines() if line.startswith("| ") and "tree" in line
    ]
    assert ranks == [str(row.rank) for row in board.rows] == ["1", "1", "3"]


EVIL = (
    "<script>x</script>|[a](http://evil.example)`b`\n# head\n---\n![i](j) @me *s* ~~~~ www.evil.example"
    " <!-- lead-hub: end mark -->"
)


def test_untrusted_text_is_never_markup() -> None:
    dataset = replace(FLOWERS, class_names=(EVIL, "b"), config=EVIL, split=EVIL, dataset=f"org/{EVIL}")
    row = replace(GOOD, checkpoint=f"org/{EVIL}", licence=EVIL, note=EVIL, companions={EVIL: 1.0}, family=EVIL)
    text = readme(board_of(row, dataset=dataset))
    matter, _, body = text.removeprefix("---\n").partition("\n---\n")
    assert set(yaml.safe_load(matter)) == {"pretty_name", "tags", "configs"}
    outside = body.split("~~~~shell\n")[0] + body.split("\n~~~~\n")[1]
    for markup in ("<script", "http://evil", "www.evil", "`b`", "# head", "![", "@me", "*s*", "[a]"):
        assert markup not in outside
    (row_line,) = [line for line in body.splitlines() if line.startswith("| 1 |")]
    assert row_line.count("|") == 8
    assert body.count("\n~~~~\n") == 1


def test_our_part_is_replaced_whole_whatever_names_it_holds() -> None:
    dataset = replace(FLOWERS, config=EVIL)
    rows = [score_row(result) for result in results_of(board_of(GOOD, dataset=dataset).to_document())]
    once = readme_bytes(rows, endpoint=ENDPOINT)
    assert readme_bytes(rows, endpoint=ENDPOINT, before=once) == once
    with_words = once.replace(b"---\n\n<!--", b"---\n\nBefore.\n\n<!--") + b"After.\n"
    assert readme_bytes(rows, endpoint=ENDPOINT, before=with_words) == with_words


@pytest.mark.parametrize(("text", "expected"), [("rosé, 2", "rosé, 2"), ("a|b", "a&#124;b"), ("a\n\tb", "a  b")])
def test_escapes_by_hand(text: str, expected: str) -> None:
    assert escaped(text) == expected


def test_many_rankings_are_cut_newest_first() -> None:
    boards = [board_of(GOOD, dataset=replace(FLOWERS, rows_sha256=f"{number:064x}")) for number in range(23)]
    text = readme(*boards)
    assert text.count("\n## ") == MOST_RANKINGS
    assert "3 older rankings are in `data/scores.parquet` only." in text
