"""`lead-hub scores`."""

import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lead_hub.cli.options import JsonFlag, write_json

if TYPE_CHECKING:
    from lead_hub.transferability import ScoreMethod


@dataclass(frozen=True)
class ListedScore:
    """What the list says of one score; what is not explained here is as in `ScoreMethod`.

    Attributes:
        needs: what it takes beside features and labels, in words.
        has_per_image_terms: whether it is a mean over the images, whose spread says how sure it is.
    """

    name: str
    title: str
    paper: str
    range: str
    direction: str
    needs: str
    has_per_image_terms: bool
    cost: str
    version: int


def scores(json: JsonFlag = False) -> None:
    """List every score: where it is from, its range, what it needs and what it costs."""
    from lead_hub.transferability import SCORES

    listed = [
        ListedScore(
            name=method.name,
            title=method.title,
            paper=method.paper,
            range=method.range,
            direction=method.direction,
            needs=needs(method),
            has_per_image_terms=has_per_image_terms(method),
            cost=method.cost,
            version=method.version,
        )
        for method in SCORES.values()
    ]
    if json or not sys.stdout.isatty():
        write_json({"scores": [asdict(score) for score in listed]})
    else:
        print_scores(listed, Console())


def needs(method: "ScoreMethod") -> str:
    """What a score takes beside features and labels."""
    if method.fact is not None:
        return f"the fact {method.fact}"
    kernels = [name.replace("_", " ") for name in method.needs_kernels]
    used = [name.replace("_", " ") for name in method.uses_kernels]
    needed = ", ".join(["source logits"] * method.needs_logits + kernels) or "nothing"
    return f"{needed} (uses {', '.join(used)})" if used else needed


def has_per_image_terms(method: "ScoreMethod") -> bool:
    """Found by scoring a few made images, so that the list never promises what a score does not give."""
    import numpy as np

    if method.fact is not None:
        return False
    from lead_hub.transferability import transferability

    labels = np.arange(60) % 3
    features = np.random.default_rng(0).normal(size=(60, 8)) + labels[:, None]
    kernels = dict.fromkeys(method.needs_kernels, features @ features.T)
    return transferability(features, labels, method.name, logits=features[:, :4], kernels=kernels).per_image is not None


def print_scores(listed: list[ListedScore], console: Console) -> None:
    """The list as a table: one score a row, what is known of it line by line, so that any width will do."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("score", no_wrap=True)
    table.add_column("title, range, needs, cost, paper", overflow="fold")
    for score in listed:
        terms = "per-image terms" if score.has_per_image_terms else "no per-image terms"
        known = Text(score.title, style="bold")
        known.append(f"\nrange {score.range}, {score.direction}; needs {score.needs}; {terms}", style="not bold")
        known.append(f"\ncost: {score.cost}", style="not bold")
        known.append(f"\n{score.paper}\n", style="not bold dim")
        table.add_row(Text(score.name, style="bold"), known)
    console.print(table)
    console.print(Text("Scores that are a mean of per-image terms can be given with intervals."))
