"""Low-rank adapters (Hu et al., "LoRA", ICLR 2022) in a vision backbone, by the peft library (extra "lora").

Every plain linear layer gets one, and in convolutional backbones every plain convolution that mixes all channels.
"""

from importlib.metadata import PackageNotFoundError, version

from torch import nn

from lead_hub.errors import CandidateError, LeadHubError

RANK = 8
ALPHA = 16  # adapters' output is scaled by ALPHA / RANK


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
