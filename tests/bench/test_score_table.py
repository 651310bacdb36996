"""Scores of every pair: the same numbers as from `transferability` itself, kept, and undefined where they are."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from lead_hub.bench.matrix import read_matrix
from lead_hub.bench.matrix_files import MatrixError
from lead_hub.bench.report import BenchSettings
from lead_hub.bench.score_cache import score_version, source_files
from lead_hub.bench.score_table import ImageSample, image_scores, sampled_rows, score_tables
from lead_hub.bench.stored_outputs import read_outputs
from lead_hub.transferability import KERNELS, SCORES, transferability, unpacked_kernel
from tests.bench.small_matrix import QUALITY, write_small_matrix

METHODS = ("logme", "leep")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_matrix(tmp_path_factory.mktemp("bench") / "matrix")


def test_a_cell_is_the_score_of_the_stored_outputs(folder: Path) -> None:
    matrix = read_matrix(folder)
    (table,) = score_tables(matrix, [ImageSample()], methods=METHODS, n_workers=1)
    outputs = read_outputs(folder, "digits", "resnet-b")
    expected = transferability(outputs.features, outputs.labels, "logme").value
    assert table.values[0, 1, 1] == expected
    assert (table.seconds >= 0).all()


def test_a_score_without_what_it_needs_is_undefined_and_says_why(folder: Path) -> None:
    (table,) = score_tables(read_matrix(folder), [ImageSample()], methods=METHODS, n_workers=1)
    without_logits = [2, 4]  # resnet-c, vit-b
    assert np.flatnonzero(np.isnan(table.values[1]).all(axis=1)).tolist() == without_logits
    assert int(np.isnan(table.values[1]).sum()) == 2 * 3
    assert table.errors == {
        "logme": {},
        "leep": {"leep needs the logits of the checkpoint's own trained head, found none": 6},
    }


def test_only_pairs_with_an_accuracy_are_scored(tmp_path: Path) -> None:
    def is_run(target: str, checkpoint: str, *run: object) -> bool:
        return (target, checkpoint) != ("shapes", "resnet-a")

    matrix = read_matrix(write_small_matrix(tmp_path / "matrix", is_run=is_run))
    seen: list[tuple[int, int]] = []
    (table,) = score_tables(
        matrix, [ImageSample()], methods=["logme"], n_workers=1, advance=lambda *step: seen.append(step)
    )
    assert np.argwhere(np.isnan(table.values[0])).tolist() == [[0, 2]]
    assert seen == [(done, 14) for done in range(1, 15)]


@pytest.mark.slow
def test_a_second_run_reads_what_the_first_computed(folder: Path, tmp_path: Path) -> None:
    matrix = read_matrix(folder)
    samples = [ImageSample(), ImageSample(30, 1)]
    first = score_tables(matrix, samples, methods=METHODS, cache_folder=tmp_path, n_workers=1)
    written = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert len(written) == 5 * 3 * 2
    second = score_tables(matrix, samples, methods=METHODS, cache_folder=tmp_path, n_workers=1)
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.values, other.values)
        np.testing.assert_array_equal(one.seconds, other.seconds)
        assert one.errors == other.errors
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == written


def test_another_score_is_added_to_what_is_there_and_damage_is_repaired(folder: Path, tmp_path: Path) -> None:
    matrix = read_matrix(folder)
    score_tables(matrix, [ImageSample()], methods=["leep"], cache_folder=tmp_path, n_workers=1)
    damaged, kept = sorted(tmp_path.iterdir())[:2]
    damaged.write_text("{")
    (table,) = score_tables(matrix, [ImageSample()], methods=METHODS, cache_folder=tmp_path, n_workers=1)
    assert not np.isnan(table.values[0]).any()
    for path in (damaged, kept):
        assert set(json.loads(path.read_text())) == {score_version(method) for method in METHODS}


def test_other_outputs_have_other_cells(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    for number, levels in enumerate(
        ({"a": 1.0, "b": 2.0, "c": 3.0, "d": 0.0}, {"a": 2.0, "b": 1.0, "c": 3.0, "d": 0.0})
    ):
        matrix = read_matrix(write_small_matrix(tmp_path / str(number), quality=levels, targets={"t": "study"}))
        (table,) = score_tables(matrix, [ImageSample()], methods=["logme"], cache_folder=cache, n_workers=1)
        assert np.argsort(table.values[0, :, 0]).tolist() == np.argsort(list(levels.values())).tolist()
    assert len(list(cache.iterdir())) == 8


@pytest.mark.slow
def test_processes_give_the_same_numbers(folder: Path) -> None:
    matrix = read_matrix(folder)
    (here,) = score_tables(matrix, [ImageSample(20)], methods=["logme"], n_workers=1)
    (there,) = score_tables(matrix, [ImageSample(20)], methods=["logme"], n_workers=2)
    np.testing.assert_allclose(there.values, here.values, rtol=1e-12)


def test_a_sample_is_stratified_seeded_and_keeps_two_of_every_class() -> None:
    labels = np.array([0] * 60 + [1] * 30 + [2] * 9 + [3], dtype=np.int16)
    assert sampled_rows(labels, ImageSample()).tolist() == list(range(100))
    rows = sampled_rows(labels, ImageSample(33, seed=0))
    # Shares of 33 among 60, 30 and 9 of 99; the class of one image stays out.
    assert np.bincount(labels[rows]).tolist() == [20, 10, 3]
    assert rows.tolist() == sampled_rows(labels, ImageSample(33, seed=0)).tolist()
    assert rows.tolist() != sampled_rows(labels, ImageSample(33, seed=1)).tolist()
    assert np.bincount(labels[sampled_rows(labels, ImageSample(4))]).tolist() == [2, 2, 2]


def test_scores_that_look_at_images_are_all_that_are_computed() -> None:
    assert set(image_scores()) == {name for name, method in SCORES.items() if method.fact is None} - {"lead+prior"}


def test_the_version_follows_the_code_that_a_score_uses() -> None:
    assert {path.stem for path in source_files("lead_hub.transferability.nowhere")} >= {"lead", "logme", "score"}
    used = {path.stem for path in source_files("lead_hub.transferability.logme")}
    assert used == {"logme", "score", "score_inputs", "spectrum"}
    assert {"leave_one_out", "kernel_ridge"} <= {path.stem for path in source_files("lead_hub.transferability.lead")}
    assert len({score_version(method) for method in image_scores()}) == len(image_scores())


def with_kernels(folder: Path, *, n_images: int = 60) -> Path:
    """A small matrix, and beside its outputs the inner products of the features, packed in half precision."""
    for target in ("letters", "digits", "shapes"):
        kernels = {}
        for checkpoint in QUALITY:
            rows = read_outputs(folder, target, checkpoint).features[:n_images].astype(np.float64)
            kernel = rows @ rows.T / np.square(rows).sum() * len(rows)
            for name in KERNELS:
                kernels[f"{checkpoint}.{name}"] = kernel[np.triu_indices(len(rows))].astype(np.float16)
        (folder / "kernels").mkdir(exist_ok=True)
        save_file(kernels, folder / "kernels" / f"{target}.safetensors")
    return folder


@pytest.mark.slow
def test_scores_of_kernels_need_those_that_are_stored(tmp_path: Path) -> None:
    folder = write_small_matrix(tmp_path / "matrix")
    methods, samples = ("lead", "lead-network"), [ImageSample(), ImageSample(30, 1)]
    before = score_tables(read_matrix(folder), samples, methods=methods, cache_folder=tmp_path / "kept", n_workers=1)
    assert all(np.isnan(table.values[1]).all() and np.isfinite(table.values[0]).all() for table in before)
    with_kernels(folder)
    # The kernels are part of what a score is kept under.
    found = score_tables(read_matrix(folder), samples, methods=methods, cache_folder=tmp_path / "kept", n_workers=1)
    outputs = read_outputs(folder, "digits", "resnet-b")
    whole = {name: unpacked_kernel(torch.from_numpy(kernel).float()) for name, kernel in outputs.kernels.items()}
    for table, sample in zip(found, samples, strict=True):
        rows = sampled_rows(outputs.labels, sample)
        among = {name: kernel[rows][:, rows] for name, kernel in whole.items()}
        for position, method in enumerate(methods):
            expected = transferability(outputs.features[rows], outputs.labels[rows], method, kernels=among).value
            assert table.values[position, 1, 1] == pytest.approx(expected, abs=1e-12)


def test_kernels_between_other_images_are_refused(tmp_path: Path) -> None:
    folder = with_kernels(write_small_matrix(tmp_path / "matrix"), n_images=50)
    with pytest.raises(MatrixError, match=r"depth_kernel must be the upper triangle of a kernel between 60 images"):
        read_outputs(folder, "digits", "resnet-b")
    (folder / "kernels" / "digits.safetensors").write_text("no kernels")
    with pytest.raises(MatrixError, match="must hold kernels between images"):
        read_outputs(folder, "digits", "resnet-b")


def test_without_a_choice_those_are_computed_whose_kernels_are_all_there(tmp_path: Path) -> None:
    folder = write_small_matrix(tmp_path / "matrix")
    every, matrix = set(image_scores()), read_matrix(folder)
    assert set(BenchSettings().scores(matrix)) == every - {"lead-network"}
    with_kernels(folder)
    assert set(BenchSettings().scores(matrix)) == every
    path = folder / "kernels" / "digits.safetensors"
    save_file({name: kernel for name, kernel in load_file(path).items() if name != "vit-b.network_kernel"}, path)
    assert set(BenchSettings().scores(matrix)) == every - {"lead-network"}, "of one checkpoint on one target"
    assert BenchSettings(methods=("lead-network",)).scores(matrix) == ("lead", "lead-network")
