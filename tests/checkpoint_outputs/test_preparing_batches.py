"""Images as model input: in which order, how many at once, by which threads."""

import threading
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
import torch

from lead_hub.checkpoint_outputs.preparing_batches import Prepare, batches_ahead, prepared_batches
from lead_hub.checkpoint_outputs.shrunk_images import PixelArrays, Preparation
from lead_hub.errors import CandidateError


def batches_of(
    prepare: Prepare, images: PixelArrays, positions: Sequence[int], batch_size: int, *, beside: bool
) -> Iterator[torch.Tensor]:
    return prepared_batches(Preparation(images, prepare), positions, batch_size, beside=beside)


def test_batches_come_in_order_and_few_are_held_at_once() -> None:
    prepared: list[int] = []

    def prepare(images: list[np.ndarray]) -> torch.Tensor:
        prepared.append(len(images))
        return torch.tensor([[float(image[0, 0, 0])] for image in images])

    images = [np.full((2, 2, 3), number, dtype=np.uint8) for number in range(50)]
    batches = batches_ahead(prepare, images, range(49, -1, -1), batch_size=4)
    first = next(batches)
    assert first.flatten().tolist() == [49, 48, 47, 46]
    assert len(prepared) <= 10  # of 13 batches, with at most 8 threads and one more
    assert torch.cat([first, *batches]).flatten().tolist() == list(range(49, -1, -1))


def test_large_batches_are_prepared_one_ahead() -> None:
    prepared: list[int] = []

    def prepare(images: list[np.ndarray]) -> torch.Tensor:
        prepared.append(len(images))
        return torch.zeros(len(images), 250)  # 1,000 bytes an image

    images = [np.zeros((2, 2, 3), dtype=np.uint8)] * 100
    batches = batches_ahead(prepare, images, range(100), batch_size=5, most_bytes=9_999)  # not two of 5,000 bytes
    for number, batch in enumerate(batches, start=1):
        assert len(batch) == 5
        assert len(prepared) <= number + 1
    assert len(prepared) == 20


@pytest.mark.parametrize("beside", [False, True])
def test_leaving_early_stops_the_threads(*, beside: bool) -> None:
    images = [np.zeros((2, 2, 3), dtype=np.uint8)] * 1000
    batches = batches_of(lambda some: torch.zeros(len(some), 1), images, range(1000), 1, beside=beside)
    next(batches)
    batches.close()  # type: ignore[attr-defined]  # a generator
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("lead-hub-prepare")]


def numbered(n_images: int) -> list[np.ndarray]:
    """Pictures of one colour each, their position."""
    return [np.full((2, 2, 3), number, dtype=np.uint8) for number in range(n_images)]


def first_numbers(images: list[np.ndarray]) -> torch.Tensor:
    return torch.tensor([[float(image[0, 0, 0])] for image in images])


@pytest.mark.parametrize("batch_size", [1, 3, 16, 64])
def test_in_turn_every_batch_is_whole_and_in_order(batch_size: int) -> None:
    batches = list(batches_of(first_numbers, numbered(50), range(49, -1, -1), batch_size, beside=False))
    assert torch.cat(batches).flatten().tolist() == list(range(49, -1, -1))
    assert [len(batch) for batch in batches] == [batch_size] * (50 // batch_size) + [50 % batch_size] * (
        50 % batch_size > 0
    )


def test_in_turn_nothing_is_prepared_before_it_is_asked_for() -> None:
    prepared: list[int] = []

    def prepare(images: list[np.ndarray]) -> torch.Tensor:
        prepared.extend(int(image[0, 0, 0]) for image in images)
        return first_numbers(images)

    batches = batches_of(prepare, numbered(50), range(50), 8, beside=False)
    for n_batches in (1, 2, 3):
        next(batches)
        assert sorted(prepared) == list(range(8 * n_batches))


def test_in_turn_each_thread_computes_by_itself() -> None:
    """Helpers of theirs would stand in the way of the passes': see `to_one_core`."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        found: list[tuple[str, int]] = []

        def prepare(images: list[np.ndarray]) -> torch.Tensor:
            found.append((threading.current_thread().name, torch.get_num_threads()))
            return first_numbers(images)

        list(batches_of(prepare, numbered(32), range(32), 16, beside=False))
        assert len(found) >= 2
        assert {n_threads for _, n_threads in found} == {1}
        assert all(name.startswith("lead-hub-prepare") for name, _ in found)
        assert torch.get_num_threads() == 2  # of the thread that computes
    finally:
        torch.set_num_threads(before)


def by_shape(images: list[np.ndarray]) -> torch.Tensor:
    """Refuse images of several shapes, as image processors' outputs are."""
    if len({image.shape for image in images}) > 1:
        raise CandidateError("must make images of the same size", stage="extract")
    return torch.stack([torch.from_numpy(image) for image in images])


@pytest.mark.parametrize("beside", [False, True])
def test_images_of_several_shapes_in_a_batch_are_the_processors_to_refuse(*, beside: bool) -> None:
    images = [np.zeros((2, 2, 3), dtype=np.uint8)] * 8 + [np.zeros((3, 2, 3), dtype=np.uint8)] * 8
    prepare: Prepare = by_shape
    with pytest.raises(CandidateError, match="same size"):
        list(batches_of(prepare, images, range(16), 16, beside=beside))
    apart = list(batches_of(prepare, images, range(16), 8, beside=beside))
    assert [batch.shape for batch in apart] == [(8, 2, 2, 3), (8, 3, 2, 3)]
