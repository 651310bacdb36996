"""Two real processes under torchrun (gloo) learn in step, and as one does."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from lead_hub.access import Access
from lead_hub.finetuning import finetune
from lead_hub.finetuning.parts import load_finetuning_images
from lead_hub.labelled_images import DatasetQuery
from tests.test_processes import two_processes

pytestmark = pytest.mark.slow

SCRIPT = """
import json, sys
from dataclasses import asdict
from pathlib import Path
from lead_hub.access import Access
from lead_hub.errors import CandidateError
from lead_hub.finetuning import finetune, load_finetuning_images
from lead_hub.labelled_images import DatasetQuery
from lead_hub.processes import running_processes

folder, pool, out = map(Path, sys.argv[1:4])
images = load_finetuning_images(DatasetQuery(str(folder)), Access(progress=False))
heard = {}
for family, mode in json.loads((out / "wanted.json").read_text()):
    quick = {"learning_rates": [3e-3], "seeds": [0], "epochs": 3, "cache_dir": out / "cache", "progress": False}
    result = finetune(pool / family, images, mode=mode, **quick)
    heard[f"{family} {mode}"] = asdict(result)
try:
    finetune(out / "nothing" / "is" / "here", images, cache_dir=out / "cache", progress=False)
except CandidateError as error:
    heard["failed"] = str(error)
running_processes().wait_for_everyone()
(out / f"{running_processes().process_index}.json").write_text(json.dumps(heard))
running_processes().destroy_process_group()
"""
WANTED = [("vit", "full"), ("resnet", "full"), ("vit", "lora"), ("dinov2", "probe")]


@pytest.fixture(scope="module")
def heard(split_folder: Path, tiny_pool: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, object]]:
    out = tmp_path_factory.mktemp("two")
    (out / "wanted.json").write_text(json.dumps(WANTED))
    two_processes(SCRIPT, split_folder, tiny_pool, out)
    return [json.loads((out / f"{process}.json").read_text()) for process in (0, 1)]


def test_both_processes_end_with_the_same_result_or_the_same_error(heard: list[dict[str, object]]) -> None:
    assert heard[0] == heard[1]
    assert set(heard[0]) == {*(f"{family} {mode}" for family, mode in WANTED), "failed"}


@pytest.mark.parametrize(("family", "mode"), [("vit", "full"), ("vit", "lora"), ("dinov2", "probe")])
def test_two_processes_learn_what_one_learns(
    heard: list[dict[str, dict[str, list[dict[str, float]]]]],
    split_folder: Path,
    tiny_pool: Path,
    tmp_path: Path,
    family: str,
    mode: str,
) -> None:
    # Not the ResNet: its batch norms see the images of their own process alone.
    images = load_finetuning_images(DatasetQuery(str(split_folder)), Access(progress=False))
    alone = finetune(
        tiny_pool / family,
        images,
        mode=mode,
        learning_rates=[3e-3],
        seeds=[0],
        epochs=3,
        cache_dir=tmp_path,
        progress=False,
    )
    (expected,), (found,) = alone.trainings, heard[0][f"{family} {mode}"]["trainings"]
    assert {**found, "duration_s": 0.0} == pytest.approx({**asdict(expected), "duration_s": 0.0}, abs=1e-9)
