"""Whether the seed of a score could change the order of real checkpoints."""

from itertools import combinations
from pathlib import Path

import pytest
from scipy.stats import spearmanr

from lead_hub import recommend
from lead_hub.demo import pool, target_folder

SEEDS = (0, 1, 2)


@pytest.mark.parametrize("method", ["lead", "lead-paper"])
def test_seeds_agree_on_the_demo_pool(method: str, demo_cache: Path) -> None:
    """All images are used, so that a seed draws nothing but what the score itself draws."""
    scores = []
    for seed in SEEDS:
        board = recommend(target_folder("emoji"), pool(), method, seed=seed, cache_dir=demo_cache, progress=False)
        assert board.skipped == ()
        scores.append({row.checkpoint: row.score for row in board.rows})
    for first, second in combinations(scores, 2):
        names = sorted(first)
        assert len(names) >= 10
        agreement = spearmanr([first[name] for name in names], [second[name] for name in names]).statistic
        print(f"{method}: Spearman {agreement:.4f}")
        assert agreement >= (1 if method == "lead" else 0.98) - 1e-12


@pytest.fixture(scope="module")
def demo_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Features are extracted once, and every later call finds them here."""
    return tmp_path_factory.mktemp("demo")
