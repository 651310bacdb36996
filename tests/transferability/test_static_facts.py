import math

import pytest

from lead_hub.errors import ScoreError
from lead_hub.transferability import SCORES, score, transferability
from lead_hub.transferability.logme import logme
from lead_hub.transferability.score import ScoreMethod
from tests.transferability.made_features import balanced_labels, noise

LABELS = balanced_labels(6, 2)
FACTS = {"parameters": 11_689_512.0, "imagenet_top1_percent": 69.76, "downloads": 0.0}
NAMES = {"parameters": "parameters", "imagenet-top1": "imagenet_top1_percent", "downloads": "downloads"}
every_static = pytest.mark.parametrize("method", NAMES)


def test_these_and_no_others_are_facts() -> None:
    assert {name: method.fact for name, method in SCORES.items() if method.fact is not None} == NAMES
    for name in NAMES:
        assert SCORES[name].function is None
        assert "baseline" in SCORES[name].title
        assert "baseline" in SCORES[name].paper


@every_static
def test_the_score_is_the_fact_whatever_the_images(method) -> None:
    for seed in range(2):
        found = transferability(noise(6, 3, seed=seed), LABELS, method, facts=FACTS)
        assert found.value == FACTS[NAMES[method]]
        assert isinstance(found.value, float)
        assert found.per_image is None
    assert score(noise(6, 3), LABELS, method, facts=FACTS) == FACTS[NAMES[method]]


@every_static
@pytest.mark.parametrize(
    ("facts", "known"), [(None, "nothing"), ({}, "nothing"), ({"colour": 1.0, "age": 2.0}, "age, colour")]
)
def test_what_is_unknown_is_named(method, facts, known) -> None:
    message = f"{method} needs to know {NAMES[method]} of the checkpoint, which is unknown; known: {known}"
    with pytest.raises(ScoreError, match=message):
        score(noise(6, 3), LABELS, method, facts=facts)


@every_static
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_no_number_is_no_fact(method, value) -> None:
    with pytest.raises(ScoreError, match="finite"):
        score(noise(6, 3), LABELS, method, facts={NAMES[method]: value})


@every_static
def test_features_and_labels_are_checked_all_the_same(method) -> None:
    with pytest.raises(ScoreError, match="at least 2 classes"):
        score(noise(6, 3), [1] * 6, method, facts=FACTS)
    with pytest.raises(ScoreError, match="found 6 and 5"):
        score(noise(6, 3), [0, 1, 0, 1, 0], method, facts=FACTS)


def test_other_scores_ignore_facts() -> None:
    assert score(noise(6, 3), LABELS, facts=FACTS) == score(noise(6, 3), LABELS)


@pytest.mark.parametrize("both", [True, False])
def test_a_method_has_either_a_function_or_a_fact(both) -> None:
    with pytest.raises(ValueError, match="either a function or a fact"):
        ScoreMethod(
            name="mine",
            function=logme if both else None,
            title="mine",
            paper="none",
            range="any",
            needs_logits=False,
            cost="none",
            fact="downloads" if both else None,
        )
