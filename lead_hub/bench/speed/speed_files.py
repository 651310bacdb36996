"""A report as a file: numbers as JSON."""

import json
from pathlib import Path

from lead_hub.bench.matrix_files import MatrixError
from lead_hub.bench.speed.speed_report import SpeedReport
from lead_hub.hub import write_text_whole


def check_speed_file(path: Path) -> None:
    """Refuse a file's name before minutes are spent.

    Raises:
        MatrixError: it does not end in .json.
    """
    if path.suffix != ".json":
        raise MatrixError(f"speed is saved as .json, found {path.name!r}")


def save_speed(report: SpeedReport, path: Path) -> None:
    """Write the document as JSON.

    Raises:
        MatrixError: the name ends in something else.
    """
    check_speed_file(path)
    write_text_whole(path, json.dumps(report.to_document(), indent=1) + "\n")
