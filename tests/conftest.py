"""What every test may rely on: a Hub on loopback and no other, caches of its own, images and checkpoints made here."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.loopback_hub import HubServer

# All of this is read when the Hugging Face libraries are first imported, so it is set before any test is. No test may
# reach the real Hub, or leave anything in the caches of whoever runs it. Processes that tests start inherit it.
CACHES = Path(tempfile.mkdtemp(prefix="lead-hub-tests-"))
HUB = HubServer()
for name in [name for name in os.environ if name.startswith("HF_")]:
    del os.environ[name]
os.environ |= {"HF_ENDPOINT": HUB.endpoint, "HF_HOME": str(CACHES), "HF_HUB_DISABLE_XET": "1", "NO_COLOR": "1"}
for feature in ("TELEMETRY", "UPDATE_CHECK", "PROGRESS_BARS"):
    os.environ[f"HF_HUB_DISABLE_{feature}"] = "1"
# Of passes: which of its ways this machine is fastest in is tested by itself, and no other test may depend on it.
os.environ["LEAD_HUB_MEASURE_MACHINE"] = "0"
# Of torch: the tests' matrices are so small that its threads would only wait for each other, and for other work.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_configure(config: pytest.Config) -> None:
    # huggingface_hub 2.4 itself uploads large files by an argument that its HTTP library no longer likes.
    config.addinivalue_line("filterwarnings", "ignore:Use 'content=<...>' to upload raw bytes:DeprecationWarning")


# Fixtures that open a browser, or the page in a process of its own: `python -m tests quick` leaves their tests out.
SLOW_FIXTURES = {"browser", "space", "laptop"}
SLOW_PROGRAMS = ("python", "torchrun", "lead-hub", "chromium")
started: list[str] = []


start_process = subprocess.Popen.__init__


def note_process(process: subprocess.Popen, *arguments: Any, **options: Any) -> None:
    """Start it as ever, and note it where it takes time: a small program such as ldconfig does not."""
    command = arguments[0] if arguments else options.get("args")
    if any(program in str((options.get("executable"), command)) for program in SLOW_PROGRAMS):
        started.append(str(command))
    start_process(process, *arguments, **options)


# Not an audit hook: before Python 3.12 threads that start while one runs cannot be traced, so coverage fails tests.
subprocess.Popen.__init__ = note_process  # type: ignore[assignment,method-assign]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if SLOW_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)


def pytest_runtest_logstart() -> None:
    started.clear()


def pytest_unconfigure() -> None:
    HUB.stop()
    shutil.rmtree(CACHES, ignore_errors=True)


@pytest.fixture
def hub() -> Iterator[HubServer]:
    """The session's test Hub, which HF_ENDPOINT names, empty before and after the test."""
    HUB.reset()
    yield HUB
    HUB.reset()


@pytest.fixture(autouse=True)
def no_request_unasked(request: pytest.FixtureRequest) -> Iterator[None]:
    """Local folders, the demo and all that is computed need no Hub: only tests that ask for one may reach it."""
    yield
    if "hub" not in request.fixturenames:
        asked = [f"{each.method} {each.path}" for each in HUB.requests]
        HUB.reset()
        assert asked == []


@pytest.fixture(autouse=True)
def no_process_unmarked(request: pytest.FixtureRequest) -> Iterator[None]:
    """What starts a process is marked slow, so that the quick tests are quick."""
    yield
    assert request.node.get_closest_marker("slow") or started == []


def coloured_images(folder: Path, *, classes: dict[str, tuple[int, int, int]], n_images: int, size: int = 40) -> Path:
    """An image folder: noisy squares whose colour is their class."""
    random = np.random.default_rng(0)
    for name, colour in classes.items():
        (folder / name).mkdir(parents=True)
        for number in range(n_images):
            noise = random.integers(-60, 61, (size, size + 8, 3))
            pixels = np.clip(np.asarray(colour) + noise, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number:03}.png")
    return folder


COLOURS = {"red": (200, 60, 60), "green": (60, 200, 60), "blue": (60, 60, 200)}


@pytest.fixture(scope="session")
def colour_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """36 labelled images of three easy classes."""
    return coloured_images(tmp_path_factory.mktemp("images") / "colours", classes=COLOURS, n_images=12)


@pytest.fixture(scope="session")
def tiny_pool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three checkpoint folders of three families, two of them with a head."""
    from tests.tiny_checkpoints import save_checkpoint, tiny_processor
    from tests.tiny_families import FAMILIES

    pool = tmp_path_factory.mktemp("pool")
    for name, head in (("resnet", True), ("vit", True), ("dinov2", False)):
        family = FAMILIES[name]
        save_checkpoint(pool / name, family.build(head=head), tiny_processor(family.processor))
    return pool


@pytest.fixture(scope="session")
def split_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three easy classes with splits: 36 images to train on, 12 to test on."""
    folder = tmp_path_factory.mktemp("splits")
    coloured_images(folder / "train", classes=COLOURS, n_images=12)
    coloured_images(folder / "test", classes=COLOURS, n_images=4, size=44)
    return folder
