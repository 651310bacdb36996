"""The fine-tuning script: it pins what was ranked, names stay literals, and it runs for every kind of network."""

import ast
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import datasets
import pytest
import torch
from safetensors import safe_open
from transformers import AutoConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES

from lead_hub.candidates.model_families import IMAGE_ENCODERS
from lead_hub.demo import TARGETS, checkpoint_folder, pool, target_folder
from lead_hub.finetuning.settings import EPOCHS, LEARNING_RATES
from lead_hub.leaderboard import FineTunedAccuracy, RankedCheckpoint, RankedDataset
from spaces_app.fine_tuning_script import BACKBONES, CLASSIFIERS, LEARNING_RATE, OTHER_RATES, fine_tuning_snippet
from tests.checkpoint_outputs.tiny_types import OTHER_FAMILIES
from tests.leaderboard.made_boards import COMMIT, DATASET, FINGERPRINT, GOOD, NASTY
from tests.tiny_checkpoints import save_checkpoint, save_timm
from tests.tiny_families import FAMILIES, SIGLIP2, TWO_TOWERS

ROOT = Path(__file__).parents[2]


def test_the_snippet_pins_what_was_ranked() -> None:
    snippet = constants(fine_tuning_snippet(GOOD, replace(DATASET, config="small", split="validation")))
    assert (snippet["CHECKPOINT"], snippet["CHECKPOINT_COMMIT"]) == ("org/good", COMMIT)
    assert (snippet["DATASET"], snippet["DATASET_COMMIT"], snippet["CONFIG"]) == ("org/flowers", COMMIT, "small")
    assert (snippet["SPLIT"], snippet["IMAGE_COLUMN, LABEL_COLUMN"]) == ("validation", ("image", "label"))


def test_its_learning_rate_is_that_of_verify() -> None:
    assert (LEARNING_RATE, *OTHER_RATES) == LEARNING_RATES["full"]
    plain = constants(fine_tuning_snippet(GOOD, DATASET))
    assert (plain["LEARNING_RATE"], plain["EPOCHS"]) == (LEARNING_RATE, EPOCHS["full"])
    outcome = FineTunedAccuracy("full", 0.8, None, 0.8, 3e-5, 1, 1, 0, 80, 20, 16, "split 'test'", 9.0, "cpu")
    verified = constants(fine_tuning_snippet(replace(GOOD, finetuned=outcome), DATASET))
    assert verified["LEARNING_RATE"] == 3e-5
    probed = constants(fine_tuning_snippet(replace(GOOD, finetuned=replace(outcome, mode="probe")), DATASET))
    assert probed["LEARNING_RATE"] == LEARNING_RATE


def constants(snippet: str) -> dict[str, object]:
    """The literals that a script assigns at its top."""
    found = {}
    for node in ast.parse(snippet).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant | ast.Tuple):
            found[ast.unparse(node.targets[0]).strip("()")] = ast.literal_eval(node.value)
    return found


@pytest.mark.parametrize("name", NASTY)
@pytest.mark.parametrize("sha", [COMMIT, FINGERPRINT])
def test_names_in_the_snippet_stay_literals(name: str, sha: str) -> None:
    row = replace(GOOD, checkpoint=name, sha=sha, note=name, licence=name, family=name, revision=name)
    images = replace(
        DATASET, dataset=name, sha=sha, is_local=sha == FINGERPRINT, config=name, split=name, image_column=name,
        label_column=name, class_names=(name,), notes=(name,),
    )  # fmt: skip
    snippet = fine_tuning_snippet(row, images)
    found = constants(snippet)
    assert {found[key] for key in ("CHECKPOINT", "DATASET", "CONFIG", "SPLIT")} == {name}
    assert found["IMAGE_COLUMN, LABEL_COLUMN"] == (name, name)
    plain = replace(images, dataset="a/b", config="c", split="s", image_column="i", label_column="l")
    same = fine_tuning_snippet(replace(row, checkpoint="a/b"), plain)
    # But for these values it is the very same program.
    assert ast.dump(without_constants(snippet)) == ast.dump(without_constants(same))


def without_constants(snippet: str) -> ast.Module:
    module = ast.parse(snippet)
    module.body = [
        node
        for node in module.body
        if not (isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant | ast.Tuple))
    ]
    return module


def test_every_family_that_can_be_ranked_has_a_class_to_train() -> None:
    classes = MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES
    without = {family for family in IMAGE_ENCODERS if family not in classes}
    several = {family for family in IMAGE_ENCODERS if not isinstance(classes.get(family, ""), str)}
    assert without | several == {*BACKBONES, *CLASSIFIERS}


def ranked(folder: Path, *, family: str) -> RankedCheckpoint:
    return RankedCheckpoint(str(folder), 0.0, sha=FINGERPRINT, family=family)


def local(folder: Path | str, **facts: object) -> RankedDataset:
    return replace(DATASET, dataset=str(folder), sha=FINGERPRINT, is_local=True, config="default", **facts)


def run_scripts(scripts: Sequence[Path]) -> list[str]:
    """Run each as a program that trains for two steps, all in one process; what each says at its end."""
    loop = (
        "import os, runpy, sys\n"
        "for path in sys.argv[1:]:\n"
        "    os.environ['OUTPUT'] = path.removesuffix('.py')\n"
        "    runpy.run_path(path, run_name='__main__')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", loop, *map(str, scripts)], capture_output=True, text=True, cwd=ROOT,
        env={**os.environ, "MAX_STEPS": "2", "HF_HUB_OFFLINE": "1"}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return [line for line in done.stdout.splitlines() if "images learnt from" in line]


@pytest.mark.slow
def test_the_demo_is_fine_tuned_in_earnest(tmp_path: Path) -> None:
    """Two short trainings: of a classifier of other classes, and of one of timm, by the names that the page shows."""
    scripts = []
    for name, family in (("resnet-letters-wide", "resnet"), ("timm-vit-emoji", "timm:vit")):
        scripts.append(tmp_path / f"{name}.py")
        row = RankedCheckpoint(name, 0.0, sha=FINGERPRINT, family=family)
        scripts[-1].write_text(fine_tuning_snippet(row, local("demo:scripts")), encoding="utf-8")
    said = run_scripts(scripts)
    # The demo's README: 512 images to learn from and 388 to test on.
    assert [line.partition(":")[0] for line in said] == ["512 images learnt from; accuracy on 388 others"] * 2
    config = AutoConfig.from_pretrained(tmp_path / "resnet-letters-wide")
    names = datasets.load_dataset(str(target_folder("scripts")), split="train").features["label"].names
    assert [config.id2label[number] for number in range(12)] == names
    weight = "resnet.embedder.embedder.convolution.weight"
    before, after = (
        safe_open(folder / "model.safetensors", "pt").get_tensor(weight)
        for folder in (checkpoint_folder("resnet-letters-wide"), tmp_path / "resnet-letters-wide")
    )
    difference = (after - before).abs().max()
    assert 0 < difference < 0.01 < before.abs().max()  # it began with the checkpoint's weights, and they moved


def test_names_of_the_demo_are_those_of_its_folders() -> None:
    for candidate in (one for target in TARGETS for one in pool(target)):
        assert checkpoint_folder(Path(candidate.checkpoint).name) == Path(candidate.checkpoint)
    snippet = fine_tuning_snippet(ranked(checkpoint_folder("vit-letters-small"), family="vit"), local("demo:emoji"))
    assert constants(snippet)["CHECKPOINT"] == str(checkpoint_folder("vit-letters-small"))
    assert 'DATASET = str(target_folder("emoji"))' in snippet


@pytest.mark.slow
def test_weights_in_half_precision_learn_in_full(tmp_path: Path) -> None:
    path = tmp_path / "mobilenet-dogs.py"
    row = RankedCheckpoint("mobilenet-dogs", 0.0, sha=FINGERPRINT, family="timm:mobilenetv2_100")
    path.write_text(fine_tuning_snippet(row, local("demo:photographs")), encoding="utf-8")
    (said,) = run_scripts([path])
    assert said.startswith("107 images learnt from; accuracy on 88 others")
    before, after = (
        safe_open(folder / "model.safetensors", "pt").get_tensor("timm_model.conv_stem.weight")
        for folder in (checkpoint_folder("mobilenet-dogs"), tmp_path / "mobilenet-dogs")
    )
    assert (before.dtype, after.dtype) == (torch.float16, torch.float32)
    assert 0 < (after - before).abs().max() < 0.01 < before.abs().max()


@pytest.mark.slow
def test_data_of_every_kind(colour_folder: Path, tmp_path: Path) -> None:
    """An image folder, a saved dataset, texts as labels, a file: without a split to test on, a fifth is held out."""
    images = datasets.load_dataset(str(colour_folder), split="train")
    named = images.map(lambda row: {"colour": images.features["label"].names[row["label"]]}).remove_columns("label")
    some = named.to_list()
    for row in some[:6]:
        row["colour"] = None
    saved = datasets.Dataset.from_list(some, features=named.features)
    saved.save_to_disk(tmp_path / "saved")
    datasets.DatasetDict({"train": saved, "validation": saved.select(range(4, 10))}).save_to_disk(tmp_path / "both")
    named.to_parquet(tmp_path / "colours.parquet")
    kinds = {
        "folder": local(colour_folder),
        "saved": local(tmp_path / "saved", label_column="colour"),
        "both": local(tmp_path / "both", label_column="colour"),
        "file": local(tmp_path / "colours.parquet", label_column="colour"),
    }
    row = ranked(checkpoint_folder("resnet-rotation-drawings"), family="resnet")
    for kind, place in kinds.items():
        (tmp_path / f"{kind}.py").write_text(fine_tuning_snippet(row, place), encoding="utf-8")
    said = run_scripts([tmp_path / f"{kind}.py" for kind in kinds])
    assert [line.partition(":")[0] for line in said] == [
        "28 images learnt from; accuracy on 8 others",  # of 36
        "24 images learnt from; accuracy on 6 others",  # 6 of 36 have no label
        "30 images learnt from; accuracy on 4 others",  # of the 6 in the validation split, 2 have none
        "28 images learnt from; accuracy on 8 others",
    ]
    for kind in kinds:
        labels = AutoConfig.from_pretrained(tmp_path / kind).id2label
        assert [labels[number] for number in range(3)] == ["blue", "green", "red"]


@pytest.mark.slow
def test_families_that_need_a_class_of_their_own(colour_folder: Path, tmp_path: Path) -> None:
    """Those that the common class does not know or takes wrongly, a pair of towers, packed patches, a bare timm."""
    known = FAMILIES | OTHER_FAMILIES
    families = {name: family for name, family in known.items() if name in {*BACKBONES, *CLASSIFIERS}}
    assert len(families) == 12
    scripts = []
    for name, family in {**families, "clip": TWO_TOWERS["clip"], "siglip2": SIGLIP2}.items():
        model = family.build(head=family.classifier is not None and name in families)
        folder = save_checkpoint(tmp_path / f"{name}-checkpoint", model, family.image_processor())
        scripts.append(script(tmp_path, folder, family=name, images=local(colour_folder)))
    save_timm(tmp_path / "timm-checkpoint", "resnet10t", classes=0)
    scripts.append(script(tmp_path, tmp_path / "timm-checkpoint", family="timm:resnet10t", images=local(colour_folder)))
    assert len(run_scripts(scripts)) == 15


def script(folder: Path, checkpoint: Path, *, family: str, images: RankedDataset) -> Path:
    path = folder / f"{family.replace(':', '-')}.py"
    path.write_text(fine_tuning_snippet(ranked(checkpoint, family=family), images), encoding="utf-8")
    return path
