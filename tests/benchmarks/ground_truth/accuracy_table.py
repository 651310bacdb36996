"""The matrix as one Markdown table, and the few numbers that say how far it can be trusted."""

from collections.abc import Sequence
from pathlib import Path
from statistics import mean, median, stdev

from tests.benchmarks.demo_pool.finetuning import Result, read_table
from tests.benchmarks.demo_pool.verification import published

from .checkpoints import POOL
from .finetuning import LEARNING_RATES
from .targets import Target

# By checkpoint and target: the runs behind the published number, one a seed.
Published = dict[tuple[str, str], list[Result]]


def accuracy_table(matrix: Path, targets: Sequence[Target]) -> str:
    """Mean test accuracy in percent of every finished pair, best mean first; then spread and chosen rates."""
    chosen = published(read_table(matrix / "finetuned_accuracy.csv"))
    header = ["checkpoint", *(target.name for target in targets), "mean"]
    rows = sorted((_row(recipe.name, chosen, targets) for recipe in POOL), key=lambda row: -row[-1])
    lines = ["| " + " | ".join(header) + " |", "|---|" + "---:|" * (len(header) - 1)]
    lines += [f"| {name} | " + " | ".join(f"{value:.1f}" for value in values) + " |" for name, *values in rows]
    return "\n".join([*lines, "", *_facts(chosen, targets)])


def _row(name: str, chosen: Published, targets: Sequence[Target]) -> list:
    values = [_percent(chosen[name, target.name]) for target in targets if (name, target.name) in chosen]
    return [name, *values, mean(values)]


def _percent(runs: list[Result]) -> float:
    return 100 * mean(run.test_accuracy for run in runs)


def _facts(chosen: Published, targets: Sequence[Target]) -> list[str]:
    spreads = [100 * stdev(run.test_accuracy for run in runs) for runs in chosen.values() if len(runs) > 1]
    smaller = sum(runs[0].learning_rate == min(LEARNING_RATES) for runs in chosen.values())
    facts = [f"learning rate {min(LEARNING_RATES):g} chosen in {smaller} of {len(chosen)} pairs"]
    if spreads:
        facts += [f"standard deviation over seeds: median {median(spreads):.1f}, largest {max(spreads):.1f} points"]
    for target in targets:
        values = {name: _percent(runs) for (name, where), runs in chosen.items() if where == target.name}
        best = max(values, key=values.__getitem__)
        facts += [f"{target.name}: best {best} {values[best]:.1f}, median {median(values.values()):.1f}"]
    return facts
