"""All trainings of one candidate: planned, taken from earlier runs or done, and those that the budget leaves out."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from lead_hub.candidates import Candidate
from lead_hub.checkpoint_files import CheckpointFiles
from lead_hub.errors import CandidateError, DatasetError
from lead_hub.finetuning.adapters import require_peft
from lead_hub.finetuning.augmentation import in_words
from lead_hub.finetuning.budget import Budget
from lead_hub.finetuning.caches import Caches
from lead_hub.finetuning.finetuned import DroppedTraining, FineTuned, FinishedTraining
from lead_hub.finetuning.image_parts import FineTuningImages
from lead_hub.finetuning.material import Material, find_material, fresh_network, parts_of
from lead_hub.finetuning.network import Place
from lead_hub.finetuning.settings import FineTuningSettings
from lead_hub.finetuning.training import DivergedError, Schedule, train
from lead_hub.outputs_cache import outputs_key
from lead_hub.processes import on_every_process, on_main_process
from lead_hub.provenance import cache_key

# Raise when the same settings give another number: images of the parts, their changes, optimiser, early stopping.
RECIPE_VERSION = 1
OVER_BUDGET = "the budget was used up"


@dataclass(frozen=True, eq=False)
class Job:
    """One checkpoint to fine-tune.

    Attributes:
        candidate: as the user gave it.
        files: of it, on this machine's disk, weights included.
        images: with their parts for training and test.
        settings: mode, rates, seeds and length.
        caches: where results of earlier runs are.
        place: processes, device and number format.
    """

    candidate: Candidate
    files: CheckpointFiles
    images: FineTuningImages
    settings: FineTuningSettings
    caches: Caches
    place: Place

    @property
    def trainings_key(self) -> dict[str, object]:
        """All that can change a training's result but its rate and seed."""
        images, settings, place = self.images, self.settings, self.place
        return {
            "recipe": RECIPE_VERSION,
            "train": cache_key(self.files, images.train, dtype=place.dtype),
            "test": cache_key(self.files, images.test, dtype=place.dtype) if images.test else None,
            "label_column": images.train.label_column,
            "classes": [images.train.class_names, images.test.class_names if images.test else None],
            "mode": settings.mode,
            "peft": require_peft() if settings.mode == "lora" else None,
            "epochs": settings.epochs,
            "flip": settings.flip,
            "device": place.device_name,
            "processes": place.state.num_processes,
        }


class Trainings:
    """The trainings of one job; what they share is prepared when the first one really has to be done."""

    def __init__(self, job: Job, *, advance: Callable[[int], object]) -> None:
        self.job = job
        self.advance = advance
        self._material: Material | None = None

    @property
    def material(self) -> Material:
        """Model input of all images, prepared once."""
        if self._material is None:
            job = self.job
            self._material = find_material(
                job.files, job.images, mode=job.settings.mode, caches=job.caches, place=job.place
            )
        return self._material

    def run(self, learning_rate: float, seed: int) -> FinishedTraining:
        """Do one training.

        Raises:
            DivergedError: the rate is too high.
            CandidateError: the checkpoint cannot be trained.
        """
        job = self.job
        parts = parts_of(job.images, self.material, seed=seed)
        if len(parts.fit) < job.place.state.num_processes:
            raise DatasetError(
                f"each of {job.place.state.num_processes} processes needs an image to train on, found {len(parts.fit)}:"
                " start fewer processes"
            )
        settings, start_s = job.settings, time.perf_counter()
        schedule = Schedule(learning_rate, seed, epochs=settings.epochs, flip=settings.flip)
        devices = [job.place.device] if job.place.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            n_classes = len(job.images.train.class_names)
            network = on_every_process(
                lambda: fresh_network(self.material, parts.fit, n_classes=n_classes, seed=seed, place=job.place),
                job.place.state,
            )
            course = train(network, parts, schedule=schedule, place=job.place, advance=self.advance)
        self.advance(settings.epochs - course.epochs_run)
        training = FinishedTraining(
            mode=settings.mode,
            learning_rate=learning_rate,
            seed=seed,
            validation_accuracy=course.validation.accuracy,
            accuracy=course.test.accuracy,
            macro_f1=course.test.macro_f1,
            duration_s=time.perf_counter() - start_s,
            epochs_run=course.epochs_run,
            best_epoch=course.best_epoch,
            n_train=len(parts.fit),
            n_validation=len(parts.validation),
            n_test=len(parts.test),
        )
        # The processes agree in all but the time that they took.
        return on_main_process(lambda: training, job.place.state)


def run_trainings(job: Job, *, budget: Budget, advance: Callable[[int], object]) -> FineTuned:
    """All trainings of a job, or as many as the budget allows, at least one.

    Raises:
        CandidateError: the checkpoint cannot be trained, or diverged at every rate (stage "finetune").
    """
    state, trainings = job.place.state, Trainings(job, advance=advance)
    shared_key = on_every_process(lambda: job.trainings_key, state)
    finished: list[FinishedTraining] = []
    dropped: list[DroppedTraining] = []
    for learning_rate, seed in job.settings.trainings:
        key = outputs_key({**shared_key, "learning_rate": learning_rate, "seed": seed})
        kept = on_main_process(partial(job.caches.trainings.read, key), state)
        if kept is None and not on_main_process(budget.allows_another, state):
            dropped.append(DroppedTraining(learning_rate, seed, OVER_BUDGET))
            continue
        try:
            training = kept or trainings.run(learning_rate, seed)
        except DivergedError as error:
            dropped.append(DroppedTraining(learning_rate, seed, str(error)))
            continue
        if kept is None and state.is_main_process:
            job.caches.trainings.write(key, training)
        if kept is not None:
            advance(job.settings.epochs)
        budget.took(training.duration_s)
        finished.append(training)
    if not finished:
        raise CandidateError(f"no training came to an end: {dropped[0].reason}", stage="finetune")
    place, settings, images = job.place, job.settings, job.images
    return FineTuned(
        checkpoint=job.candidate.checkpoint,
        sha=job.files.sha,
        mode=settings.mode,
        trainings=tuple(finished),
        dropped=tuple(dropped),
        test_source=images.test_source,
        augmentation=in_words(mode=settings.mode, flip=settings.flip),
        device=place.device_name,
        dtype=str(place.dtype).removeprefix("torch."),
        notes=images.notes,
    )
