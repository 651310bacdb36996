"""The names written down for a crawl, against the installed transformers and timm."""

import pytest
import timm
from transformers import CONFIG_MAPPING

from lead_hub.candidates.model_families import IMAGE_ENCODERS, OTHER_CLASSES, OTHER_TASKS, family_of
from lead_hub.checkpoint_outputs.checkpoint_folder import model_class
from lead_hub.errors import CandidateError
from tests.checkpoint_outputs.test_every_model_type import accepted_types

KNOWN_TYPES = sorted(IMAGE_ENCODERS & set(CONFIG_MAPPING))
# Types that load, and that a crawl leaves out all the same: parts of detectors, segmenters and readers of text, which
# stand in no repository alone, or take more than one image.
PARTS_OF_OTHERS = {
    *("edgetam_vision_model", "gemma3n_vision", "internvl_vision", "maskformer-swin", "minicpm_ocr_vision"),
    *("minicpmv4_7_vision", "pixtral", "qianfan_ocr_vision", "sam2_hiera_det_model", "sam2_vision_model", "sam3"),
    *("sam3_lite_text", "sam3_lite_text_text_model", "sam3_vision_model", "sam3_vit_model", "sam_hq_vision_model"),
    *("sam_vision_model", "timm_backbone", "uvdoc", "vitdet"),
}


def test_transformers_knows_the_encoders() -> None:
    # Only the very newest may be missing from an older transformers.
    assert len(KNOWN_TYPES) >= len(IMAGE_ENCODERS) - 5
    assert not IMAGE_ENCODERS & set(OTHER_TASKS)


@pytest.mark.slow
def test_whatever_loads_is_an_encoder_or_a_part_of_something_else() -> None:
    """The sweep over transformers' own tables of models, which holds that each of these gives one vector an image."""
    assert set(accepted_types()) - IMAGE_ENCODERS == PARTS_OF_OTHERS


@pytest.mark.parametrize("model_type", KNOWN_TYPES)
def test_what_a_crawl_takes_for_an_encoder_can_be_built(model_type: str) -> None:
    settings = {"architecture": "resnet18"} if model_type == "timm_wrapper" else {}
    assert model_class(CONFIG_MAPPING[model_type](**settings)).main_input_name == "pixel_values"


@pytest.mark.parametrize("architecture", ["BeitForSemanticSegmentation", "SegformerForSemanticSegmentation"])
def test_a_class_of_another_task_is_also_refused_on_loading(architecture: str) -> None:
    config = CONFIG_MAPPING["beit" if architecture.startswith("Beit") else "segformer"](architectures=[architecture])
    assert any(architecture.endswith(end) for end in OTHER_CLASSES)
    with pytest.raises(CandidateError, match="found a segmenter"):
        model_class(config)


@pytest.mark.parametrize("model_type", ["detr", "yolos", "dpt", "glpn", "videomae", "timesformer", "maskformer", "sam"])
def test_types_of_other_tasks_are_also_refused_on_loading(model_type: str) -> None:
    assert model_type in OTHER_TASKS
    with pytest.raises(CandidateError):
        model_class(CONFIG_MAPPING[model_type]())


@pytest.mark.parametrize(
    ("architecture", "family"),
    [
        ("resnet", "resnet"),
        ("resnet50", "resnet"),
        ("resnet50d", "resnet"),
        ("wide_resnet50_2", "resnet"),
        ("resnext50_32x4d", "resnet"),
        ("seresnet50", "resnet"),
        ("bit", "bit"),
        ("resnetv2_50x1_bit", "bit"),
        ("resnet50_clip", "clip"),
        ("clip_vision_model", "clip"),
        ("vit_base_patch16_clip_224", "clip"),
        ("siglip_vision_model", "siglip"),
        ("siglip2", "siglip"),
        ("vit_base_patch16_siglip_224", "siglip"),
        ("vit", "vit"),
        ("vit_mae", "vit"),
        ("vit_tiny_patch16_224", "vit"),
        ("deit", "deit"),
        ("deit3_small_patch16_224", "deit"),
        ("dinov2_with_registers", "dinov2"),
        ("vit_small_patch14_dinov2", "dinov2"),
        ("dinov3_vit", "dinov3"),
        ("vit_small_plus_patch16_dinov3_qkvb", "dinov3"),
        ("vit_base_patch14_reg1_tipsv2", "tipsv2"),
        ("tipsv2_vision_model", "tipsv2"),
        ("vit_so400m_patch16_radio_v4", "radio"),
        ("radio", "radio"),
        ("vit_pe_core_base_patch16_224", "pe"),
        ("vit_pe_spatial_small_patch16_512", "pe"),
        ("aimv2_large_patch14_224", "aimv2"),
        ("aimv2_vision_model", "aimv2"),
        ("tiny_vit_5m_224", "tinyvit"),
        ("dm_nfnet_f0", "nfnet"),
        ("nfnet_l0", "nfnet"),
        ("seresnextaa101d_32x8d", "resnet"),
        ("vit_small_patch16_dinov3", "dinov3"),
        ("tf_efficientnet_b0", "efficientnet"),
        ("efficientnetv2_rw_s", "efficientnet"),
        ("mobilenet_v2", "mobilenet_v2"),
        ("mobilenetv2_100", "mobilenet_v2"),
        ("mobilenetv3_large_100", "mobilenet_v3"),
        ("regnety_040", "regnet"),
        ("convnextv2", "convnextv2"),
        ("convnextv2_tiny", "convnextv2"),
        ("swinv2_tiny_window8_256", "swinv2"),
        ("pvt_v2", "pvt"),
        ("pvt_v2_b1", "pvt"),
        ("hgnetv2_b0", "hgnet_v2"),
        ("hgnet_v2", "hgnet_v2"),
        ("mobilevitv2_100", "mobilevitv2"),
        ("densenet121", "densenet"),
        ("data2vec-vision", "data2vec-vision"),
    ],
)
def test_kin_of_both_libraries_share_a_family(architecture: str, family: str) -> None:
    assert family_of(architecture) == family


def test_every_architecture_of_timm_has_a_family() -> None:
    names = timm.list_models()
    families = {family_of(name) for name in names}
    assert "" not in families
    assert len(families) < len(names) / 5  # kin of other depths and widths are found
