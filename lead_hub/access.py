"""As whom the Hub is asked, where files are kept, and who still waits: made once by each public call, passed as one."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from huggingface_hub import HfApi, constants

from lead_hub.errors import RunCancelledError
from lead_hub.hub import Token, assets_folder, clean_token, hub_api, patiently

Result = TypeVar("Result")


@dataclass(frozen=True)
class Access:
    """The edges of one call.

    Attributes:
        cache_dir: where downloads, prepared data, outputs and trainings are kept; None means the caches of the Hugging
            Face libraries. With one, nothing of a private dataset stays in the shared caches.
        token: Hub token, None for the Hub's own login, False for nobody's, even where one is logged in; never written
            anywhere.
        allow_pickle: whether pickled weights may be downloaded and read, with `weights_only`.
        progress: whether to show bars on a terminal's standard error.
        cancelled: whether nobody wants the answer any more; asked with each part of the work.
        hub_is_down: whether the Hub did not answer before in this call: it is asked for nothing more.

    Raises:
        LeadHubError: a token that no request can carry.
    """

    cache_dir: Path | None = None
    token: Token = field(default=None, repr=False)
    allow_pickle: bool = False
    progress: bool = True
    cancelled: Callable[[], bool] = bool
    hub_is_down: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "token", clean_token(self.token))

    @property
    def api(self) -> HfApi:
        """The client, which asks as the user."""
        return hub_api(self.token)

    @property
    def hub_folder(self) -> Path:
        """The Hub cache that checkpoints are downloaded to."""
        return self.cache_dir / "hub" if self.cache_dir else Path(constants.HF_HUB_CACHE)

    @property
    def datasets_folder(self) -> Path | None:
        """Where datasets are kept; None for the caches of the Hub and of the datasets library."""
        return self.cache_dir / "datasets" if self.cache_dir else None

    @property
    def outputs_folder(self) -> Path:
        """Where checkpoints' outputs are kept."""
        return self._kept("outputs")

    @property
    def trainings_folder(self) -> Path:
        """Where finished trainings are kept."""
        return self._kept("finetuned")

    @property
    def outcomes_folder(self) -> Path:
        """Where it is kept what fine-tuning gave of what had been predicted."""
        return self._kept("outcomes")

    def calibration_file(self, method: str) -> Path:
        """Where a score's calibration is kept that was fitted on this machine."""
        return self._kept("calibration") / f"{method}.json"

    @property
    def standings_file(self) -> Path:
        """Where it is kept how checkpoints stood on other datasets."""
        return self._kept("calibration") / "standings.json"

    @property
    def earlier_boards_folder(self) -> Path:
        """Where it is kept how checkpoints stood on the datasets that this machine ranked them on."""
        return self._kept("earlier-boards")

    @property
    def verified_folder(self) -> Path:
        """Where it is noted which files of the Hub cache were compared with their hash."""
        return self._kept("verified")

    def _kept(self, what: str) -> Path:
        return self.cache_dir / what if self.cache_dir else assets_folder(what)

    def check_wanted(self) -> None:
        """Go on, unless nobody waits any more.

        Raises:
            RunCancelledError: nobody does.
        """
        if self.cancelled():
            raise RunCancelledError("the run is over")

    def ask(self, request: Callable[[], Result], *, asked_for: str) -> Result:
        """Carry out one request that may safely be repeated, see `lead_hub.hub.patiently`."""
        return patiently(request, asked_for=asked_for, cancelled=self.cancelled)


def access_of(
    *,
    cache_dir: str | Path | None = None,
    token: Token = None,
    allow_pickle: bool = False,
    progress: bool = True,
    cancelled: Callable[[], bool] | None = None,
) -> Access:
    """The edges as a public call takes them."""
    folder = Path(cache_dir).expanduser() if cache_dir is not None else None
    return Access(folder, token, allow_pickle=allow_pickle, progress=progress, cancelled=cancelled or bool)
