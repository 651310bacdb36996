"""Checkpoint x images -> outputs: the same numbers in any batch size, and clear words when it cannot be done."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lead_hub.checkpoint_outputs.extraction import ExtractionSettings, extract
from lead_hub.checkpoint_outputs.frozen_outputs import CheckpointOutputs
from lead_hub.checkpoint_outputs.loaded_checkpoint import LoadedCheckpoint, load_checkpoint
from lead_hub.checkpoint_outputs.shrunk_images import ShrunkImages
from lead_hub.errors import CandidateError, LeadHubError, RunCancelledError
from lead_hub.processes import running_processes
from tests.tiny_checkpoints import random_images, save_checkpoint, save_timm, tiny_processor
from tests.tiny_families import FAMILIES

IMAGES = random_images(11)


@pytest.fixture(scope="module")
def resnet(tmp_path_factory: pytest.TempPathFactory) -> LoadedCheckpoint:
    family = FAMILIES["resnet"]
    folder = tmp_path_factory.mktemp("checkpoints") / "resnet"
    return load_checkpoint(save_checkpoint(folder, family.build(head=True), tiny_processor(family.processor)))


def run(checkpoint: LoadedCheckpoint, **settings: object) -> CheckpointOutputs:
    return extract(
        checkpoint,
        IMAGES,
        processes=running_processes(),
        settings=ExtractionSettings(**{"dtype": "float32", **settings}),  # type: ignore[arg-type]
        advance=[].append,
    )


@pytest.mark.parametrize("batch_size", [1, 4, 11, 64, "auto"])
def test_every_image_in_order_whatever_the_batch_size(resnet: LoadedCheckpoint, batch_size: int | str) -> None:
    outputs = run(resnet, batch_size=batch_size)
    one_by_one = [resnet.forward(resnet.prepare([image])) for image in IMAGES]
    torch.testing.assert_close(outputs.features, torch.cat([features for features, _ in one_by_one]), atol=1e-5, rtol=0)
    expected = torch.cat([logits for _, logits in one_by_one if logits is not None])
    torch.testing.assert_close(outputs.logits, expected, atol=1e-5, rtol=0)


def test_the_record_says_how_it_was_made(resnet: LoadedCheckpoint) -> None:
    outputs = run(resnet)
    assert (outputs.device, outputs.dtype, outputs.family) == ("cpu", "float32", "resnet")
    assert outputs.processor == resnet.processor
    assert outputs.pooling == resnet.pooling
    assert outputs.parameters == sum(weight.numel() for weight in resnet.model.parameters())


def test_bfloat16_is_near_float32_and_says_so(resnet: LoadedCheckpoint) -> None:
    exact, rounded = run(resnet), run(resnet, dtype="bfloat16")
    assert rounded.dtype == "bfloat16"
    assert rounded.features.dtype == torch.float32
    error = (rounded.features - exact.features).norm() / exact.features.norm()
    assert 0 < error < 0.05


@pytest.mark.slow
@pytest.mark.parametrize("family", ["resnet", "mobilevit", "timm"])
@pytest.mark.parametrize("batch_size", [4, 64])
def test_what_the_processor_does_beside_the_passes_changes_no_number(
    family: str, batch_size: int, tmp_path: Path
) -> None:
    """As it is where passes are on another device, which gets 8 bits: here both are on the processor."""
    if family == "timm":
        save_timm(tmp_path, "resnet10t", classes=3)
    else:
        save_checkpoint(tmp_path, FAMILIES[family].build(head=False), tiny_processor(FAMILIES[family].processor))
    checkpoint = load_checkpoint(tmp_path)
    beside, in_turn = (
        extract(
            checkpoint,
            ShrunkImages(IMAGES),
            processes=running_processes(),
            settings=ExtractionSettings(batch_size=batch_size, dtype="float32", works_beside=works_beside),
            advance=[].append,
        )
        for works_beside in (True, False)
    )
    assert torch.equal(beside.features, in_turn.features)
    assert beside.depth_kernel is not None
    assert in_turn.depth_kernel is not None
    assert torch.equal(beside.depth_kernel, in_turn.depth_kernel)


@pytest.mark.parametrize(("device", "is_beside"), [("cpu", False), ("cuda:1", True), ("mps", True)])
def test_a_processor_works_beside_passes_that_are_elsewhere(device: str, *, is_beside: bool) -> None:
    assert ExtractionSettings().beside(torch.device(device)) is is_beside
    assert ExtractionSettings(works_beside=not is_beside).beside(torch.device(device)) is not is_beside


def test_progress_adds_up_to_the_number_of_images(resnet: LoadedCheckpoint) -> None:
    steps: list[int] = []
    extract(
        resnet, IMAGES, processes=running_processes(), settings=ExtractionSettings(batch_size=4), advance=steps.append
    )
    assert [n_images for n_images in steps if n_images] == [4, 4, 3]


def test_nobody_waits_while_images_are_tried(tmp_path: Path) -> None:
    """A network of convolutions is tried before the first batch; whoever cancels is asked before each try."""
    family = FAMILIES["resnet"]
    checkpoint = load_checkpoint(save_checkpoint(tmp_path, family.build(head=True), tiny_processor(family.processor)))
    asked: list[int] = []

    def cancels(n_images: int) -> None:
        asked.append(n_images)
        raise RunCancelledError("the run is over")

    with pytest.raises(RunCancelledError):
        extract(
            checkpoint,
            IMAGES,
            processes=running_processes(),
            settings=ExtractionSettings(device="cpu"),
            advance=cancels,
        )
    assert asked == [0]


def test_weights_with_nan_are_found_out(tmp_path: Path) -> None:
    family = FAMILIES["vit"]
    model = family.build(head=False)
    with torch.no_grad():
        next(model.parameters()).fill_(float("nan"))
    checkpoint = load_checkpoint(save_checkpoint(tmp_path / "nan", model, tiny_processor(family.processor)))
    with pytest.raises(CandidateError, match="found NaN or infinity for 11 of 11 images") as caught:
        run(checkpoint)
    assert caught.value.stage == "extract"


def test_pixels_of_the_wrong_size_are_refused(tmp_path: Path) -> None:
    folder = save_checkpoint(tmp_path / "vit", FAMILIES["vit"].build(head=False), tiny_processor(size_px=48))
    with pytest.raises(CandidateError, match="48") as caught:
        run(load_checkpoint(folder))
    assert caught.value.stage == "extract"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 0}, 'batch_size must be "auto" or at least 1'),
        ({"dtype": "int8"}, "dtype must be auto, float32, bfloat16 or float16"),
        ({"device": "toaster"}, "device must be auto or a device of this machine"),
        ({"device": "cuda:99"}, "device must be auto or a device of this machine"),
    ],
)
def test_settings_that_cannot_work(settings: dict[str, object], message: str) -> None:
    with pytest.raises(LeadHubError, match=message):
        ExtractionSettings(**settings)  # type: ignore[arg-type]


# The limit is on address space, beyond what the interpreter and the libraries have taken already, so that torch's
# allocator really fails. At 256 px one activation of 64 images needs 64 x 128 x 128 x 128 x 4 bytes = 0.5 GiB; at
# 1,024 px that of one image needs 128 MiB, more than the C library ever keeps back from the warm-up for reuse.
MEMORY_LIMITED = """
import resource, sys
from pathlib import Path
import numpy as np, torch, transformers
from lead_hub.errors import CandidateError
from lead_hub.checkpoint_outputs.depths import block_taps
from lead_hub.checkpoint_outputs.forward_passes import BatchedForward
from lead_hub.checkpoint_outputs import load_checkpoint

torch.set_num_threads(1)
checkpoint = load_checkpoint(Path(sys.argv[1]))
image = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
pixel_values = checkpoint.prepare([image] * int(sys.argv[3]))
on_cpu = {"device": torch.device("cpu"), "dtype": torch.float32}
forward = BatchedForward(checkpoint, batch_size=64, taps=block_taps(checkpoint.backbone), **on_cpu)
with torch.inference_mode():
    forward.forward(pixel_values[:1])
taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + int(sys.argv[2]) * 2**20, resource.RLIM_INFINITY))
try:
    with torch.inference_mode():
        features = torch.cat([part for part, _, _ in forward.halving(pixel_values)])
    print(len(features), forward.batch_size)
except CandidateError as error:
    print(error.stage, error)
"""


def limited(folder: Path, *, size_px: int, n_images: int, mebibytes: int) -> str:
    """What a process says that runs a wide checkpoint on images of this size, with so much memory left."""
    import transformers

    settings = {"embedding_size": 128, "hidden_sizes": [8], "depths": [1], "layer_type": "basic"}
    model = transformers.ResNetModel(transformers.ResNetConfig(**settings, downsample_in_first_stage=True))
    save_checkpoint(folder, model, tiny_processor(size_px=size_px))
    command = [sys.executable, "-c", MEMORY_LIMITED, str(folder), str(mebibytes), str(n_images)]
    return subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=300, cwd=Path(__file__).parents[2]
    ).stdout.strip()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space through /proc and RLIMIT_AS")
def test_out_of_memory_halves_the_batch_and_goes_on(tmp_path: Path) -> None:
    n_images, batch_size = map(int, limited(tmp_path, size_px=256, n_images=64, mebibytes=400).split())
    assert n_images == 64
    assert 1 <= batch_size < 64


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space through /proc and RLIMIT_AS")
def test_out_of_memory_at_one_image_skips_the_checkpoint(tmp_path: Path) -> None:
    answer = limited(tmp_path, size_px=1024, n_images=2, mebibytes=2)
    assert answer.startswith("extract one image of shape (3, 1024, 1024) must fit into the memory of cpu")
