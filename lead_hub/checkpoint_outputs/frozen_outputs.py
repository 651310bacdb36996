"""What one checkpoint says about one set of images: the record between extraction and scoring."""

from dataclasses import dataclass, replace
from functools import partial

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from lead_hub.errors import CandidateError

ROUNDING = 2.0**-23  # of the largest number: the last digit of float32, by which batches of other sizes may differ


def is_constant(features: Float[Tensor, "image feature"]) -> bool:
    """Whether images differ in their features by no more than rounding does."""
    spread = (features.amax(dim=0) - features.amin(dim=0)).max()
    return bool(spread <= ROUNDING * features.abs().max())


@dataclass(frozen=True, eq=False)
class CheckpointOutputs:
    """Frozen outputs of one checkpoint, one row per image, in the order of the labelled images.

    Attributes:
        features: one vector per image, float32, on the CPU.
        logits: the outputs of the checkpoint's own trained head (its source classes), or None without one.
        family: the model type, e.g. "resnet" or "timm:resnet50".
        parameters: number of weights of the model that was run.
        pooling: the rule that turned hidden states into one vector, e.g. "class token".
        processor: class name of the image processor that prepared the pixels.
        dtype: number format of the forward pass, e.g. "float32" or "bfloat16".
        dtype_reason: why that is not the run's number format, in words; empty where it is.
        device: where the forward pass ran, e.g. "cpu" or "cuda: NVIDIA H100".
        depth_kernel: how alike images are at several depths of the network: the upper triangle, row by row, of the sum
            of centred kernels of mean eigenvalue 1 (`depths.py`), float32; None where no depth could be asked.
        depths: which depths, or why none, in words.
        network_kernel: the tangent kernel of the whole network under Adam (`network_kernel.py`), centred, of mean
            eigenvalue 1: its upper triangle, row by row, float32; None where it was not asked for, or there is none.
        network: what is not in that kernel, or why there is none, in words.
    """

    features: Float[Tensor, "image feature"]
    logits: Float[Tensor, "image source_class"] | None
    family: str
    parameters: int
    pooling: str
    processor: str
    dtype: str
    device: str
    depth_kernel: Float[Tensor, " pair"] | None = None
    depths: str = "none: not asked"
    network_kernel: Float[Tensor, " pair"] | None = None
    network: str = "none: not asked"
    dtype_reason: str = ""

    def of(self, chosen: Int64[Tensor, " chosen"]) -> "CheckpointOutputs":
        """Of some of the images, at ascending positions; their kernels are centred and scaled as those of all.

        Raises:
            CandidateError: the same features for all of these (stage "extract").
        """
        between = partial(among, chosen=chosen, n_images=len(self.features))
        return replace(
            self,
            features=self.features[chosen],
            logits=None if self.logits is None else self.logits[chosen],
            depth_kernel=None if self.depth_kernel is None else between(self.depth_kernel),
            network_kernel=None if self.network_kernel is None else between(self.network_kernel),
        )

    def __post_init__(self) -> None:
        for name, rows in (("features", self.features), ("logits", self.logits)):
            if rows is None:
                continue
            if rows.ndim != 2 or 0 in rows.shape:
                raise CandidateError(
                    f"{name} must be [images, numbers] with at least one of each, found shape {tuple(rows.shape)}",
                    stage="extract",
                )
            unusable = int((~torch.isfinite(rows).all(dim=1)).sum())
            if unusable:
                raise CandidateError(
                    f"{name} must be finite, found NaN or infinity for {unusable} of {len(rows)} images"
                    f" in {self.dtype}; a float16 or damaged checkpoint does this: try dtype='float32'",
                    stage="extract",
                )
        if len(self.features) > 1 and is_constant(self.features):
            raise CandidateError(
                f"features must tell images apart, found the same {self.features.shape[1]} numbers for all"
                f" {len(self.features)} images (pooling: {self.pooling}): the weights are damaged or never"
                " trained, or all images are the same picture",
                stage="extract",
            )
        if self.logits is not None and len(self.logits) != len(self.features):
            raise CandidateError(
                f"features and logits must have one row per image, found {len(self.features)} and {len(self.logits)}",
                stage="extract",
            )
        n_pairs = len(self.features) * (len(self.features) + 1) // 2
        for name, kernel in (("several depths", self.depth_kernel), ("the whole network", self.network_kernel)):
            if kernel is not None and (len(kernel) != n_pairs or not bool(torch.isfinite(kernel).all())):
                raise CandidateError(
                    f"the kernel of {name} must have {n_pairs} finite entries for {len(self.features)} images,"
                    f" found {int(torch.isfinite(kernel).sum())} of {len(kernel)}",
                    stage="extract",
                )


def among(kernel: Float[Tensor, " pair"], chosen: Int64[Tensor, " chosen"], *, n_images: int) -> Float[Tensor, " part"]:
    """The upper triangle between some of the images, of that between all; their order is kept.

    Args:
        kernel: upper triangle, row by row.
        chosen: positions, ascending.
        n_images: all of them.
    """
    first, second = (chosen[places] for places in torch.triu_indices(len(chosen), len(chosen)))
    return kernel[first * n_images - first * (first - 1) // 2 + second - first]


@dataclass(frozen=True, eq=False)
class ImageOutputs:
    """What one checkpoint says of single images, so that more can be added: nothing here is between images.

    Attributes:
        features: one vector per image, float32, on the CPU.
        logits: the outputs of the checkpoint's own trained head, or None without one.
        blocks: what the asked blocks say, first to last; none where no depth could be asked.
        depths: which depths, or why none, in words.
        family: as those of CheckpointOutputs, and so all that follow.
    """

    features: Float[Tensor, "image feature"]
    logits: Float[Tensor, "image source_class"] | None
    blocks: tuple[Float[Tensor, "image _number"], ...]
    depths: str
    family: str
    parameters: int
    pooling: str
    processor: str
    dtype: str
    device: str
    dtype_reason: str = ""

    def and_then(self, other: "ImageOutputs") -> "ImageOutputs":
        """These images, then the other ones; depths only where both have them."""
        logits = None if self.logits is None or other.logits is None else torch.cat([self.logits, other.logits])
        both = bool(self.blocks) and len(self.blocks) == len(other.blocks)
        blocks = tuple(map(torch.cat, zip(self.blocks, other.blocks, strict=True))) if both else ()
        without = next((one.depths for one in (self, other) if not one.blocks), self.depths)
        features = torch.cat([self.features, other.features])
        return replace(self, features=features, logits=logits, blocks=blocks, depths=self.depths if both else without)

    def of(self, rows: Int64[Tensor, " chosen"]) -> "ImageOutputs":
        """Some of the images, in this order."""
        logits = None if self.logits is None else self.logits[rows]
        blocks = tuple(part[rows] for part in self.blocks)
        return replace(self, features=self.features[rows], logits=logits, blocks=blocks)


@dataclass(frozen=True, eq=False)
class PartialOutputs:
    """What one checkpoint says of some of the images of a run.

    Attributes:
        positions: of these images among all, in the order of the rows here, each once.
        images: what it says of them.
    """

    positions: Int64[Tensor, " known"]
    images: ImageOutputs

    def missing(self, wanted: Int64[Tensor, " wanted"]) -> Int64[Tensor, " missing"]:
        """Which of these positions are not known."""
        return wanted[~torch.isin(wanted, self.positions)]

    def of(self, wanted: Int64[Tensor, " wanted"]) -> ImageOutputs:
        """What is known of these positions, in this order; all of them must be known."""
        ascending = self.positions.argsort()
        places = torch.searchsorted(self.positions[ascending], wanted)
        return self.images.of(ascending[places])

    def and_then(self, positions: Int64[Tensor, " new"], images: ImageOutputs) -> "PartialOutputs":
        """With what is known of further images."""
        return PartialOutputs(torch.cat([self.positions, positions]), self.images.and_then(images))
