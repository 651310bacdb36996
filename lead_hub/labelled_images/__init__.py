"""Stage 1: dataset id or folder -> LabelledImages. `loading.py` reads from top to bottom as its steps."""

from lead_hub.labelled_images.abandoned_folders import SHARED_PREFIX
from lead_hub.labelled_images.dataset_search import FoundDataset, search_datasets
from lead_hub.labelled_images.decoded_images import Pixels
from lead_hub.labelled_images.description import DatasetDescription, describe_dataset
from lead_hub.labelled_images.loading import LabelledImages, groups_sha256, load_labelled_images, rows_sha256
from lead_hub.labelled_images.opened_split import SplitNotFoundError
from lead_hub.labelled_images.query import DatasetQuery
from lead_hub.labelled_images.rgb import DELIVERED_AT_LEAST, STORED_SHORT_SIDE_PX
from lead_hub.labelled_images.sampling import MINIMUM_PER_CLASS, stratified_sample
from lead_hub.labelled_images.thumbnails import jpeg_thumbnail

__all__ = [
    "DELIVERED_AT_LEAST",
    "MINIMUM_PER_CLASS",
    "SHARED_PREFIX",
    "STORED_SHORT_SIDE_PX",
    "DatasetDescription",
    "DatasetQuery",
    "FoundDataset",
    "LabelledImages",
    "Pixels",
    "SplitNotFoundError",
    "describe_dataset",
    "groups_sha256",
    "jpeg_thumbnail",
    "load_labelled_images",
    "rows_sha256",
    "search_datasets",
    "stratified_sample",
]
