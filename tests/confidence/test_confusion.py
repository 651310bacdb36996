"""The confusion table, against a case that can be counted on fingers and scikit-learn's confusion matrix."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from lead_hub.confidence.class_errors import Confusion, confusion, parse_confusion
from lead_hub.confidence.judgement import ImageLabels, ScoredImages, ranking_confidence
from lead_hub.confidence.record import Confidence, as_columns, parse_confidence, without_ranks
from lead_hub.errors import ScoreError
from lead_hub.score_cards.card import of_the_row_alone
from tests.confidence.test_class_errors import LABELS, NAMES, PREDICTED

# 4 cats: 2 right, 2 dogs; 3 dogs: all right; no emu; 5 foxes: 2 right, 1 dog, 2 emus.
BY_HAND = Confusion(
    NAMES,
    (
        (2, 2, 0, 0),
        (0, 3, 0, 0),
        (0, 0, 0, 0),
        (0, 1, 2, 2),
    ),
)


def test_by_hand() -> None:
    assert confusion(LABELS, PREDICTED, NAMES) == BY_HAND


def test_the_worst_classes_keep_their_order_and_the_rest_is_others() -> None:
    # Right when left out: cat 2 of 4, dog 3 of 3, emu has no images, fox 2 of 5.
    assert confusion(LABELS, PREDICTED, NAMES, at_most=2) == Confusion(
        ("cat", "fox", "others"),
        (
            (2, 0, 2),  # the cats that are taken for dogs
            (0, 2, 3),  # a fox taken for a dog, two for emus
            (0, 0, 3),  # the dogs
        ),
    )
    # With one row left it is the fox's, worse than the cat.
    assert confusion(LABELS, PREDICTED, NAMES, at_most=1) == Confusion(("fox", "others"), ((2, 3), (0, 7)))


def test_a_class_without_images_is_never_among_the_worst() -> None:
    assert confusion(LABELS, PREDICTED, NAMES, at_most=3).class_names == ("cat", "dog", "fox", "others")


def test_among_equally_bad_classes_the_larger_is_shown() -> None:
    labels, predicted = np.array([0, 1, 1, 2]), np.array([1, 0, 0, 2])
    assert confusion(labels, predicted, NAMES, at_most=1).class_names == ("dog", "others")


def test_equal_to_a_confusion_matrix_of_others() -> None:
    generator = np.random.default_rng(0)
    labels, predicted = generator.integers(20, size=900), generator.integers(20, size=900)
    table = confusion(labels, predicted, [f"class {number}" for number in range(20)])
    assert table.counts == tuple(map(tuple, confusion_matrix(labels, predicted, labels=range(20)).tolist()))


def test_many_classes_give_a_small_table_of_all_images() -> None:
    generator = np.random.default_rng(1)
    n_classes = 40_000
    labels = np.repeat(np.arange(n_classes), 2)
    predicted = np.where(generator.random(len(labels)) < 0.9, labels, generator.integers(n_classes, size=len(labels)))
    predicted[labels < 25] = 30_000  # the worst classes: none of their images is right
    table = confusion(labels, predicted, [f"class {number}" for number in range(n_classes)])
    assert len(table.class_names) == len(table.counts) == 21
    assert table.class_names[-1] == "others"
    assert table.class_names[:20] == tuple(f"class {number}" for number in range(20))
    assert {row[-1] for row in table.counts[:20]} == {2}
    assert sum(map(sum, table.counts)) == 2 * n_classes


@pytest.mark.parametrize(("labels", "predicted"), [([0], [4]), ([-1], [0]), ([], [])])
def test_numbers_that_name_no_class(labels: list[int], predicted: list[int]) -> None:
    with pytest.raises(ScoreError, match="numbers from 0 to 3"):
        confusion(np.array(labels, dtype=np.int64), np.array(predicted, dtype=np.int64), NAMES)


def test_a_ranking_has_it_where_the_score_predicts_classes() -> None:
    terms = np.random.default_rng(2).normal(size=len(LABELS))
    scored = [ScoredImages(terms, PREDICTED), ScoredImages(terms, None)]
    with_classes, without = ranking_confidence(scored, ImageLabels(LABELS, NAMES), None)
    assert with_classes.confusion == BY_HAND
    assert without.confusion is None
    assert without_ranks(with_classes).confusion == BY_HAND


def test_it_survives_json() -> None:
    assert parse_confusion(json.loads(json.dumps(asdict(BY_HAND)))) == BY_HAND
    for record in (Confidence(0.0, 1.0, confusion=BY_HAND), Confidence(0.0, 1.0)):
        assert parse_confidence(json.loads(json.dumps(asdict(record)))) == record


def test_a_record_from_before_there_was_one_is_read() -> None:
    document = asdict(Confidence(0.0, 1.0))
    del document["confusion"]
    assert parse_confidence(document) == Confidence(0.0, 1.0)


@pytest.mark.parametrize("document", [{"class_names": []}, {"class_names": [], "counts": [], "colour": "red"}])
def test_other_keys_are_refused(document: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError)):
        parse_confusion(document)


def test_neither_tables_nor_score_cards_grow() -> None:
    record = Confidence(0.0, 1.0, confusion=BY_HAND)
    assert "confusion" not in as_columns(record)
    alone = of_the_row_alone(asdict(record))
    assert alone == of_the_row_alone(asdict(replace(record, confusion=None)))
    assert "confusion" not in alone
