"""Images that fine-tuning learns in seconds, and checkpoints of a few thousand weights."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from lead_hub.access import Access
from lead_hub.finetuning import finetune
from lead_hub.finetuning.outcomes import FineTuned
from lead_hub.finetuning.parts import FineTuningImages, load_finetuning_images
from lead_hub.labelled_images import DatasetQuery

FineTune = Callable[..., FineTuned]


@pytest.fixture(scope="package", autouse=True)
def one_thread() -> Iterator[None]:
    """Networks this small are slower on several threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="package")
def images(split_folder: Path) -> FineTuningImages:
    return load_finetuning_images(DatasetQuery(str(split_folder)), Access(progress=False))


@pytest.fixture
def tune(images: FineTuningImages, tmp_path: Path) -> FineTune:
    """finetune() with a cache of its own, one rate and one seed, and few epochs."""

    def tuned(checkpoint: Path, **options: object) -> FineTuned:
        quick = {"learning_rates": [3e-3], "seeds": [0], "epochs": 6, "cache_dir": tmp_path / "cache"}
        chosen = options.pop("images", images)
        return finetune(checkpoint, chosen, **{**quick, "progress": False, **options})  # type: ignore[arg-type]

    return tuned
