"""Stage 1: dataset id or folder -> LabelledImages. `loading.py` reads from top to bottom as its steps."""

from lead_hub.labelled_images.dataset_description import DatasetDescription, describe_dataset
from lead_hub.labelled_images.dataset_query import DatasetQuery
from lead_hub.labelled_images.dataset_source import SplitNotFoundError
from lead_hub.labelled_images.loading import LabelledImages, load_labelled_images

__all__ = [
    "DatasetDescription",
    "DatasetQuery",
    "LabelledImages",
    "SplitNotFoundError",
    "describe_dataset",
    "load_labelled_images",
]
