"""Which images of a run are left out together: copies of one picture, and what a column says belongs together."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from lead_hub.access import Access
from lead_hub.errors import DatasetError
from lead_hub.labelled_images import LabelledImages, Pixels
from lead_hub.recommendation.near_copies import same_pictures, thumbnail
from lead_hub.transferability import SCORES

# Of images, between two looks at whether the run is still wanted.
BLOCK = 256
MOST_THREADS = 8


@dataclass(frozen=True, eq=False)
class ImageGroups:
    """Which images are left out together.

    Attributes:
        numbers: group of each image, 0..G-1; None where every image is alone.
        notes: what was found, as sentences for people.
    """

    numbers: Int64[np.ndarray, " image"] | None
    notes: tuple[str, ...]

    def of(self, images: LabelledImages) -> LabelledImages:
        """The images with these groups, and with the notes beside their own."""
        return replace(images, groups=self.numbers, notes=(*images.notes, *self.notes))


def image_groups(
    images: LabelledImages, methods: Sequence[str], *, group_column: str | None, access: Access
) -> ImageGroups:
    """Find the images that show the same picture, and join them with those that the column of groups joins.

    Args:
        images: of the run.
        methods: names of the scores, not all of which leave images out.
        group_column: the column that the groups of the images are from, if any.
        access: whether the run is still wanted, asked after every block of images.

    Raises:
        DatasetError: all images are one group, so that nothing is left when it is left out.
        RunCancelledError: nobody waits any more.
    """
    hashes, thumbnails = looks_of(images, access)
    near = same_pictures(thumbnails, torch.from_numpy(images.labels), check_wanted=access.check_wanted)
    first = {digest: position for position, digest in reversed(list(enumerate(hashes)))}
    pairs = [*((first[digest], position) for position, digest in enumerate(hashes)), *near]
    copies = joined(pairs, n_images=len(images))
    found = [copies_note(images, copies, n_exact=len(hashes) - len(first))] if copies.max() + 1 < len(images) else []
    numbers = copies
    if images.groups is not None:
        found.insert(0, column_note(images, group_column))
        leaders = np.unique(images.groups, return_index=True)[1][images.groups]
        numbers = joined([*pairs, *zip(leaders.tolist(), range(len(images)), strict=True)], n_images=len(images))
    if numbers.max() == 0:
        raise DatasetError(
            f"at least 2 groups of images are needed, so that others are left when one is left out, found all"
            f" {len(images)} images of {images.dataset} in one: {'; '.join(found)}; use images of more pictures"
        )
    if numbers.max() + 1 == len(images):
        return ImageGroups(None, tuple(found))
    deaf = [method for method in methods if SCORES[method].function and not SCORES[method].leaves_out]
    if deaf:
        found.append(f"{', '.join(deaf)}: no image is left out, so images of one group count as any others")
    return ImageGroups(numbers, tuple(found))


def looks_of(images: LabelledImages, access: Access) -> tuple[list[str], Float[Tensor, "image 3 side side"]]:
    """A hash and a thumbnail of every image, made in threads: both let others run."""

    def look(position: int) -> tuple[str, Tensor]:
        pixels = images.pixels[position]
        return pixels_sha256(pixels), thumbnail(pixels)

    looks: list[tuple[str, Tensor]] = []
    with ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1), thread_name_prefix="lead-hub-look") as threads:
        for start in range(0, len(images), BLOCK):
            if start:
                access.check_wanted()
            looks += threads.map(look, range(start, min(start + BLOCK, len(images))))
    hashes, thumbnails = zip(*looks, strict=True)
    return list(hashes), torch.stack(thumbnails)


def pixels_sha256(pixels: Pixels) -> str:
    """Over the size and the colours: equal for images that were stored in different ways but look the same."""
    return hashlib.sha256(repr(pixels.shape).encode() + np.ascontiguousarray(pixels).tobytes()).hexdigest()


def joined(pairs: Iterable[tuple[int, int]], *, n_images: int) -> Int64[np.ndarray, " image"]:
    """Numbers of the groups that pairs of images make, by whatever chain of them, in order of appearance."""
    leader = list(range(n_images))

    def lead(image: int) -> int:
        while leader[image] != image:
            leader[image] = image = leader[leader[image]]
        return image

    for one, other in pairs:
        low, high = sorted((lead(one), lead(other)))
        leader[high] = low
    return np.unique([lead(image) for image in range(n_images)], return_inverse=True)[1].astype(np.int64)


def copies_note(images: LabelledImages, copies: Int64[np.ndarray, " image"], *, n_exact: int) -> str:
    """How many images are copies, and how often they contradict each other."""
    sizes = Counter(copies.tolist())
    pictures = {group for group, size in sizes.items() if size > 1}
    n_copies = sum(sizes[group] for group in pictures)
    classes = {(group, label) for group, label in zip(copies.tolist(), images.labels.tolist(), strict=True)}
    n_classes = Counter(group for group, _ in classes)
    contradicting = sum(n_classes[group] > 1 for group in pictures)
    note = (
        f"{n_copies} of {len(images)} images are copies of one another, exact or nearly so ({len(pictures)}"
        f" pictures; {n_exact} images are equal to an earlier one pixel by pixel): copies are left out together"
    )
    if contradicting:
        note += f"; of {contradicting} of these pictures the copies are of different classes: check their labels"
    return note


def column_note(images: LabelledImages, group_column: str | None) -> str:
    """What the column of groups does."""
    assert images.groups is not None
    n_groups = int(images.groups.max()) + 1
    return f"images with the same {group_column!r} are left out together: {len(images)} images in {n_groups} groups"
