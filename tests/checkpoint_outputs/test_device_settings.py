"""How a machine computes fastest: measured once, remembered for it, and never in the way."""

import json
import os
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import constants
from torch import nn

from lead_hub.checkpoint_outputs import ExtractionSettings, fastest_passes, known_settings, load_checkpoint
from lead_hub.checkpoint_outputs.device_settings import (
    MachineSettings,
    Threads,
    facts,
    machine_settings,
    may_choose_threads,
    measured_settings,
    other_thread_counts,
    own_thread_counts,
    product_precision,
    remembered,
    settings_file,
    thread_counts,
    usable_cores,
    with_measured_threads,
)
from lead_hub.checkpoint_outputs.number_format import fast_dtype
from lead_hub.checkpoint_outputs.timed_pieces import number_of_threads
from lead_hub.processes import running_processes
from tests.tiny_checkpoints import random_images

CPU = torch.device("cpu")
OTHER = torch.float32 if fast_dtype(CPU) == torch.bfloat16 else torch.bfloat16
SOME = MachineSettings(
    OTHER, {torch.float32: False, torch.bfloat16: True}, Threads(3, 2), {"convolutions, float32": 1.5}
)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a machine's answer is kept that nobody has asked for yet."""
    monkeypatch.delenv("LEAD_HUB_MEASURE_MACHINE")
    monkeypatch.setattr(constants, "HF_ASSETS_CACHE", str(tmp_path / "assets"))
    return settings_file(CPU)


def write(file: Path, settings: MachineSettings) -> str:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"machine": facts(CPU), "settings": settings.to_document()}))
    return file.read_text()


@pytest.mark.slow
def test_what_is_measured_once_is_remembered(file: Path) -> None:
    assert known_settings(CPU) == MachineSettings(fast_dtype(CPU))
    assert not file.exists()
    found = machine_settings(CPU)
    assert found.dtype in {torch.float32, torch.bfloat16}
    assert found.threads is None  # the tests say how many there are
    kept = json.loads(file.read_text())
    assert kept["machine"] == facts(CPU)
    assert MachineSettings.from_document(kept["settings"]) == found == remembered(file) == known_settings(CPU)
    file.unlink()
    assert machine_settings(CPU) == found
    assert not file.exists()


def test_what_is_remembered_holds_whatever_it_says(file: Path) -> None:
    text = write(file, SOME)
    assert machine_settings(CPU) == known_settings(CPU) == SOME
    assert ExtractionSettings(device="cpu").torch_dtype(CPU) == OTHER
    assert ExtractionSettings(device="cpu").agreed(running_processes()).auto_dtype == OTHER
    assert file.read_text() == text


def test_a_chosen_number_format_measures_nothing(file: Path) -> None:
    settings = ExtractionSettings(device="cpu", dtype="float32")
    assert settings.agreed(running_processes()).torch_dtype(CPU) == torch.float32
    assert settings.on_machine(CPU) == MachineSettings(fast_dtype(CPU))
    assert not file.exists()
    write(file, SOME)
    assert not settings.on_machine(CPU).is_channels_last(torch.float32)


def test_nothing_is_measured_or_read_where_that_is_forbidden(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(file, SOME)
    monkeypatch.setenv("LEAD_HUB_MEASURE_MACHINE", "0")
    assert machine_settings(CPU) == known_settings(CPU) == MachineSettings(fast_dtype(CPU))


def document(**changed: Any) -> str:
    return json.dumps({"settings": SOME.to_document() | changed})


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "1", "{}", '{"settings": 1}', document(dtype="int8"), document(dtype=None)),
        *(document(threads={"usual": 0, "fastest": 1}), document(threads={"usual": "1", "fastest": 1})),
        *(document(threads=3), document(threads={"usual": 3}), document(channels_last=3)),
        *(document(channels_last={"float32": "no"}), document(milliseconds=1)),
    ],
)
def test_a_damaged_file_is_a_warning(text: str, file: Path) -> None:
    file.parent.mkdir(parents=True)
    file.write_text(text)
    with pytest.warns(UserWarning, match=f"{file.name} is not used"):
        assert remembered(file) is None


@pytest.mark.usefixtures("file")
def test_where_nothing_could_be_measured_nothing_is_remembered() -> None:
    assert measured_settings(CPU, limit_s=0.0) == MachineSettings(fast_dtype(CPU))
    meta = torch.device("meta")  # computes nothing
    assert machine_settings(meta) == MachineSettings(torch.float32)
    assert not settings_file(meta).exists()


def test_a_setting_of_torch_that_was_made_in_two_ways_can_still_be_read() -> None:
    before = torch.backends.cuda.matmul.fp32_precision
    try:
        torch.backends.cuda.matmul.fp32_precision = "tf32"
        assert product_precision()
    finally:
        torch.backends.cuda.matmul.fp32_precision = before
    assert product_precision() == torch.get_float32_matmul_precision()


@pytest.mark.slow
def test_a_damaged_file_is_measured_again(file: Path) -> None:
    file.parent.mkdir(parents=True)
    file.write_bytes(b"\xff")
    with pytest.warns(UserWarning, match="is not used"):
        found = machine_settings(CPU)
    assert remembered(file) == found


@pytest.mark.slow
def test_a_place_that_cannot_be_written_is_a_warning(file: Path) -> None:
    file.parents[3].mkdir(parents=True, exist_ok=True)
    file.parents[2].write_text("no folder")
    with pytest.warns(UserWarning, match="measured again"):
        found = machine_settings(CPU)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert machine_settings(CPU) is found  # this process knows


def test_whatever_could_change_the_answer_has_another_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert facts(CPU)["torch"] == torch.__version__
    assert facts(CPU)["cores"] == os.cpu_count()
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert settings_file(CPU) != file
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA")
    # Processes that share a run have fewer threads each, and must compute as one does.
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    with number_of_threads(3):
        assert settings_file(CPU) == file


@pytest.mark.parametrize(
    ("usual", "cores", "expected"),
    [(2, 2, []), (4, 8, [8]), (15, 15, []), (16, 16, [8]), (16, 32, [8, 32]), (32, 2, [2, 16])],
)
def test_other_numbers_of_threads_that_may_be_faster(usual: int, cores: int, expected: list[int]) -> None:
    assert thread_counts(usual, cores) == expected


@pytest.mark.parametrize("chosen", ["OMP_NUM_THREADS", "MKL_NUM_THREADS", "LOCAL_WORLD_SIZE"])
def test_threads_that_others_have_chosen_or_need_stay(chosen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    settings, n_threads = MachineSettings(torch.float32, threads=Threads(3, 2)), []
    with number_of_threads(3):
        with settings.computing():
            n_threads.append(torch.get_num_threads())
        assert (may_choose_threads(), torch.get_num_threads()) == (True, 3)
        monkeypatch.setenv(chosen, "2")
        with settings.computing():
            n_threads.append(torch.get_num_threads())
        assert not may_choose_threads()
        assert other_thread_counts(CPU) == []
    assert n_threads == [2, 3]


def test_threads_that_a_program_has_set_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    with number_of_threads(4), MachineSettings(torch.float32, threads=Threads(3, 2)).computing():
        assert torch.get_num_threads() == 4
    assert 1 <= usable_cores() <= max(own_thread_counts())
    with number_of_threads(max(own_thread_counts()) + 1):
        assert other_thread_counts(CPU) == []
    assert other_thread_counts(torch.device("cuda")) == []


def test_a_run_does_as_the_machine_says(file: Path, tiny_pool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    checkpoint = load_checkpoint(tiny_pool / "resnet")
    convolutions = [part for part in checkpoint.model.modules() if isinstance(part, nn.Conv2d)]
    laid_out = []
    for is_last in (False, True):
        write(file, replace(SOME, dtype=torch.float32, layouts={torch.float32: is_last}))
        settings = ExtractionSettings(device="cpu", dtype="float32")
        with (
            number_of_threads(3),
            fastest_passes(checkpoint, list(random_images(4)), device=CPU, settings=settings) as chosen,
        ):
            assert (chosen.dtype, torch.get_num_threads()) == (torch.float32, 2)
            laid_out.append({part.weight.is_contiguous(memory_format=torch.channels_last) for part in convolutions})
    assert laid_out[0] != {True} == laid_out[1]


def test_without_time_nothing_is_said_of_threads() -> None:
    settings = MachineSettings(torch.float32, milliseconds={"before": 1.0})
    assert with_measured_threads(settings, CPU, limit_s=0.0) == settings
