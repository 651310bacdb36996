"""What a network answers on images, and how often that is right."""

from dataclasses import dataclass

import numpy as np
import torch
from accelerate.utils.memory import clear_device_cache
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from lead_hub.errors import CandidateError
from lead_hub.extraction import out_of_memory
from lead_hub.finetuning.model_inputs import Part
from lead_hub.finetuning.network import Network, Place
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


def predict(network: Network, part: Part, *, place: Place, images_at_once: int) -> Predictions:
    """The network's answers on all images of a part, shared among the processes; each gets all of them.

    Raises:
        CandidateError: the model failed on an image, or does not fit into memory with one (stages "extract" and
            "finetune").
    """
    state = place.state
    # With fewer images than processes some have none; they answer for the first, which nobody reads.
    mine = range(state.process_index, len(part), state.num_processes) or range(1)
    network.eval()
    logits = on_every_process(lambda: _logits(network, part, mine, place=place, images_at_once=images_at_once), state)
    return Predictions(gather_rows(logits, n_rows=len(part), state=state), part.labels)


def _logits(network: Network, part: Part, mine: range, *, place: Place, images_at_once: int) -> Tensor:
    try:
        with torch.no_grad(), torch.autocast(place.device.type, place.dtype, enabled=place.dtype != torch.float32):
            batches = part.inputs.batches(part.positions[list(mine)].tolist(), images_at_once)
            return torch.cat([network(batch.to(place.device)).cpu() for batch in batches])
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error) or images_at_once == 1:
            raise CandidateError(
                f"the fine-tuned model must run on every image, it failed: {error}", stage="finetune"
            ) from error
    clear_device_cache(garbage_collection=True)
    return _logits(network, part, mine, place=place, images_at_once=images_at_once // 2)
