"""The tangent kernel beside a checkpoint's outputs, from the same images through the same image processor."""

from dataclasses import replace

import pytest
import torch

from lead_hub.checkpoint_outputs import (
    CheckpointOutputs,
    ExtractionSettings,
    LoadedCheckpoint,
    extract,
    load_checkpoint,
)
from lead_hub.checkpoint_outputs.network_extraction import packed_unit, with_network_kernel
from lead_hub.checkpoint_outputs.network_kernel import network_kernels
from lead_hub.errors import RunCancelledError
from lead_hub.processes import running_processes
from tests.tiny_checkpoints import random_images, save_checkpoint
from tests.tiny_families import FAMILIES

IMAGES = random_images(7)


@pytest.fixture(scope="module")
def resnet(tmp_path_factory: pytest.TempPathFactory) -> LoadedCheckpoint:
    family = FAMILIES["resnet"]
    folder = tmp_path_factory.mktemp("checkpoints") / "resnet"
    return load_checkpoint(save_checkpoint(folder, family.build(head=True), family.image_processor()))


def extracted(checkpoint: LoadedCheckpoint, n_images: int = 7) -> CheckpointOutputs:
    settings = {"processes": running_processes(), "settings": ExtractionSettings(), "advance": [].append}
    return extract(checkpoint, IMAGES[:n_images], **settings)  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", ["auto", 1, 3])
def test_it_is_the_unit_kernel_of_adam_and_changes_nothing_else(
    resnet: LoadedCheckpoint, batch_size: int | str
) -> None:
    outputs = extracted(resnet)
    settings = ExtractionSettings(batch_size=batch_size)  # type: ignore[arg-type]
    shared = {"processes": running_processes(), "settings": settings}
    steps: list[int] = []
    found = with_network_kernel(outputs, resnet, IMAGES, **shared, advance=steps.append)  # type: ignore[arg-type]
    pixels = resnet.prepare(IMAGES)
    alone = network_kernels(resnet.model, lambda batch: resnet.outputs(batch)[0], lambda: [pixels])
    torch.testing.assert_close(found.network_kernel, packed_unit(alone.adam), rtol=1e-4, atol=1e-4)
    assert found.network == ""
    assert set(steps) == {0}
    assert replace(found, network_kernel=None, network=outputs.network) != found
    again = extracted(resnet)
    assert torch.equal(again.features, outputs.features)
    assert torch.equal(again.depth_kernel, outputs.depth_kernel)


def test_the_unit_kernel_by_hand() -> None:
    # Of the rows 0, 1, 5: centred -2, -1, 3; squares 4, 1, 9 with mean 14 / 3.
    rows = torch.tensor([[0.0], [1.0], [5.0]], dtype=torch.float64)
    expected = torch.tensor([4.0, 2.0, -6.0, 1.0, -3.0, 9.0]) * 3 / 14
    torch.testing.assert_close(packed_unit(rows @ rows.T), expected)
    assert packed_unit(torch.full((3, 3), 2.0, dtype=torch.float64)).abs().max() == 0


def test_where_there_is_none_the_outputs_say_why(resnet: LoadedCheckpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = {"processes": running_processes(), "settings": ExtractionSettings(), "advance": [].append}
    one = with_network_kernel(extracted(resnet, 1), resnet, IMAGES[:1], **shared)  # type: ignore[arg-type]
    assert (one.network_kernel, one.network) == (None, "none: a tangent kernel needs two images in the first batch")
    monkeypatch.setattr("lead_hub.checkpoint_outputs.network_extraction.MOST_IMAGES", 3)
    many = with_network_kernel(extracted(resnet), resnet, IMAGES, **shared)  # type: ignore[arg-type]
    assert (many.network_kernel, many.network) == (None, "none: for at most 3 images, these are 7")


def test_nobody_waits_any_more(resnet: LoadedCheckpoint) -> None:
    def advance(n_images: int) -> None:
        raise RunCancelledError("enough")

    shared = {"processes": running_processes(), "settings": ExtractionSettings()}
    with pytest.raises(RunCancelledError):
        with_network_kernel(extracted(resnet), resnet, IMAGES, **shared, advance=advance)  # type: ignore[arg-type]
