"""What the test Hub of the Space holds: two users, datasets of every sort, and small checkpoints."""

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from datasets import ClassLabel, Dataset, Features, Image
from PIL import Image as PillowImage

from tests.loopback_hub import HubServer

COLOURS = {"red": (200, 60, 60), "green": (60, 200, 60), "blue": (60, 60, 200)}
# Words that stand nowhere else, so that whatever is left of them on a disk can be found.
SECRETS = {"wolverine": (200, 60, 60), "axolotl": (60, 200, 60), "pangolin": (60, 60, 200)}
HOSTILE = {
    "<img src=x onerror=alert(1)>": (200, 60, 60),
    "[click](javascript:alert(2))": (60, 200, 60),
    "</script><script>alert(3)</script>": (60, 60, 200),
}
CHECKPOINTS = ("org/resnet", "org/vit", "org/dinov2")


def seed(hub: HubServer, tiny_pool: Path) -> None:
    """alice with a private dataset, bob with none; public datasets, one with hostile names, one without images."""
    hub.add_user("alice")
    hub.add_user("bob")
    for name in CHECKPOINTS:
        hub.add_repo(name, folder=tiny_pool / name.partition("/")[2])
    hub.add_repo("org/colours", kind="dataset", files=parquet(COLOURS))
    hub.add_repo("org/hostile", kind="dataset", files=parquet(HOSTILE))
    card = f"---\nlicense: mit\n---\n# Pictures of {', '.join(SECRETS)}\n".encode()
    hub.add_repo("alice/secret", kind="dataset", files={**parquet(SECRETS), "README.md": card}, private=True)
    hub.add_repo("org/two", kind="dataset", files=two_configurations())
    texts = io.BytesIO()
    pd.DataFrame({"sentence": ["a", "b"], "mood": [0, 1]}).to_parquet(texts)
    hub.add_repo("org/texts", kind="dataset", files={"data/train-00000-of-00001.parquet": texts.getvalue()})


TWO_CONFIGURATIONS = b"""---
configs:
- config_name: small
  data_files:
  - {split: train, path: small/data.parquet}
- config_name: large
  data_files:
  - {split: learn, path: large/data.parquet}
---
"""


def two_configurations() -> dict[str, bytes]:
    """A dataset whose configurations have other splits and other classes."""
    (small,), (large,) = parquet(COLOURS).values(), parquet(dict(list(COLOURS.items())[:2]), n_images=10).values()
    return {"README.md": TWO_CONFIGURATIONS, "small/data.parquet": small, "large/data.parquet": large}


def parquet(classes: Mapping[str, tuple[int, int, int]], *, n_images: int = 12) -> dict[str, bytes]:
    """A dataset as `push_to_hub` lays it out: noisy squares whose colour is their class."""
    random = np.random.default_rng(0)
    labels = [place for place in range(len(classes)) for _ in range(n_images)]
    noise = random.integers(-60, 61, (len(labels), 40, 48, 3))
    pixels = np.clip(np.array(list(classes.values()))[labels][:, None, None] + noise, 0, 255).astype(np.uint8)
    data = {"image": [PillowImage.fromarray(image) for image in pixels], "label": labels}
    features = Features({"image": Image(), "label": ClassLabel(names=list(classes))})
    file = io.BytesIO()
    Dataset.from_dict(data, features=features).to_parquet(file)
    return {"data/train-00000-of-00001.parquet": file.getvalue()}
