"""The pictures on the buttons of the embedded datasets: one image each of their first classes, small.

python -m tests.benchmarks.demo_pictures        # writes spaces_app/demo_pictures.json again
"""

import json
import tempfile
from base64 import b64encode
from pathlib import Path

from lead_hub.access import Access
from lead_hub.demo import TARGETS, target_folder
from lead_hub.labelled_images import DatasetQuery
from lead_hub.recommendation import look_at_images
from spaces_app.demo_buttons import PICTURES, PICTURES_EACH


def made_pictures() -> dict[str, list[str]]:
    """Base64 of JPEGs, by target: the first image of each of the classes that have most images."""
    with tempfile.TemporaryDirectory() as folder:
        access = Access(Path(folder), progress=False)
        looks = {target: look_at_images(DatasetQuery(str(target_folder(target))), access) for target in TARGETS}
    return {
        target: [b64encode(each.jpegs[0]).decode("ascii") for each in look.classes[:PICTURES_EACH]]
        for target, look in looks.items()
    }


if __name__ == "__main__":
    PICTURES.write_text(json.dumps(made_pictures(), indent=1) + "\n", encoding="utf-8")
