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

from lead_hub.candidates import Candidate
from lead_hub.checkpoint_files import CheckpointFiles
from lead_hub.checkpoint_outputs import ExtractionSettings, cache_key, extract, load_checkpoint, outputs_key
from lead_hub.errors import CandidateError, DatasetError
from lead_hub.finetuning.caches import Caches
from lead_hub.finetuning.image_parts import FineTuningImages, image_parts
from lead_hub.finetuning.model_inputs import HeldInputs, ModelInputs, Part, Parts, in_words, pixel_inputs
from lead_hub.finetuning.network import Backbone, Network, Place, Standardisation, count_features, require_peft
from lead_hub.finetuning.outcomes import DroppedTraining, FineTuned, FinishedTraining
from lead_hub.finetuning.settings import Budget, FineTuningSettings, Mode
from lead_hub.finetuning.training import DivergedError, Schedule, train
from lead_hub.labelled_images import LabelledImages
from lead_hub.processes import on_every_process, on_main_process


@dataclass(frozen=True, eq=False)
class Material:
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


def find_material(
    files: CheckpointFiles, images: FineTuningImages, *, mode: Mode, caches: Caches, place: Place
) -> Material:
    """Prepare the pixels of all images, or take their features from the cache or the backbone.

    Raises:
        CandidateError: the checkpoint cannot be loaded or does not take the images.
    """
    if mode == "probe":
        return feature_material(files, images, caches=caches, place=place)
    allow_pickle = caches.hub.allow_pickle

    def prepared() -> Material:
        checkpoint = load_checkpoint(files.folder, allow_pickle=allow_pickle)
        train = pixel_inputs(checkpoint, images.train.pixels)
        test = train if images.test is None else pixel_inputs(checkpoint, images.test.pixels)
        first = next(train.batches([0], 1))
        n_features = count_features(checkpoint, first)
        return Material(files, train, test, n_features, mode=mode, allow_pickle=allow_pickle)

    return on_every_process(prepared, place.state)


def feature_material(files: CheckpointFiles, images: FineTuningImages, *, caches: Caches, place: Place) -> Material:
    """As `find_material`, for the probe."""
    train = features_of(files, images.train, caches=caches, place=place)
    test = train if images.test is None else features_of(files, images.test, caches=caches, place=place)
    n_features, allow_pickle = train.shape[1], caches.hub.allow_pickle
    return Material(files, HeldInputs(train), HeldInputs(test), n_features, mode="probe", allow_pickle=allow_pickle)


def features_of(
    files: CheckpointFiles, images: LabelledImages, *, caches: Caches, place: Place
) -> Float[Tensor, "image feature"]:
    """Features of the images: those that `recommend` kept, or from a forward pass, which are kept for it."""
    state, n_images = place.state, len(images.labels)
    key = on_every_process(lambda: cache_key(files, images, dtype=place.dtype), state)
    outputs = on_main_process(lambda: caches.outputs.read(key, n_images=n_images), state)
    if outputs is None:
        checkpoint = on_every_process(
            lambda: load_checkpoint(files.folder, allow_pickle=caches.hub.allow_pickle), state
        )
        outputs = extract(
            checkpoint, images.pixels, state=state, settings=ExtractionSettings(), advance=lambda _n: None
        )
        if state.is_main_process:
            caches.outputs.write(key, outputs)
    return outputs.features.clone()  # a tensor of inference mode cannot be trained on


def parts_of(images: FineTuningImages, material: Material, *, seed: int) -> Parts:
    """The images of one training."""
    chosen, labels = image_parts(images, seed=seed), torch.from_numpy(images.train.labels)
    return Parts(
        fit=Part(material.train, chosen.fit, labels[chosen.fit]),
        validation=Part(material.train, chosen.validation, labels[chosen.validation]),
        test=Part(material.test, chosen.test, torch.from_numpy(chosen.test_labels)),
    )


def fresh_network(material: Material, fit: Part, *, n_classes: int, seed: int, place: Place) -> Network:
    """The checkpoint as it came, under a new head; sets torch's global seed.

    Args:
        material: of the checkpoint.
        fit: images to learn from; a probe's features are standardised over them.
        n_classes: of the target.
        seed: gives head and adapters their first weights, the same on every process.
        place: which device, and how many processes.

    Raises:
        CandidateError: the checkpoint cannot be loaded or takes no adapters.
    """
    torch.manual_seed(seed)
    trunk: nn.Module
    if material.mode == "probe":
        trunk = Standardisation(torch.cat(list(fit.inputs.batches(fit.positions.tolist(), len(fit)))))
    else:
        checkpoint = load_checkpoint(material.files.folder, allow_pickle=material.allow_pickle)
        trunk = Backbone(checkpoint, mode=material.mode)
    network = Network(trunk, n_features=material.n_features, n_classes=n_classes).to(place.device)
    # What is drawn while learning, for dropout, should not be the same on every process.
    torch.manual_seed(seed * place.state.num_processes + place.state.process_index)
    return network


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
