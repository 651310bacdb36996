"""All trainings of one candidate: planned, taken from earlier runs or done, and those that the budget leaves out.

They share the model input of all images; each has a fresh network.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lead_hub.access import Access
from lead_hub.candidates import Candidate
from lead_hub.checkpoint_files import CheckpointFiles
from lead_hub.checkpoint_outputs import (
    ExtractionSettings,
    OutputsCache,
    cache_key,
    extract,
    load_checkpoint,
    outputs_key,
)
from lead_hub.errors import CandidateError, DatasetError
from lead_hub.finetuning.model_inputs import InputsInMemory, ModelInputs, Part, Parts, in_words, pixel_inputs
from lead_hub.finetuning.network import (
    Backbone,
    Hardware,
    Network,
    Standardisation,
    count_features,
    require_peft,
    within_memory,
)
from lead_hub.finetuning.outcomes import DroppedTraining, FineTuned, FinishedTraining, FinishedTrainings
from lead_hub.finetuning.parts import FineTuningImages, image_parts
from lead_hub.finetuning.settings import Budget, FineTuningSettings, Mode
from lead_hub.finetuning.training import DivergedError, Schedule, train
from lead_hub.labelled_images import LabelledImages, groups_sha256
from lead_hub.processes import guarded, on_every_process, on_main_process


@dataclass(frozen=True, eq=False)
class TrainingInputs:
    """What all trainings of one checkpoint share.

    Attributes:
        files: of the checkpoint.
        train: model input of the train images: pixels, or for a probe the frozen backbone's features.
        test: model input of the test images; the same as `train` where the test part is held out of it.
        n_features: length of the feature vector.
        mode: what learns.
        allow_pickle: whether pickled weights may be read.
    """

    files: CheckpointFiles
    train: ModelInputs
    test: ModelInputs
    n_features: int
    mode: Mode
    allow_pickle: bool


def training_inputs(
    files: CheckpointFiles, images: FineTuningImages, *, mode: Mode, access: Access, hardware: Hardware
) -> TrainingInputs:
    """Prepare the pixels of all images, or take their features from the cache or the backbone.

    Raises:
        CandidateError: the checkpoint cannot be loaded or does not take the images.
    """
    if mode == "probe":
        return feature_inputs(files, images, access=access, hardware=hardware)
    allow_pickle = access.allow_pickle

    def prepared() -> TrainingInputs:
        checkpoint = load_checkpoint(files.folder, allow_pickle=allow_pickle)
        train = pixel_inputs(checkpoint, images.train.pixels, hardware.device)
        test = train if images.test is None else pixel_inputs(checkpoint, images.test.pixels, hardware.device)
        first = next(train.batches([0], 1))
        n_features = count_features(checkpoint, first)
        return TrainingInputs(files, train, test, n_features, mode=mode, allow_pickle=allow_pickle)

    return on_every_process(guarded(prepared, stage="load"), hardware.processes)


def feature_inputs(
    files: CheckpointFiles, images: FineTuningImages, *, access: Access, hardware: Hardware
) -> TrainingInputs:
    """Do what `training_inputs` does, for a probe: take the frozen backbone's features."""
    train = features_of(files, images.train, access=access, hardware=hardware)
    test = train if images.test is None else features_of(files, images.test, access=access, hardware=hardware)
    n_features, allow_pickle = train.shape[1], access.allow_pickle
    return TrainingInputs(
        files, InputsInMemory(train), InputsInMemory(test), n_features, mode="probe", allow_pickle=allow_pickle
    )


def features_of(
    files: CheckpointFiles, images: LabelledImages, *, access: Access, hardware: Hardware
) -> Float[Tensor, "image feature"]:
    """Features of the images: those that `recommend` kept, or from a forward pass, which are kept for it."""
    processes, n_images = hardware.processes, len(images.labels)
    outputs_cache = OutputsCache(access.outputs_folder)
    # As a ranking does it, so that what it kept of the same images serves.
    settings = ExtractionSettings().agreed(processes)
    device = settings.torch_device(processes)
    find_key = partial(cache_key, files, images, dtype=settings.torch_dtype(device), device_type=device.type)
    find_key = partial(find_key, falls_back=settings.falls_back)
    key = on_every_process(find_key, processes)
    outputs = on_main_process(lambda: outputs_cache.read(key, n_images=n_images), processes)
    if outputs is None:
        load = partial(load_checkpoint, files.folder, allow_pickle=access.allow_pickle)
        checkpoint = on_every_process(guarded(load, stage="load"), processes)
        outputs = extract(checkpoint, images.pixels, processes=processes, settings=settings, advance=lambda _n: None)
        if processes.is_main_process:
            outputs_cache.write(key, outputs)
    return outputs.features.clone()  # a tensor of inference mode cannot be trained on


def parts_of(images: FineTuningImages, inputs: TrainingInputs, *, seed: int) -> Parts:
    """The images of one training."""
    chosen, labels = image_parts(images, seed=seed), torch.from_numpy(images.train.labels)
    return Parts(
        fit=Part(inputs.train, chosen.fit, labels[chosen.fit]),
        validation=Part(inputs.train, chosen.validation, labels[chosen.validation]),
        test=Part(inputs.test, chosen.test, torch.from_numpy(chosen.test_labels)),
    )


def fresh_network(inputs: TrainingInputs, fit: Part, *, n_classes: int, seed: int, hardware: Hardware) -> Network:
    """The checkpoint as it came, under a new head; sets torch's global seed.

    Args:
        inputs: of the checkpoint.
        fit: images to learn from; a probe's features are standardised over them.
        n_classes: of the target.
        seed: gives head and adapters their first weights, the same on every process.
        hardware: which device, and how many processes.

    Raises:
        CandidateError: the checkpoint cannot be loaded or takes no adapters.
    """
    torch.manual_seed(seed)
    trunk: nn.Module
    if inputs.mode == "probe":
        trunk = Standardisation(torch.cat(list(fit.inputs.batches(fit.positions.tolist(), len(fit)))))
    else:
        checkpoint = load_checkpoint(inputs.files.folder, allow_pickle=inputs.allow_pickle)
        trunk = Backbone(checkpoint, mode=inputs.mode)
    network = Network(trunk, n_features=inputs.n_features, n_classes=n_classes).to(hardware.device)
    # What is drawn while learning, for dropout, should not be the same on every process.
    torch.manual_seed(seed * hardware.processes.num_processes + hardware.processes.process_index)
    return network


# Raise when the same settings give another number: images of the parts, their changes, optimiser, early stopping.
RECIPE_VERSION = 2
OVER_BUDGET = "the budget was used up"


@dataclass(frozen=True, eq=False)
class FineTuningJob:
    """One checkpoint to fine-tune.

    Attributes:
        candidate: as the user gave it.
        files: of it, on this machine's disk, weights included.
        images: with their parts for training and test.
        settings: mode, rates, seeds and length.
        access: where results of earlier runs are.
        hardware: processes, device and number format.
    """

    candidate: Candidate
    files: CheckpointFiles
    images: FineTuningImages
    settings: FineTuningSettings
    access: Access
    hardware: Hardware

    @property
    def trainings_key(self) -> dict[str, object]:
        """All that can change a training's result but its rate and seed."""
        images, settings, hardware = self.images, self.settings, self.hardware
        # Only where there are groups, so that what was kept without any is still found.
        grouped = {} if images.train.groups is None else {"groups": groups_sha256(images.train)}
        return {
            **grouped,
            "recipe": RECIPE_VERSION,
            "train": cache_key(self.files, images.train, dtype=hardware.dtype),
            "test": cache_key(self.files, images.test, dtype=hardware.dtype) if images.test else None,
            "label_column": images.train.label_column,
            "classes": [images.train.class_names, images.test.class_names if images.test else None],
            "mode": settings.mode,
            "peft": require_peft() if settings.mode == "lora" else None,
            "epochs": settings.epochs,
            "flip": settings.flip,
            "device": hardware.device_name,
            "processes": hardware.processes.num_processes,
        }


class Trainings:
    """The trainings of one job; what they share is prepared when the first one really has to be done."""

    def __init__(self, job: FineTuningJob, *, advance: Callable[[int], object]) -> None:
        self.job = job
        self.advance = advance
        self._inputs: TrainingInputs | None = None

    @property
    def inputs(self) -> TrainingInputs:
        """Model input of all images, prepared once."""
        if self._inputs is None:
            job = self.job
            self._inputs = training_inputs(
                job.files, job.images, mode=job.settings.mode, access=job.access, hardware=job.hardware
            )
        return self._inputs

    def run(self, learning_rate: float, seed: int) -> FinishedTraining:
        """Do one training.

        Raises:
            DivergedError: the rate is too high.
            CandidateError: the checkpoint cannot be trained.
        """
        job = self.job
        parts = parts_of(job.images, self.inputs, seed=seed)
        if len(parts.fit) < job.hardware.processes.num_processes:
            raise DatasetError(
                f"each of {job.hardware.processes.num_processes} processes needs an image to train on, found"
                f" {len(parts.fit)}: start fewer processes"
            )
        settings, start_s = job.settings, time.perf_counter()
        schedule = Schedule(learning_rate, seed, epochs=settings.epochs, flip=settings.flip)
        devices = [job.hardware.device] if job.hardware.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            n_classes = len(job.images.train.class_names)
            begin = partial(fresh_network, self.inputs, parts.fit, n_classes=n_classes, seed=seed)
            begin = partial(begin, hardware=job.hardware)
            network = on_every_process(within_memory(begin, device=job.hardware.device), job.hardware.processes)
            trained = train(network, parts, schedule=schedule, hardware=job.hardware, advance=self.advance)
        self.advance(settings.epochs - trained.epochs_run)
        training = FinishedTraining(
            mode=settings.mode,
            learning_rate=learning_rate,
            seed=seed,
            validation_accuracy=trained.validation.accuracy,
            accuracy=trained.test.accuracy,
            macro_f1=trained.test.macro_f1,
            duration_s=time.perf_counter() - start_s,
            epochs_run=trained.epochs_run,
            best_epoch=trained.best_epoch,
            n_train=len(parts.fit),
            n_validation=len(parts.validation),
            n_test=len(parts.test),
        )
        # The processes agree in all but the time that they took.
        return on_main_process(lambda: training, job.hardware.processes)


def run_trainings(job: FineTuningJob, *, budget: Budget, advance: Callable[[int], object]) -> FineTuned:
    """All trainings of a job, or as many as the budget allows, at least one.

    Raises:
        CandidateError: the checkpoint cannot be trained, or diverged at every rate (stage "finetune").
    """
    processes, trainings = job.hardware.processes, Trainings(job, advance=advance)
    finished_trainings = FinishedTrainings(job.access.trainings_folder)
    shared_key = on_every_process(lambda: job.trainings_key, processes)
    finished: list[FinishedTraining] = []
    dropped: list[DroppedTraining] = []
    for learning_rate, seed in job.settings.trainings:
        key = outputs_key({**shared_key, "learning_rate": learning_rate, "seed": seed})
        kept = on_main_process(partial(finished_trainings.read, key), processes)
        if kept is None and not on_main_process(budget.allows_another, processes):
            dropped.append(DroppedTraining(learning_rate, seed, OVER_BUDGET))
            continue
        try:
            training = kept or trainings.run(learning_rate, seed)
        except DivergedError as error:
            dropped.append(DroppedTraining(learning_rate, seed, str(error)))
            continue
        if kept is None and processes.is_main_process:
            finished_trainings.write(key, training)
        if kept is not None:
            advance(job.settings.epochs)
        budget.took(training.duration_s)
        finished.append(training)
    if not finished:
        raise CandidateError(f"no training came to an end: {dropped[0].reason}", stage="finetune")
    hardware, settings, images = job.hardware, job.settings, job.images
    return FineTuned(
        checkpoint=job.candidate.checkpoint,
        sha=job.files.sha,
        mode=settings.mode,
        trainings=tuple(finished),
        dropped=tuple(dropped),
        test_source=images.test_source,
        augmentation=in_words(mode=settings.mode, flip=settings.flip),
        device=hardware.device_name,
        dtype=str(hardware.dtype).removeprefix("torch."),
        notes=images.notes,
    )
