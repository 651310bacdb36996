"""The images of a run as image processors shrink them, kept for the checkpoints that follow.

What a processor does to an image is shrinking and cropping, which takes milliseconds, and then changing the range of
its numbers, which takes none. Checkpoints of one kind and size differ in the second part alone: the first is done once
a run, and its 8-bit pixels are kept in a file without a name, which the operating system removes with the process. The
processes of a machine that share a run keep them together, in files beside the decoded images.
"""

import hashlib
import json
import os
import tempfile
import threading
import warnings
import weakref
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from PIL import Image
from torch import Tensor
from torchvision import transforms
from transformers import BaseImageProcessor, TimmWrapperImageProcessor
from transformers.image_utils import ChannelDimension

from lead_hub.checkpoint_outputs.checkpoint_folder import LOAD_ERRORS
from lead_hub.checkpoint_outputs.image_preparation import check_resized, one_batch, prepare_images
from lead_hub.errors import CandidateError
from lead_hub.labelled_images import Pixels

PREFIX = "lead-hub-pixels-"
IS_THERE = b"\x01"
MOST_BYTES = 4 << 30  # 13 kinds of 2,000 images at 224 px
# Settings that change the range of numbers alone, or name the processor.
_RANGE_SETTINGS = ("image_mean", "image_std", "do_normalize", "do_rescale", "rescale_factor", "image_processor_type")
_N_RANGE_TRANSFORMS = 2  # of timm: to a tensor, normalise
MOST_BRIGHT = 255  # of 8 bits, which becomes 1
APART_ERRORS: tuple[type[Exception], ...] = (CandidateError, *LOAD_ERRORS)

# Shrunk pixels of any order of axes, 8 bits.
Shrunk: TypeAlias = UInt8[np.ndarray, "..."]


@runtime_checkable
class PixelArrays(Protocol):
    """By position."""

    def __len__(self) -> int: ...
    def __getitem__(self, position: int) -> Shrunk: ...


@dataclass(frozen=True, eq=False)
class Preparation:
    """How images become model input.

    Attributes:
        images: as `make` takes them, by position.
        make: of several of them, on the processor, what the device gets: model input, or 8-bit pixels of one shape.
        finish: makes model input of that, wherever it is.
    """

    images: PixelArrays
    make: Callable[[Sequence[Shrunk]], Tensor]
    finish: Callable[[Tensor], Tensor] = lambda pixel_values: pixel_values


class ShrunkImages:
    """Images of a run, by position, that remember how processors shrink them.

    Safe to use from several threads, for one checkpoint after the other, and for the next one beside it.

    Args:
        images: of the run.
        folder: where what is remembered is kept; None means among temporary files.
        is_shared: whether other processes, which have the same images, keep theirs in the same folder.
        most_bytes: that are kept for this process; those that others have in use are not counted.
    """

    def __init__(
        self,
        images: PixelArrays,
        *,
        folder: Path | None = None,
        is_shared: bool = False,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self.images, self.folder, self.is_shared, self.most_bytes = images, folder, is_shared, most_bytes
        self._kept: OrderedDict[str, KeptPixels] = OrderedDict()
        self._changing = threading.Lock()
        self._ahead = ""  # key of what `shrink_ahead` fills

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, position: int) -> Pixels:
        return self.images[position]

    def prepared_by(self, processor: BaseImageProcessor, *, on_device: bool = False) -> Preparation:
        """How to make model input: exactly what the processor makes of the images themselves.

        Args:
            processor: of a checkpoint.
            on_device: whether their 8-bit pixels go to the device, which changes their range for a whole batch, where
                the processor allows; else it gets model input, of four times the bytes.
        """
        with self._changing:
            kept = self._kept_by(processor)
        if kept is None:
            return Preparation(self.images, partial(prepare_images, processor))
        images = ShrinkingImages(self.images, processor, kept)
        if on_device and can_range_batches(processor):
            return Preparation(images, partial(stacked, processor), partial(ranged_batch, processor))
        return Preparation(images, partial(ranged, processor))

    def part(self, positions: Sequence[int] | Int64[np.ndarray, " chosen"]) -> "PartOfShrunkImages":
        """Some of the images; what is remembered of them is remembered of all."""
        return PartOfShrunkImages(self, [int(position) for position in positions])

    def shrink_ahead(
        self, processor: BaseImageProcessor, positions: Sequence[int], *, is_time_left: Callable[[], bool]
    ) -> None:
        """Shrink images for the checkpoint whose turn is next, beside the passes of the one that has it.

        Nothing where they are shrunk already, or are being shrunk, or where others would have to go for them.

        Args:
            processor: of the next checkpoint.
            positions: of its images, from the first on.
            is_time_left: asked before each.
        """
        key = shrinking_key(processor)
        with self._changing:
            kept = None if key in self._kept else self._kept_by(processor, makes_room=False)
            self._ahead = key if kept else ""
        if kept is None:
            return
        try:
            images = ShrinkingImages(self.images, processor, kept)
            for position in positions:
                if not is_time_left():
                    break
                images[position]  # is kept
        finally:
            self._ahead = ""

    def _kept_by(self, processor: BaseImageProcessor, *, makes_room: bool = True) -> "KeptPixels | None":
        if not hasattr(os, "pread"):  # Windows
            return None
        key = shrinking_key(processor)
        if key not in self._kept:
            if not comes_apart(processor, [self.images[position] for position in {0, len(self.images) - 1}]):
                return None
            first = shrunk(processor, self.images[0])
            n_bytes = len(self.images) * first.nbytes
            while n_bytes + sum(kept.n_bytes for kept in self._kept.values()) > self.most_bytes:
                oldest = next((other for other in self._kept if other != self._ahead), None) if makes_room else None
                if oldest is None or n_bytes > self.most_bytes:
                    return None
                self._kept.pop(oldest).forget()
            try:
                name = f"{PREFIX}{hashlib.sha256(key.encode()).hexdigest()}" if self.is_shared else None
                self._kept[key] = KeptPixels(first.shape, n_images=len(self.images), folder=self.folder, name=name)
            except OSError as error:
                warnings.warn(f"images are shrunk anew for every checkpoint: {error}; free some disk", stacklevel=2)
                return None
        self._kept.move_to_end(key)
        return self._kept[key]


@dataclass(frozen=True, eq=False)
class ChosenImages:
    """Images of others, by their place among the chosen positions."""

    images: PixelArrays
    positions: Sequence[int]

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, place: int) -> Shrunk:
        return self.images[self.positions[place]]


@dataclass(frozen=True, eq=False)
class PartOfShrunkImages:
    """Some of a run's images, which share what is remembered of all."""

    whole: ShrunkImages
    positions: Sequence[int]

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, place: int) -> Pixels:
        return self.whole[self.positions[place]]

    def prepared_by(self, processor: BaseImageProcessor, *, on_device: bool = False) -> Preparation:
        """As of the whole."""
        whole = self.whole.prepared_by(processor, on_device=on_device)
        return replace(whole, images=ChosenImages(whole.images, self.positions))


class KeptPixels:
    """Arrays of one shape in a file, each behind a byte that says whether it is there.

    The file has no name, or it has one, by which other processes of the machine open the same file. They may write the
    same array at the same time: its byte is written after it, and read before it.

    Raises:
        OSError: no file can be made in the folder.
    """

    def __init__(self, shape: tuple[int, ...], *, n_images: int, folder: Path | None, name: str | None = None) -> None:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        self.shape, self._array_bytes = shape, int(np.prod(shape))
        self.n_bytes = n_images * self._array_bytes
        self._path = folder / name if folder and name else None
        if self._path is None:
            self._file: IO[bytes] = tempfile.TemporaryFile(dir=folder, prefix=PREFIX)  # noqa: SIM115
        else:
            self._file = os.fdopen(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b")
        self.close = weakref.finalize(self, self._file.close)  # gives the disk back, at the latest when forgotten
        self._is_full = False

    def forget(self) -> None:
        """Give the disk back, as soon as no other process reads the file either."""
        self.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def read(self, position: int) -> Shrunk | None:
        """The array that was written there; None without one."""
        size = 1 + self._array_bytes
        content = bytearray(os.pread(self._file.fileno(), size, position * size))
        is_there = len(content) == size and content[0] == IS_THERE[0]
        return np.frombuffer(content, dtype=np.uint8, offset=1).reshape(self.shape) if is_there else None

    def write(self, position: int, pixels: Shrunk) -> None:
        """Keep an array, if it has the shape of the others and the disk takes it."""
        if self._is_full or pixels.shape != self.shape:
            return
        start = position * (1 + self._array_bytes)
        try:
            written = os.pwrite(self._file.fileno(), np.ascontiguousarray(pixels).data, start + 1)
            if written == pixels.nbytes:
                os.pwrite(self._file.fileno(), IS_THERE, start)
        except OSError:  # a full disk: what is not kept is computed
            self._is_full = True


class ShrinkingImages:
    """Images as one processor shrinks them: those that are kept, others now."""

    def __init__(self, images: PixelArrays, processor: BaseImageProcessor, kept: KeptPixels) -> None:
        self.images, self.processor, self.kept = images, processor, kept

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, position: int) -> Shrunk:
        found = self.kept.read(position)
        if found is None:
            found = shrunk(self.processor, self.images[position])
            self.kept.write(position, found)
        return found


def shrinking_key(processor: BaseImageProcessor) -> str:
    """The same for processors that shrink and crop images alike."""
    if isinstance(processor, TimmWrapperImageProcessor):
        return repr(processor.val_transforms.transforms[:-_N_RANGE_TRANSFORMS])
    settings: dict[str, Any] = json.loads(processor.to_json_string())
    kept = {name: value for name, value in settings.items() if name not in _RANGE_SETTINGS}
    return json.dumps({"class": type(processor).__name__, **kept}, sort_keys=True)


def comes_apart(processor: BaseImageProcessor, images: Sequence[Pixels]) -> bool:
    """Whether shrinking, then changing the range, gives exactly what the processor gives of these images."""
    try:
        whole = prepare_images(processor, images)
        parts = [shrunk(processor, image) for image in images]
        return all(part.dtype == np.uint8 for part in parts) and torch.equal(ranged(processor, parts), whole)
    except APART_ERRORS:  # a part alone is more than some processors can do
        return False


def shrunk(processor: BaseImageProcessor, image: Pixels) -> Shrunk:
    """The first part of what a processor does."""
    check_resized(processor, image)
    if isinstance(processor, TimmWrapperImageProcessor):
        picture = Image.fromarray(image)
        for transform in processor.val_transforms.transforms[:-_N_RANGE_TRANSFORMS]:
            picture = transform(picture)
        return np.asarray(picture)
    pixels = torch.from_numpy(image if image.flags.writeable else image.copy()).permute(2, 0, 1)
    only_shrinking: dict[str, Any] = {"do_rescale": False, "do_normalize": False}
    [prepared] = dict(processor([pixels], input_data_format=ChannelDimension.FIRST, **only_shrinking))["pixel_values"]
    return np.asarray(torch.as_tensor(prepared))


def ranged(processor: BaseImageProcessor, shrunk_images: Sequence[Shrunk]) -> Tensor:
    """The second part: model input, all of one shape.

    Raises:
        CandidateError: the images do not fit one batch, or the processor failed (stage "extract").
    """
    if isinstance(processor, TimmWrapperImageProcessor):
        to_tensor, normalise = processor.val_transforms.transforms[-_N_RANGE_TRANSFORMS:]
        return one_batch(
            processor, {"pixel_values": [normalise(to_tensor(Image.fromarray(image))) for image in shrunk_images]}
        )
    return _ranged_by(processor, [torch.from_numpy(image) for image in shrunk_images])


def _ranged_by(processor: BaseImageProcessor, pixels: list[Tensor]) -> Tensor:
    as_they_are: dict[str, Any] = {"do_resize": False, "do_center_crop": False}
    return one_batch(processor, dict(processor(pixels, input_data_format=ChannelDimension.FIRST, **as_they_are)))


def can_range_batches(processor: BaseImageProcessor) -> bool:
    """Whether the second part can be done to a batch where it is: not by Pillow, nor by every transform of timm."""
    if not isinstance(processor, TimmWrapperImageProcessor):
        return getattr(processor, "backend", None) == "torchvision"
    to_tensor, normalise = processor.val_transforms.transforms[-_N_RANGE_TRANSFORMS:]
    return isinstance(to_tensor, transforms.ToTensor) and isinstance(normalise, transforms.Normalize)


def stacked(processor: BaseImageProcessor, shrunk_images: Sequence[Shrunk]) -> Tensor:
    """Shrunk images as one tensor of 8 bits.

    Raises:
        CandidateError: they are of several shapes (stage "extract").
    """
    if len({image.shape for image in shrunk_images}) > 1:
        return ranged(processor, shrunk_images)  # refuses them in its own words
    return torch.from_numpy(np.stack(shrunk_images))


def ranged_batch(processor: BaseImageProcessor, pixels: Tensor) -> Tensor:
    """The second part, for the 8-bit pixels of a batch on any device: model input there."""
    if pixels.dtype != torch.uint8:
        return pixels
    if isinstance(processor, TimmWrapperImageProcessor):
        normalise: transforms.Normalize = processor.val_transforms.transforms[-1]
        channels_first = pixels.permute(0, 3, 1, 2).contiguous()
        model_input: Tensor = normalise(channels_first.float().div(MOST_BRIGHT))
        return model_input
    return _ranged_by(processor, list(pixels))
