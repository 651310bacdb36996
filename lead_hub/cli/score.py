"""`lead-hub score`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from lead_hub.cli.options import JsonFlag, exit_codes, write_json


def score(
    features: Annotated[Path, typer.Argument(help='.npz with "features" [image, number] and "labels" [image].')],
    method: Annotated[str, typer.Option(help="Name of the score.")] = "lead",
    seed: Annotated[int, typer.Option(help="For scores that draw random numbers.")] = 0,
    json: JsonFlag = False,
) -> None:
    """Score features that you extracted yourself; source logits may be in the file as "logits"."""
    with exit_codes():
        from lead_hub.cli.feature_file import read_feature_file
        from lead_hub.transferability import transferability

        arrays = read_feature_file(features)
        result = transferability(arrays.features, arrays.labels, method, logits=arrays.logits, seed=seed)
        document = {"method": method, "score": result.value, **result.companions, "n_images": len(arrays.labels)}
        if json or not sys.stdout.isatty():
            write_json(document)
        else:
            for name, value in document.items():
                typer.echo(f"{name:14} {value}")
