"""One training: passes over the images, and the weights of the pass that the validation images like best."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from accelerate.utils.memory import clear_device_cache
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from lead_hub.checkpoint_outputs import out_of_memory
from lead_hub.errors import CandidateError
from lead_hub.finetuning.learner import Learner
from lead_hub.finetuning.model_inputs import Part, Parts, changed, drawn_changes
from lead_hub.finetuning.network import Hardware, Network, within_memory
from lead_hub.processes import gather_rows, on_every_process


@dataclass(frozen=True, eq=False)
class Predictions:
    """Logits of the target's classes and the true classes, image by image."""

    logits: Float[Tensor, "image target_class"]
    labels: Int64[Tensor, " image"]

    @property
    def is_finite(self) -> bool:
        """Whether every logit is a number."""
        return bool(torch.isfinite(self.logits).all())

    @property
    def accuracy(self) -> float:
        """Share of the images whose class has the largest logit, in [0, 1]."""
        return float((self.logits.argmax(dim=1) == self.labels).double().mean())

    @property
    def log_loss(self) -> float:
        """Mean of -log of the probability of the true class, in nats; lower is better."""
        return float(functional.cross_entropy(self.logits.double(), self.labels))

    @property
    def macro_f1(self) -> float:
        """Mean over classes of the F1 measure, in [0, 1]; over the classes that occur as truth or as answer."""
        answers, truth = self.logits.argmax(dim=1).numpy(), self.labels.numpy()
        scores = [f1_of(answers == number, truth == number) for number in np.union1d(answers, truth)]
        return float(np.mean(scores))


def f1_of(answered: np.ndarray, true: np.ndarray) -> float:
    """F1 of one class: twice the hits over the number of answers and of true images; one of them is not 0."""
    return float(2 * (answered & true).sum() / (answered.sum() + true.sum()))


def predict(network: Network, part: Part, *, hardware: Hardware, images_at_once: int) -> Predictions:
    """The network's answers on all images of a part, shared among the processes; each gets all of them.

    Raises:
        CandidateError: the model failed on an image, or does not fit into memory with one (stages "extract" and
            "finetune").
    """
    processes = hardware.processes
    # With fewer images than processes some have none; they answer for the first, which nobody reads.
    mine = range(processes.process_index, len(part), processes.num_processes) or range(1)
    network.eval()
    answer = partial(_logits, network, part, mine, hardware=hardware, images_at_once=images_at_once)
    logits = on_every_process(within_memory(answer, device=hardware.device), processes)
    return Predictions(gather_rows(logits, n_rows=len(part), processes=processes), part.labels)


def _logits(network: Network, part: Part, mine: range, *, hardware: Hardware, images_at_once: int) -> Tensor:
    try:
        with (
            torch.no_grad(),
            torch.autocast(hardware.device.type, hardware.dtype, enabled=hardware.dtype != torch.float32),
        ):
            batches = part.inputs.batches(part.positions[list(mine)].tolist(), images_at_once)
            return torch.cat([network(batch.to(hardware.device)).cpu() for batch in batches])
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise CandidateError(
                f"the fine-tuned model must run on every image, it failed: {error}", stage="finetune"
            ) from error
        if images_at_once == 1:
            raise
    clear_device_cache(garbage_collection=True)
    return _logits(network, part, mine, hardware=hardware, images_at_once=images_at_once // 2)


LARGEST_BATCH = 32
SMALLEST_BATCH = 8
STEPS_AN_EPOCH = 16  # as long as that leaves batches of SMALLEST_BATCH
PATIENCE_EPOCHS = 4


class DivergedError(CandidateError):
    """The loss of a training was infinite or undefined before the first epoch was over."""


@dataclass(frozen=True)
class Schedule:
    """What makes one training differ from the others of the same checkpoint and images.

    Attributes:
        learning_rate: at its peak, after the warm-up.
        seed: of the order of the images, their changes, and whatever the model draws while it learns.
        epochs: most passes over the images.
        flip: whether images are mirrored.
    """

    learning_rate: float
    seed: int
    epochs: int
    flip: bool


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """How a training went, and what the network answers after it.

    Attributes:
        epochs_run: passes over the images until early stopping or the end.
        best_epoch: the one whose weights are kept, from 1.
        validation: answers on the validation images with these weights.
        test: answers on the test images with these weights, the only ones that the network ever gave on them.
    """

    epochs_run: int
    best_epoch: int
    validation: Predictions
    test: Predictions


@dataclass(frozen=True, eq=False)
class _Best:
    epoch: int
    validation: Predictions
    weights: dict[str, Tensor]

    def is_beaten_by(self, predictions: Predictions) -> bool:
        gained = predictions.accuracy - self.validation.accuracy
        return gained > 0 or (gained == 0 and predictions.log_loss < self.validation.log_loss)


def train(
    network: Network, parts: Parts, *, schedule: Schedule, hardware: Hardware, advance: Callable[[int], object]
) -> TrainedNetwork:
    """Train the network's learning weights and measure; afterwards it holds those of the best epoch.

    The best epoch has the highest accuracy on the validation images, of equals the one with the lowest log-loss.
    Training ends early once PATIENCE_EPOCHS epochs brought neither a higher accuracy nor a lower log-loss.

    Args:
        network: on the device, with the same weights on every process.
        parts: images to learn from, to choose by and to measure on.
        schedule: rate, seed and length.
        hardware: processes, device and number format.
        advance: called with 1 after every epoch and with 0 after every step; what it raises ends the training.

    Raises:
        DivergedError: the rate is too high for a single epoch.
        CandidateError: the model failed on its images, or does not fit into memory with one of them.
    """
    n_steps = len(parts.fit) // batch_size(len(parts.fit), hardware.processes.num_processes)
    learner = Learner(network, peak_rate=schedule.learning_rate, n_steps=n_steps * schedule.epochs, hardware=hardware)
    best: _Best | None = None
    epochs_run = last_gain = 0
    lowest_loss = math.inf
    for epoch, loss in enumerate(_epochs(learner, parts.fit, schedule, advance), start=1):
        at_once = learner.images_at_once or 1
        validation = predict(network, parts.validation, hardware=hardware, images_at_once=at_once)
        if not (math.isfinite(loss) and validation.is_finite):
            break
        epochs_run = epoch
        advance(1)
        if best is None or validation.accuracy > best.validation.accuracy or validation.log_loss < lowest_loss:
            last_gain = epoch
        lowest_loss = min(lowest_loss, validation.log_loss)
        if best is None or best.is_beaten_by(validation):
            best = _Best(epoch, validation, network.snapshot())
        if epoch - last_gain >= PATIENCE_EPOCHS:
            break
    if best is None:
        raise DivergedError(
            f"the loss must stay finite, with learning rate {schedule.learning_rate:g} and seed {schedule.seed} it did"
            " not for one epoch: use a lower rate",
            stage="finetune",
        )
    network.restore(best.weights)
    test = predict(network, parts.test, hardware=hardware, images_at_once=learner.images_at_once or 1)
    return TrainedNetwork(epochs_run, best.epoch, best.validation, test)


def _epochs(learner: Learner, fit: Part, schedule: Schedule, advance: Callable[[int], object]) -> Iterator[float]:
    """Train epoch by epoch; gives the mean loss of each."""
    processes, network = learner.hardware.processes, learner.network
    generator = torch.Generator().manual_seed(schedule.seed)
    size = batch_size(len(fit), processes.num_processes)
    n_steps = len(fit) // size
    for _ in range(schedule.epochs):
        order = torch.randperm(len(fit), generator=generator)[: n_steps * size].view(n_steps, size)
        mine = order[:, processes.process_index :: processes.num_processes]
        batches = fit.inputs.batches(fit.positions[mine.flatten().numpy()].tolist(), mine.shape[1])

        def load() -> Tensor:
            pixels = next(batches)  # noqa: B023 - used before the next epoch begins
            changes = drawn_changes(size, pixels=pixels, flip=schedule.flip, generator=generator)
            return changed(pixels, changes[processes.process_index :: processes.num_processes])

        network.train()
        loss = 0.0
        for rows in mine:
            loss += learner.step(load, fit.labels[rows]) / n_steps
            advance(0)
        learner.end_epoch()
        yield loss


def batch_size(n_images: int, n_processes: int) -> int:
    """Images a step, all processes together: 8 to 32, by the number of images; the same number on each process."""
    wanted = min(LARGEST_BATCH, max(SMALLEST_BATCH, n_images // STEPS_AN_EPOCH))
    return max(1, min(wanted, n_images) // n_processes) * n_processes
