"""Reading a ground-truth matrix: which accuracy is published, what may be missing, what must not be."""

from pathlib import Path

import numpy as np
import pytest

from lead_hub.bench.matrix import read_matrix
from lead_hub.bench.matrix_files import MatrixError
from lead_hub.bench.stored_outputs import read_outputs
from tests.bench.small_matrix import QUALITY, RATES, SEEDS, TARGETS, write_small_matrix


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_small_matrix(tmp_path / "matrix")


def replace_in(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_the_published_accuracy_is_that_of_the_rate_which_validation_chooses(folder: Path) -> None:
    matrix = read_matrix(folder)
    # See write_small_matrix: the mean of seeds 0, 1, 2 adds 1 point; the other rate takes 10.
    expected = [100 * (0.5 + level / 10 + 0.01) for level in QUALITY.values()]
    for column in range(len(TARGETS)):
        np.testing.assert_allclose(matrix.accuracy[:, column], expected)
        np.testing.assert_allclose(matrix.other_rate_accuracy[:, column], np.array(expected) - 10)
        for number, seed in enumerate(SEEDS):
            np.testing.assert_allclose(matrix.seed_accuracy[number, :, column], np.array(expected) - 1 + seed)
    assert matrix.left_out == ()


def test_of_rates_equal_by_validation_the_smaller_counts(tmp_path: Path) -> None:
    folder = write_small_matrix(tmp_path / "matrix")
    runs = folder / "finetuned_accuracy.csv"
    runs.write_text(runs.read_text().replace(",0.8,", ",0.7,"))
    expected = [100 * (0.5 + level / 10 + 0.01 - 0.1) for level in QUALITY.values()]
    np.testing.assert_allclose(read_matrix(folder).accuracy[:, 0], expected)


def test_a_rate_that_was_tried_with_fewer_seeds_is_not_the_published_one(tmp_path: Path) -> None:
    """The better rate of the first checkpoint has one seed of three: what counts is 10 points lower."""
    first, *others = QUALITY

    def is_run(target: str, checkpoint: str, rate: float, seed: int) -> bool:
        return (checkpoint, rate) != (first, max(RATES)) or seed == SEEDS[0]

    matrix = read_matrix(write_small_matrix(tmp_path / "matrix", is_run=is_run))
    expected = [100 * (0.5 + QUALITY[name] / 10 + 0.01) for name in (first, *others)]
    np.testing.assert_allclose(matrix.accuracy[:, 0], [expected[0] - 10, *expected[1:]])


def test_halves_are_those_of_the_table(folder: Path) -> None:
    matrix = read_matrix(folder)
    assert [matrix.targets[column].name for column in matrix.positions("held-out")] == ["digits", "shapes"]
    assert [matrix.targets[column].name for column in matrix.positions("study")] == ["letters"]
    assert matrix.positions("all") == [0, 1, 2]
    with pytest.raises(MatrixError, match=r"half must be one of study, .*, real or all, found 'left'"):
        matrix.positions("left")


def test_missing_runs_leave_pairs_out_and_are_said(tmp_path: Path) -> None:
    def is_run(target: str, checkpoint: str, rate: float, seed: int) -> bool:
        started = (target, checkpoint) != ("digits", "vit-a") and target != "shapes"
        return started and (target, checkpoint, rate, seed) != ("letters", "vit-b", RATES[0], 2)

    matrix = read_matrix(write_small_matrix(tmp_path / "matrix", is_run=is_run))
    assert [target.name for target in matrix.targets] == ["letters", "digits"]
    missing = np.argwhere(np.isnan(matrix.accuracy)).tolist()
    assert missing == [[list(QUALITY).index("vit-a"), 1]]
    assert matrix.left_out == (
        "letters: 1 checkpoints have fewer than 6 fine-tuning runs so far",
        "digits: 1 of 5 checkpoints left out, without a fine-tuning run or without stored outputs: vit-a",
        "shapes: left out, 0 usable checkpoints",
    )


def test_runs_at_a_rate_that_was_given_up_are_missing_nowhere(tmp_path: Path) -> None:
    def is_run(target: str, checkpoint: str, rate: float, seed: int) -> bool:
        return rate == RATES[0] or (target, checkpoint) == ("letters", "vit-b")

    matrix = read_matrix(write_small_matrix(tmp_path / "matrix", is_run=is_run))
    assert matrix.left_out == ()


def test_a_target_without_stored_outputs_is_left_out(folder: Path) -> None:
    (folder / "outputs" / "digits.safetensors").unlink()
    matrix = read_matrix(folder)
    assert [target.name for target in matrix.targets] == ["letters", "shapes"]
    assert matrix.left_out == ("digits: left out, 0 usable checkpoints",)


def test_a_line_that_is_being_written_is_not_there_yet(folder: Path) -> None:
    before = read_matrix(folder).accuracy
    with (folder / "finetuned_accuracy.csv").open("a") as file:
        file.write("letters,resnet-a,0.0")
    np.testing.assert_array_equal(read_matrix(folder).accuracy, before)


def test_stored_outputs_are_read_as_they_were_written(folder: Path) -> None:
    outputs = read_outputs(folder, "digits", "resnet-a")
    assert (outputs.features.shape, outputs.features.dtype) == ((60, 6), np.float16)
    assert outputs.labels.tolist() == [0] * 20 + [1] * 20 + [2] * 20
    assert outputs.logits is not None
    assert outputs.logits.shape == (60, 4)
    assert read_outputs(folder, "digits", "vit-b").logits is None
    with pytest.raises(MatrixError, match="must hold the outputs of nobody"):
        read_outputs(folder, "digits", "nobody")


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("targets.csv", "study", "test", r"line 2: half must be one of study, .*, real, found 'test'"),
        ("targets.csv", "half", "part", "found none named half"),
        ("checkpoints.csv", "1000,", "many,", "line 2: parameters must be a whole number, found 'many'"),
        ("checkpoints.csv", "resnet-b", "resnet-a", "line 3: resnet-a must be there once"),
        ("finetuned_accuracy.csv", "letters,resnet-a", "words,resnet-a", "found 'words' with 'resnet-a'"),
        ("finetuned_accuracy.csv", "0.8,0.9", "0.8,90", "test_accuracy must be between 0 and 1, found '90'"),
        ("finetuned_accuracy.csv", "letters,resnet-a,0.001,0,", "letters,resnet-a,", "a line must have 7 cells"),
        ("finetuned_accuracy.csv", "resnet-a,0.001,1", "resnet-a,0.001,0", "resnet-a, 0.001, 0 must be there once"),
    ],
)
def test_a_bad_table_is_named_with_its_line(folder: Path, file: str, old: str, new: str, message: str) -> None:
    replace_in(folder / file, old, new)
    with pytest.raises(MatrixError, match=message):
        read_matrix(folder)


def test_what_is_not_there_is_said(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(MatrixError, match="a ground-truth matrix must be a folder, found none at"):
        read_matrix(tmp_path / "nowhere")
    with pytest.raises(MatrixError, match=r"a ground-truth matrix needs checkpoints.csv, found none in"):
        read_matrix(tmp_path)
    (folder / "outputs" / "digits.safetensors").write_bytes(b"no tensors")
    with pytest.raises(MatrixError, match=r"digits.safetensors must be a safetensors file"):
        read_matrix(folder)


def test_the_installed_package_says_where_its_matrix_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lead_hub.bench.matrix.MATRIX_FOLDER", tmp_path / "none")
    with pytest.raises(MatrixError, match=r"is in a clone of the repository, .* or name a matrix with --matrix"):
        read_matrix(tmp_path / "none")
    with pytest.raises(MatrixError, match="must be a folder, found none at"):
        read_matrix(tmp_path / "other")
