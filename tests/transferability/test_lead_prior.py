"""LEAD with a prior: a shift that depends on nothing but the standing and the number of classes."""

import math

import numpy as np
import pytest
import torch

from lead_hub.bench import MATRIX_FOLDER
from lead_hub.bench.matrix import read_matrix
from lead_hub.bench.score_table import ImageSample, score_tables
from lead_hub.errors import ScoreError
from lead_hub.transferability import transferability
from lead_hub.transferability.lead_prior import SPREAD
from tests.transferability.made_features import balanced_labels, clusters


def clouds(*, n_classes: int) -> tuple[torch.Tensor, torch.Tensor]:
    labels = balanced_labels(24, n_classes)
    return clusters(labels, 5, distance=1.5), labels


def test_the_prior_is_added_and_nothing_else() -> None:
    features, labels = clouds(n_classes=4)
    plain = transferability(features, labels, "lead")
    found = transferability(features, labels, "lead+prior", facts={"standing": -1.5, "parameters": 7.0})
    shift = 0.3 * SPREAD * math.log(4) * -1.5
    assert found.value == pytest.approx(plain.value + shift, abs=1e-12)
    assert plain.per_image is not None
    assert found.per_image is not None
    assert found.per_image.numpy() == pytest.approx(plain.per_image.numpy() + shift, abs=1e-12)
    assert (found.companions["lead"], found.companions["standing"]) == (plain.value, -1.5)
    assert found.notes == plain.notes


def test_an_unknown_checkpoint_counts_as_average_and_says_so() -> None:
    features, labels = clouds(n_classes=3)
    found = transferability(features, labels, "lead+prior")
    assert found.value == transferability(features, labels, "lead").value
    assert "its standing on other datasets is unknown" in found.notes[-1]


def test_no_report_moves_it_by_more_than_three_deviations() -> None:
    features, labels = clouds(n_classes=2)
    most, absurd = (transferability(features, labels, "lead+prior", facts={"standing": by}).value for by in (3.0, 1e9))
    assert most == absurd
    with pytest.raises(ScoreError, match="must be a finite number, found nan"):
        transferability(features, labels, "lead+prior", facts={"standing": math.nan})


@pytest.mark.slow
def test_its_unit_is_the_deviation_of_lead_among_checkpoints_of_the_study_half() -> None:
    matrix = read_matrix(MATRIX_FOLDER)
    (table,) = score_tables(matrix, [ImageSample()], methods=("lead",), cache_folder=None, n_workers=1)
    shares = [
        np.nanstd(table.values[0, :, column]) / math.log(matrix.targets[column].n_classes)
        for column in matrix.positions("study")
    ]
    assert pytest.approx(np.mean(shares), abs=0.005) == SPREAD
