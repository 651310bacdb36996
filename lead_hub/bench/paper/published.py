"""The published numbers that come with the package."""

import csv
from collections import defaultdict
from collections.abc import Mapping

from lead_hub.bench.paper.repositories import FOLDER

# By group and dataset: a number for every checkpoint, or for every method.
Published = Mapping[tuple[str, str], Mapping[str, float]]


def published_accuracy() -> Published:
    """Percent after fine-tuning, by (group, dataset), then checkpoint."""
    return table("finetuned_accuracy.csv", name="checkpoint", number="finetuned_accuracy_percent")


def published_taus() -> Published:
    """Weighted Kendall taus, by (group, dataset), then method; group "not stated" where the source does not say."""
    return table("weighted_tau.csv", name="method", number="weighted_kendall_tau")


def table(file_name: str, *, name: str, number: str) -> Published:
    found: defaultdict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    with (FOLDER / file_name).open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            found[row["group"], row["dataset"]][row[name]] = float(row[number])
    return {**found}
