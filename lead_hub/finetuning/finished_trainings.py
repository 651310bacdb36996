"""Finished trainings on disk, a small file each, keyed by all that can change them: a killed run loses at most one."""

import dataclasses
import json
import uuid
import warnings
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import cached_assets_path

from lead_hub.finetuning.finetuned import FinishedTraining


def default_trainings_folder() -> Path:
    """Where finished trainings live unless the caller says otherwise: under HF_ASSETS_CACHE."""
    return cached_assets_path(library_name="lead_hub", namespace="finetuned")


@dataclass(frozen=True)
class FinishedTrainings:
    """A folder of finished trainings. Files appear whole, by an atomic rename, or not at all."""

    folder: Path

    def read(self, key: str) -> FinishedTraining | None:
        """The training of a key; None if there is none, or none that can be read (with a warning)."""
        path = self.folder / f"{key}.json"
        try:
            return FinishedTraining(**json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            warnings.warn(f"{path.name} in the cache is damaged, its training is done again: {error}", stacklevel=2)
            return None

    def write(self, key: str, training: FinishedTraining) -> None:
        """Keep a training. A folder that cannot be written is a warning: the run has its result in memory."""
        part = self.folder / f".{key}.{uuid.uuid4().hex}.part"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            part.write_text(json.dumps(dataclasses.asdict(training), allow_nan=False), encoding="utf-8")
            part.replace(self.folder / f"{key}.json")
        except OSError as error:
            warnings.warn(
                f"a finished training could not be kept in {self.folder}, it will be done again: {error}", stacklevel=2
            )
        finally:
            part.unlink(missing_ok=True)
