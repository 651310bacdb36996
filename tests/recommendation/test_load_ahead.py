"""The next network is loaded while the current one runs; what goes wrong with it is said at its own turn."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from lead_hub.access import Access
from lead_hub.candidates import Candidate
from lead_hub.checkpoint_files import CheckpointFiles, Downloads
from lead_hub.checkpoint_outputs import LoadedCheckpoint, load_checkpoint
from lead_hub.errors import CandidateError
from lead_hub.recommendation.load_ahead import LoadAhead
from tests.tiny_checkpoints import random_images


@dataclass
class Asked:
    """For which checkpoints the thread that loads ahead asked whether they need their weights."""

    known: tuple[str, ...] = ()
    names: list[str] = field(default_factory=list)

    def needs_weights(self, candidate: Candidate, _files: CheckpointFiles) -> bool:
        name = Path(candidate.checkpoint).name
        if threading.current_thread().name.startswith("lead-hub-load"):
            self.names.append(name)
        return name not in self.known


@pytest.fixture
def pool(tiny_pool: Path, tmp_path: Path) -> list[Candidate]:
    shutil.copytree(tiny_pool, tmp_path / "pool")
    return [Candidate(str(tmp_path / "pool" / name)) for name in ("resnet", "vit", "dinov2")]


@contextmanager
def networks(pool: list[Candidate], asked: Asked, folder: Path) -> Iterator[tuple[LoadAhead, Downloads]]:
    downloads = Downloads(pool, Access(folder / "cache", progress=False), asked.needs_weights)
    ahead = LoadAhead(downloads, allow_pickle=False)
    with ahead.running(), downloads.running():
        yield ahead, downloads


def test_every_network_is_what_it_is_without(pool: list[Candidate], tmp_path: Path) -> None:
    asked, images = Asked(), random_images(3)
    with networks(pool, asked, tmp_path) as (ahead, downloads):
        for number, candidate in enumerate(pool):
            files = downloads.take(candidate)
            ahead.following = pool[number + 1] if number + 1 < len(pool) else None
            found, expected = ahead.take(files), load_checkpoint(files.folder)
            pixels = expected.prepare(images)
            assert torch.equal(found.forward(pixels)[0], expected.forward(pixels)[0])
            assert found.family == expected.family
    assert asked.names == ["vit", "dinov2"]


def test_a_broken_one_is_refused_at_its_own_turn(pool: list[Candidate], tmp_path: Path) -> None:
    weights = Path(pool[1].checkpoint) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])
    with networks(pool, Asked(), tmp_path) as (ahead, downloads):
        ahead.following = pool[1]
        assert ahead.take(downloads.take(pool[0])).family == "resnet"
        ahead.following = pool[2]
        with pytest.raises(CandidateError, match="must be whole"):
            ahead.take(downloads.take(pool[1]))
        assert ahead.take(downloads.take(pool[2])).family == "dinov2"


def test_one_that_was_passed_over_is_forgotten(pool: list[Candidate], tmp_path: Path) -> None:
    with networks(pool, Asked(), tmp_path) as (ahead, downloads):
        ahead.following = pool[1]
        ahead.take(downloads.take(pool[0]))
        assert ahead.take(downloads.take(pool[2])).family == "dinov2"


def test_what_needs_no_weights_is_not_loaded(pool: list[Candidate], tmp_path: Path) -> None:
    asked = Asked(known=("vit",))
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    with networks(pool, asked, tmp_path) as (ahead, downloads):
        ahead.following = pool[1]
        ahead.take(downloads.take(pool[0]))
        assert downloads.when_there(pool[1]) == downloads.take(pool[1])
    assert asked.names in (["vit"], [])  # asked, and nothing came of it; or the block had ended before


def test_without_downloads_nothing_is_ahead(pool: list[Candidate], tmp_path: Path) -> None:
    with networks(pool, Asked(), tmp_path) as (_, downloads):
        alone = LoadAhead(None, allow_pickle=False)
        with alone.running():
            alone.following = pool[1]
            assert alone.take(downloads.take(pool[0])).family == "resnet"


def test_what_is_done_with_a_network_ahead_ends_when_its_turn_comes(pool: list[Candidate], tmp_path: Path) -> None:
    begun, done = threading.Event(), list[str]()

    def meanwhile(network: LoadedCheckpoint, is_time_left: Callable[[], bool]) -> None:
        begun.set()
        while is_time_left():
            time.sleep(0.01)
        done.append(network.family)

    with networks(pool, Asked(), tmp_path) as (ahead, downloads):
        ahead.meanwhile, ahead.following = meanwhile, pool[1]
        ahead.take(downloads.take(pool[0]))
        assert begun.wait(timeout=60)
        assert done == []
        ahead.following = pool[2]
        assert ahead.take(downloads.take(pool[1])).family == "vit"
        assert done == ["vit"]
    assert done in (["vit"], ["vit", "dinov2"])  # the block may have ended before it was loaded


def test_what_fails_with_a_network_ahead_costs_nothing_but_time(pool: list[Candidate], tmp_path: Path) -> None:
    def meanwhile(_network: LoadedCheckpoint, _is_time_left: Callable[[], bool]) -> None:
        raise OSError("the disk is full")

    with networks(pool, Asked(), tmp_path) as (ahead, downloads):
        ahead.meanwhile, ahead.following = meanwhile, pool[1]
        ahead.take(downloads.take(pool[0]))
        assert ahead.take(downloads.take(pool[1])).family == "vit"
