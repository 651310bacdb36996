"""Images that show the same thing are left out together: against refits without the whole group, and what it is for."""

import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from torch import Tensor

from lead_hub import transferability as package
from lead_hub.errors import ScoreError
from lead_hub.transferability import SCORES
from lead_hub.transferability.leave_one_out import RELATIVE_STRENGTHS, explained_share, leave_one_out_logits
from lead_hub.transferability.score import TransferabilityScore
from tests.transferability.made_features import balanced_labels, clusters, linear_kernel, noise, rotation
from tests.transferability.test_knn import on_circle
from tests.transferability.test_lead_head import naive_lead_head

LEAVING_OUT = ["lead", "lead-network", "lead+prior", "lead-head", "loo-log-loss", "linear-probe", "knn"]
# Mean log-likelihoods: -log K where nothing is known of K balanced classes.
LIKELIHOODS = ["lead", "lead-network", "lead+prior", "lead-head", "loo-log-loss"]
every_score = pytest.mark.parametrize("method", LEAVING_OUT)


def transferability(features, labels, method: str = "lead", **more: object) -> TransferabilityScore:
    """With the features in the place of the kernels that a score needs."""
    rows = torch.as_tensor(features)
    kernels = {name: linear_kernel(rows) for name in (*SCORES[method].needs_kernels, *SCORES[method].uses_kernels)}
    return package.transferability(features, labels, method, kernels=kernels, **more)


def score(features, labels, method: str = "lead", **more: object) -> float:
    return transferability(features, labels, method, **more).value


def mixed_groups(n_images: int) -> Tensor:
    """Groups of one to four images that lie anywhere, numbered without order."""
    sizes = torch.arange(n_images) % 4 + 1
    numbers = torch.repeat_interleave(torch.arange(n_images), sizes)[:n_images]
    return (7 * numbers)[torch.randperm(n_images, generator=torch.Generator().manual_seed(5))]


def refitted(rows: np.ndarray, targets: np.ndarray, groups: np.ndarray, strength: float) -> np.ndarray:
    """What the closed form must equal: one fit a group, without it."""
    predictions = np.empty_like(targets)
    for group in np.unique(groups):
        own = groups == group
        model = Ridge(alpha=strength, solver="svd").fit(rows[~own], targets[~own])
        predictions[own] = model.predict(rows[own]).reshape(own.sum(), -1)
    return predictions


@pytest.mark.parametrize(("n_images", "n_features"), [(60, 6), (40, 40), (41, 40), (30, 300), (20, 1)])
@pytest.mark.parametrize("relative_strength", [1e-4, 0.1, 100.0])
def test_equals_refitting_without_each_group(n_images, n_features, relative_strength) -> None:
    labels, groups = balanced_labels(n_images, 3), mixed_groups(n_images)
    features = clusters(labels, n_features, distance=1.0) + 5
    found = leave_one_out_logits(features, labels, relative_strengths=(relative_strength,), groups=groups)
    rows = (features - features.mean(dim=0)).numpy()
    unit = float(np.square(rows).sum(axis=1).mean())
    expected = refitted(rows, np.eye(3)[labels], groups.numpy(), relative_strength * unit)
    np.testing.assert_allclose(found.logits.numpy(), expected, rtol=0, atol=1e-8)
    assert found.squared_error == pytest.approx(float(np.square(np.eye(3)[labels] - expected).sum()), rel=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize(("n_images", "n_features"), [(36, 5), (24, 60)])
@pytest.mark.parametrize("distance", [0.0, 1.0, 3.0])
def test_the_strength_has_the_smallest_error_without_groups(n_images, n_features, distance) -> None:
    labels, groups = balanced_labels(n_images, 3), mixed_groups(n_images)
    features = clusters(labels, n_features, distance=distance)
    rows, targets = (features - features.mean(dim=0)).numpy(), np.eye(3)[labels]
    unit = float(np.square(rows).sum(axis=1).mean())
    errors = {
        strength: float(np.square(targets - refitted(rows, targets, groups.numpy(), strength * unit)).sum())
        for strength in RELATIVE_STRENGTHS
    }
    found = leave_one_out_logits(features, labels, groups=groups)
    assert found.relative_strength == min(errors, key=errors.__getitem__)


@pytest.mark.slow
@pytest.mark.parametrize(("n_images", "n_features"), [(36, 5), (24, 40)])
@pytest.mark.parametrize("distance", [0.5, 3.0])
def test_lead_of_a_head_equals_the_naive_definition(n_images, n_features, distance) -> None:
    labels, groups = balanced_labels(n_images, 3), mixed_groups(n_images)
    features = clusters(labels, n_features, distance=distance) + 0.5
    for method, time in (("lead-head", 0.3), ("loo-log-loss", 0.0)):
        expected = naive_lead_head(features.numpy(), labels.numpy(), time=time, groups=groups.numpy())
        found = transferability(features, labels, method, groups=groups)
        np.testing.assert_allclose(found.per_image.numpy(), expected, rtol=0, atol=1e-9)
    strengths = {strength: refitted_error(features, labels, groups, strength) for strength in RELATIVE_STRENGTHS}
    _, predicted = min(strengths.values(), key=lambda found: found[0])
    probe = transferability(features, labels, "linear-probe", groups=groups)
    assert probe.predicted.tolist() == predicted.argmax(axis=1).tolist()
    assert probe.per_image.tolist() == (predicted.argmax(axis=1) == labels.numpy()).astype(float).tolist()


def refitted_error(features: Tensor, labels: Tensor, groups: Tensor, strength: float) -> tuple[float, np.ndarray]:
    rows, targets = (features - features.mean(dim=0)).numpy(), np.eye(int(labels.max()) + 1)[labels]
    unit = float(np.square(rows).sum(axis=1).mean())
    predictions = refitted(rows, targets, groups.numpy(), strength * unit)
    return float(np.square(targets - predictions).sum()), predictions


@pytest.mark.parametrize("distance", [0.0, 1.0, 4.0])
def test_neighbours_of_other_groups_vote_once_a_group(distance) -> None:
    labels, groups = balanced_labels(60, 2), mixed_groups(60)
    features = clusters(labels, 5, distance=distance)
    rows = features.numpy() / np.linalg.norm(features.numpy(), axis=1, keepdims=True)
    expected = []
    for image in range(60):
        voters: dict[int, int] = {}
        for other in np.argsort(-(rows @ rows[image])).tolist():
            if groups[other] != groups[image] and len(voters) < 5:
                voters.setdefault(int(groups[other]), int(labels[other]))
        expected.append(float(sum(vote == labels[image] for vote in voters.values()) > 2))
    assert transferability(features, labels, "knn", groups=groups).per_image.tolist() == expected


def test_copies_share_their_vote() -> None:
    # Five groups to ask: class 1 at 1 and 3 degrees, an exact pair with a label each (half a vote each), class 0 at 4
    # and 5: 2.5 votes each, so the nearer class wins, which is 1.
    features = on_circle(0, 1, 2, 2, 3, 4, 5)
    labels = torch.tensor([1, 1, 0, 1, 1, 0, 0])
    groups = [0, 1, 2, 2, 3, 4, 5]
    assert transferability(features, labels, "knn", groups=groups).per_image[0] == 1
    assert transferability(features, 1 - labels, "knn", groups=groups).per_image[0] == 1
    # With both of the pair for class 0 it has three of five votes, not four of six.
    labels[3] = 0
    assert transferability(features, labels, "knn", groups=groups).predicted[0] == 0


def test_votes_by_hand_where_fewer_than_five_are_left() -> None:
    # Image 0 has only 4 to 6 to ask: two of its own class at 90 and 91 degrees, one of the other at 92.
    features, labels = on_circle(0, 1, 2, 3, 90, 91, 92), torch.tensor([0, 1, 1, 1, 0, 0, 1])
    found = transferability(features, labels, "knn", groups=[5, 5, 5, 5, 6, 7, 8])
    assert found.predicted[:4].tolist() == [0, 0, 0, 0]
    assert found.per_image[:4].tolist() == [1, 0, 0, 0]


def test_two_pairs_by_hand() -> None:
    # Without a pair only the other class is left, of equal images: the model says that class for sure. So the own class
    # is predicted as 0 and the other as 1, which misleads: the likeliest sharpness is 0, and both classes have 1/2.
    features, labels, pairs = np.array([[1.0], [1.0], [-1.0], [-1.0]]), [0, 0, 1, 1], [3, 3, 9, 9]
    left_out = leave_one_out_logits(torch.tensor(features), torch.tensor(labels), groups=torch.tensor([0, 0, 1, 1]))
    expected = torch.tensor([[0.0, 1], [0, 1], [1, 0], [1, 0]], dtype=torch.float64)
    torch.testing.assert_close(left_out.logits, expected, rtol=0, atol=1e-9)
    found = transferability(features, labels, groups=pairs)
    assert found.value == pytest.approx(-math.log(2), abs=1e-12)
    assert found.companions["loo_accuracy"] == 0
    assert score(features, labels, "linear-probe", groups=pairs) == 0


def test_the_explained_share_by_hand() -> None:
    # Groups {a, a, b}, {a}, {b, b}: the others of the first are a, b, b; of the second a, a, b, b, b; of the third
    # a, a, b, a. So the frequencies miss an image's own class by 2/3, 2/3, 1/3; 3/5; 3/4, 3/4, twice each (the
    # squares, of both classes). Predictions that miss by half of that explain 1 - 1/4.
    labels, groups = torch.tensor([0, 0, 1, 0, 1, 1]), torch.tensor([0, 0, 0, 1, 2, 2])
    misses = torch.tensor([2 / 3, 2 / 3, 1 / 3, 3 / 5, 3 / 4, 3 / 4], dtype=torch.float64)[:, None] / 2
    own = torch.nn.functional.one_hot(labels).double()
    predictions = own * (1 - misses) + (1 - own) * misses
    assert explained_share(predictions, labels, groups=groups) == pytest.approx(3 / 4, abs=1e-14)


@pytest.mark.slow
@every_score
@pytest.mark.parametrize("n_features", [6, 60, 600])
def test_groups_of_one_image_change_nothing(method, n_features) -> None:
    labels = balanced_labels(60, 3)
    features = clusters(labels, n_features, distance=1.0)
    alone = transferability(features, labels, method, groups=torch.randperm(60))
    assert torch.equal(alone.per_image, transferability(features, labels, method).per_image)
    # Nor does the closed form for groups differ from that for images, where both apply.
    one_hot = torch.nn.functional.one_hot(labels).double()
    for strength in (1e-3, 1.0):
        one = leave_one_out_logits(features, labels, relative_strengths=(strength,))
        grouped = leave_one_out_logits(features, labels, relative_strengths=(strength,), groups=torch.arange(60))
        torch.testing.assert_close(grouped.logits, one.logits, rtol=0, atol=1e-12)
        assert grouped.squared_error == pytest.approx(float((one_hot - one.logits).square().sum()))


def copies(features: Tensor, times: int, *, jitter: float) -> tuple[Tensor, Tensor]:
    """Every image so many times, a little different each time, and which image each one shows."""
    repeated = features.repeat(times, 1)
    return repeated + jitter * noise(*repeated.shape, seed=9), torch.arange(len(features)).repeat(times)


@pytest.mark.slow
@every_score
@pytest.mark.parametrize("n_features", [20, 200, 2000])
def test_copies_teach_nothing(method, n_features) -> None:
    """n / d from 10 to 0.1: every image twice is about as good as once, where it seems far better without groups."""
    labels = balanced_labels(200, 10)
    features = clusters(labels, n_features, distance=n_features**0.25)
    once = score(features, labels, method)
    twice, groups = copies(features, 2, jitter=0.05)
    naive = score(twice, labels.repeat(2), method)
    found = score(twice, labels.repeat(2), method, groups=groups)
    assert abs(found - once) < 0.1
    if method != "knn":
        assert naive - once > 2 * abs(found - once)


@pytest.mark.slow
@every_score
@pytest.mark.parametrize("n_features", [20, 200, 2000])
@pytest.mark.parametrize("times", [2, 3])
def test_labels_that_mean_nothing_stay_at_chance_with_copies(method, n_features, times) -> None:
    """The copies have their original's label, so that they tell it to each other wherever one of them is left in."""
    order = torch.randperm(200, generator=torch.Generator().manual_seed(4))
    labels = balanced_labels(200, 10)
    features, groups = copies(clusters(labels, n_features, distance=8.0), times, jitter=0.05)
    permuted = labels[order].repeat(times)
    found = transferability(features, permuted, method, groups=groups)
    told = transferability(features, permuted, method)
    if method in LIKELIHOODS:
        assert abs(found.value + math.log(10)) < 0.05
    else:
        assert found.value < 0.2
    if n_features >= 200:
        assert told.value > found.value + 0.05


@pytest.mark.slow
def test_a_copy_of_another_class_does_not_turn_the_ranking_upside_down() -> None:
    # Every image again as the next of four classes: features that tell the classes apart leave two of them open, log 2,
    # features that say nothing all four. Where a copy is left in, the better the features, the surer the wrong class.
    labels = balanced_labels(200, 4)
    both = torch.cat([labels, (labels + 1) % 4])
    good, groups = copies(clusters(labels, 400, distance=20.0), 2, jitter=0.01)
    bad, _ = copies(noise(200, 400, seed=3), 2, jitter=0.01)
    assert score(good, both, "loo-log-loss", groups=groups) == pytest.approx(-math.log(2), abs=0.05)
    for method in LIKELIHOODS:
        assert score(bad, both, method, groups=groups) == pytest.approx(-math.log(4), abs=0.05)
    for method in LEAVING_OUT:
        assert score(good, both, method, groups=groups) > score(bad, both, method, groups=groups) + 0.1
        assert score(good, both, method) < score(good, both, method, groups=groups)
    assert score(good, both, "linear-probe") < 0.25


@every_score
def test_names_of_groups_and_classes_and_the_order_of_images_do_not_matter(method) -> None:
    labels, groups = balanced_labels(60, 3), mixed_groups(60)
    features = clusters(labels, 8, distance=2.0)
    expected = transferability(features, labels, method, groups=groups).per_image
    renamed = transferability(features, torch.tensor([50, -3, 7])[labels], method, groups=-groups - 4)
    torch.testing.assert_close(renamed.per_image, expected, rtol=0, atol=1e-9)
    order = torch.randperm(60, generator=torch.Generator().manual_seed(3))
    shuffled = transferability(features[order], labels[order], method, groups=groups[order].numpy())
    torch.testing.assert_close(shuffled.per_image, expected[order], rtol=0, atol=1e-9)
    turned = transferability(1e3 * features @ rotation(8), labels, method, groups=groups)
    torch.testing.assert_close(turned.per_image, expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize("groups", [[0] * 10 + [1] * 10, [0] * 19 + [1], [0, 0, *range(1, 19)]])
@every_score
def test_odd_groups_have_a_score(method, groups) -> None:
    """Of a class that is left out as a whole nothing can be known, as of the only image of a class."""
    labels = [0] * 10 + [1] * 10
    assert math.isfinite(score(clusters(torch.tensor(labels), 3, distance=3.0), labels, method, groups=groups))


def test_groups_that_are_none_are_refused() -> None:
    features, labels = noise(6, 2), [0, 1] * 3
    with pytest.raises(ScoreError, match=r"groups must be at least 2, .* found all 6 images in one"):
        score(features, labels, groups=[4] * 6)
    with pytest.raises(ScoreError, match="features and groups must have one row per image, found 6 and 5"):
        score(features, labels, groups=[1, 2, 3, 4, 5])
    with pytest.raises(ScoreError, match="groups must be integers"):
        score(features, labels, groups=[0.5] * 6)


@pytest.mark.slow
def test_who_leaves_images_out_is_known() -> None:
    """A score that says so depends on groups, the others do not."""
    labels = balanced_labels(60, 3)
    features, groups = copies(clusters(labels, 8, distance=1.0), 2, jitter=0.01)
    twice = labels.repeat(2)
    for name, method in SCORES.items():
        if method.function is not None:
            with_groups = score(features, twice, name, logits=features, groups=groups)
            assert (with_groups != score(features, twice, name, logits=features)) == method.leaves_out, name
    assert [name for name, method in SCORES.items() if method.leaves_out] == [
        "lead",
        "lead-network",
        "lead+prior",
        "lead-head",
        "loo-log-loss",
        "knn",
        "linear-probe",
    ]
