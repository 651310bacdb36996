"""Each family's vector and logits, against what its own hidden states and head give by hand."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from lead_hub.checkpoint_outputs.loaded_checkpoint import LoadedCheckpoint, load_checkpoint
from lead_hub.checkpoint_outputs.pooling import FAMILY_RULES, OWN_OUTPUT_RULES, PIXELS, PoolingRule, pooling_rule
from lead_hub.errors import CandidateError
from tests.checkpoint_outputs.tiny_types import OTHER_FAMILIES
from tests.checkpoint_outputs.vectors_by_hand import (
    BY_HAND,
    HEADS,
    OTHERS_BY_HAND,
    TOWERS_BY_HAND,
    last_hidden,
    over_tokens,
    without_weights,
)
from tests.tiny_checkpoints import CLASSES, random_images, save_checkpoint, tiny_processor
from tests.tiny_families import FAMILIES, SIGLIP2, TWO_TOWERS

TOLERANCE = 1e-5


ALL_BY_HAND = BY_HAND | TOWERS_BY_HAND | OTHERS_BY_HAND
ALL_FAMILIES = FAMILIES | TWO_TOWERS | OTHER_FAMILIES
HEADS_LEFT_OUT = {"hgnet_v2"}  # built without its classifier, which holds no bare model
CLASSIFIERS = [name for name, family in ALL_FAMILIES.items() if family.classifier and name not in HEADS_LEFT_OUT]


def loaded(folder: Path, name: str, model: PreTrainedModel) -> tuple[LoadedCheckpoint, Tensor]:
    save_checkpoint(folder, model, ALL_FAMILIES[name].image_processor())
    checkpoint = load_checkpoint(folder)
    return checkpoint, checkpoint.prepare(random_images())


def inner_backbone(model: PreTrainedModel) -> PreTrainedModel:
    """The bare model within a classifier, or the vision tower."""
    if hasattr(model, "vision_model"):
        return model.vision_model
    return next((child for child in model.children() if isinstance(child, PreTrainedModel)), model)


def assert_close(found: Tensor, expected: Tensor) -> None:
    assert expected.std(dim=0).mean() > 1e-3, "the images must differ in their vectors"
    torch.testing.assert_close(found, expected, rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL_FAMILIES)
def test_bare_model_gives_the_vector_worked_out_by_hand(name: str, tmp_path: Path) -> None:
    model = ALL_FAMILIES[name].build(head=False)
    checkpoint, pixels = loaded(tmp_path, name, model)
    features, logits = checkpoint.forward(pixels)
    with torch.no_grad():
        backbone = model.vision_model if name in TWO_TOWERS else model
        assert_close(features, ALL_BY_HAND[name](backbone, pixels))
    assert logits is None
    assert checkpoint.source_classes is None
    assert features.dtype == torch.float32


@pytest.mark.slow
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifier_gives_the_same_vector_and_its_own_logits(name: str, tmp_path: Path) -> None:
    model = ALL_FAMILIES[name].build(head=True)
    checkpoint, pixels = loaded(tmp_path, name, model)
    features, logits = checkpoint.forward(pixels)
    with torch.no_grad():
        assert_close(features, ALL_BY_HAND[name](inner_backbone(model), pixels))
        expected = model(pixels).logits
    torch.testing.assert_close(logits, expected, rtol=TOLERANCE, atol=TOLERANCE)
    assert checkpoint.source_classes == CLASSES
    assert checkpoint.parameters == sum(weight.numel() for weight in model.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_vector_does_not_depend_on_the_head(name: str, tmp_path: Path) -> None:
    model = ALL_FAMILIES[name].build(head=True)
    with_head, pixels = loaded(tmp_path / "classifier", name, model)
    bare, _ = loaded(tmp_path / "bare", name, inner_backbone(model))
    features, logits = bare.forward(pixels)
    torch.testing.assert_close(features, with_head.forward(pixels)[0], rtol=0, atol=0)
    assert logits is None
    assert bare.pooling == with_head.pooling


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in CLASSIFIERS if name not in TWO_TOWERS])
def test_vector_is_what_the_own_classifier_reads(name: str, tmp_path: Path) -> None:
    model = ALL_FAMILIES[name].build(head=True)
    checkpoint, pixels = loaded(tmp_path, name, model)
    features, logits = checkpoint.forward(pixels)
    with torch.no_grad():
        head = HEADS.get(name, lambda classifier, vector: classifier.classifier(vector))
        torch.testing.assert_close(head(model, features), logits, rtol=1e-4, atol=1e-4)


def test_every_family_of_the_table_is_tested() -> None:
    # Dropped from the list by hand with their reason: these only rename a family that is tested.
    same_code = {"donut-swin", "metaclip_2_vision_model", "chinese_clip_vision_model", "mlcd"}
    not_installed = {"dinat"}  # needs natten
    tested = set(BY_HAND) | set(OTHERS_BY_HAND) | same_code | not_installed
    assert set(FAMILY_RULES) | set(OWN_OUTPUT_RULES) <= tested


@pytest.mark.parametrize("name", ["vit", "deit", "siglip_vision_model", "beit", "hiera"])
def test_untrained_pooler_is_never_used(name: str, tmp_path: Path) -> None:
    """As MAE and DINO come: the file holds no pooler, so transformers makes one up at every load."""
    model = FAMILIES[name].build(head=False)
    readouts = [part for part in ("pooler", "head") if getattr(model, part, None) is not None]
    assert readouts
    for part in readouts:
        setattr(model, part, nn.Identity())
    save_checkpoint(tmp_path, model, FAMILIES[name].image_processor())
    torch.manual_seed(1)
    first = load_checkpoint(tmp_path)
    torch.manual_seed(2)
    second = load_checkpoint(tmp_path)
    pixels = first.prepare(random_images())
    assert torch.equal(first.forward(pixels)[0], second.forward(pixels)[0])


@pytest.mark.parametrize("name", ["beit", "data2vec-vision", "hiera"])
def test_missing_norm_of_the_pooler_is_applied_without_weights(name: str, tmp_path: Path) -> None:
    model = FAMILIES[name].build(head=False)
    model.pooler = None
    checkpoint, pixels = loaded(tmp_path, name, model)
    with torch.no_grad():
        tokens = last_hidden(model, pixels)
    mean = over_tokens(tokens if name == "hiera" else tokens[:, 1:])
    assert_close(checkpoint.forward(pixels)[0], without_weights(mean, model.config.layer_norm_eps))
    assert "without weights" in checkpoint.pooling


def test_siglip_without_its_head_takes_the_mean_of_tokens(tmp_path: Path) -> None:
    model = FAMILIES["siglip_vision_model"].build(head=False)
    model.head = nn.Identity()
    checkpoint, pixels = loaded(tmp_path, "siglip_vision_model", model)
    with torch.no_grad():
        tokens = model.post_layernorm(last_hidden(model, pixels))
    assert_close(checkpoint.forward(pixels)[0], over_tokens(tokens))


@pytest.mark.parametrize("head", [False, True])
def test_siglip2_keeps_shapes_and_leaves_padding_out(head: bool, tmp_path: Path) -> None:
    model = SIGLIP2.build(head=head)
    processor = SIGLIP2.image_processor()
    checkpoint = load_checkpoint(save_checkpoint(tmp_path, model, processor))
    images = [image[:height] for image, height in zip(random_images(), (8, 14, 20), strict=True)]
    inputs = processor(images, return_tensors="pt")
    assert inputs["pixel_attention_mask"].sum(dim=1).min() < 16, "some image must be padded"
    features, logits = checkpoint.forward(checkpoint.prepare(images))
    with torch.no_grad():
        tokens = model.vision_model(**inputs).last_hidden_state
        expected = model.vision_model.head(tokens, inputs["pixel_attention_mask"])
        expected_logits = model(**inputs).logits if head else None
    assert_close(features, expected)
    torch.testing.assert_close(logits, expected_logits) if head else None
    alone, _ = checkpoint.forward(checkpoint.prepare(images[:1]))
    torch.testing.assert_close(alone, features[:1], rtol=TOLERANCE, atol=TOLERANCE)
    assert (logits is not None) == head


def test_masked_autoencoder_sees_every_patch(tmp_path: Path) -> None:
    model = FAMILIES["vit_mae"].build(head=False)
    checkpoint, pixels = loaded(tmp_path, "vit_mae", model)
    assert model.config.mask_ratio == 0.75
    changed = pixels.clone()
    changed[:, :, -16:, -16:] += 1  # the last patch only
    assert (checkpoint.forward(changed)[0] - checkpoint.forward(pixels)[0]).abs().amax(dim=1).min() > 1e-4


def general_rule(model: PreTrainedModel) -> PoolingRule:
    model.config.model_type = "never heard of"
    return pooling_rule(model, frozenset())


@pytest.mark.parametrize(
    ("name", "by_hand"),
    [
        ("resnet", lambda hidden: hidden.sum(dim=(2, 3)) / (hidden.shape[2] * hidden.shape[3])),
        ("swin", lambda hidden: hidden.sum(dim=1) / hidden.shape[1]),
        ("vit", lambda hidden: hidden[:, 0]),  # cls_token
        ("clip_vision_model", lambda hidden: hidden[:, 0]),  # class_embedding
    ],
)
def test_unknown_family_goes_by_the_shape_of_its_output(name: str, by_hand: Callable[[Tensor], Tensor]) -> None:
    model = FAMILIES[name].build(head=False)
    with torch.no_grad():
        output = model(torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
    assert_close(general_rule(model).pool(output), by_hand(output.last_hidden_state))


@pytest.mark.parametrize("output", [{"last_hidden_state": torch.zeros(2, 3, 4, 5, 6)}, {"feature_maps": ()}])
def test_unknown_output_is_refused(output: dict[str, object]) -> None:
    rule = general_rule(FAMILIES["vit"].build(head=False))
    with pytest.raises(CandidateError, match="last_hidden_state must be") as caught:
        rule.pool(output)
    assert caught.value.stage == "extract"


def test_max_pooling_efficientnet_and_unshaped_segformer() -> None:
    efficientnet = FAMILIES["efficientnet"].build(head=False)
    efficientnet.config.pooling_type = "max"
    hidden = torch.randn(2, 5, 3, 3, generator=torch.Generator().manual_seed(0))
    expected = hidden.flatten(2).max(dim=2).values
    assert torch.equal(pooling_rule(efficientnet, frozenset()).pool({"last_hidden_state": hidden}), expected)
    segformer = FAMILIES["segformer"].build(head=False)
    segformer.config.reshape_last_stage = False
    tokens = hidden.flatten(2).transpose(1, 2)
    found = pooling_rule(segformer, frozenset()).pool({"last_hidden_state": tokens})
    torch.testing.assert_close(found, tokens.sum(dim=1) / 9)


def test_low_precision_tokens_are_averaged_in_float32(tmp_path: Path) -> None:
    """In bfloat16 a sum of 1,000 ones and small parts stops growing."""
    rule = FAMILY_RULES["swin"]
    tokens = torch.full((1, 1000, 1), 1.0078125, dtype=torch.bfloat16)
    assert rule.pool({"last_hidden_state": tokens}).item() == 1.0078125
    assert rule.pool({"last_hidden_state": tokens}).dtype == torch.float32


def test_processor_and_rule_are_named(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, FAMILIES["vit"].build(head=False), tiny_processor("ViTImageProcessor"))
    checkpoint = load_checkpoint(tmp_path)
    assert (checkpoint.family, checkpoint.pooling) == ("vit", "class token")
    assert checkpoint.processor == "ViTImageProcessor"


class Tokens(nn.Module):
    """Learned tokens beside the patches, as embeddings hold them."""

    def __init__(self, **counts: int) -> None:
        super().__init__()
        for name, count in counts.items():
            self.register_parameter(name, nn.Parameter(torch.ones(1, count, 16)))


def unknown_vit(**counts: int) -> PreTrainedModel:
    """Of an unknown family, with these learned tokens in its embeddings, for 16 patches of 64 px."""
    model = FAMILIES["vit"].build(head=False)
    model.embeddings, model.config.model_type = Tokens(**counts), "never heard of"
    model.pooler = None
    return model


def pooled(model: PreTrainedModel, n_tokens: int, *, pixels: tuple[int, int] = (64, 64)) -> tuple[Tensor, Tensor]:
    tokens = torch.randn(2, n_tokens, 16, generator=torch.Generator().manual_seed(0))
    output = {"last_hidden_state": tokens, PIXELS: torch.zeros(2, 3, *pixels)}
    return pooling_rule(model, frozenset()).pool(output), tokens


@pytest.mark.parametrize(
    ("counts", "pixels", "n_tokens"),
    [
        ({"cls_token": 1}, (64, 64), 1 + 16),
        ({"class_embedding": 1, "register_tokens": 4}, (64, 64), 1 + 4 + 16),
        ({"cls_token": 1}, (64, 96), 1 + 24),  # larger images than the config's
    ],
)
def test_one_class_token_that_adds_up_is_taken(counts: dict[str, int], pixels: tuple[int, int], n_tokens: int) -> None:
    found, tokens = pooled(unknown_vit(**counts), n_tokens, pixels=pixels)
    assert torch.equal(found, tokens[:, 0])


@pytest.mark.parametrize("n_tokens", [16, 4])  # a token for each patch, or merged by a later stage
def test_patches_alone_are_averaged(n_tokens: int) -> None:
    found, tokens = pooled(unknown_vit(), n_tokens)
    torch.testing.assert_close(found, over_tokens(tokens))


@pytest.mark.parametrize(
    ("counts", "n_tokens"),
    [
        ({"cls_token": 8}, 8 + 16),  # which of eight
        ({"cls_token": 1}, 16),  # it is not among the tokens
        ({"cls_token": 1}, 1 + 3 + 16),  # three more of which nothing is known
        ({"cls_token": 1, "dist_token": 2}, 1 + 16),
        ({"register_tokens": 4}, 4 + 16),  # before the patches or after them
        ({}, 10 + 16),
    ],
)
def test_tokens_that_do_not_add_up_are_refused(counts: dict[str, int], n_tokens: int) -> None:
    with pytest.raises(CandidateError, match=rf"gives {n_tokens} for 16 patches.*not clear") as caught:
        pooled(unknown_vit(**counts), n_tokens)
    assert caught.value.stage == "extract"


def test_a_class_token_outside_of_the_embeddings_is_none() -> None:
    """As in AIMv2's pooling head: the tokens are patches alone, and the first of them is a corner of the image."""
    model = unknown_vit()
    model.decoder = Tokens(cls_token=1)
    found, tokens = pooled(model, 16)
    torch.testing.assert_close(found, over_tokens(tokens))


def test_a_trained_pooler_of_the_model_itself_is_preferred() -> None:
    model = FAMILIES["siglip_vision_model"].build(head=False)
    model.config.model_type = "never heard of"
    with torch.no_grad():
        output = model(torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
    assert_close(pooling_rule(model, frozenset()).pool(output), output.pooler_output)
    untrained = frozenset({"head.probe"})
    assert_close(pooling_rule(model, untrained).pool(output), over_tokens(output.last_hidden_state))


@pytest.mark.parametrize("channels_first", [True, False])
@pytest.mark.parametrize("size", [(4, 4), (2, 4)])
def test_the_axis_of_channels_is_told_by_the_config(channels_first: bool, size: tuple[int, int]) -> None:
    feature_map = torch.randn(2, 16, *size, generator=torch.Generator().manual_seed(0))
    expected = feature_map.flatten(2).sum(dim=2) / (size[0] * size[1])
    given = feature_map if channels_first else feature_map.permute(0, 2, 3, 1)
    torch.testing.assert_close(
        pooling_rule(unknown_vit(), frozenset()).pool({"last_hidden_state": given}), expected, rtol=1e-5, atol=1e-5
    )


def test_a_feature_map_without_an_axis_of_channels_is_refused() -> None:
    with pytest.raises(CandidateError, match=r"gives \(2, 5, 6, 7\)"):
        pooling_rule(unknown_vit(), frozenset()).pool({"last_hidden_state": torch.zeros(2, 5, 6, 7)})
