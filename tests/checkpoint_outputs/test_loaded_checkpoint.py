"""Weights in memory: which are used, which must be there, and that nothing else happens."""

import logging
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file

from lead_hub.checkpoint_outputs.loaded_checkpoint import load_checkpoint
from tests.checkpoint_outputs.damaged_checkpoints import edit, edit_weights, refusal, vit_classifier
from tests.tiny_checkpoints import CLASSES, TinyFamily, random_images, save_checkpoint
from tests.tiny_families import FAMILIES, TRANSFORMER, TWO_TOWERS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return vit_classifier(tmp_path / "checkpoint")


def test_model_is_ready_for_inference(folder: Path) -> None:
    edit(folder, "config.json", dtype="float16", output_hidden_states=True, return_dict=False)
    edit_weights(folder, lambda weights: {name: weight.half() for name, weight in weights.items()})
    checkpoint = load_checkpoint(folder)
    assert {weight.dtype for weight in checkpoint.model.parameters()} == {torch.float32}
    assert not any(weight.requires_grad for weight in checkpoint.model.parameters())
    assert not any(module.training for module in checkpoint.model.modules())
    features, logits = checkpoint.forward(checkpoint.prepare(random_images(2)))
    assert features.shape == (2, 16)
    assert logits is not None
    assert logits.shape == (2, len(CLASSES))


def test_nothing_is_printed_and_settings_are_put_back(
    folder: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    edit_weights(folder, lambda weights: weights | {"extra": torch.zeros(1)})
    reports = transformers.utils.logging
    before = reports.get_verbosity(), reports.is_progress_bar_enabled()
    with caplog.at_level(logging.WARNING):
        load_checkpoint(folder)
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []
    assert (reports.get_verbosity(), reports.is_progress_bar_enabled()) == before


def test_extra_weights_are_ignored(folder: Path) -> None:
    whole = load_checkpoint(folder)
    edit_weights(folder, lambda weights: weights | {"ema.decay": torch.zeros(3)})
    pixels = whole.prepare(random_images())
    assert torch.equal(load_checkpoint(folder).forward(pixels)[0], whole.forward(pixels)[0])


def test_not_a_number_among_the_weights_is_for_the_extraction_to_find(folder: Path) -> None:
    edit_weights(folder, lambda weights: weights | {"vit.layernorm.bias": torch.full((16,), torch.nan)})
    checkpoint = load_checkpoint(folder)
    assert checkpoint.forward(checkpoint.prepare(random_images()))[0].isnan().all()


def test_head_is_used_only_when_it_was_trained(folder: Path) -> None:
    whole = load_checkpoint(folder)
    edit_weights(folder, lambda weights: {k: v for k, v in weights.items() if k != "classifier.weight"})
    headless = load_checkpoint(folder)
    pixels = whole.prepare(random_images())
    features, logits = headless.forward(pixels)
    assert logits is None
    assert headless.source_classes is None
    assert headless.model is headless.backbone
    assert torch.equal(features, whole.forward(pixels)[0])


def test_missing_backbone_weights_are_counted(folder: Path) -> None:
    gone = {"vit.layernorm.weight", "vit.embeddings.cls_token"}
    backbone = sum(name.startswith("vit.") for name in load_file(folder / "model.safetensors"))
    edit_weights(folder, lambda weights: {k: v for k, v in weights.items() if k not in gone})
    message = refusal(folder)
    assert f"2 of {backbone} are not" in message
    assert "embeddings.cls_token, layernorm.weight" in message


def test_weights_of_another_size(folder: Path) -> None:
    edit(folder, "config.json", intermediate_size=48)
    message = refusal(folder)
    # two layers, each with a first weight and bias and a second weight of another shape
    assert "6 do not" in message
    assert "(24,) for (48,)" in message


def test_truncated_weights(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    assert "must be whole" in refusal(folder)


@pytest.mark.parametrize("content", [b"", b"\x00" * 64, b"\xff" * 64, b"not weights"])
def test_weights_that_are_none(folder: Path, content: bytes) -> None:
    (folder / "model.safetensors").write_bytes(content)
    assert "must be whole" in refusal(folder)


def as_pickle(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def test_pickle_is_read_only_when_allowed(folder: Path) -> None:
    whole = load_checkpoint(folder)
    as_pickle(folder)
    assert "allow_pickle=True" in refusal(folder)
    pixels = whole.prepare(random_images())
    allowed = load_checkpoint(folder, allow_pickle=True)
    assert torch.equal(allowed.forward(pixels)[0], whole.forward(pixels)[0])


class Dangerous:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("ran"),)


def test_pickled_code_never_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    as_pickle(folder)
    torch.save({"vit.layernorm.bias": Dangerous()}, folder / "pytorch_model.bin")
    assert "must be whole" in refusal(folder, allow_pickle=True)
    assert not (folder / "ran").exists()


def test_masked_image_model_gives_its_encoder(tmp_path: Path) -> None:
    settings = FAMILIES["vit"].settings | {"encoder_stride": 16}
    model = TinyFamily("ViTForMaskedImageModeling", "ViTConfig", settings).build(head=False)
    checkpoint = load_checkpoint(save_checkpoint(tmp_path, model))
    pixels = checkpoint.prepare(random_images())
    with torch.no_grad():
        expected = model.vit(pixels).last_hidden_state[:, 0]
    torch.testing.assert_close(checkpoint.forward(pixels)[0], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("head", [True, False])
@pytest.mark.parametrize(
    ("name", "changes", "left_over"),
    [
        # A layer: query, key, value, output, two linear layers and two norms, each with weight and bias.
        ("vit", {"num_hidden_layers": 1}, 16),
        ("vit", {"num_hidden_layers": 0}, 32),
        ("vit", {"qkv_bias": False}, 6),  # three biases in each of two layers
        ("beit", {"layer_scale_init_value": 0.0}, 4),  # two in each of two layers
        ("dinov2", {"num_hidden_layers": 1, "out_features": None, "out_indices": None, "stage_names": None}, 18),
    ],
)
def test_weights_that_the_config_leaves_out_are_missed(
    name: str, head: bool, changes: dict[str, object], left_over: int, tmp_path: Path
) -> None:
    folder = save_checkpoint(tmp_path, FAMILIES[name].build(head=head), FAMILIES[name].image_processor())
    edit(folder, "config.json", **changes)
    message = refusal(folder)
    assert f"the backbone must use all of its weights in the file, {left_over} are left over" in message
    assert str(folder) in message


def test_a_tower_beside_its_text_tower_is_missed_too(tmp_path: Path) -> None:
    family = TWO_TOWERS["clip"]
    folder = save_checkpoint(tmp_path, family.build(head=False), family.image_processor())
    edit(folder, "config.json", vision_config={**TRANSFORMER, "num_hidden_layers": 1})
    assert "16 are left over" in refusal(folder)


def test_what_stands_beside_the_backbone_is_nobodys_loss(folder: Path) -> None:
    whole = load_checkpoint(folder)
    beside = {
        "vit.pooler.dense.weight": torch.zeros(16, 16),
        "vit.embeddings.mask_token": torch.zeros(1, 1, 16),
        "vit.embeddings.position_ids": torch.arange(17)[None],
        "decoder.0.weight": torch.zeros(3, 3),
        "lm_head.weight": torch.zeros(5, 16),
        "teacher.layers.0.attention.q_proj.weight": torch.zeros(16, 16),
    }
    edit_weights(folder, lambda weights: weights | beside)
    pixels = whole.prepare(random_images())
    assert torch.equal(load_checkpoint(folder).forward(pixels)[0], whole.forward(pixels)[0])


def test_a_weight_that_is_there_twice_is_refused(folder: Path) -> None:
    """A pretraining head's own norm, which transformers takes for the backbone's."""
    edit_weights(folder, lambda weights: weights | {"layernorm.weight": torch.zeros(16)})
    assert "1 are there with and without the prefix 'vit'" in refusal(folder)


def test_a_pickle_with_more_layers_is_missed_as_well(folder: Path) -> None:
    as_pickle(folder)
    edit(folder, "config.json", num_hidden_layers=1)
    assert "16 are left over" in refusal(folder, allow_pickle=True)


PRETRAINED = {
    "ViTForMaskedImageModeling": ("vit", {"encoder_stride": 16}),
    "DeiTForMaskedImageModeling": ("deit", {"encoder_stride": 16}),
    "BeitForMaskedImageModeling": ("beit", {"vocab_size": 12}),
    "SwinForMaskedImageModeling": ("swin", {"encoder_stride": 8}),
    "FocalNetForMaskedImageModeling": ("focalnet", {"encoder_stride": 8}),
    "ViTMAEForPreTraining": (
        "vit_mae",
        {
            "decoder_hidden_size": 8,
            "decoder_num_attention_heads": 2,
            "decoder_num_hidden_layers": 1,
            "decoder_intermediate_size": 8,
        },
    ),
}


@pytest.mark.parametrize("name", PRETRAINED)
def test_a_pretraining_head_may_be_left_over(name: str, tmp_path: Path) -> None:
    family, more = PRETRAINED[name]
    settings = FAMILIES[family].settings | more
    model = getattr(transformers, name)(getattr(transformers, FAMILIES[family].config)(**settings))
    save_checkpoint(tmp_path, model, FAMILIES[family].image_processor())
    checkpoint = load_checkpoint(tmp_path)
    assert torch.isfinite(checkpoint.forward(checkpoint.prepare(random_images()))[0]).all()
