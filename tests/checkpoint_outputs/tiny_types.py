"""Tiny models of the model types that transformers has and the tests of single families leave out.

Beside them the types for which there is no vector, each with what is said of it, and those that are not built here.
"""

from tests.tiny_checkpoints import IMAGE_SIZE_PX, TinyFamily
from tests.tiny_families import SWIN, TOWERS, TRANSFORMER

AIMV2 = {**TRANSFORMER, "use_head": True}
HGNET = {
    "embedding_size": 8,
    "depths": [1, 1],
    "hidden_sizes": [16, 24],
    "stem_channels": [3, 8, 8],
    "stage_in_channels": [8, 16],
    "stage_mid_channels": [8, 8],
    "stage_out_channels": [16, 24],
    "stage_num_blocks": [1, 1],
    "stage_downsample": [False, True],
    "stage_downsample_strides": [2, 2],
    "stage_light_block": [False, True],
    "stage_kernel_size": [3, 3],
    "stage_numb_of_layers": [2, 2],
}
TEXTNET = {
    "stem_out_channels": 8,
    "image_size": [IMAGE_SIZE_PX, IMAGE_SIZE_PX],
    "conv_layer_kernel_sizes": [[[3, 3]], [[3, 3]], [[3, 1]], [[1, 3]]],
    "conv_layer_strides": [[1], [2], [2], [1]],
    "hidden_sizes": [8, 8, 12, 12, 16],
}
HIERA_DET = {
    "hidden_size": 8,
    "num_attention_heads": 1,
    "image_size": [IMAGE_SIZE_PX, IMAGE_SIZE_PX],
    "num_query_pool_stages": 1,
    "blocks_per_stage": [1, 1],
    "embed_dim_per_stage": [8, 16],
    "num_attention_heads_per_stage": [1, 2],
    "window_size_per_stage": [4, 4],
    "global_attention_blocks": [],
}
SAM = {**TRANSFORMER, "mlp_dim": 24, "output_channels": 8, "window_size": 2, "global_attn_indexes": [1]}

# These have a rule of their own, and their vector worked out by hand.
OTHER_FAMILIES = {
    "aimv2_vision_model": TinyFamily("Aimv2VisionModel", "Aimv2VisionConfig", AIMV2, processor="CLIPImageProcessor"),
    "aimv2 without head": TinyFamily("Aimv2VisionModel", "Aimv2VisionConfig", {**AIMV2, "use_head": False}),
    "mlcd_vision_model": TinyFamily("MLCDVisionModel", "MLCDVisionConfig", TRANSFORMER, processor="CLIPImageProcessor"),
    "pixio": TinyFamily("PixioModel", "PixioConfig", {**TRANSFORMER, "n_cls_tokens": 3}),
    "radio": TinyFamily(
        "RadioModel",
        "RadioConfig",
        {**TRANSFORMER, "max_img_size": 128, "num_cls_tokens": 3, "num_registers": 4, "summary_idxs": [0, 2]},
    ),
    "tipsv2_vision_model": TinyFamily("Tipsv2VisionModel", "Tipsv2VisionConfig", TRANSFORMER),
    "internvl_vision": TinyFamily(
        "InternVLVisionModel",
        "InternVLVisionConfig",
        {**TRANSFORMER, "image_size": [IMAGE_SIZE_PX] * 2, "patch_size": [16, 16], "use_mean_pooling": True},
    ),
    "internvl class token": TinyFamily(
        "InternVLVisionModel",
        "InternVLVisionConfig",
        {**TRANSFORMER, "image_size": [IMAGE_SIZE_PX] * 2, "patch_size": [16, 16], "use_mean_pooling": False},
    ),
    "hgnet_v2": TinyFamily("HGNetV2Backbone", "HGNetV2Config", HGNET, "HGNetV2ForImageClassification"),
    "textnet": TinyFamily("TextNetModel", "TextNetConfig", TEXTNET, "TextNetForImageClassification"),
}

# These go by the general rule, or rename a family that is tested by hand.
SAME_OR_GENERAL = {
    "chinese_clip": TinyFamily("ChineseCLIPModel", "ChineseCLIPConfig", TOWERS),
    "chinese_clip_vision_model": TinyFamily("ChineseCLIPVisionModel", "ChineseCLIPVisionConfig", TRANSFORMER),
    "metaclip_2_vision_model": TinyFamily("MetaClip2VisionModel", "MetaClip2VisionConfig", TRANSFORMER),
    "mlcd": TinyFamily("MLCDVisionModel", "MLCDVisionConfig", TRANSFORMER),
    "donut-swin": TinyFamily("DonutSwinModel", "DonutSwinConfig", SWIN, "DonutSwinForImageClassification"),
    "maskformer-swin": TinyFamily("MaskFormerSwinModel", "MaskFormerSwinConfig", SWIN),
    "qianfan_ocr_vision": TinyFamily("QianfanOCRVisionModel", "QianfanOCRVisionConfig", TRANSFORMER),
    "sam2_hiera_det_model": TinyFamily("Sam2HieraDetModel", "Sam2HieraDetConfig", HIERA_DET),
    "sam3_vit_model": TinyFamily(
        "Sam3ViTModel", "Sam3ViTConfig", {**TRANSFORMER, "window_size": 2, "pretrain_image_size": IMAGE_SIZE_PX}
    ),
    "sam_hq_vision_model": TinyFamily("SamHQVisionModel", "SamHQVisionConfig", SAM),
    "sam_vision_model": TinyFamily("SamVisionModel", "SamVisionConfig", SAM),
    "vitdet": TinyFamily("VitDetModel", "VitDetConfig", {**TRANSFORMER, "pretrain_image_size": IMAGE_SIZE_PX}),
}

# They load, but there is no one vector for an image: why.
WITHOUT_VECTOR = {
    "pixtral": (
        TinyFamily("PixtralVisionModel", "PixtralVisionConfig", {**TRANSFORMER, "head_dim": 8}),
        "the patches of all images come in one row: tokens must be one for each patch",
    ),
}

# Not built: what that takes.
NOT_BUILT = {
    "dinat": "the library natten, which no test environment has",
    "edgetam_vision_model": "timm's RepViT, millions of weights at the least",
    "gemma3n_vision": "timm's MobileNet v5, hundreds of millions of weights at the least",
    "minicpm_ocr_vision": "the target sizes of its patches beside them: forward fails without",
    "minicpmv4_7_vision": "the target sizes of its patches beside them: forward fails without",
    "sam2_vision_model": "the pyramid of its Hiera encoder, which is built alone",
    "sam3": "text beside the image",
    "sam3_lite_text": "text beside the image",
    "sam3_lite_text_text_model": "text in the place of the image",
    "sam3_vision_model": "hundreds of millions of weights, and gives an image pyramid",
    "timm_backbone": "a network of timm, of which it gives feature maps alone",
    "uvdoc": "the images of documents, which it unwarps",
}
