"""A report as a file: numbers as JSON, or a drawing."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from lead_hub.bench.matrix_files import MatrixError
from lead_hub.bench.speed.speed_drawing import drawing_of
from lead_hub.bench.speed.speed_report import SpeedReport
from lead_hub.hub import write_text_whole


def speed_json(report: SpeedReport) -> str:
    """The document as the text of a JSON file."""
    return json.dumps(report.to_document(), indent=1) + "\n"


FORMATS: Mapping[str, Callable[[SpeedReport], str]] = MappingProxyType({".json": speed_json, ".svg": drawing_of})


def check_speed_file(path: Path) -> None:
    """Refuse a file's name before minutes are spent.

    Raises:
        MatrixError: it ends in neither .json nor .svg.
    """
    if path.suffix not in FORMATS:
        raise MatrixError(f"speed is saved as {' or '.join(FORMATS)}, found {path.name!r}")


def save_speed(report: SpeedReport, path: Path) -> None:
    """Write the document as JSON, or a drawing of it as SVG.

    Raises:
        MatrixError: the name ends in something else.
    """
    check_speed_file(path)
    write_text_whole(path, FORMATS[path.suffix](report))
