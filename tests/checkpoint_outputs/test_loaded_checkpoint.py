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
from tests.tiny_families import FAMILIES


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
