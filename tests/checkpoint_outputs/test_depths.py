"""What a few blocks of a network say, against hooks made by hand for every family, and the kernel that is kept."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from torch import Tensor, nn

from lead_hub.checkpoint_outputs.depths import (
    FAMILY_BLOCKS,
    TIMM_BLOCKS,
    TIMM_BLOCKS_BY_SETTINGS,
    BlockTaps,
    block_rule,
    block_taps,
    depth_kernel,
    depth_positions,
    quarter_means,
)
from lead_hub.checkpoint_outputs.extraction import MOST_IMAGES_FOR_DEPTHS, ExtractionSettings, extract
from lead_hub.checkpoint_outputs.frozen_outputs import CheckpointOutputs
from lead_hub.checkpoint_outputs.loaded_checkpoint import LoadedCheckpoint, load_checkpoint
from lead_hub.checkpoint_outputs.outputs_cache import write_outputs
from lead_hub.checkpoint_outputs.pooling import FAMILY_RULES, OWN_OUTPUT_RULES
from lead_hub.processes import running_processes
from tests.checkpoint_outputs.blocks_by_hand import BLOCKS, numbers
from tests.checkpoint_outputs.tiny_types import OTHER_FAMILIES, SAME_OR_GENERAL
from tests.tiny_checkpoints import TinyFamily, random_images, save_checkpoint, save_timm
from tests.tiny_families import FAMILIES, SIGLIP2, TWO_TOWERS

BUILT = FAMILIES | TWO_TOWERS | OTHER_FAMILIES | SAME_OR_GENERAL | {"siglip2": SIGLIP2}
# Which of so many blocks are asked, counted from 0.
ASKED = {1: [0], 2: [0, 1], 3: [0, 1, 2], 4: [0, 1, 2, 3], 5: [0, 1, 3, 4], 6: [0, 2, 3, 5], 10: [0, 3, 6, 9]}
ASKED |= {7: [0, 2, 4, 6], 12: [0, 4, 7, 11], 16: [0, 5, 10, 15], 24: [0, 8, 15, 23], 26: [0, 8, 17, 25]}
# Not asked, and why.
UNASKED = {
    **dict.fromkeys(("textnet", "maskformer-swin", "qianfan_ocr_vision"), "no rule says where the blocks"),
    **dict.fromkeys(("sam2_hiera_det_model", "sam3_vit_model", "vitdet"), "no rule says where the blocks"),
    **dict.fromkeys(("sam_hq_vision_model", "sam_vision_model", "siglip2"), "no rule says where the blocks"),
}


def loaded(folder: Path, family: TinyFamily) -> LoadedCheckpoint:
    save_checkpoint(folder, family.build(head=family.classifier is not None), family.image_processor())
    return load_checkpoint(folder)


def extracted(checkpoint: LoadedCheckpoint, images: Sequence[np.ndarray], **settings: object) -> CheckpointOutputs:
    return extract(
        checkpoint,
        images,
        processes=running_processes(),
        settings=ExtractionSettings(**{"dtype": "float32", **settings}),  # type: ignore[arg-type]
        advance=[].append,
    )


def whole(packed: Tensor, n_images: int) -> Tensor:
    """The symmetric matrix, entry by entry."""
    kernel, entries = torch.zeros(n_images, n_images), iter(packed.tolist())
    for row in range(n_images):
        for column in range(row, n_images):
            kernel[row, column] = kernel[column, row] = next(entries)
    return kernel


def summed_by_hand(depths: Sequence[Tensor]) -> Tensor:
    """Every pair of images of every depth, in float64."""
    n_images = len(depths[0])
    centring = torch.eye(n_images, dtype=torch.float64) - 1 / n_images
    kernels = [centring @ depth.double() @ depth.double().T @ centring for depth in depths]
    return sum(kernel * n_images / kernel.trace() for kernel in kernels).float()


def heard(checkpoint: LoadedCheckpoint, blocks: Sequence[nn.Module], images: Sequence[np.ndarray]) -> list[Tensor]:
    """Outputs of the blocks in one forward pass, copied at once."""
    outputs: list[Tensor] = []
    hooks = [
        block.register_forward_hook(
            lambda _block, _inputs, output: outputs.append((output[0] if isinstance(output, tuple) else output).clone())
        )
        for block in blocks
    ]
    checkpoint.forward(checkpoint.prepare(list(images)))
    for hook in hooks:
        hook.remove()
    return outputs


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(BUILT) - set(UNASKED)))
def test_depths_are_what_hooks_by_hand_hear(name: str, tmp_path: Path) -> None:
    checkpoint, images = loaded(tmp_path, BUILT[name]), random_images(5)
    family = str(checkpoint.backbone.config.model_type)
    blocks = BLOCKS[family](checkpoint.backbone)
    asked = ASKED[len(blocks)]
    by_hand = [numbers(family, output) for output in heard(checkpoint, [blocks[one] for one in asked], images)]
    outputs = extracted(checkpoint, images, batch_size=2)
    assert outputs.depths.startswith(f"blocks {', '.join(str(one + 1) for one in asked)} of {len(blocks)}: ")
    assert outputs.depth_kernel is not None
    torch.testing.assert_close(whole(outputs.depth_kernel, 5), summed_by_hand(by_hand), rtol=1e-4, atol=1e-4)


def test_every_family_of_the_pooling_tables_has_a_rule_or_a_reason() -> None:
    untested = {"dinat"}  # needs natten
    assert set(FAMILY_RULES) | set(OWN_OUTPUT_RULES) <= set(FAMILY_BLOCKS) | untested | {
        *("dinov3_vit", "pixio", "radio", "tipsv2_vision_model")
    }
    same_code = {"mlcd"}  # the type of the whole model, whose tower is mlcd_vision_model
    assert set(FAMILY_BLOCKS) <= set(BLOCKS) | same_code


@pytest.mark.slow
@pytest.mark.parametrize("name", UNASKED)
def test_a_family_without_a_rule_is_asked_nothing_and_says_so(name: str, tmp_path: Path) -> None:
    outputs = extracted(loaded(tmp_path, BUILT[name]), random_images(3))
    assert outputs.depth_kernel is None
    assert outputs.depths.startswith("none: ")
    assert UNASKED[name] in outputs.depths


# Every class of timm's that has a rule, small; its blocks by its own attributes.
SMALL = {"img_size": 64, "depth": 4, "embed_dim": 32, "num_heads": 2}
SMALL_SWIN = {"img_size": 64, "embed_dim": 24, "depths": (1, 1, 2, 1), "num_heads": (1, 1, 2, 2), "window_size": 4}
TIMM_NETWORKS: dict[str, dict[str, object]] = {
    **{name: {} for name in ("test_resnet", "test_vit", "test_vit2", "test_vit4", "test_convnext")},
    **{name: {} for name in ("test_efficientnet", "test_byobnet", "test_nfnet", "test_mambaout")},
    **{name: {} for name in ("resnetv2_18", "regnetx_002", "mobilenetv3_small_050", "ghostnet_050", "fastvit_t8")},
    **{name: {} for name in ("hgnetv2_b0", "repvit_m0_9", "edgenext_xx_small", "efficientvit_b0", "pvt_v2_b0")},
    "coatnet_pico_rw_224": {"img_size": 224},
    "davit_tiny": {"depths": (1, 1, 1, 1), "embed_dims": (16, 16, 32, 32), "num_heads": (1, 1, 2, 2)},
    "poolformer_s12": {},
    "caformer_s18": {},
    "deit_tiny_distilled_patch16_224": SMALL,
    "vit_medium_patch16_reg4_gap_256": SMALL,
    "vit_base_patch14_reg4_dinov2": {**SMALL, "img_size": 56},
    "eva02_tiny_patch14_224": {**SMALL, "img_size": 56},
    "beit_base_patch16_224": SMALL,
    "mixer_s32_224": {"img_size": 64},
    "swin_tiny_patch4_window7_224": SMALL_SWIN,
    "swinv2_tiny_window8_256": SMALL_SWIN,
    "densenet121": {"growth_rate": 8, "block_config": (2, 2, 2, 2)},
    "focalnet_tiny_srf": {},
    "hiera_tiny_224": {"embed_dim": 24, "stages": (1, 1, 2, 1)},
    **{name: {} for name in ("levit_128s", "levit_conv_128s")},
    "levit_256d": {"embed_dim": (64, 128, 128), "num_heads": (2, 4, 4), "depth": (1, 2, 1)},
    "tiny_vit_5m_224": {},
    **{name: {} for name in ("mvitv2_tiny", "mvitv2_small_cls")},
    "nextvit_small": {},
    "xcit_nano_12_p16_224": {"img_size": 64},
    "inception_next_atto": {},
    "rexnetr_100": {},
    "efficientvit_l1": {"depths": (1, 1, 1, 1, 1), "widths": (16, 32, 32, 64, 64)},
    "efficientvit_m0": {},
    "efficientformerv2_s0": {},
    "swiftformer_xs": {},
    "starnet_s1": {},
    "inception_v3": {},
}
# Of those that are built for one size of pixels, or bear none so small as the others.
PIXELS = dict.fromkeys(("hiera_tiny_224", "levit_128s", "levit_conv_128s", "levit_256d", "tiny_vit_5m_224"), 224)
PIXELS |= dict.fromkeys(("mvitv2_tiny", "mvitv2_small_cls", "efficientvit_m0", "efficientformerv2_s0"), 224)
PIXELS["inception_v3"] = 128


def timm_blocks(name: str, network: nn.Module) -> list[nn.Module]:
    kind = type(network).__name__
    if kind in TIMM_OWN_ATTRIBUTES:
        return TIMM_OWN_ATTRIBUTES[kind](network)
    if name in {"tiny_vit_5m_224", "caformer_s18"}:
        return list(network.stages)
    stages = network.blocks if hasattr(network, "blocks") else network.stages
    return in_stages(*(getattr(stage, "blocks", stage) for stage in stages))


def in_stages(*stages: Sequence[nn.Module]) -> list[nn.Module]:
    return [block for stage in stages for block in stage]


TIMM_OWN_ATTRIBUTES: dict[str, Callable[[nn.Module], list[nn.Module]]] = {
    "ResNet": lambda network: in_stages(network.layer1, network.layer2, network.layer3, network.layer4),
    "RegNet": lambda network: in_stages(*map(nn.Module.children, (network.s1, network.s2, network.s3, network.s4))),
    "DenseNet": lambda network: [getattr(network.features, f"denseblock{number}") for number in (1, 2, 3, 4)],
    "InceptionV3": lambda network: [
        *(network.Mixed_5b, network.Mixed_5c, network.Mixed_5d, network.Mixed_6a, network.Mixed_6b, network.Mixed_6c),
        *(network.Mixed_6d, network.Mixed_6e, network.Mixed_7a, network.Mixed_7b, network.Mixed_7c),
    ],
    "RexNet": lambda network: list(network.features)[:-1],
    "StarNet": lambda network: in_stages(*(list(stage)[1:] for stage in network.stages)),
    **dict.fromkeys(
        ("SwinTransformer", "SwinTransformerV2", "FocalNet"),
        lambda network: in_stages(*(layer.blocks for layer in network.layers)),
    ),
    **dict.fromkeys(
        ("VisionTransformer", "VisionTransformerDistilled", "Eva", "Beit", "MlpMixer", "Hiera", "Xcit"),
        lambda network: list(network.blocks),
    ),
}
TOKENS_BEFORE_PATCHES = {"test_vit": (1, 1), "test_vit2": (0, 1), "test_vit4": (0, 1)} | {
    "deit_tiny_distilled_patch16_224": (1, 2),
    "vit_medium_patch16_reg4_gap_256": (0, 4),
    "vit_base_patch14_reg4_dinov2": (1, 5),
    "eva02_tiny_patch14_224": (1, 1),
    "beit_base_patch16_224": (1, 1),
    "mixer_s32_224": (0, 0),
    **dict.fromkeys(("hiera_tiny_224", "levit_128s", "levit_256d", "mvitv2_tiny"), (0, 0)),
    "mvitv2_small_cls": (1, 1),
}
ON_GRID = {"pvt_v2_b0", "xcit_nano_12_p16_224"}
CHANNELS_LAST = {"test_mambaout", "swin_tiny_patch4_window7_224", "swinv2_tiny_window8_256"}


@pytest.mark.slow
@pytest.mark.parametrize("name", TIMM_NETWORKS)
def test_depths_of_timm_are_what_hooks_by_hand_hear(name: str) -> None:
    torch.manual_seed(0)
    network = timm.create_model(name, pretrained=False, num_classes=3, **TIMM_NETWORKS[name]).eval()
    size = TIMM_NETWORKS[name].get("img_size", PIXELS.get(name, 64))
    pixels = torch.randn(3, 3, size, size, generator=torch.Generator().manual_seed(0))
    blocks = timm_blocks(name, network)
    taps = block_taps(network)
    assert list(taps.blocks.values()) == [blocks[position] for position in depth_positions(len(blocks))]
    outputs: list[Tensor] = []
    for block in taps.blocks.values():
        block.register_forward_hook(
            lambda _block, _inputs, output: outputs.append((output[0] if isinstance(output, tuple) else output).clone())
        )
    with torch.no_grad(), taps.listening():
        network.forward_features(pixels)
    found = taps.taken()
    assert taps.unfit == ""
    for output, pooled in zip(outputs, found, strict=True):
        torch.testing.assert_close(pooled, timm_numbers(name, output), rtol=1e-4, atol=1e-5)


def timm_numbers(name: str, output: Tensor) -> Tensor:
    if name in TOKENS_BEFORE_PATCHES:
        n_class, n_before = TOKENS_BEFORE_PATCHES[name]
        mean = output[:, n_before:].sum(dim=1) / (output.shape[1] - n_before)
        return torch.cat([output[:, 0], mean], dim=1) if n_class else mean
    if name in ON_GRID:
        side = int(output.shape[1] ** 0.5)
        output = output.unflatten(1, (side, side)).permute(0, 3, 1, 2)
    if name in CHANNELS_LAST:
        output = output.permute(0, 3, 1, 2)
    return nn.functional.adaptive_avg_pool2d(output, 2).flatten(1)


@pytest.mark.slow
def test_every_class_of_timm_with_a_rule_is_tested() -> None:
    tested = {type(timm.create_model(name, **settings)).__name__ for name, settings in TIMM_NETWORKS.items()}
    assert tested == set(TIMM_BLOCKS) | set(TIMM_BLOCKS_BY_SETTINGS)


def test_timm_checkpoints_come_with_depths_and_unknown_classes_without(tmp_path: Path) -> None:
    save_timm(tmp_path / "known", "test_resnet", classes=3)
    known = extracted(load_checkpoint(tmp_path / "known"), random_images(3))
    assert known.depth_kernel is not None
    assert known.depths == "blocks 1, 2, 3, 4 of 4: means over quarters"
    taps = block_taps(timm.create_model("hrnet_w18_small"))
    assert (taps.blocks, taps.words) == ({}, "none: no rule says where the blocks of HighResolutionNet are")


@pytest.mark.parametrize("size", [(4, 4), (5, 7), (1, 1), (3, 2)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_quarters_share_the_middle_of_an_odd_size(size: tuple[int, int], dtype: torch.dtype) -> None:
    feature_map = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0)).to(dtype)
    height, width = size
    expected = torch.empty(2, 3, 2, 2)
    for down in (0, 1):
        for right in (0, 1):
            rows = range(down * height // 2, -(-(down + 1) * height // 2))
            columns = range(right * width // 2, -(-(right + 1) * width // 2))
            total = sum(feature_map[:, :, row, column].float() for row in rows for column in columns)
            expected[:, :, down, right] = total / (len(rows) * len(columns))
    found = quarter_means(feature_map)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected.flatten(1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("n_blocks", ASKED)
def test_which_blocks_are_asked(n_blocks: int) -> None:
    assert list(depth_positions(n_blocks)) == ASKED[n_blocks]


def test_what_follows_a_block_in_place_changes_nothing() -> None:
    """As an activation that overwrites its input: the block's own output was heard before."""

    class Overwritten(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = nn.ModuleList([nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)])

        def forward(self, pixels: Tensor) -> Tensor:
            return self.blocks[1](self.blocks[0](pixels).relu_()).zero_()

    network = Overwritten()
    rule = block_rule(FAMILIES["resnet"].build(head=False))
    taps = BlockTaps({str(number): block for number, block in enumerate(network.blocks)}, rule, "both")
    pixels = torch.randn(2, 3, 9, 9)
    with torch.no_grad(), taps.listening():
        assert network(pixels).abs().sum() == 0
        first = network.blocks[0](pixels)
    expected = [first, network.blocks[1](first.relu())]
    for found, output in zip(taps.taken(), expected, strict=True):
        torch.testing.assert_close(found, nn.functional.adaptive_avg_pool2d(output, 2).flatten(1))


def test_a_block_that_does_not_fit_its_rule_costs_the_depths_alone(tmp_path: Path) -> None:
    checkpoint = loaded(tmp_path, FAMILIES["resnet"])
    layer = checkpoint.backbone.encoder.stages[1].layers[0]
    # As if a newer version gave the map in another form, and the stage undid that.
    layer.register_forward_hook(lambda _layer, _inputs, output: output.flatten(2))
    checkpoint.backbone.encoder.stages[2].layers[0].register_forward_pre_hook(
        lambda _layer, inputs: (inputs[0].unflatten(2, (8, 8)),)
    )
    outputs = extracted(checkpoint, random_images(3))
    assert outputs.depth_kernel is None
    assert outputs.depths == ("none: encoder.stages.1.layers.0: a block's output must have 4 axes, found (3, 12, 64)")


def test_too_many_images_have_no_depths(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert MOST_IMAGES_FOR_DEPTHS >= 2000
    monkeypatch.setattr("lead_hub.checkpoint_outputs.extraction.MOST_IMAGES_FOR_DEPTHS", 3)
    checkpoint = loaded(tmp_path, FAMILIES["resnet"])
    assert extracted(checkpoint, random_images(3)).depth_kernel is not None
    outputs = extracted(checkpoint, random_images(4))
    assert (outputs.depth_kernel, outputs.depths) == (None, "none: kept for at most 3 images, these are 4")


def test_constant_depths_add_nothing() -> None:
    rows, cpu = torch.randn(4, 6, generator=torch.Generator().manual_seed(0)), torch.device("cpu")
    alone = depth_kernel([rows], cpu)
    assert alone is not None
    assert depth_kernel([torch.full((4, 3), 0.1), torch.zeros(4, 2)], cpu) is None
    assert torch.equal(depth_kernel([rows, torch.full((4, 3), 0.1)], cpu), alone)
    torch.testing.assert_close(depth_kernel([1e4 + 1e-2 * rows, 1e3 * rows], cpu), 2 * alone, rtol=1e-1, atol=1e-1)


def test_of_2000_images_of_a_large_network_less_than_40_megabytes_are_kept(tmp_path: Path) -> None:
    """A ResNet-50 with its head: 2,048 features, 1,000 source classes, depths of 1,024 to 8,192 numbers."""
    outputs = CheckpointOutputs(
        features=torch.randn(2000, 2048),
        logits=torch.randn(2000, 1000),
        depth_kernel=depth_kernel([torch.randn(2000, 64)], torch.device("cpu")),
        depths="four",
        **dict.fromkeys(("family", "pooling", "processor", "dtype", "device"), ""),
        parameters=1,
    )
    write_outputs(tmp_path / "kept", outputs)
    assert (tmp_path / "kept").stat().st_size < 40e6
