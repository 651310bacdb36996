"""The policy and the loader agree: what a crawl keeps of real checkpoints is what can be loaded."""

from pathlib import Path

import pytest

from lead_hub.candidates.candidate_query import CandidateQuery
from lead_hub.candidates.finding import find_candidates
from lead_hub.candidates.model_families import IMAGE_ENCODERS
from lead_hub.checkpoint_files import check_weights
from lead_hub.checkpoint_outputs.checkpoint_folder import model_class, read_config
from lead_hub.errors import CandidateError
from lead_hub.hub import hub_api
from tests.candidates.published_models import card
from tests.checkpoint_outputs.tiny_types import OTHER_FAMILIES
from tests.loopback_hub import HubServer
from tests.tiny_checkpoints import TinyFamily, save_checkpoint, save_timm
from tests.tiny_families import FAMILIES

FAMILIES_OF_A_CRAWL = FAMILIES | {name: family for name, family in OTHER_FAMILIES.items() if name in IMAGE_ENCODERS}
SEGMENTER = TinyFamily("SegformerForSemanticSegmentation", "SegformerConfig", FAMILIES["segformer"].settings)


def loads(folder: Path) -> bool:
    try:
        check_weights(folder, allow_pickle=False)
        model_class(read_config(folder))
    except CandidateError:
        return False
    return True


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One folder of each family, a timm checkpoint, a segmenter, a pickle."""
    pool = tmp_path_factory.mktemp("published")
    folders = {}
    for name, family in FAMILIES_OF_A_CRAWL.items():
        folders[name] = save_checkpoint(
            pool / name, family.build(head=family.classifier is not None), family.image_processor()
        )
    segmenter = SEGMENTER.build(head=False)
    folders["segmenter"] = save_checkpoint(pool / "segmenter", segmenter, SEGMENTER.image_processor())
    folders["pickle"] = save_checkpoint(pool / "pickle", FAMILIES["vit"].build(head=True))
    (folders["pickle"] / "model.safetensors").rename(folders["pickle"] / "pytorch_model.bin")
    folders["timm"] = pool / "timm"
    save_timm(folders["timm"], "resnet10t", classes=3)
    for folder in folders.values():
        (folder / "README.md").write_bytes(card(pipeline_tag="image-classification"))
    return folders


@pytest.mark.slow
def test_what_is_kept_is_what_loads(hub: HubServer, checkpoints: dict[str, Path]) -> None:
    for name, folder in checkpoints.items():
        hub.add_repo(f"team/{name}", folder=folder)
    api = hub_api(hub.add_user("reader"))
    found = find_candidates(CandidateQuery(), api=api)
    kept = {entry.id.removeprefix("team/") for entry in found.candidates}
    assert kept == {name for name, folder in checkpoints.items() if loads(folder)}
    assert {each.id.removeprefix("team/"): each.reason for each in found.left_out} == {
        "segmenter": "not an image encoder",
        "pickle": "pickle only",
    }
    (wrapped,) = [entry for entry in found.candidates if entry.id == "team/timm"]
    assert (wrapped.model_type, wrapped.architecture, wrapped.family) == ("timm_wrapper", "resnet10t", "resnet")
