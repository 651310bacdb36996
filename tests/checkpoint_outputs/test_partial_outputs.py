"""What is known of some of the images: put together, kept on disk, and cut out of what is known of all."""

from pathlib import Path

import pytest
import torch

from lead_hub.checkpoint_outputs.extraction import whole_outputs
from lead_hub.checkpoint_outputs.frozen_outputs import CheckpointOutputs, ImageOutputs, PartialOutputs
from lead_hub.checkpoint_outputs.outputs_cache import OutputsCache
from lead_hub.transferability import unpacked_kernel

CPU = torch.device("cpu")
FACTS = {"family": "made", "parameters": 3, "pooling": "none", "processor": "none", "dtype": "float32", "device": "cpu"}


def images_of(rows: torch.Tensor, *, depths: str = "blocks 1 of 1") -> ImageOutputs:
    """Features, logits and one block, all told by the rows."""
    blocks = () if depths.startswith("none") else (rows * 2, rows[:, :2] + 1)
    return ImageOutputs(rows, rows[:, :3] - 1, blocks, depths, **FACTS)  # type: ignore[arg-type]


@pytest.fixture
def rows() -> torch.Tensor:
    return torch.randn(9, 4, generator=torch.Generator().manual_seed(0))


def test_images_in_any_order_are_those_at_once(rows: torch.Tensor) -> None:
    first, second = torch.tensor([1, 4, 8]), torch.tensor([0, 2, 3, 5, 6, 7])
    known = PartialOutputs(first, images_of(rows[first]))
    assert known.missing(torch.arange(9)).tolist() == second.tolist()
    both = known.and_then(second, images_of(rows[second]))
    assert both.missing(torch.arange(9)).tolist() == []
    put_together, at_once = (whole_outputs(each, CPU) for each in (both.of(torch.arange(9)), images_of(rows)))
    for name in ("features", "logits", "depth_kernel"):
        assert torch.equal(getattr(put_together, name), getattr(at_once, name)), name
    assert put_together.depths == "blocks 1 of 1"


def test_depths_that_some_images_do_not_have_are_nobodys(rows: torch.Tensor) -> None:
    without = images_of(rows[4:], depths="none: a block did not fit")
    for both in (images_of(rows[:4]).and_then(without), without.and_then(images_of(rows[:4]))):
        outputs = whole_outputs(both, CPU)
        assert (outputs.depth_kernel, outputs.depths) == (None, "none: a block did not fit")


def test_a_part_of_a_whole(rows: torch.Tensor) -> None:
    whole = whole_outputs(images_of(rows), CPU)
    chosen = torch.tensor([0, 3, 4, 8])
    part = whole.of(chosen)
    assert torch.equal(part.features, rows[chosen])
    assert whole.depth_kernel is not None
    assert part.depth_kernel is not None
    assert torch.equal(unpacked_kernel(part.depth_kernel), unpacked_kernel(whole.depth_kernel)[chosen][:, chosen])
    bare = CheckpointOutputs(rows, None, **FACTS).of(chosen)  # type: ignore[arg-type]
    assert (bare.logits, bare.depth_kernel, bare.network_kernel) == (None, None, None)


def test_a_part_is_kept_until_the_whole_is_there(rows: torch.Tensor, tmp_path: Path) -> None:
    cache = OutputsCache(tmp_path)
    assert cache.read_partial("key", n_images=9) is None
    positions = torch.tensor([7, 2])
    cache.write_partial("key", PartialOutputs(positions, images_of(rows[positions])))
    kept = cache.read_partial("key", n_images=9)
    assert kept is not None
    assert kept.positions.tolist() == [7, 2]
    assert torch.equal(kept.of(torch.tensor([2])).blocks[0], rows[[2]] * 2)
    assert kept.images.parameters == 3
    # Of fewer images than there are, so it is not of these.
    assert cache.read_partial("key", n_images=7) is None
    assert cache.read("key", n_images=9) is None
    cache.write("key", whole_outputs(images_of(rows), CPU))
    assert [path.name for path in tmp_path.iterdir()] == ["key.safetensors"]


def test_a_damaged_part_is_computed_again(rows: torch.Tensor, tmp_path: Path) -> None:
    cache = OutputsCache(tmp_path)
    cache.write_partial("key", PartialOutputs(torch.arange(9), images_of(rows)))
    content = cache.partial_path("key").read_bytes()
    cache.partial_path("key").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.warns(UserWarning, match="is damaged and is computed again: its content does not match"):
        assert cache.read_partial("key", n_images=9) is None
