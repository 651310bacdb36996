"""Whether the seed of a score could change the order of real checkpoints."""

from pathlib import Path

import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor

from lead_hub.access import Access
from lead_hub.checkpoint_outputs import ExtractionSettings, extract, load_checkpoint
from lead_hub.demo import pool, target_folder
from lead_hub.labelled_images import DatasetQuery, load_labelled_images
from lead_hub.processes import running_processes
from lead_hub.transferability import score

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def demo_outputs(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Tensor], Tensor]:
    """Every checkpoint's features of the same 100 images, and their labels."""
    folder = tmp_path_factory.mktemp("demo")
    query = DatasetQuery(dataset=str(target_folder("clipart")), max_images=100)
    images = load_labelled_images(query, Access(folder, progress=False), decoded_folder=folder / "decoded")
    state, settings = running_processes(), ExtractionSettings(device="cpu")
    features = []
    for candidate in pool("clipart"):
        checkpoint = load_checkpoint(Path(candidate.checkpoint))
        outputs = extract(checkpoint, images.pixels, processes=state, settings=settings, advance=lambda _: None)
        features.append(outputs.features)
    return features, torch.from_numpy(images.labels)


@pytest.mark.parametrize(("method", "least"), [("lead", 1.0), ("loo-log-loss", 1.0), ("lead-paper", 0.98)])
def test_seeds_agree_on_the_demo_pool(method: str, least: float, demo_outputs: tuple[list[Tensor], Tensor]) -> None:
    features, labels = demo_outputs
    assert len(features) >= 10
    scores = [[score(rows, labels, method, seed=seed) for rows in features] for seed in range(2)]
    assert spearmanr(*scores).statistic >= least - 1e-12
