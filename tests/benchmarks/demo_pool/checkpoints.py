"""The pool's table: which network learnt what, and for how long."""

from dataclasses import dataclass

from .composition import TRAINING, Variation


@dataclass(frozen=True)
class Recipe:
    """One checkpoint of the pool.

    `steps` of 64 pictures each (SimCLR: 128 drawings, two views each). `method` is `supervised`, `rotation`,
    `simclr`, `masked` or `random`; all but the first are saved without a head. `look` is how its pictures vary
    (SimCLR: always strongly). Width and length of training are mixed on
    purpose: the largest network is not the best trained one.
    """

    name: str
    architecture: str
    source: str
    method: str
    steps: int
    learning_rate: float = 2e-3
    look: Variation = TRAINING


POOL = (
    Recipe("resnet-letters-wide", "resnet-wide", "letters", "supervised", 1100),
    Recipe("resnet-clipart-small", "resnet-small", "clipart", "supervised", 2400),
    Recipe("resnet-rotation-drawings", "resnet-small", "clipart+emoji+letters", "rotation", 2000),
    Recipe("resnet-random-wide", "resnet-wide", "clipart", "random", 0),
    Recipe("vit-letters-small", "vit-small", "letters", "supervised", 2000, 1e-3),
    Recipe("vit-clipart-wide-short", "vit-wide", "clipart", "supervised", 350, 1e-3),
    Recipe("vit-simclr-drawings", "vit-small", "clipart+emoji+letters", "simclr", 400, 1e-3),
    Recipe("convnextv2-emoji-wide", "convnextv2-wide", "emoji", "supervised", 1600),
    Recipe("convnextv2-simclr-drawings", "convnextv2-small", "clipart+emoji+letters", "simclr", 300),
    Recipe("mobilenetv2-clipart-wide", "mobilenetv2-wide", "clipart", "supervised", 800),
    Recipe("mobilenetv2-digits-small", "mobilenetv2-small", "digits", "supervised", 500),
    Recipe("regnet-emoji-small", "regnet", "emoji", "supervised", 1500),
    Recipe("timm-resnet-drawings", "timm-test_resnet", "clipart+emoji+letters", "supervised", 1800),
    Recipe("timm-vit-emoji", "timm-test_vit", "emoji", "supervised", 1800, 1e-3),
)
