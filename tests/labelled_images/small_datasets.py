"""Datasets of a few small images, written as users have them."""

import io

import pytest
from datasets import Dataset, Features, Image
from PIL import Image as PillowImage

from lead_hub.errors import DatasetError


def write_image(path, colour=(0, 0, 0)):
    path.parent.mkdir(parents=True, exist_ok=True)
    PillowImage.new("RGB", (5, 4), colour).save(path, format="PNG")


def image_folder(folder, **counts):
    """An image of class c at position p has the colour (c, p, 0)."""
    for number, (name, count) in enumerate(counts.items()):
        for position in range(count):
            write_image(folder / name / f"{position:03}.png", (number, position, 0))
    return folder


def png(colour):
    file = io.BytesIO()
    PillowImage.new("RGB", (5, 4), colour).save(file, format="PNG")
    return file.getvalue()


def dataset_of(labels, label_type, colours=None, **columns):
    """Embedded images; row r has the colour (r, 0, 0) unless it is given."""
    images = [{"bytes": png((row, 0, 0)), "path": None} for row in range(len(labels))] if colours is None else colours
    data = {"image": images, "label": labels, **{name: values for name, (values, _) in columns.items()}}
    types = {"image": Image(), "label": label_type, **{name: kind for name, (_, kind) in columns.items()}}
    return Dataset.from_dict(data, features=Features(types))


def colours(images):
    return [images.pixels[position][0, 0].tolist() for position in range(len(images))]


def refusal(load, dataset, **query):
    with pytest.raises(DatasetError) as caught:
        load(dataset, **query)
    return str(caught.value)


# The sources
