"""The steps before scoring, each the same on every process of a run: images, a candidate's files, its outputs."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from jaxtyping import Int64

from lead_hub.access import Access
from lead_hub.candidates import Candidate
from lead_hub.checkpoint_files import CheckpointFiles, Downloads, fetch_weights, find_checkpoint
from lead_hub.checkpoint_outputs import (
    CheckpointOutputs,
    ExtractionSettings,
    ImageOutputs,
    LoadedCheckpoint,
    OutputsCache,
    PartialOutputs,
    ShrunkImages,
    cache_key,
    extract,
    extract_images,
    whole_outputs,
    with_network_kernel,
)
from lead_hub.labelled_images import SHARED_PREFIX, DatasetQuery, LabelledImages, load_labelled_images
from lead_hub.processes import (
    Processes,
    first_on_each_node,
    guarded,
    on_every_process,
    on_main_process,
    shared_folder,
)
from lead_hub.recommendation.load_ahead import LoadAhead
from lead_hub.recommendation.progress import RunFollower


@contextmanager
def shared_images(query: DatasetQuery, access: Access, processes: Processes) -> Iterator[LabelledImages]:
    """The images of a query, decoded once on each machine, for as long as the block lasts.

    Raises:
        DatasetError, HubError: they cannot be had.
        RunCancelledError: cancelled while they were read.
    """
    with shared_folder(processes, prefix=SHARED_PREFIX) as folder:
        images = first_on_each_node(lambda: load_labelled_images(query, access, decoded_folder=folder), processes)
        with closing(images):
            yield images


def find_files(candidate: Candidate, downloads: Downloads, *, access: Access, processes: Processes) -> CheckpointFiles:
    """The candidate's files: downloaded by one process of each machine, found in the cache by its others.

    Raises:
        CandidateError: it has no usable files.
        HubDownError: the Hub does not answer, and the cache has no copy.
        RunCancelledError: cancelled while they were on the way.
    """
    is_first = processes.is_local_main_process
    take = guarded(lambda: downloads.take(candidate) if is_first else None, stage="download")
    downloaded = on_every_process(take, processes)
    sha = on_main_process(lambda: downloaded.sha if downloaded else "", processes)

    def find() -> CheckpointFiles:
        pinned = candidate if candidate.folder else replace(candidate, revision=sha)
        return downloaded or find_checkpoint(pinned, access)

    return on_every_process(guarded(find, stage="download"), processes)


@dataclass(frozen=True)
class FoundOutputs:
    """A checkpoint's outputs, and how they were come by.

    Attributes:
        outputs: None on all processes but the main one, where they came from the cache.
        images_per_s: images a second, preparation included; None when they came from the cache.
        device: where this process computes.
        is_whole: whether all images are known where some were asked for: more cost nothing.
    """

    outputs: CheckpointOutputs | None
    images_per_s: float | None
    device: torch.device
    is_whole: bool = False


class OutputsOfImages:
    """What checkpoints say of the images of a run: kept from an earlier one, or extracted now and kept."""

    def __init__(
        self,
        images: LabelledImages,
        extraction: ExtractionSettings,
        *,
        access: Access,
        processes: Processes,
        with_network_kernel: bool,
        shares_images: bool = False,
    ) -> None:
        """Outputs of these images.

        Args:
            images: of the run.
            extraction: how the forward passes are run.
            access: where outputs are kept.
            processes: that share the images of each checkpoint.
            with_network_kernel: whether the gradients of the whole network are wanted, too.
            shares_images: whether other processes of this machine have other checkpoints of the same run.
        """
        self.device = extraction.torch_device(processes)
        self._dtype: torch.dtype = extraction.torch_dtype(self.device)
        self._images, self._extraction, self._access, self._processes = images, extraction, access, processes
        folder = images.pixels.folder if shares_images else access.cache_dir
        self._pixels = ShrunkImages(images.pixels, folder=folder, is_shared=shares_images)
        self._cache = OutputsCache(access.outputs_folder)
        self.works_beside = extraction.beside(self.device)
        meanwhile = self._shrink_for if self.works_beside else None
        self.networks = LoadAhead(None, allow_pickle=access.allow_pickle, meanwhile=meanwhile)
        self._positions: Sequence[int] = range(len(images))  # of the turn
        self._with_network_kernel = with_network_kernel

    def are_kept(self, files: CheckpointFiles) -> bool:
        """Whether a checkpoint's outputs need no weights."""
        try:
            return self._cache.path(self._key(files)).is_file()
        except PermissionError:
            return False

    def on(
        self, positions: Int64[np.ndarray, " chosen"] | None, files: CheckpointFiles, follower: RunFollower
    ) -> FoundOutputs:
        """`part` on these images, or with None `checkpoint`, on all."""
        self._positions = range(len(self._images)) if positions is None else positions.tolist()
        return self.checkpoint(files, follower) if positions is None else self.part(files, positions, follower)

    def checkpoint(self, files: CheckpointFiles, follower: RunFollower) -> FoundOutputs:
        """Find the outputs of one checkpoint.

        Raises:
            CandidateError: it cannot be loaded, or failed on the images.
            HubDownError: its weights are not here, and the Hub does not answer.
            RunCancelledError: nobody waits for them any more.
        """
        images, processes = self._images, self._processes
        key = on_every_process(guarded(lambda: self._key(files), stage="load"), processes)
        outputs = on_every_process(guarded(partial(self._kept, key), stage="load"), processes)
        if not on_main_process(lambda: outputs is None, processes):
            return FoundOutputs(outputs, None, self.device)
        # Of a race that this checkpoint was in before.
        if on_main_process(self._cache.partial_path(key).is_file, processes):
            return self.part(files, np.arange(len(images)), follower)
        checkpoint = self._loaded(files, follower)
        start_s = time.perf_counter()
        outputs = extract(
            checkpoint, self._pixels, processes=processes, settings=self._extraction, advance=follower.advance
        )
        images_per_s = len(images) / (time.perf_counter() - start_s)
        if self._with_network_kernel:
            further = partial(with_network_kernel, outputs, checkpoint, self._pixels, processes=processes)
            further = partial(further, settings=self._extraction, advance=follower.advance)
            outputs = on_every_process(guarded(further, stage="extract"), processes)
        on_every_process(guarded(partial(self._keep, key, outputs), stage="extract"), processes)
        return FoundOutputs(outputs, images_per_s, self.device)

    def part(
        self, files: CheckpointFiles, positions: Int64[np.ndarray, " chosen"], follower: RunFollower
    ) -> FoundOutputs:
        """Find the outputs of one checkpoint on some of the images; only those run that are not known yet.

        What was known before, and is found now, is kept, so that more images can be added; with the last of them it
        becomes what `checkpoint` keeps.

        Args:
            files: of the checkpoint.
            positions: of the images among all, ascending.
            follower: of the run.

        Raises:
            CandidateError, HubDownError, RunCancelledError: as for `checkpoint`.
        """
        processes, wanted = self._processes, torch.from_numpy(positions)
        key = on_every_process(guarded(lambda: self._key(files), stage="load"), processes)
        whole = on_every_process(guarded(partial(self._kept, key), stage="load"), processes)
        if on_main_process(lambda: whole is not None, processes):
            few = on_every_process(guarded(lambda: whole and whole.of(wanted), stage="extract"), processes)
            return FoundOutputs(few, None, self.device, is_whole=True)
        known = on_every_process(guarded(partial(self._known, key), stage="load"), processes)
        missing = on_main_process(lambda: known.missing(wanted) if known else wanted, processes)
        images_per_s = None
        if len(missing):
            start_s = time.perf_counter()
            # What its first images were run in holds for all of them, and is not tried again.
            dtype = on_main_process(lambda: known.images.dtype if known else self._extraction.dtype, processes)
            settings = replace(self._extraction, dtype=dtype)
            found = self._run_on(missing.numpy(), files, follower, settings=settings)
            images_per_s = len(missing) / (time.perf_counter() - start_s)
            known = known.and_then(missing, found) if known else PartialOutputs(missing, found)
            on_every_process(guarded(partial(self._keep_known, key, known), stage="extract"), processes)
        put_together = guarded(partial(self._put_together, key, known, wanted), stage="extract")
        return FoundOutputs(on_every_process(put_together, processes), images_per_s, self.device)

    def _run_on(
        self,
        positions: Int64[np.ndarray, " chosen"],
        files: CheckpointFiles,
        follower: RunFollower,
        *,
        settings: ExtractionSettings,
    ) -> ImageOutputs:
        checkpoint = self._loaded(files, follower)
        return extract_images(
            checkpoint,
            self._pixels,
            processes=self._processes,
            settings=settings,
            advance=follower.advance,
            positions=positions.tolist(),
        )

    def _loaded(self, files: CheckpointFiles, follower: RunFollower) -> LoadedCheckpoint:
        """The network; its weights are there, unless another run's limit, or a damaged file, came in between."""
        processes, downloads = self._processes, self.networks.downloads
        fetch = (
            partial(fetch_weights, files, self._access) if downloads is None else partial(downloads.fetch_again, files)
        )
        on_every_process(guarded(fetch, stage="download"), processes)
        follower.reached("load")
        checkpoint = on_every_process(guarded(partial(self.networks.take, files), stage="load"), processes)
        follower.reached("extract")
        return checkpoint

    def _shrink_for(self, network: LoadedCheckpoint, is_time_left: Callable[[], bool]) -> None:
        """Images of this turn, and so of the next, for the network that has it."""
        self._pixels.shrink_ahead(network.image_processor, self._positions, is_time_left=is_time_left)

    def _known(self, key: str) -> PartialOutputs | None:
        is_main = self._processes.is_main_process
        return self._cache.read_partial(key, n_images=len(self._images)) if is_main else None

    def _keep_known(self, key: str, known: PartialOutputs) -> None:
        if self._processes.is_main_process and len(known.positions) < len(self._images):
            self._cache.write_partial(key, known)

    def _put_together(
        self, key: str, known: PartialOutputs | None, wanted: Int64[torch.Tensor, " chosen"]
    ) -> CheckpointOutputs | None:
        """What is between the images, on the main process, which alone knows all of them; kept where these are all."""
        if not self._processes.is_main_process or known is None:
            return None
        outputs = whole_outputs(known.of(wanted), self.device)
        if len(wanted) == len(self._images):
            self._cache.write(key, outputs)
        return outputs

    def _kept(self, key: str) -> CheckpointOutputs | None:
        return self._cache.read(key, n_images=len(self._images)) if self._processes.is_main_process else None

    def _keep(self, key: str, outputs: CheckpointOutputs) -> None:
        if self._processes.is_main_process:
            self._cache.write(key, outputs)

    def _key(self, files: CheckpointFiles) -> str:
        return cache_key(
            files,
            self._images,
            dtype=self._dtype,
            device_type=self.device.type,
            falls_back=self._extraction.falls_back,
            with_network_kernel=self._with_network_kernel,
        )
