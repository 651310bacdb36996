"""Where a fine-tuning finds and keeps files: downloads, features of frozen backbones, finished trainings."""

from dataclasses import dataclass
from pathlib import Path

from lead_hub.checkpoint_files import HubCache, default_hub_cache
from lead_hub.checkpoint_outputs import OutputsCache, default_cache_folder
from lead_hub.finetuning.outcomes import FinishedTrainings, default_trainings_folder
from lead_hub.hub import Token, hub_api


@dataclass(frozen=True)
class Caches:
    """The folders of one call, the same ones that `recommend` uses for what both need."""

    hub: HubCache
    outputs: OutputsCache
    trainings: FinishedTrainings


def caches_in(folder: Path | None, *, token: Token, allow_pickle: bool) -> Caches:
    """The caches within a folder; None means those of the Hugging Face libraries.

    Args:
        folder: as `cache_dir` of `recommend`.
        token: Hub token; None means the Hub's own login, False nobody's, even where one is logged in.
        allow_pickle: whether pickled weights may be downloaded.
    """
    return Caches(
        hub=HubCache(hub_api(token), folder / "hub" if folder else default_hub_cache(), allow_pickle=allow_pickle),
        outputs=OutputsCache(folder / "outputs" if folder else default_cache_folder()),
        trainings=FinishedTrainings(folder / "finetuned" if folder else default_trainings_folder()),
    )
