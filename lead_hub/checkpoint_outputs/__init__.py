"""Stage 4: files x images -> CheckpointOutputs: loaded, run once behind its own image processor, pooled, kept on disk.

checkpoint_folder -> loaded_checkpoint (pooling: one vector an image) -> extraction (forward_passes; shrunk_images: what
processors share; fast_layout, number_format, attention, freed_memory, preparing_batches, waiting_threads: how passes
are run; device_settings, from timed_pieces: which of these ways the machine is fastest in; depths: what a few blocks
say)
-> network_extraction (where asked for: network_kernel, from gradient_passes of parameter_gradients) -> outputs_cache
"""

from lead_hub.checkpoint_outputs.cache_keys import cache_key, versions
from lead_hub.checkpoint_outputs.device_settings import MEASURE_VARIABLE, known_settings
from lead_hub.checkpoint_outputs.extraction import (
    Dtype,
    ExtractionSettings,
    extract,
    extract_images,
    fastest_passes,
    whole_outputs,
)
from lead_hub.checkpoint_outputs.forward_passes import out_of_memory
from lead_hub.checkpoint_outputs.freed_memory import freed_memory_kept, give_freed_memory_back, memory_shared_by_threads
from lead_hub.checkpoint_outputs.frozen_outputs import CheckpointOutputs, ImageOutputs, PartialOutputs
from lead_hub.checkpoint_outputs.image_preparation import processor_settings, wanted_side_px
from lead_hub.checkpoint_outputs.loaded_checkpoint import LoadedCheckpoint, load_checkpoint
from lead_hub.checkpoint_outputs.network_extraction import with_network_kernel
from lead_hub.checkpoint_outputs.number_format import fast_dtype, passes_in
from lead_hub.checkpoint_outputs.outputs_cache import OutputsCache, outputs_key
from lead_hub.checkpoint_outputs.preparing_batches import ImageSequence, prepared_batches
from lead_hub.checkpoint_outputs.shrunk_images import Preparation, ShrunkImages

__all__ = [
    "MEASURE_VARIABLE",
    "CheckpointOutputs",
    "Dtype",
    "ExtractionSettings",
    "ImageOutputs",
    "ImageSequence",
    "LoadedCheckpoint",
    "OutputsCache",
    "PartialOutputs",
    "Preparation",
    "ShrunkImages",
    "cache_key",
    "extract",
    "extract_images",
    "fast_dtype",
    "fastest_passes",
    "freed_memory_kept",
    "give_freed_memory_back",
    "known_settings",
    "load_checkpoint",
    "memory_shared_by_threads",
    "out_of_memory",
    "outputs_key",
    "passes_in",
    "prepared_batches",
    "processor_settings",
    "versions",
    "wanted_side_px",
    "whole_outputs",
    "with_network_kernel",
]
