"""Per class, against a case that can be counted on fingers and scikit-learn's confusion matrix."""

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from lead_hub.confidence.class_errors import ClassAccuracy, ConfusedPair, class_accuracies, most_confused, worst_classes
from lead_hub.errors import ScoreError

NAMES = ("cat", "dog", "emu", "fox")
# 4 cats: 2 right, 2 dogs; 3 dogs: all right; no emu; 5 foxes: 2 right, 1 dog, 2 emus.
LABELS = np.array([0, 0, 0, 0, 1, 1, 1, 3, 3, 3, 3, 3])
PREDICTED = np.array([0, 1, 0, 1, 1, 1, 1, 3, 1, 2, 3, 2])


def test_by_hand() -> None:
    figures = class_accuracies(LABELS, PREDICTED, NAMES)
    cat, dog, fox = ClassAccuracy("cat", 2 / 4, 4), ClassAccuracy("dog", 1.0, 3), ClassAccuracy("fox", 2 / 5, 5)
    assert figures == (cat, dog, fox)
    assert worst_classes(figures) == (fox, cat)
    assert worst_classes(figures, at_most=1) == (fox,)
    pairs = (ConfusedPair("cat", "dog", 2), ConfusedPair("fox", "emu", 2), ConfusedPair("fox", "dog", 1))
    assert most_confused(LABELS, PREDICTED, NAMES) == pairs
    assert most_confused(LABELS, PREDICTED, NAMES, at_most=1) == pairs[:1]


def test_equal_to_a_confusion_matrix_of_others() -> None:
    generator = np.random.default_rng(0)
    labels, predicted = generator.integers(9, size=400), generator.integers(9, size=400)
    names = [f"class {number}" for number in range(9)]
    table = confusion_matrix(labels, predicted)
    expected = np.diag(table) / table.sum(axis=1)
    np.testing.assert_allclose([figure.accuracy for figure in class_accuracies(labels, predicted, names)], expected)
    pairs = most_confused(labels, predicted, names, at_most=100)
    assert len(pairs) == np.count_nonzero(table - np.diag(np.diag(table)))
    for pair in pairs:
        assert pair.n_images == table[names.index(pair.true), names.index(pair.predicted)]
    assert [pair.n_images for pair in pairs] == sorted((pair.n_images for pair in pairs), reverse=True)


def test_image_order_changes_nothing() -> None:
    order = np.random.default_rng(0).permutation(len(LABELS))
    assert class_accuracies(LABELS[order], PREDICTED[order], NAMES) == class_accuracies(LABELS, PREDICTED, NAMES)
    assert most_confused(LABELS[order], PREDICTED[order], NAMES) == most_confused(LABELS, PREDICTED, NAMES)


def test_all_right_has_no_worst_class_and_no_pair() -> None:
    assert worst_classes(class_accuracies(LABELS, LABELS, NAMES)) == ()
    assert most_confused(LABELS, LABELS, NAMES) == ()


def test_among_equally_bad_classes_the_larger_is_first() -> None:
    labels, predicted = np.array([0, 1, 1]), np.array([1, 0, 0])
    assert [figure.name for figure in worst_classes(class_accuracies(labels, predicted, NAMES))] == ["dog", "cat"]


@pytest.mark.parametrize(("labels", "predicted"), [([0], [4]), ([-1], [0]), ([], [])])
def test_numbers_that_name_no_class(labels: list[int], predicted: list[int]) -> None:
    for function in (class_accuracies, most_confused):
        with pytest.raises(ScoreError, match="numbers from 0 to 3"):
            function(np.array(labels, dtype=np.int64), np.array(predicted, dtype=np.int64), NAMES)
