"""What must hold of a folder before its weights are read, and what is said when it does not."""

import json
import shutil
from contextlib import closing
from pathlib import Path

import pytest
import torch
import transformers

from lead_hub.access import Access
from lead_hub.checkpoint_files import CheckpointFiles
from lead_hub.checkpoint_outputs import cache_keys
from lead_hub.checkpoint_outputs.cache_keys import cache_key
from lead_hub.checkpoint_outputs.checkpoint_folder import model_class
from lead_hub.checkpoint_outputs.loaded_checkpoint import load_checkpoint
from lead_hub.errors import CandidateError
from lead_hub.labelled_images import DatasetQuery, load_labelled_images
from tests.checkpoint_outputs.damaged_checkpoints import edit, refusal, vit_classifier
from tests.conftest import coloured_images
from tests.tiny_checkpoints import TinyFamily, random_images, save_checkpoint, tiny_processor
from tests.tiny_families import FAMILIES, TEXT, TRANSFORMER


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return vit_classifier(tmp_path / "checkpoint")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "preprocessor_config.json"])
def test_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert name in refusal(folder)


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json"])
@pytest.mark.parametrize("content", ["", "{", "[]", "3", "\udcff", "[" * 100_000])
def test_broken_json(folder: Path, name: str, content: str) -> None:
    (folder / name).write_bytes(content.encode("utf-8", "surrogateescape"))
    assert str(folder) in refusal(folder)


@pytest.mark.parametrize("model_type", [7, None, "", "no_such_family", ["vit"], {}])
def test_unknown_model_type(folder: Path, model_type: object) -> None:
    edit(folder, "config.json", model_type=model_type)
    assert "config.json must describe a model" in refusal(folder)


@pytest.mark.parametrize(
    "changes",
    [{"hidden_size": "wide"}, {"hidden_size": -1}, {"num_attention_heads": 0}, {"patch_size": 0}, {"hidden_act": "?"}],
)
def test_config_with_impossible_settings(folder: Path, changes: dict[str, object]) -> None:
    edit(folder, "config.json", **changes)
    assert str(folder) in refusal(folder)


def test_shards_are_read_together(folder: Path) -> None:
    whole = load_checkpoint(folder)
    whole.model.save_pretrained(folder / "sharded", max_shard_size="20KB")
    assert len(list((folder / "sharded").glob("model-*.safetensors"))) > 1
    shutil.copy(folder / "preprocessor_config.json", folder / "sharded")
    pixels = whole.prepare(random_images())
    assert torch.equal(load_checkpoint(folder / "sharded").forward(pixels)[0], whole.forward(pixels)[0])


@pytest.mark.parametrize("shard", ["pytorch_model.bin", "../elsewhere.safetensors", "/elsewhere.safetensors"])
def test_index_names_only_safetensors_beside_it(folder: Path, shard: str) -> None:
    (folder / "model.safetensors").unlink()
    index = {"metadata": {}, "weight_map": {"vit.layernorm.bias": shard}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "must name safetensors files beside it" in refusal(folder)


def test_no_folder(tmp_path: Path) -> None:
    assert "config.json" in refusal(tmp_path / "nowhere")


def test_remote_code_is_never_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    (folder / "modeling.py").write_text("open('ran', 'w').close()\n")
    auto_map = {"AutoConfig": "modeling.Config", "AutoModel": "modeling.Model"}
    edit(folder, "config.json", auto_map=auto_map)
    assert load_checkpoint(folder).family == "vit"  # transformers' own class exists: nothing remote is needed
    edit(folder, "config.json", model_type="theirs")
    assert "without remote code" in refusal(folder)
    edit(folder, "config.json", model_type="vit")
    edit(folder, "preprocessor_config.json", auto_map={"AutoImageProcessor": "modeling.P"}, image_processor_type="P")
    message = refusal(folder)
    assert "image processor must load without remote code" in message
    assert not (folder / "ran").exists()


def test_image_processor_of_nobody(folder: Path) -> None:
    edit(folder, "preprocessor_config.json", image_processor_type="NobodysImageProcessor")
    assert "image processor must load" in refusal(folder)


TINY_DETECTOR = {
    "use_timm_backbone": False,
    "backbone_config": transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 8], depths=[1, 1], out_features=["stage2"]
    ),
    "d_model": 16,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 16,
    "decoder_ffn_dim": 16,
    "num_queries": 3,
}
NOT_CLASSIFIERS = {
    "BERT": (TinyFamily("BertModel", "BertConfig", TEXT), "no such vision model"),
    "text tower": (TinyFamily("CLIPTextModel", "CLIPTextConfig", TEXT), "no such vision model"),
    "DETR": (TinyFamily("DetrForObjectDetection", "DetrConfig", TINY_DETECTOR), "found a detector"),
    "bare DETR": (TinyFamily("DetrModel", "DetrConfig", TINY_DETECTOR), "found a detector"),
    "SegFormer with a decoder": (
        TinyFamily("SegformerForSemanticSegmentation", "SegformerConfig", FAMILIES["segformer"].settings),
        "found a segmenter",
    ),
    "VideoMAE": (TinyFamily("VideoMAEModel", "VideoMAEConfig", TRANSFORMER), "found a video model"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", NOT_CLASSIFIERS)
def test_models_for_other_tasks_are_refused(name: str, tmp_path: Path) -> None:
    family, reason = NOT_CLASSIFIERS[name]
    save_checkpoint(tmp_path, getattr(transformers, family.base)(family.tiny_config()), tiny_processor())
    assert reason in refusal(tmp_path)


def test_quantised_weights_are_refused(folder: Path) -> None:
    edit(folder, "config.json", quantization_config={"quant_method": "bitsandbytes", "load_in_8bit": True})
    assert "quantised" in refusal(folder)


def test_adapter_is_refused(folder: Path) -> None:
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "org/name", "peft_type": "LORA"}')
    assert "adapter" in refusal(folder)


@pytest.mark.parametrize("model_type", ["van", "nat", "efficientformer", "vit_hybrid", "deta"])
def test_a_removed_model_type_is_said_to_be_removed(model_type: str, folder: Path) -> None:
    assert model_type not in transformers.CONFIG_MAPPING
    edit(folder, "config.json", model_type=model_type)
    message = refusal(folder)
    assert "transformers has removed it" in message
    assert "newer version may know" not in message


def test_a_wrong_setting_is_no_unknown_model(folder: Path) -> None:
    edit(folder, "config.json", hidden_size="wide")
    message = refusal(folder)
    assert "hidden_size" in message
    assert "correct that setting" in message


@pytest.mark.parametrize("content", ["{", "[]", '{"model_type": "no_such_family"}', '{"model_type": "vit", "a": '])
def test_a_broken_config_is_not_blamed_on_the_image_processor(content: str, folder: Path, tmp_path: Path) -> None:
    """Also where only the settings are read, to find what is kept of the checkpoint."""
    (folder / "config.json").write_text(content)
    files = CheckpointFiles(folder, sha="0" * 64, licence=None)
    images_folder = coloured_images(tmp_path / "images", classes={"red": (200, 0, 0), "blue": (0, 0, 200)}, n_images=2)
    images = load_labelled_images(DatasetQuery(str(images_folder)), Access(tmp_path / "cache"))
    with closing(images), pytest.raises(CandidateError, match=r"config\.json must") as caught:
        cache_key(files, images, dtype=torch.float32)
    assert "image processor" not in str(caught.value)


def test_outputs_of_another_device_or_of_images_that_were_kept_smaller_are_not_taken(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = CheckpointFiles(folder, sha="0" * 64, licence=None)
    images_folder = coloured_images(tmp_path / "images", classes={"red": (200, 0, 0), "blue": (0, 0, 200)}, n_images=2)
    with closing(load_labelled_images(DatasetQuery(str(images_folder)), Access(tmp_path / "cache"))) as images:
        key = cache_key(files, images, dtype=torch.float32)
        assert cache_key(files, images, dtype=torch.float32, device_type="cpu") == key
        keys = {cache_key(files, images, dtype=torch.float32, device_type=device) for device in ("cpu", "cuda", "mps")}
        assert len(keys) == 3  # a GPU rounds otherwise
        monkeypatch.setattr(cache_keys, "STORED_SHORT_SIDE_PX", 512)
        assert cache_key(files, images, dtype=torch.float32) != key


@pytest.mark.parametrize(
    ("family", "words"),
    [
        (TinyFamily("PPOCRV6TinyRecModel", "PPOCRV6TinyRecConfig", {}), "found a text recogniser"),
        (TinyFamily("MgpstrForSceneTextRecognition", "MgpstrConfig", {}), "it has only MgpstrForSceneTextRecognition"),
        (TinyFamily("Swin2SRModel", "Swin2SRConfig", {}), "found a model from image to image"),
        (TinyFamily("SegGptModel", "SegGptConfig", {}), "also asks for prompt_pixel_values"),
        (TinyFamily("Blip2Model", "Blip2Config", {}), "found a model that writes"),
    ],
)
def test_what_is_no_encoder_of_one_image_is_refused_by_its_config(family: TinyFamily, words: str) -> None:
    with pytest.raises(CandidateError, match=words):
        model_class(family.tiny_config())
