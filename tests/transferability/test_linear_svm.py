import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from sklearn.svm import LinearSVC

from lead_hub.transferability.linear_svm import penalty_path, svm_scores
from tests.transferability.made_features import balanced_labels, clusters

CASES = [(60, 5, 3, 1.0), (40, 100, 4, 1.0), (200, 20, 5, 10.0), (80, 20, 4, 1e-3)]


@pytest.mark.parametrize(("n_images", "n_features", "n_classes", "unit"), CASES)
def test_equals_liblinear(n_images, n_features, n_classes, unit) -> None:
    labels = balanced_labels(n_images, n_classes)
    features = unit * clusters(labels, n_features, distance=1.0)
    model = LinearSVC(C=1.0, dual=False, tol=1e-10, max_iter=100_000).fit(features.numpy(), labels.numpy())
    expected = model.decision_function(features.numpy())
    np.testing.assert_allclose(svm_scores(features, labels).numpy(), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("unit", [0.1, 1.0, 30.0])
def test_is_a_minimum(unit) -> None:
    """At the weights that give these scores the objective's gradient vanishes, far beyond LIBLINEAR's accuracy."""
    labels = balanced_labels(50, 2)
    rows = np.column_stack([(unit * clusters(labels, 6, distance=1.0)).numpy(), np.ones(50)])
    scores = svm_scores(torch.from_numpy(rows[:, :-1]), labels).numpy()
    weights = np.linalg.lstsq(rows, scores, rcond=None)[0]
    for target_class in range(2):
        signs = np.where(labels.numpy() == target_class, 1.0, -1.0)

        def objective(w: np.ndarray, signs: np.ndarray = signs) -> float:
            return float(w @ w / 2 + np.square(np.maximum(0, 1 - signs * (rows @ w))).sum())

        best = minimize(objective, weights[:, target_class], method="Nelder-Mead", options={"maxiter": 300})
        assert objective(weights[:, target_class]) <= best.fun * (1 + 1e-13)
        shortfalls = np.maximum(0, 1 - signs * (rows @ weights[:, target_class]))
        gradient = weights[:, target_class] - 2 * rows.T @ (signs * shortfalls)
        assert np.linalg.norm(gradient) < 1e-9 * np.linalg.norm(2 * rows.T @ signs)


def test_two_images_by_hand() -> None:
    # Rows (1, 1) and (-1, 1), intercept column included, of opposite classes. By symmetry w = (a, 0), and both
    # images fall short by 1 - a: a^2 / 2 + 2 (1 - a)^2 is least where a = 4 (1 - a), at a = 4 / 5.
    scores = svm_scores(torch.tensor([[1.0], [-1.0]], dtype=torch.float64), torch.tensor([0, 1]))
    expected = torch.tensor([[0.8, -0.8], [-0.8, 0.8]], dtype=torch.float64)
    torch.testing.assert_close(scores, expected, rtol=0, atol=1e-12)


def test_path_ends_at_the_penalty() -> None:
    path = penalty_path(1.0, largest_eigenvalue=1000.0)
    # 2 * 1000 / 4^k is at most 1 from k = 6 on.
    assert path == [4.0**-k for k in range(6, -1, -1)]
    assert penalty_path(1.0, largest_eigenvalue=0.1) == [1.0]


def test_features_far_from_the_origin_have_an_answer_too() -> None:
    """Their gradient cannot fall to 1e-12 in float64: the minimum is where it stops falling, a descent away from 0."""
    labels = balanced_labels(300, 5)
    features = 100 * clusters(labels, 60, distance=2.0) + 1e4
    rows = np.column_stack([features.numpy(), np.ones(300)])
    scores = svm_scores(features, labels).numpy()
    for target_class in range(5):
        signs = np.where(labels.numpy() == target_class, 1.0, -1.0)
        weights = np.linalg.lstsq(rows, scores[:, target_class], rcond=None)[0]
        shortfalls = np.maximum(0, 1 - signs * (rows @ weights))
        gradient = weights - 2 * rows.T @ (signs * shortfalls)
        assert np.linalg.norm(gradient) < 1e-6 * np.linalg.norm(2 * rows.T @ signs)
