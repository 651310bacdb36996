"""A checkpoint under a new linear head: which weights learn, and which stay as they came.

Low-rank adapters (Hu et al., "LoRA", ICLR 2022) are put in by the peft library (extra "lora"): every plain linear layer
gets one, and in convolutional backbones every plain convolution that mixes all channels.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TypeVar

import torch
from accelerate.utils.memory import clear_device_cache
from jaxtyping import Float
from torch import Tensor, nn

from lead_hub.checkpoint_outputs import ExtractionSettings, LoadedCheckpoint, fast_dtype, out_of_memory
from lead_hub.errors import CandidateError, LeadHubError
from lead_hub.processes import Processes, guarded, running_processes

Result = TypeVar("Result")
HEAD_WEIGHT_SD = 0.01  # small, so that the first steps change the backbone little whatever the features' scale
SMALLEST_DEVIATION = 1e-6


@dataclass(frozen=True)
class Hardware:
    """The processes, device and number format that a training runs with.

    Attributes:
        processes: those that share each step.
        device: of this process.
        dtype: of the forward pass; weights and their updates are float32.
    """

    processes: Processes
    device: torch.device
    dtype: torch.dtype

    @property
    def device_name(self) -> str:
        """For records, e.g. "cpu" or "cuda: NVIDIA H100"."""
        is_cuda = self.device.type == "cuda"
        return f"cuda: {torch.cuda.get_device_name(self.device)}" if is_cuda else self.device.type


def this_hardware() -> Hardware:
    """The processes that were started, their accelerator where there is one, in half precision there."""
    processes, settings = running_processes(), ExtractionSettings()
    device = settings.torch_device(processes)
    # On a CPU in float32 whatever it multiplies, on a GPU as its kind does, whatever a stopwatch says: outcomes of one
    # machine are compared with those of others.
    return Hardware(processes, device, fast_dtype(device) if device.type == "cuda" else torch.float32)


class Backbone(nn.Module):
    """Pixels -> the pooled feature vector that `recommend` scores, with gradients for the weights that learn.

    A frozen backbone stays in evaluation mode even while its adapters learn: its running statistics are part of it. So
    do norms whose statistics went into the kernels: the batch's own would change what the network computes.
    """

    def __init__(self, checkpoint: LoadedCheckpoint, *, mode: str) -> None:
        super().__init__()
        self.checkpoint = checkpoint
        self.model = checkpoint.model
        self.is_frozen = mode != "full"
        self.folded = [norm for norm in checkpoint.backbone.modules() if is_folded(norm)]
        if mode == "lora":
            add_adapters(checkpoint.backbone)
        else:
            checkpoint.backbone.requires_grad_(mode == "full")

    def forward(self, pixels: Float[Tensor, "image ..."]) -> Float[Tensor, "image feature"]:
        return self.checkpoint.outputs(pixels)[0]

    def train(self, mode: bool = True) -> "Backbone":  # noqa: FBT001, FBT002 - as torch calls it
        super().train(mode and not self.is_frozen)
        for norm in self.folded:
            norm.eval()
        return self


def is_folded(module: nn.Module) -> bool:
    """Whether a module is a batch norm that only shifts: it has learnt, and its statistics are those of no image."""
    if not isinstance(module, nn.modules.batchnorm._BatchNorm):
        return False
    if module.bias is None or module.running_mean is None or module.running_var is None:
        return False
    untouched = not module.running_mean.any() and bool((module.running_var == 1).all())
    return untouched and bool(module.bias.any())


class Standardisation(nn.Module):
    """Features of a frozen backbone, each to mean 0 and deviation 1 over the images that are learnt from."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, features: Float[Tensor, "image feature"]) -> None:
        super().__init__()
        self.register_buffer("mean", features.mean(dim=0))
        self.register_buffer("deviation", features.std(dim=0, correction=0).clamp_min(SMALLEST_DEVIATION))

    def forward(self, features: Float[Tensor, "image feature"]) -> Float[Tensor, "image feature"]:
        return (features - self.mean) / self.deviation


class Network(nn.Module):
    """Model input -> logits of the target's classes."""

    def __init__(self, trunk: nn.Module, *, n_features: int, n_classes: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = nn.Linear(n_features, n_classes)
        nn.init.normal_(self.head.weight, std=HEAD_WEIGHT_SD)
        nn.init.zeros_(self.head.bias)

    def forward(self, inputs: Float[Tensor, "image ..."]) -> Float[Tensor, "image target_class"]:
        logits: Tensor = self.head(self.trunk(inputs))
        return logits.float()

    def learning(self) -> dict[str, nn.Parameter]:
        """The weights that learn, by name."""
        return {name: weight for name, weight in self.named_parameters() if weight.requires_grad}

    def snapshot(self) -> dict[str, Tensor]:
        """A copy of every weight that learns and every buffer, on the CPU."""
        state = {**self.learning(), **dict(self.named_buffers())}
        return {name: tensor.detach().cpu().clone() for name, tensor in state.items()}

    @torch.no_grad()
    def restore(self, snapshot: dict[str, Tensor]) -> None:
        """Go back to a snapshot."""
        state = {**self.learning(), **dict(self.named_buffers())}
        for name, tensor in snapshot.items():
            state[name].copy_(tensor)


def count_features(checkpoint: LoadedCheckpoint, pixels: Float[Tensor, "image ..."]) -> int:
    """Length of the feature vector, from one forward pass.

    Raises:
        CandidateError: the model fails on its own processor's pixels (stage "finetune").
    """
    try:
        # Not `forward`: what a model keeps from a pass in inference mode, gradients may not go through later.
        with torch.no_grad():
            return checkpoint.outputs(pixels)[0].shape[1]
    except RuntimeError as error:
        raise CandidateError(
            f"the model must accept what its own image processor prepares, pixels of shape {tuple(pixels.shape)},"
            f" but it failed: {error}",
            stage="finetune",
        ) from error


RANK = 8
ALPHA = 16  # adapters' output is scaled by ALPHA / RANK


def within_memory(step: Callable[[], Result], *, device: torch.device) -> Callable[[], Result]:
    """A step of a training that raises, of all that is an error, a CandidateError; too little memory says what to do.

    Args:
        step: on the device.
        device: for the error.
    """

    def run() -> Result:
        try:
            return step()
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            clear_device_cache(garbage_collection=True)
            raise CandidateError(
                f"fine-tuning must fit into the memory of {device}, it does not ({error}): use a device with more"
                " memory, or mode 'lora' or 'probe'",
                stage="finetune",
            ) from error

    return guarded(run, stage="finetune")


def require_peft() -> str:
    """The version of peft.

    Raises:
        LeadHubError: it is not installed.
    """
    try:
        return version("peft")
    except PackageNotFoundError as error:
        raise LeadHubError(
            "mode 'lora' needs the library peft, which is not installed: `pip install \"lead-hub[lora]\"`, or choose"
            " mode 'full' or 'probe'"
        ) from error


def add_adapters(backbone: nn.Module) -> None:
    """Put adapters beside the layers of a backbone, in place; from then on nothing of it but these learns.

    Raises:
        CandidateError: no layer can have one (stage "finetune").
        LeadHubError: peft is not installed.
    """
    require_peft()
    from peft import LoraConfig, inject_adapter_in_model  # noqa: PLC0415 - an extra

    names = [name for name, module in backbone.named_modules() if name and takes_adapter(module)]
    if not names:
        raise CandidateError(
            f"LoRA needs plain linear layers or convolutions, {type(backbone).__name__} has none: choose mode 'full'",
            stage="finetune",
        )
    backbone.requires_grad_(requires_grad=False)
    inject_adapter_in_model(LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=names), backbone)


def takes_adapter(module: nn.Module) -> bool:
    """Whether an adapter can run beside a layer; a subclass may do more in its forward pass than the adapter would."""
    return type(module) is nn.Linear or (type(module) is nn.Conv2d and module.groups == 1)
