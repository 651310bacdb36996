"""The first half of stage 3: a checkpoint folder -> LoadedCheckpoint, or the reason why it cannot be used."""

from lead_hub.loaded_checkpoint.image_preparation import processor_settings
from lead_hub.loaded_checkpoint.loading import LoadedCheckpoint, load_checkpoint

__all__ = ["LoadedCheckpoint", "load_checkpoint", "processor_settings"]
