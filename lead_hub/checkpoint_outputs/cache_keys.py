"""The key under which a checkpoint's outputs are kept: everything that can change them, and nothing else."""

import platform
from importlib.metadata import PackageNotFoundError, version

import torch

from lead_hub.checkpoint_files import CheckpointFiles
from lead_hub.checkpoint_outputs.checkpoint_folder import model_class, quiet_transformers, read_config
from lead_hub.checkpoint_outputs.image_preparation import processor_settings
from lead_hub.checkpoint_outputs.number_format import FEWEST_TRIED, IMAGES_A_TRIED_ONE, MOST_DRIFT, MOST_TRIED
from lead_hub.checkpoint_outputs.outputs_cache import outputs_key
from lead_hub.labelled_images import DELIVERED_AT_LEAST, STORED_SHORT_SIDE_PX, LabelledImages, rows_sha256

# Raise when the same network would give another tangent kernel.
NETWORK_KERNEL_VERSION = 1
# Raise when passes in bfloat16 would round otherwise.
BFLOAT16_VERSION = 1
# By what it is decided whether a network is run in float32 instead.
FALLING_BACK = (MOST_DRIFT, FEWEST_TRIED, MOST_TRIED, IMAGES_A_TRIED_ONE)
# Packages that can change a number.
PACKAGES = ("torch", "torchvision", "transformers", "timm", "datasets", "accelerate", "pillow", "numpy")


def lead_hub_version() -> str:
    """The installed version, or "unknown" when run from a source tree that was never installed."""
    try:
        return version("lead-hub")
    except PackageNotFoundError:
        return "unknown"


def versions() -> dict[str, str]:
    """Versions of Python, lead-hub and the packages that can change a number."""
    return {
        "python": platform.python_version(),
        "lead-hub": lead_hub_version(),
        **{name: version(name) for name in PACKAGES},
    }


def cache_key(
    files: CheckpointFiles,
    images: LabelledImages,
    *,
    dtype: torch.dtype,
    device_type: str = "cpu",
    falls_back: bool = False,
    with_network_kernel: bool = False,
) -> str:
    """The key of a checkpoint's outputs on these images: everything that can change them, and nothing else.

    Args:
        files: of the checkpoint.
        images: all images.
        dtype: number format of the forward passes.
        device_type: where they are run: kinds of devices round otherwise, in what they call the same format as well.
        falls_back: whether a network that does not bear it is run in float32 instead.
        with_network_kernel: whether the tangent kernel of the network is among them.

    Raises:
        CandidateError: the checkpoint's settings say that it cannot be run, whatever is kept of it (stage "load").
    """
    with quiet_transformers():
        model_class(read_config(files.folder))
    return outputs_key(
        {
            "checkpoint": files.sha,
            "processor": processor_settings(files.folder),
            "dataset": images.sha,
            "config": images.config,
            "split": images.split,
            "image_column": images.image_column,
            "rows": rows_sha256(images),
            "short side": STORED_SHORT_SIDE_PX,
            "delivered": DELIVERED_AT_LEAST,
            "dtype": str(dtype),
            **({"device": device_type} if device_type != "cpu" else {}),
            **({"falls back": FALLING_BACK} if falls_back and dtype != torch.float32 else {}),
            **({"bfloat16": BFLOAT16_VERSION} if dtype == torch.bfloat16 else {}),
            "versions": versions(),
            **({"network kernel": NETWORK_KERNEL_VERSION} if with_network_kernel else {}),
        }
    )
