"""One vector per image as each family means it, worked out from the model's own layers, not by pooling.py."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel


def last_hidden(backbone: PreTrainedModel, pixels: Tensor) -> Tensor:
    """What the last block puts out, before any final norm, convolution or pooling."""
    hidden: Tensor = backbone(pixels, output_hidden_states=True).hidden_states[-1]
    return hidden


def over_space(feature_map: Tensor) -> Tensor:
    height, width = feature_map.shape[2:]
    assert height * width > 1, "a single place would make every pooling the same"
    return feature_map.flatten(2).sum(dim=2) / (height * width)


def over_tokens(tokens: Tensor) -> Tensor:
    assert tokens.shape[1] > 1
    return tokens.sum(dim=1) / tokens.shape[1]


def without_weights(vector: Tensor, epsilon: float) -> Tensor:
    """Layer norm by its definition: mean 0 and variance 1 over the features of an image."""
    centred = vector - vector.mean(dim=1, keepdim=True)
    return centred / ((centred**2).mean(dim=1, keepdim=True) + epsilon).sqrt()


def mean_of_feature_map(backbone: PreTrainedModel, pixels: Tensor) -> Tensor:
    return over_space(last_hidden(backbone, pixels))


def top_convolution(backbone: PreTrainedModel, pixels: Tensor) -> Tensor:
    top = backbone.encoder
    return over_space(nn.functional.silu(top.top_bn(top.top_conv(last_hidden(backbone, pixels)))))


def normed_mean_of_feature_map(backbone: PreTrainedModel, pixels: Tensor) -> Tensor:
    return backbone.layernorm(over_space(last_hidden(backbone, pixels)))


def normed_tokens(backbone: PreTrainedModel, pixels: Tensor) -> Tensor:
    return backbone.layernorm(last_hidden(backbone, pixels))


def class_token(backbone: PreTrainedModel, pixels: Tensor) -> Tensor:
    return normed_tokens(backbone, pixels)[:, 0]


def mean_token(backbone: PreTrainedModel, pixels: Tensor) -> Tensor:
    return over_tokens(normed_tokens(backbone, pixels))


def both_tokens(backbone: PreTrainedModel, pixels: Tensor) -> Tensor:
    tokens = normed_tokens(backbone, pixels)
    return torch.cat([tokens[:, 0], tokens[:, 1]], dim=1)


def class_and_patches(backbone: PreTrainedModel, pixels: Tensor) -> Tensor:
    tokens = normed_tokens(backbone, pixels)
    registers = getattr(backbone.config, "num_register_tokens", 0)
    patches = tokens[:, 1 + registers :]
    assert patches.shape[1] == 16  # 64 px in patches of 16 px
    return torch.cat([tokens[:, 0], over_tokens(patches)], dim=1)


def patches_then_pooler_norm(backbone: PreTrainedModel, pixels: Tensor) -> Tensor:
    mean = over_tokens(last_hidden(backbone, pixels)[:, 1:])
    if backbone.pooler is not None:
        return backbone.pooler.layernorm(mean)
    return without_weights(mean, backbone.config.layer_norm_eps)


def masked_autoencoder(backbone: PreTrainedModel, pixels: Tensor) -> Tensor:
    """The encoder's layers on all patches in their own order: no mask, no shuffle."""
    embeddings = backbone.embeddings
    tokens = embeddings.patch_embeddings(pixels) + embeddings.position_embeddings[:, 1:]
    first = (embeddings.cls_token + embeddings.position_embeddings[:, :1]).expand(len(pixels), -1, -1)
    hidden = torch.cat([first, tokens], dim=1)
    for layer in backbone.layers:
        hidden = layer(hidden, None)
    return backbone.layernorm(hidden)[:, 0]


def attention_pooled(backbone: PreTrainedModel, pixels: Tensor) -> Tensor:
    """SigLIP's head in formulas: one learned query attends to all tokens, then a residual MLP."""
    head, tokens = backbone.head, backbone.post_layernorm(last_hidden(backbone, pixels))
    width, heads = tokens.shape[2], head.attention.num_heads
    query_key_value = zip(
        head.attention.in_proj_weight.chunk(3),
        head.attention.in_proj_bias.chunk(3),
        (head.probe.expand(len(tokens), -1, -1), tokens, tokens),
        strict=True,
    )
    query, key, value = (
        (inputs @ weight.T + bias).unflatten(2, (heads, width // heads)).transpose(1, 2)
        for weight, bias, inputs in query_key_value
    )
    attention = (query @ key.transpose(2, 3) / (width // heads) ** 0.5).softmax(dim=3)
    pooled = head.attention.out_proj((attention @ value).transpose(1, 2).flatten(2))[:, 0]
    return pooled + head.mlp(head.layernorm(pooled))


def aimv2_head(backbone: PreTrainedModel, pixels: Tensor) -> Tensor:
    """AIMv2's head in formulas: a learned token of its own attends to all normed tokens, then one linear layer."""
    head, tokens = backbone.head, backbone.rms_norm(last_hidden(backbone, pixels))
    key, value = (
        (tokens @ layer.weight.T + (0 if layer.bias is None else layer.bias)).unflatten(2, (head.num_heads, -1))
        for layer in (head.k_proj, head.v_proj)
    )
    query = head.cls_token[0, 0].unflatten(0, (head.num_heads, -1))
    attention = (torch.einsum("hd,nthd->nht", query, key) / query.shape[1] ** 0.5).softmax(dim=2)
    return head.output_proj(torch.einsum("nht,nthd->nhd", attention, value).flatten(1))


def poolformer(backbone: PreTrainedModel, pixels: Tensor) -> Tensor:
    feature_map = last_hidden(backbone, pixels)
    return over_space(without_weights(feature_map.flatten(1), 1e-5).unflatten(1, feature_map.shape[1:]))


BY_HAND: dict[str, Callable[[PreTrainedModel, Tensor], Tensor]] = {
    "resnet": mean_of_feature_map,
    "regnet": mean_of_feature_map,
    "bit": lambda backbone, pixels: over_space(backbone.norm(last_hidden(backbone, pixels))),
    "convnext": normed_mean_of_feature_map,
    "convnextv2": normed_mean_of_feature_map,
    "efficientnet": top_convolution,
    "mobilenet_v1": mean_of_feature_map,
    "mobilenet_v2": lambda backbone, pixels: over_space(backbone.conv_1x1(last_hidden(backbone, pixels))),
    "mobilevit": lambda backbone, pixels: over_space(backbone.conv_1x1_exp(last_hidden(backbone, pixels))),
    "mobilevitv2": mean_of_feature_map,
    "vit": class_token,
    "vit_mae": masked_autoencoder,
    "vit_msn": class_token,
    "deit": both_tokens,
    "beit": patches_then_pooler_norm,
    "beit class token": class_token,
    "data2vec-vision": patches_then_pooler_norm,
    "dinov2": class_and_patches,
    "dinov2_with_registers": class_and_patches,
    "dinov3_vit": lambda backbone, pixels: backbone.norm(last_hidden(backbone, pixels))[:, 0],
    "dinov3_convnext": lambda backbone, pixels: backbone.layer_norm(over_space(last_hidden(backbone, pixels))),
    "ijepa": mean_token,
    "swin": mean_token,
    "swinv2": mean_token,
    "focalnet": mean_token,
    "hiera": lambda backbone, pixels: backbone.pooler.layernorm(over_tokens(last_hidden(backbone, pixels))),
    "levit": lambda backbone, pixels: over_tokens(last_hidden(backbone, pixels)),
    "pvt": lambda backbone, pixels: backbone(pixels).last_hidden_state[:, 0],
    "pvt_v2": mean_of_feature_map,
    "segformer": mean_of_feature_map,
    "poolformer": poolformer,
    "swiftformer": mean_of_feature_map,
    "cvt": lambda backbone, pixels: without_weights(backbone(pixels).cls_token_value[:, 0], 1e-5),
    "clip_vision_model": lambda backbone, pixels: backbone.post_layernorm(last_hidden(backbone, pixels)[:, 0]),
    "siglip_vision_model": attention_pooled,
}
OTHERS_BY_HAND: dict[str, Callable[[PreTrainedModel, Tensor], Tensor]] = {
    "aimv2_vision_model": aimv2_head,
    "aimv2 without head": lambda backbone, pixels: over_tokens(backbone.rms_norm(last_hidden(backbone, pixels))),
    "mlcd_vision_model": lambda backbone, pixels: backbone.post_layernorm(last_hidden(backbone, pixels)[:, 0]),
    "pixio": lambda backbone, pixels: over_tokens(normed_tokens(backbone, pixels)[:, :3]),  # of 3 class tokens
    # Three class tokens, the first and the last of which describe the image, four registers, 16 patches.
    "radio": lambda backbone, pixels: last_hidden(backbone, pixels)[:, [0, 2]].flatten(1),
    "tipsv2_vision_model": lambda backbone, pixels: backbone(pixels).last_hidden_state[:, 0],
    "internvl_vision": lambda backbone, pixels: over_tokens(last_hidden(backbone, pixels)[:, 1:]),
    "internvl class token": class_token,
    "hgnet_v2": lambda backbone, pixels: over_space(backbone(pixels).feature_maps[-1]),
    "textnet": mean_of_feature_map,
}
TOWERS_BY_HAND = {
    "clip": BY_HAND["clip_vision_model"],
    "metaclip_2": BY_HAND["clip_vision_model"],
    "siglip": attention_pooled,
}


def averaged_heads(model: PreTrainedModel, mean: Tensor) -> Tensor:
    """SwiftFormer: a batch norm with fixed statistics, then two heads."""
    norm = model.norm
    scaled = (mean - norm.running_mean) / (norm.running_var + norm.eps).sqrt() * norm.weight + norm.bias
    return (model.head(scaled) + model.dist_head(scaled)) / 2


# What the family's own classifier does with the vector; for those not named here, one linear layer or LeViT's.
HEADS: dict[str, Callable[[PreTrainedModel, Tensor], Tensor]] = {
    "deit": lambda model, both: (model.cls_classifier(both[:, :16]) + model.distillation_classifier(both[:, 16:])) / 2,
    "poolformer": lambda model, mean: model.classifier(mean * model.norm.weight + model.norm.bias),
    "cvt": lambda model, token: model.classifier(token * model.layernorm.weight + model.layernorm.bias),
    "swiftformer": averaged_heads,
    "textnet": lambda model, mean: model.fc(mean),
}
