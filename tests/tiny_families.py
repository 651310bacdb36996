"""The families of tiny checkpoints: names of transformers classes, and configs of a few thousand weights."""

from tests.tiny_checkpoints import IMAGE_SIZE_PX, TinyFamily

TRANSFORMER = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "image_size": IMAGE_SIZE_PX,
    "patch_size": 16,
}
WITHOUT_SIZE = {name: value for name, value in TRANSFORMER.items() if name != "image_size"}
TEXT = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "vocab_size": 40,
}
CONVOLUTIONAL = {"embedding_size": 8, "hidden_sizes": [8, 12, 16], "depths": [1, 1, 1], "layer_type": "basic"}
SWIN = {
    "image_size": IMAGE_SIZE_PX,
    "patch_size": 4,
    "embed_dim": 8,
    "depths": [1, 1],
    "num_heads": [2, 2],
    "window_size": 4,
}
PYRAMID = {
    "image_size": IMAGE_SIZE_PX,
    "depths": [1, 1, 1, 1],
    "hidden_sizes": [8, 8, 16, 16],
    "num_attention_heads": [1, 1, 2, 2],
    "sequence_reduction_ratios": [4, 2, 1, 1],
    "num_labels": 3,  # PvtConfig says 1,000 whatever id2label holds
}
TOWERS = {"text_config": TEXT, "vision_config": TRANSFORMER}

FAMILIES = {
    "resnet": TinyFamily(
        "ResNetModel", "ResNetConfig", CONVOLUTIONAL, "ResNetForImageClassification", "ConvNextImageProcessor"
    ),
    "regnet": TinyFamily(
        "RegNetModel",
        "RegNetConfig",
        {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "groups_width": 8, "layer_type": "y"},
        "RegNetForImageClassification",
        "ConvNextImageProcessor",
    ),
    "bit": TinyFamily(
        "BitModel",
        "BitConfig",
        {"embedding_size": 32, "hidden_sizes": [32, 64], "depths": [1, 1], "num_groups": 4},
        "BitForImageClassification",
        "BitImageProcessor",
    ),
    "convnext": TinyFamily(
        "ConvNextModel",
        "ConvNextConfig",
        {"num_stages": 3, "hidden_sizes": [8, 12, 16], "depths": [1, 1, 1]},
        "ConvNextForImageClassification",
        "ConvNextImageProcessor",
    ),
    "convnextv2": TinyFamily(
        "ConvNextV2Model",
        "ConvNextV2Config",
        {"num_stages": 3, "hidden_sizes": [8, 12, 16], "depths": [1, 1, 1]},
        "ConvNextV2ForImageClassification",
        "ConvNextImageProcessor",
    ),
    "efficientnet": TinyFamily(
        "EfficientNetModel",
        "EfficientNetConfig",
        {
            "width_coefficient": 0.25,
            "depth_coefficient": 0.3,
            "hidden_dim": 320,
            "image_size": IMAGE_SIZE_PX,
            "kernel_sizes": [3, 3],
            "in_channels": [32, 16],
            "out_channels": [16, 24],
            "depthwise_padding": [],
            "strides": [1, 2],
            "num_block_repeats": [1, 1],
            "expand_ratios": [1, 6],
        },
        "EfficientNetForImageClassification",
        "EfficientNetImageProcessor",
    ),
    "mobilenet_v1": TinyFamily(
        "MobileNetV1Model",
        "MobileNetV1Config",
        {"depth_multiplier": 0.25, "min_depth": 4, "image_size": IMAGE_SIZE_PX},
        "MobileNetV1ForImageClassification",
    ),
    "mobilenet_v2": TinyFamily(
        "MobileNetV2Model",
        "MobileNetV2Config",
        {
            "depth_multiplier": 0.2,
            "min_depth": 4,
            "depth_divisible_by": 4,
            "image_size": IMAGE_SIZE_PX,
            "finegrained_output": False,
        },
        "MobileNetV2ForImageClassification",
        "MobileNetV2ImageProcessor",
    ),
    "mobilevit": TinyFamily(
        "MobileViTModel",
        "MobileViTConfig",
        {
            "image_size": IMAGE_SIZE_PX,
            "hidden_sizes": [8, 8, 8],
            "neck_hidden_sizes": [8, 8, 8, 12, 12, 12, 24],
            "num_attention_heads": 2,
        },
        "MobileViTForImageClassification",
        "MobileViTImageProcessor",
    ),
    "mobilevitv2": TinyFamily(
        "MobileViTV2Model",
        "MobileViTV2Config",
        {
            "image_size": IMAGE_SIZE_PX,
            "width_multiplier": 0.125,
            "n_attn_blocks": [1, 1, 1],
            "base_attn_unit_dims": [16, 16, 16],
        },
        "MobileViTV2ForImageClassification",
        "MobileViTImageProcessor",
    ),
    "vit": TinyFamily("ViTModel", "ViTConfig", TRANSFORMER, "ViTForImageClassification"),
    "vit_mae": TinyFamily("ViTMAEModel", "ViTMAEConfig", {**TRANSFORMER, "mask_ratio": 0.75}),
    "vit_msn": TinyFamily("ViTMSNModel", "ViTMSNConfig", TRANSFORMER, "ViTMSNForImageClassification"),
    "deit": TinyFamily(
        "DeiTModel", "DeiTConfig", TRANSFORMER, "DeiTForImageClassificationWithTeacher", "DeiTImageProcessor"
    ),
    "beit": TinyFamily(
        "BeitModel",
        "BeitConfig",
        {**TRANSFORMER, "use_mean_pooling": True},
        "BeitForImageClassification",
        "BeitImageProcessor",
    ),
    "beit class token": TinyFamily(
        "BeitModel",
        "BeitConfig",
        {**TRANSFORMER, "use_mean_pooling": False},
        "BeitForImageClassification",
        "BeitImageProcessor",
    ),
    "data2vec-vision": TinyFamily(
        "Data2VecVisionModel",
        "Data2VecVisionConfig",
        {**TRANSFORMER, "use_mean_pooling": True},
        "Data2VecVisionForImageClassification",
        "BeitImageProcessor",
    ),
    "dinov2": TinyFamily(
        "Dinov2Model", "Dinov2Config", TRANSFORMER, "Dinov2ForImageClassification", "BitImageProcessor"
    ),
    "dinov2_with_registers": TinyFamily(
        "Dinov2WithRegistersModel",
        "Dinov2WithRegistersConfig",
        {**TRANSFORMER, "num_register_tokens": 3},
        "Dinov2WithRegistersForImageClassification",
        "BitImageProcessor",
    ),
    "dinov3_vit": TinyFamily("DINOv3ViTModel", "DINOv3ViTConfig", {**TRANSFORMER, "num_register_tokens": 2}),
    "dinov3_convnext": TinyFamily(
        "DINOv3ConvNextModel", "DINOv3ConvNextConfig", {"hidden_sizes": [8, 8, 12, 16], "depths": [1, 1, 1, 1]}
    ),
    "ijepa": TinyFamily("IJepaModel", "IJepaConfig", TRANSFORMER, "IJepaForImageClassification"),
    "swin": TinyFamily("SwinModel", "SwinConfig", SWIN, "SwinForImageClassification"),
    "swinv2": TinyFamily("Swinv2Model", "Swinv2Config", SWIN, "Swinv2ForImageClassification"),
    "focalnet": TinyFamily(
        "FocalNetModel",
        "FocalNetConfig",
        {
            "image_size": IMAGE_SIZE_PX,
            "patch_size": 4,
            "embed_dim": 8,
            "depths": [1, 1],
            "focal_levels": [2, 2],
            "focal_windows": [3, 3],
        },
        "FocalNetForImageClassification",
        "BitImageProcessor",
    ),
    "hiera": TinyFamily(
        "HieraModel",
        "HieraConfig",
        {
            "image_size": [IMAGE_SIZE_PX, IMAGE_SIZE_PX],
            "embed_dim": 8,
            "depths": [1, 1],
            "num_heads": [1, 2],
            "num_query_pool": 1,
            "masked_unit_size": [4, 4],
            "patch_stride": [4, 4],
        },
        "HieraForImageClassification",
        "BitImageProcessor",
    ),
    "levit": TinyFamily(
        "LevitModel",
        "LevitConfig",
        {
            "image_size": 96,
            "hidden_sizes": [16, 24, 32],
            "num_attention_heads": [2, 3, 4],
            "depths": [1, 1, 1],
            "key_dim": [8, 8, 8],
            "drop_path_rate": 0,
        },
        "LevitForImageClassification",
        "LevitImageProcessor",
        image_size_px=96,  # 2 x 2 tokens are left at the end
    ),
    "pvt": TinyFamily("PvtModel", "PvtConfig", PYRAMID, "PvtForImageClassification", "PvtImageProcessor"),
    "pvt_v2": TinyFamily(
        "PvtV2Model",
        "PvtV2Config",
        {
            "image_size": IMAGE_SIZE_PX,
            "depths": [1, 1, 1, 1],
            "hidden_sizes": [8, 8, 16, 16],
            "num_attention_heads": [1, 1, 2, 2],
            "sr_ratios": [4, 2, 1, 1],
        },
        "PvtV2ForImageClassification",
        "PvtImageProcessor",
    ),
    "segformer": TinyFamily(
        "SegformerModel",
        "SegformerConfig",
        {
            "image_size": IMAGE_SIZE_PX,
            "depths": [1, 1, 1, 1],
            "hidden_sizes": [8, 8, 16, 16],
            "num_attention_heads": [1, 1, 2, 2],
            "sr_ratios": [4, 2, 1, 1],
        },
        "SegformerForImageClassification",
        "SegformerImageProcessor",
    ),
    "poolformer": TinyFamily(
        "PoolFormerModel",
        "PoolFormerConfig",
        {"depths": [1, 1, 1, 1], "hidden_sizes": [8, 8, 16, 16]},
        "PoolFormerForImageClassification",
    ),
    "swiftformer": TinyFamily(
        "SwiftFormerModel",
        "SwiftFormerConfig",
        {"image_size": IMAGE_SIZE_PX, "depths": [1, 1, 1, 1], "embed_dims": [8, 8, 16, 16]},
        "SwiftFormerForImageClassification",
    ),
    "cvt": TinyFamily(
        "CvtModel",
        "CvtConfig",
        {"embed_dim": [8, 8, 16], "num_heads": [1, 1, 2], "depth": [1, 2, 3]},
        "CvtForImageClassification",
        "ConvNextImageProcessor",
    ),
    "clip_vision_model": TinyFamily("CLIPVisionModel", "CLIPVisionConfig", TRANSFORMER, processor="CLIPImageProcessor"),
    "siglip_vision_model": TinyFamily(
        "SiglipVisionModel", "SiglipVisionConfig", TRANSFORMER, processor="SiglipImageProcessor"
    ),
}

TWO_TOWERS = {
    "clip": TinyFamily("CLIPModel", "CLIPConfig", TOWERS, "CLIPForImageClassification", "CLIPImageProcessor"),
    "metaclip_2": TinyFamily(
        "MetaClip2Model", "MetaClip2Config", TOWERS, "MetaClip2ForImageClassification", "CLIPImageProcessor"
    ),
    "siglip": TinyFamily("SiglipModel", "SiglipConfig", TOWERS, "SiglipForImageClassification", "SiglipImageProcessor"),
}

# Takes a mask and a grid besides its patches, so it has a test of its own.
SIGLIP2 = TinyFamily(
    "Siglip2Model",
    "Siglip2Config",
    {"text_config": TEXT, "vision_config": {**WITHOUT_SIZE, "num_patches": 16}},
    "Siglip2ForImageClassification",
    "Siglip2ImageProcessor",
)
