"""One call of `recommend`, checked before anything is read."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import HfApi

from lead_hub.candidates import Candidate
from lead_hub.checkpoint_files import HubCache, default_hub_cache
from lead_hub.checkpoint_outputs import ExtractionSettings, OutputsCache, default_cache_folder
from lead_hub.errors import LeadHubError, ScoreError
from lead_hub.hub import Token, hub_api
from lead_hub.labelled_images import DatasetQuery
from lead_hub.recommendation.progress import RunProgress
from lead_hub.transferability import SCORES

UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)B?", re.IGNORECASE)


def ignore(progress: RunProgress) -> None:
    """Nobody follows the run."""


@dataclass(frozen=True)
class Run:
    """One call of `recommend`.

    Attributes:
        query: which images.
        candidates: what to rank.
        methods: names of the scores; the first one ranks.
        extraction: how forward passes are run.
        cache_dir: where everything is kept; None for the Hugging Face caches.
        token: Hub token, None for the Hub's own login, False for nobody's; never written anywhere.
        progress: whether to show a bar.
        allow_pickle: whether pickled weights may be read.
        max_disk_bytes: the most that weights downloaded by this run may take.
        reuse_cards: dataset repository whose score cards may stand in for computing.
        cancelled: whether the caller wants no more of it.
        on_progress: told where the run is.
    """

    query: DatasetQuery
    candidates: list[Candidate]
    methods: tuple[str, ...]
    extraction: ExtractionSettings
    cache_dir: Path | None
    token: Token
    progress: bool
    allow_pickle: bool
    max_disk_bytes: int | None
    reuse_cards: str | None
    cancelled: Callable[[], bool] = bool
    on_progress: Callable[[RunProgress], object] = ignore

    def __post_init__(self) -> None:
        if not self.methods or len(set(self.methods)) < len(self.methods):
            raise ScoreError(f"score must name at least one score, each once, found {list(self.methods)}")
        for method in self.methods:
            if method not in SCORES:
                raise ScoreError(f"score must be one of {', '.join(SCORES)}, found {method!r}")

    @property
    def method(self) -> str:
        """The score that ranks."""
        return self.methods[0]

    @property
    def api(self) -> HfApi:
        return hub_api(self.token)

    @property
    def cache(self) -> OutputsCache:
        return OutputsCache(self.cache_dir / "outputs" if self.cache_dir else default_cache_folder())

    @property
    def hub_cache(self) -> HubCache:
        folder = self.cache_dir / "hub" if self.cache_dir else default_hub_cache()
        return HubCache(self.api, folder, allow_pickle=self.allow_pickle)

    @property
    def settings(self) -> dict[str, str | int | None]:
        """What a leaderboard keeps of the call; never the token."""
        return {
            "seed": self.query.seed,
            "max_images": self.query.max_images,
            "batch_size": self.extraction.batch_size,
            "device": self.extraction.device,
            "dtype": self.extraction.dtype,
            "allow_pickle": self.allow_pickle,
        }


def parse_size(size: int | str | None) -> int | None:
    """Bytes of a number, or of words such as "20GB" (decimal units).

    Raises:
        LeadHubError: neither.
    """
    if size is None or (isinstance(size, int) and not isinstance(size, bool) and size > 0):
        return size
    match = SIZE.fullmatch(size.strip()) if isinstance(size, str) else None
    if match is None or float(match[1]) == 0:
        raise LeadHubError(f"max_disk must be a number of bytes above 0 or a size such as '20GB', found {size!r}")
    return int(float(match[1]) * UNITS[match[2].upper()])
