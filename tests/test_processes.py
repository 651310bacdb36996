"""Two real processes under torchrun (gloo) give what one gives, and fail together."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from lead_hub import Leaderboard, recommend
from lead_hub.errors import CandidateError, DatasetError, LeadHubError
from lead_hub.processes import n_to_start
from tests.cli.test_interrupted import pool_of

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]

RANK = """
import sys
from pathlib import Path
from lead_hub import LeadHubError, recommend
from lead_hub.processes import running_processes

images, pool, out = map(Path, sys.argv[1:4])
try:
    board = recommend(images, [pool, "a/b/c"], cache_dir=out / "cache", progress=False)
    board.save(out / f"{running_processes().process_index}.json")
except LeadHubError as error:
    (out / f"{running_processes().process_index}.txt").write_text(f"{type(error).__name__}: {error}")
running_processes().destroy_process_group()
"""

STEPS = """
import json, sys
from pathlib import Path
import torch
from lead_hub.errors import CandidateError, DatasetError
from lead_hub.processes import first_on_each_node, gather_rows, guarded, on_every_process, on_main_process
from lead_hub.processes import running_processes, shared_folder

state = running_processes()
heard = {}
for n_rows in (1, 2, 5, 6):
    held = range(state.process_index, n_rows, state.num_processes) or range(1)
    part = torch.tensor([[float(row), float(-row)] for row in held])
    heard[f"rows {n_rows}"] = gather_rows(part, n_rows=n_rows, processes=state).tolist()

def only_on(process, error):
    def step():
        if state.process_index == process:
            raise error
        return state.process_index
    return step

for process in (0, 1):
    try:
        on_every_process(only_on(process, CandidateError("broken", stage="load")), state)
    except CandidateError as error:
        heard[f"failed on {process}"] = [str(error), error.stage]
try:
    on_every_process(guarded(only_on(1, OSError("odd")), stage="extract"), state)
except CandidateError as error:
    heard["unforeseen"] = [str(error), error.stage]
try:
    on_main_process(only_on(0, DatasetError("no images")), state)
except DatasetError as error:
    heard["main failed"] = str(error)
heard["from main"] = on_main_process(lambda: state.process_index, state)
out = Path(sys.argv[1])
def step():
    present = (out / "order").exists()
    (out / "order").touch()
    return present
heard["found done"] = first_on_each_node(step, state)
with shared_folder(state, prefix="lead-hub-test-") as folder:
    heard["folder"] = str(folder)
    first_on_each_node(lambda: folder.mkdir(exist_ok=True), state)
on_every_process(lambda: None, state)
heard["folder is gone"] = not folder.exists()
(out / f"{state.process_index}.json").write_text(json.dumps(heard))
state.destroy_process_group()
"""


def two_processes(script: str, *arguments: Path) -> None:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    (arguments[-1] / "script.py").write_text(script)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    finished = subprocess.run(
        [*launcher, str(arguments[-1] / "script.py"), *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr[-3000:]


def test_one_process_that_cancels_ends_the_run_for_all(colour_folder: Path, tiny_pool: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    asked_by_second = "cancelled=lambda: running_processes().process_index == 1 and any(out.glob('cache/outputs/*'))"
    # Three candidates are too few to be taken whole: both processes share the images of each.
    script = RANK.replace("progress=False", f"{asked_by_second}, progress=False").replace('[pool, "a/b/c"]', "[pool]")
    two_processes(script, colour_folder, tiny_pool, out)
    boards = [Leaderboard.load(out / f"{process}.json") for process in (0, 1)]
    assert boards[0] == boards[1]
    assert len(boards[0].rows) == 1
    assert not boards[0].is_complete


def outputs_by_file(cache: Path) -> dict[str, dict[str, torch.Tensor]]:
    return {path.name: load_file(path) for path in (cache / "outputs").iterdir()}


def test_two_processes_give_the_outputs_and_the_board_of_one(
    colour_folder: Path, tiny_pool: Path, tmp_path: Path
) -> None:
    # An odd number of images, so that the processes hold different numbers of them.
    out, alone = tmp_path / "two", tmp_path / "one"
    out.mkdir()
    two_processes(RANK.replace("progress=False", "max_images=35, progress=False"), colour_folder, tiny_pool, out)
    boards = [Leaderboard.load(out / f"{process}.json") for process in (0, 1)]
    expected = recommend(colour_folder, [tiny_pool, "a/b/c"], cache_dir=alone, max_images=35, progress=False)
    assert boards[0] == boards[1]
    assert [row.checkpoint for row in boards[0].rows] == [row.checkpoint for row in expected.rows]
    assert [row.score for row in boards[0].rows] == pytest.approx([row.score for row in expected.rows], abs=1e-5)
    assert boards[0].skipped == expected.skipped
    assert boards[0].dataset == expected.dataset
    together, single = outputs_by_file(out / "cache"), outputs_by_file(alone)
    assert together.keys() == single.keys()
    for name, outputs in single.items():
        for kind in ("features", "depth_kernel"):
            torch.testing.assert_close(together[name][kind], outputs[kind], atol=1e-5, rtol=1e-5)


def test_two_processes_race_as_one(colour_folder: Path, tiny_pool: Path, tmp_path: Path) -> None:
    out, alone = tmp_path / "two", tmp_path / "one"
    out.mkdir()
    two_processes(RANK.replace("progress=False", "budget='100%', progress=False"), colour_folder, tiny_pool, out)
    boards = [Leaderboard.load(out / f"{process}.json") for process in (0, 1)]
    expected = recommend(colour_folder, [tiny_pool, "a/b/c"], cache_dir=alone, budget="100%", progress=False)
    assert boards[0] == boards[1]
    stood = [[(row.checkpoint, row.n_images, row.rows_sha256) for row in board.rows] for board in (boards[0], expected)]
    assert stood[0] == stood[1]
    assert [row.score for row in boards[0].rows] == pytest.approx([row.score for row in expected.rows], abs=1e-5)
    together, single = outputs_by_file(out / "cache"), outputs_by_file(alone)
    assert together.keys() == single.keys()
    for name, outputs in single.items():
        for kind, values in outputs.items():
            torch.testing.assert_close(together[name][kind], values, atol=1e-5, rtol=1e-5)


ENDLESS = "[Candidate(str(each), multiply_adds=10**18) for each in sorted(pool.iterdir())]"


@pytest.mark.parametrize(("candidates", "budget"), [(ENDLESS, "15min"), ("[pool]", None)])
def test_two_processes_decide_together_whether_they_race(
    colour_folder: Path, tiny_pool: Path, tmp_path: Path, candidates: str, budget: str | None
) -> None:
    script = "from lead_hub import Candidate\n" + RANK.replace('[pool, "a/b/c"]', candidates)
    told = "on_race=lambda seconds: (out / f'{running_processes().process_index}.told').write_text(str(seconds))"
    two_processes(
        script.replace("progress=False", f"budget='auto', {told}, progress=False"), colour_folder, tiny_pool, tmp_path
    )
    boards = [Leaderboard.load(tmp_path / f"{process}.json") for process in (0, 1)]
    assert boards[0] == boards[1]
    assert len(boards[0].rows) == 3
    assert boards[0].settings.get("budget") == budget
    # Of a race the main process alone has told.
    assert [path.name for path in tmp_path.glob("*.told")] == ([] if budget is None else ["0.told"])


def test_two_processes_end_together_when_the_dataset_is_bad(tiny_pool: Path, tmp_path: Path) -> None:
    two_processes(RANK, tmp_path / "no images here", tiny_pool, tmp_path)
    answers = {(tmp_path / f"{process}.txt").read_text() for process in (0, 1)}
    assert len(answers) == 1
    assert answers.pop().startswith("DatasetError: ")


def test_steps_of_two_processes(tmp_path: Path) -> None:
    two_processes(STEPS, tmp_path)
    heard = [json.loads((tmp_path / f"{process}.json").read_text()) for process in (0, 1)]
    for process in heard:
        for n_rows in (1, 2, 5, 6):
            assert process[f"rows {n_rows}"] == [[row, -row] for row in range(n_rows)]
        assert process["failed on 0"] == process["failed on 1"] == ["broken", "load"]
        assert process["unforeseen"][1] == "extract"
        assert "found OSError: odd" in process["unforeseen"][0]
        assert process["main failed"] == "no images"
        assert process["from main"] == 0
        assert process["folder is gone"]
    assert [process["found done"] for process in heard] == [False, True]
    assert heard[0]["folder"] == heard[1]["folder"]


def test_an_error_keeps_its_stage_between_processes() -> None:
    import pickle

    error = pickle.loads(pickle.dumps(CandidateError("broken", stage="load")))
    assert (str(error), error.stage) == ("broken", "load")
    assert str(pickle.loads(pickle.dumps(DatasetError("no images")))) == "no images"


@pytest.mark.parametrize(
    ("asked", "device", "n_gpus", "environment", "n_processes"),
    [
        (None, "auto", 0, {}, 1),
        (None, "auto", 1, {}, 1),
        (None, "auto", 8, {}, 8),  # one a GPU, without a word from the user
        (None, "cuda:3", 8, {}, 1),
        (None, "cpu", 8, {}, 1),
        (1, "auto", 8, {}, 1),
        (2, "auto", 8, {}, 2),
        (4, "auto", 0, {}, 4),
        (4, "cpu", 2, {}, 4),
        (None, "auto", 8, {"WORLD_SIZE": "8", "RANK": "3"}, 1),  # launched already
        (2, "auto", 8, {"OMPI_COMM_WORLD_SIZE": "2"}, 1),
    ],
)
def test_how_many_processes_are_started(
    asked: int | None, device: str, n_gpus: int, environment: dict[str, str], n_processes: int
) -> None:
    assert n_to_start(asked, device=device, n_gpus=n_gpus, environment=environment) == n_processes


@pytest.mark.parametrize(
    ("asked", "device", "n_gpus", "said"),
    [
        (0, "auto", 0, "must be at least 1, found 0"),
        (2, "cuda:1", 2, "found cuda:1: leave it out, or name cpu"),
        (3, "auto", 2, "found 3 processes and 2 GPUs"),
    ],
)
def test_processes_that_cannot_be_started(asked: int, device: str, n_gpus: int, said: str) -> None:
    with pytest.raises(LeadHubError, match=said):
        n_to_start(asked, device=device, n_gpus=n_gpus, environment={})


def test_whole_checkpoints_under_torchrun_give_the_board_of_one_process(
    colour_folder: Path, tiny_pool: Path, tmp_path: Path
) -> None:
    out, alone, pool = tmp_path / "two", tmp_path / "one", pool_of(5, tiny_pool / "vit", tmp_path / "pool")
    out.mkdir()
    two_processes(RANK, colour_folder, pool, out)
    boards = [Leaderboard.load(out / f"{process}.json") for process in (0, 1)]
    expected = recommend(colour_folder, [pool, "a/b/c"], cache_dir=alone, progress=False)
    assert boards[0] == boards[1]
    assert untimed(boards[0]) == untimed(expected)
    together, single = outputs_by_file(out / "cache"), outputs_by_file(alone)
    assert together.keys() == single.keys()
    for name, outputs in single.items():
        for kind, values in outputs.items():
            torch.testing.assert_close(together[name][kind], values, atol=0, rtol=0)


UNLIKE = "import os, torch\ntorch.cpu.get_capabilities = lambda: {'avx512_bf16': os.environ['RANK'] == '0'}\n"


def test_unlike_processors_compute_in_the_number_format_of_the_main_one(
    colour_folder: Path, tiny_pool: Path, tmp_path: Path
) -> None:
    out, pool = tmp_path / "two", pool_of(6, tiny_pool / "vit", tmp_path / "pool")
    out.mkdir()
    two_processes(UNLIKE + RANK, colour_folder, pool, out)
    board = Leaderboard.load(out / "0.json")
    # Each would be "float32" where the other process took it, and a board of two rules.
    assert {row.dtype for row in board.rows} == {"bfloat16"}
    assert len(board.rows) == len(outputs_by_file(out / "cache")) == 6
    assert board.settings["dtype"] == "auto"


def untimed(board: Leaderboard) -> dict[str, Any]:
    """All but how fast it was."""
    return replace(board, rows=tuple(replace(row, images_per_s=None) for row in board.rows)).to_document()
