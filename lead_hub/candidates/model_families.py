"""What the names of architectures tell: which encode one image, what the others do, and which are kin.

These are names only, written down so that a crawl needs neither torch nor transformers; a test compares them with
the installed transformers.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType

# model_types of transformers that give one vector an image: those with a classifier, and the bare encoders.
IMAGE_ENCODERS = frozenset(
    {
        *("beit", "bit", "convnext", "convnextv2", "cvt", "data2vec-vision", "deit", "dinat", "dinov2"),
        *("dinov2_with_registers", "donut-swin", "efficientnet", "focalnet", "hgnet_v2", "hiera", "ijepa", "levit"),
        *("mobilenet_v1", "mobilenet_v2", "mobilevit", "mobilevitv2", "poolformer", "pvt", "pvt_v2", "regnet"),
        *("resnet", "segformer", "swiftformer", "swin", "swinv2", "textnet", "timm_wrapper", "vit", "vit_msn"),
        *("vit_mae", "dinov3_vit", "dinov3_convnext", "pixio", "radio"),
        # The vision tower of a pair, alone or with its text tower.
        *("clip", "clip_vision_model", "siglip", "siglip_vision_model", "siglip2", "siglip2_vision_model"),
        *("chinese_clip", "chinese_clip_vision_model", "metaclip_2", "metaclip_2_vision_model"),
        # The vision tower of a pair, alone: of the pair itself transformers gives no tower, or it is no encoder.
        *("aimv2_vision_model", "mlcd", "mlcd_vision_model", "tipsv2_vision_model"),
    }
)

_DETECTOR = "detector"
_SEGMENTER = "segmenter"
_DEPTH = "depth estimator"
_VIDEO = "video model"
_OCR = "text reader or captioner"
_GENERATIVE = "generative model"
_RESTORER = "image restorer"
_LANGUAGE = "language model"

# What some other model_types are, to say more than that they are not known.
OTHER_TASKS: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("detr", "conditional_detr", "dab-detr", "deformable_detr", "deta", "d_fine"), _DETECTOR),
        **dict.fromkeys(("lw_detr", "rf_detr", "rt_detr", "rt_detr_v2", "table-transformer", "yolos"), _DETECTOR),
        **dict.fromkeys(("grounding-dino", "mm-grounding-dino", "omdet-turbo", "owlv2", "owlvit"), _DETECTOR),
        **dict.fromkeys(("maskformer", "mask2former", "oneformer", "eomt", "upernet", "clipseg"), _SEGMENTER),
        **dict.fromkeys(("sam", "sam2", "sam_hq", "seggpt"), _SEGMENTER),
        **dict.fromkeys(("dpt", "glpn", "depth_anything", "depth_pro", "zoedepth"), _DEPTH),
        **dict.fromkeys(("timesformer", "videomae", "vivit", "vjepa2", "xclip"), _VIDEO),
        **dict.fromkeys(("vision-encoder-decoder", "trocr", "mgp-str", "nougat", "pix2struct"), _OCR),
        **dict.fromkeys(("blip", "blip-2", "git", "kosmos-2", "donut"), _OCR),
        **dict.fromkeys(("imagegpt", "llava", "paligemma", "qwen2_vl", "qwen2_5_vl", "idefics", "mllama"), _GENERATIVE),
        **dict.fromkeys(("gemma3", "shieldgemma2", "pixtral", "chameleon", "instructblip"), _GENERATIVE),
        "swin2sr": _RESTORER,
        **dict.fromkeys(("bert", "roberta", "distilbert", "gpt2", "llama", "t5", "qwen2", "mistral"), _LANGUAGE),
    }
)

# Ends of class names: families such as BEiT and SegFormer classify too, only the architecture tells.
OTHER_CLASSES: Mapping[str, str] = MappingProxyType(
    {
        "ForSemanticSegmentation": _SEGMENTER,
        "ForInstanceSegmentation": _SEGMENTER,
        "ForUniversalSegmentation": _SEGMENTER,
        "ForImageSegmentation": _SEGMENTER,
        "ForObjectDetection": _DETECTOR,
        "ForDepthEstimation": _DEPTH,
        "ForVideoClassification": _VIDEO,
        "TextModel": _LANGUAGE,
        "TextModelWithProjection": _LANGUAGE,
    }
)

# Where the two libraries, or the parts of a family, have different names for kin.
_KIN: Mapping[str, str] = MappingProxyType(
    {
        "dinov2_with_registers": "dinov2",
        "dinov3_vit": "dinov3",
        "dinov3_convnext": "dinov3",
        "mobilenetv1": "mobilenet_v1",
        "mobilenetv2": "mobilenet_v2",
        "mobilenetv3": "mobilenet_v3",
        "hgnetv2": "hgnet_v2",
        "pvt_v2": "pvt",
        "beitv2": "beit",
        "efficientnetv2": "efficientnet",
        **dict.fromkeys(("regnety", "regnetx", "regnetz", "regnetv"), "regnet"),
        **dict.fromkeys(("wide_resnet", "resnext", "seresnet", "seresnext", "seresnextaa", "ecaresnet"), "resnet"),
        "dm": "nfnet",  # "dm_nfnet_f0": DeepMind's own
        "tiny": "tinyvit",  # "tiny_vit_5m_224"
        **dict.fromkeys(("vit_mae", "vit_msn"), "vit"),
    }
)
# Marks of a training method that makes a family of its own, whatever the architecture.
_METHODS = ("dinov2", "dinov3", "siglip", "tipsv2", "radio", "clip", "pe", "bit")


def family_of(architecture: str) -> str:
    """The family of a model_type of transformers or an architecture of timm.

    "siglip_vision_model" -> "siglip", "tf_efficientnet_b0" -> "efficientnet", "vit_base_patch14_dinov2" -> "dinov2".
    """
    name = architecture.lower().removesuffix("_vision_model").removeprefix("tf_")
    if name in _KIN:
        return _KIN[name]
    for method in _METHODS:
        if f"_{method}_" in f"{name}_":
            return method
    words = name.split("_")
    two_words = words[0] == "wide" or re.fullmatch(r"v\d+", words[1] if len(words) > 1 else "")
    start = "_".join(words[:2]) if two_words else words[0]
    # Of timm's names only the version belongs to the family, not the depth: "resnet50", "convnextv2_tiny".
    stem = re.sub(r"(?<!v)\d+[a-z]*$", "", start) or start
    return _KIN.get(stem, stem)
