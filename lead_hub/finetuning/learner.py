"""The steps of a training: gradients of a batch, averaged over the processes, and AdamW's update."""

import math
from collections.abc import Callable

import torch
from accelerate.utils import reduce
from accelerate.utils.memory import clear_device_cache
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from lead_hub.checkpoint_outputs import out_of_memory
from lead_hub.errors import CandidateError
from lead_hub.finetuning.network import Hardware, Network, within_memory
from lead_hub.processes import on_every_process

WEIGHT_DECAY = 0.05  # of matrices and kernels; biases, norms and single tokens decay to nothing useful
LARGEST_GRADIENT_NORM = 1.0
WARM_UP_SHARE = 0.1


class Learner:
    """A network's optimiser. Every process makes the same update, so that their weights stay the same.

    Attributes:
        images_at_once: images that go through the network together on each process; fewer than a step's when memory
            ran out, whose gradients are then summed.
    """

    def __init__(self, network: Network, *, peak_rate: float, n_steps: int, hardware: Hardware) -> None:
        self.network = network
        self.peak_rate = peak_rate
        self.n_steps = n_steps
        self.hardware = hardware
        self.images_at_once: int | None = None
        self._done = 0
        weights = list(network.learning().values())
        groups = [
            {"params": [weight for weight in weights if weight.ndim > 1], "weight_decay": WEIGHT_DECAY},
            {"params": [weight for weight in weights if weight.ndim <= 1], "weight_decay": 0.0},
        ]
        self._weights = weights
        self._optimizer = torch.optim.AdamW(groups, lr=peak_rate, fused=True)
        self._scaler = torch.amp.GradScaler(hardware.device.type, enabled=hardware.dtype == torch.float16)

    def step(self, load: Callable[[], Float[Tensor, "image ..."]], labels: Int64[Tensor, " image"]) -> float:
        """Make one update of the weights.

        Args:
            load: gives this process's images of the step as model input.
            labels: their classes.

        Returns:
            Mean cross-entropy of the step's images, those of all processes, before the update.

        Raises:
            CandidateError: the model failed, or does not fit into memory with one image; on every process.
        """
        processes = self.hardware.processes
        device = self.hardware.device
        loss = on_every_process(within_memory(lambda: self._backward(load(), labels), device=device), processes)
        if processes.num_processes > 1:
            loss = self._average_gradients(loss)
        on_every_process(within_memory(self._update, device=device), processes)
        return loss

    def _update(self) -> None:
        """Change the weights by their gradients; the first time, the optimiser takes as much memory again as they."""
        self._scaler.unscale_(self._optimizer)
        nn.utils.clip_grad_norm_(self._weights, LARGEST_GRADIENT_NORM)
        for group in self._optimizer.param_groups:
            group["lr"] = self.peak_rate * rate_factor(self._done, self.n_steps)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._done += 1

    @torch.no_grad()
    def end_epoch(self) -> None:
        """Running statistics that each process took of its own images become their mean."""
        if self.hardware.processes.num_processes > 1:
            for buffer in self.network.buffers():
                if buffer.is_floating_point():
                    buffer.copy_(reduce(buffer, "mean"))

    def _backward(self, inputs: Tensor, labels: Tensor) -> float:
        """Gradients of the mean cross-entropy of a batch; out of memory halves what goes through at once."""
        if self.images_at_once is None:
            self.images_at_once = len(inputs)
        while True:
            self._optimizer.zero_grad(set_to_none=True)
            try:
                pieces = zip(*(torch.split(tensor, self.images_at_once) for tensor in (inputs, labels)), strict=True)
                return sum(self._backward_of(*piece, share=len(piece[0]) / len(inputs)) for piece in pieces)
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise CandidateError(
                        f"the model must learn from pixels of shape {tuple(inputs.shape)}, it failed: {error}",
                        stage="finetune",
                    ) from error
                if self.images_at_once == 1:
                    raise
                self.images_at_once //= 2
            clear_device_cache(garbage_collection=True)

    def _backward_of(self, inputs: Tensor, labels: Tensor, *, share: float) -> float:
        device, dtype = self.hardware.device, self.hardware.dtype
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            logits = self.network(inputs.to(device, non_blocking=True))
        loss = share * functional.cross_entropy(logits, labels.to(device, non_blocking=True))
        torch.autograd.backward(self._scaler.scale(loss))
        return float(loss.detach())

    def _average_gradients(self, loss: float) -> float:
        """Replace each gradient by its mean over the processes, in one exchange."""
        gradients = [weight.grad for weight in self._weights if weight.grad is not None]
        mine = torch.tensor([loss], device=self.hardware.device)
        means = reduce(torch.cat([*(gradient.flatten() for gradient in gradients), mine]), "mean")
        start = 0
        for gradient in gradients:
            gradient.copy_(means[start : start + gradient.numel()].view_as(gradient))
            start += gradient.numel()
        return float(means[-1])


def rate_factor(step: int, n_steps: int) -> float:
    """Share of the peak rate at a step: up a straight line over the first tenth of the steps, down a cosine to 0."""
    warm_up = max(1, round(WARM_UP_SHARE * n_steps))
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, n_steps - warm_up)))
