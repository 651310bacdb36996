"""One call of `verify`, checked before anything is read."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lead_hub.errors import LeadHubError
from lead_hub.finetuning import Budget, Caches, FineTuningSettings, caches_in, parse_budget, settings_of
from lead_hub.hub_requests import Token
from lead_hub.leaderboard import Leaderboard


@dataclass(frozen=True)
class Verification:
    """Which board, how many of it, and how they are fine-tuned.

    Attributes:
        board: whose first rows are fine-tuned.
        top: how many of them.
        settings: of each fine-tuning.
        budget: for all of them together.
        test_split: the split that measures; None as of `load_finetuning_images`.
        cache_dir: where everything is kept; None for the Hugging Face caches.
        token: Hub token, None for the Hub's own login, False for nobody's.
        allow_pickle: whether pickled weights may be read.
        progress: whether to show bars.
    """

    board: Leaderboard
    top: int
    settings: FineTuningSettings
    budget: Budget
    test_split: str | None
    cache_dir: Path | None
    token: Token
    allow_pickle: bool
    progress: bool

    def __post_init__(self) -> None:
        if self.top < 1:
            raise LeadHubError(f"top must be at least 1, found {self.top}: it is how many checkpoints are fine-tuned")
        self.board.best  # noqa: B018 - a board without rows says why it has none

    @property
    def caches(self) -> Caches:
        return caches_in(self.cache_dir, token=self.token, allow_pickle=self.allow_pickle)


def verification_of(  # noqa: PLR0913 - as `verify`
    board: Leaderboard,
    top: int,
    *,
    mode: str,
    learning_rates: Sequence[float | int] | None,
    epochs: int | None,
    seeds: Sequence[int] | None,
    budget: float | int | str | None,
    test_split: str | None,
    flip: bool,
    cache_dir: str | Path | None,
    token: Token,
    allow_pickle: bool,
    progress: bool,
) -> Verification:
    """The arguments of `verify`, checked."""
    return Verification(
        board=board,
        top=top,
        settings=settings_of(mode, learning_rates=learning_rates, epochs=epochs, seeds=seeds, flip=flip),
        budget=Budget(parse_budget(budget)),
        test_split=test_split,
        cache_dir=Path(cache_dir).expanduser() if cache_dir is not None else None,
        token=token,
        allow_pickle=allow_pickle,
        progress=progress,
    )
