"""The pool's table: which of twenty-eight small networks learnt what, how, and for how long."""

from tests.benchmarks.demo_pool.checkpoints import Recipe
from tests.benchmarks.demo_pool.composition import Variation

DRAWINGS = "clipart+emoji+letters"
VARIED = Variation(tilt_degrees=18.0, smallest_scale=0.65, shift=0.1, noise=0.08, clutter=0.15, colour=0.2)
UNVARIED = Variation(tilt_degrees=0.0, smallest_scale=1.0, shift=0.0, noise=0.0, clutter=0.0, colour=0.0)


def _supervised(architecture: str, source: str, steps: int, *, learning_rate: float = 2e-3, note: str = "") -> Recipe:
    learnt = "drawings" if source == DRAWINGS else source
    name = "-".join(part for part in (architecture.replace("test_", ""), learnt, note) if part)
    return Recipe(name, architecture, source, "supervised", steps, learning_rate, look=VARIED)


def _unsupervised(architecture: str, method: str, steps: int, *, source: str = DRAWINGS, note: str = "") -> Recipe:
    name = "-".join(part for part in (architecture.replace("test_", ""), method, note) if part)
    rate = 1e-3 if architecture.startswith(("vit", "swin")) else 2e-3
    return Recipe(name, architecture, source, method, steps, rate, look=VARIED)


# Widths and lengths of training are mixed on purpose, so that neither the size nor the family tells who is good.
POOL = (
    _supervised("resnet-broad", "letters", 2400),
    _supervised("vit-slim", "letters", 1500, learning_rate=1e-3),
    _supervised("resnet-small", "clipart", 3000),
    _supervised("convnextv2-broad", "clipart", 1500),
    _supervised("resnet-medium", DRAWINGS, 1800),
    _supervised("swin-broad", DRAWINGS, 1300, learning_rate=1e-3),
    _unsupervised("resnet-medium", "simclr", 450),
    _unsupervised("vit-slim", "masked", 700),
    _supervised("regnet-broad", "emoji", 1200),
    _supervised("poolformer-small", "writing", 1400),
    _supervised("timm-test_resnet", "writing", 1200),
    _supervised("timm-test_byobnet", "emoji", 1400),
    _supervised("convnextv2-slim", "letters", 1300),
    _unsupervised("convnextv2-slim", "masked", 1000),
    _unsupervised("resnet-medium", "rotation", 1400),
    _supervised("timm-test_efficientnet", "letters", 1200),
    _supervised("regnet", "digits", 800),
    _supervised("poolformer-broad", "clipart", 1400),
    _supervised("swin-small", "patterns", 700, learning_rate=1e-3),
    _supervised("resnet-small", "patterns", 700),
    _supervised("resnet-broad", "emoji", 200, note="short"),
    _supervised("convnextv2-broad", "patterns", 150, note="short"),
    _unsupervised("regnet-broad", "rotation", 350, note="short"),
    _supervised("timm-test_vit", "clipart", 1500, learning_rate=1e-3),
    # the same few pictures again and again, never moved: good on its source's training part alone
    Recipe("regnet-emoji-overfitted", "regnet", "emoji", "supervised", 1300, look=UNVARIED),
    _supervised("timm-test_convnext", DRAWINGS, 300, note="short"),
    Recipe("resnet-broad-random", "resnet-broad", "clipart", "random", 0),
    Recipe("swin-small-random", "swin-small", "clipart", "random", 0),
)
