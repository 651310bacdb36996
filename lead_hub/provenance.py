"""Where a number came from: versions, the identity of the images, and the key that all of it makes."""

import hashlib
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

import torch

from lead_hub.candidates import Candidate
from lead_hub.checkpoint_files import CheckpointFiles
from lead_hub.checkpoint_outputs import CheckpointOutputs
from lead_hub.found_candidates import same_dataset
from lead_hub.labelled_images import LabelledImages
from lead_hub.leaderboard import RankedCheckpoint, RankedDataset
from lead_hub.loaded_checkpoint import processor_settings
from lead_hub.outputs_cache import outputs_key
from lead_hub.transferability import TransferabilityScore

# Packages that can change a number.
PACKAGES = ("torch", "torchvision", "transformers", "timm", "datasets", "accelerate", "pillow", "numpy")
FROM_CACHE = "from cache"


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


def rows_sha256(images: LabelledImages) -> str:
    """sha256 over the numbers of the sampled rows, in order."""
    return hashlib.sha256(",".join(map(str, images.rows.tolist())).encode()).hexdigest()


def ranked_dataset(images: LabelledImages) -> RankedDataset:
    """What a leaderboard keeps of the images."""
    return RankedDataset(
        dataset=images.dataset,
        sha=images.sha,
        is_local=images.is_local,
        config=images.config,
        split=images.split,
        image_column=images.image_column,
        label_column=images.label_column,
        class_names=images.class_names,
        n_images=len(images.labels),
        rows_sha256=rows_sha256(images),
        notes=images.notes,
        is_private=images.is_private,
    )


def ranked_checkpoint(
    candidate: Candidate,
    files: CheckpointFiles,
    outputs: CheckpointOutputs,
    *,
    score: TransferabilityScore,
    images_per_s: float | None,
    images: LabelledImages,
) -> RankedCheckpoint:
    """The row of one scored candidate, before it has a rank."""
    return RankedCheckpoint(
        checkpoint=candidate.checkpoint,
        score=score.value,
        revision=candidate.revision,
        sha=files.sha,
        companions=dict(score.companions),
        family=outputs.family,
        parameters=outputs.parameters,
        licence=files.licence,
        downloads=candidate.downloads,
        n_features=outputs.features.shape[1],
        n_source_classes=None if outputs.logits is None else outputs.logits.shape[1],
        pooling=outputs.pooling,
        processor=outputs.processor,
        dtype=outputs.dtype,
        device=outputs.device,
        images_per_s=images_per_s,
        trained_on_dataset=was_trained_on(images, (*candidate.datasets, *candidate.base_datasets, *files.datasets)),
        note=FROM_CACHE if images_per_s is None else "",
    )


def was_trained_on(images: LabelledImages, datasets: Iterable[str]) -> bool:
    """Whether the images' dataset is among those that a checkpoint was trained on; a local one has no public name."""
    return not images.is_local and any(same_dataset(name, images.dataset) for name in datasets)


def cache_key(files: CheckpointFiles, images: LabelledImages, *, dtype: torch.dtype) -> str:
    """The key of a checkpoint's outputs on these images: everything that can change them, and nothing else."""
    return outputs_key(
        {
            "checkpoint": files.sha,
            "processor": processor_settings(files.folder),
            "dataset": images.sha,
            "config": images.config,
            "split": images.split,
            "image_column": images.image_column,
            "rows": rows_sha256(images),
            "dtype": str(dtype),
            "versions": versions(),
        }
    )
