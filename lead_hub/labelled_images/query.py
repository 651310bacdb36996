"""Which images to rank on: what the user asks for, before anything is read."""

from dataclasses import dataclass

from lead_hub.errors import DatasetError
from lead_hub.hub import in_utf_8

LARGEST_SEED = 2**63 - 1  # what every generator of random numbers takes


@dataclass(frozen=True)
class DatasetQuery:
    """Which images to rank on.

    Attributes:
        dataset: Hub id ("org/name"), or path of an image folder, a parquet file or folder, or a `save_to_disk` folder.
        config: name of the dataset's configuration; None where there is only one.
        split: the only split that is read; never rank on the split that you test on.
        image_column: None picks the column whose type is Image.
        label_column: None picks the only ClassLabel column, else the only string or integer column.
        revision: branch, tag or commit of a Hub dataset; None means its default branch.
        max_images: largest size of the sample.
        seed: decides which images are sampled.
        group_column: column that is the same for images of the same thing (one patient, one scene); None without one.
    """

    dataset: str
    config: str | None = None
    split: str = "train"
    image_column: str | None = None
    label_column: str | None = None
    revision: str | None = None
    max_images: int = 2000
    seed: int = 0
    group_column: str | None = None

    def __post_init__(self) -> None:
        if not self.dataset.strip():
            raise DatasetError(
                f"dataset must be a Hub id such as 'org/name' or a path, found {self.dataset!r}; the working directory"
                " is '.'"
            )
        if "\0" in self.dataset or in_utf_8(self.dataset) != self.dataset:
            raise DatasetError(
                f"dataset must be a Hub id or a path of UTF-8 characters, found {self.dataset!r}; rename the folder, or"
                " name a link to it"
            )
        if self.max_images < 4:
            raise DatasetError(f"max_images must be at least 4 (two classes of two images), found {self.max_images}")
        if not 0 <= self.seed <= LARGEST_SEED:
            raise DatasetError(f"seed must be from 0 to {LARGEST_SEED}, found {self.seed}")
