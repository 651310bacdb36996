"""Which commit of a Hub dataset is meant, and what the Hub's refusals mean for the user."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from huggingface_hub import constants
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from lead_hub.errors import DatasetError, HubError, LeadHubError
from lead_hub.hub import LOGIN_ADVICE, TIMEOUT_S, TRANSPORT_ERROR, Token, hub_api, patiently

_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class DatasetCommit:
    """The commit to load.

    Attributes:
        dataset: Hub id.
        revision: what the user asked for.
        sha: 40 hex digits; None offline, where only the copy that was loaded can tell.
        is_private: False only where the Hub said that everybody may read it.
    """

    dataset: str
    revision: str | None
    sha: str | None
    is_private: bool = True

    def loaded(self, copy: str) -> str:
        """The commit that was loaded, which offline is what the library's cached copy says of itself.

        Raises:
            HubError: offline, and the cached copy is another commit than asked for, or of unknown commit.
        """
        if self.sha is not None:
            return self.sha
        if not _COMMIT.fullmatch(copy) or self.revision not in (None, copy):
            raise HubError(
                f"offline, only the cached copy of {self.dataset} can be read, and it is commit {copy} while"
                f" {self.revision or 'a commit of 40 hex digits'} is needed; go online once, or ask for that commit"
            )
        return copy


def pin_dataset(
    dataset: str, revision: str | None, *, token: Token, cancelled: Callable[[], bool] = bool
) -> DatasetCommit:
    """Ask the Hub once which commit `revision` is, so that everything is later loaded at that commit.

    Raises:
        DatasetError: neither a local path nor a dataset on the Hub.
        HubError: gated, refused, or not reachable.
        RunCancelledError: cancelled.
    """
    api, asked_for = hub_api(token), f"the dataset {dataset}"
    try:
        info = patiently(
            lambda: api.dataset_info(dataset, revision=revision, timeout=TIMEOUT_S),
            asked_for=asked_for,
            cancelled=cancelled,
        )
        if info.gated:  # anybody may read that it exists; that its files are refused, the datasets library would hide
            patiently(lambda: api.auth_check(dataset, repo_type="dataset"), asked_for=asked_for, cancelled=cancelled)
    except OfflineModeIsEnabled:
        return DatasetCommit(dataset, revision, None)
    except (HFValidationError, OSError, TRANSPORT_ERROR) as error:
        raise hub_error(dataset, error) or HubError(f"{dataset}: {error}") from error
    return DatasetCommit(dataset, revision, info.sha, is_private=bool(info.private or info.gated))


def hub_error(dataset: str, error: BaseException) -> LeadHubError | None:
    """The error to raise for what the Hub answered anywhere in the chain of causes, None if it was not the Hub."""
    for cause in _chain(error):
        translated = _translated(dataset, cause)
        if translated is not None:
            return translated
    return None


def _translated(dataset: str, error: BaseException) -> LeadHubError | None:
    hub = constants.ENDPOINT
    # From the most to the least special: a gated repository's error is also a missing repository's, and so on.
    meanings: list[tuple[type[BaseException] | tuple[type[BaseException], ...], type[LeadHubError], str]] = [
        (
            GatedRepoError,
            HubError,
            f"{dataset} is gated: accept its terms at {hub}/datasets/{dataset}, then {LOGIN_ADVICE}",
        ),
        (
            RepositoryNotFoundError,
            DatasetError,
            f"a local path or a Hub dataset is needed, found neither: there is no path {dataset} here, and {hub} has"
            f" no such dataset for you; check the spelling, and if it is private {LOGIN_ADVICE}",
        ),
        (
            RevisionNotFoundError,
            DatasetError,
            f"{dataset} has no such revision on {hub}: check the branch, tag or commit",
        ),
        (
            HFValidationError,
            DatasetError,
            f"a local path or a Hub id like org/name is needed, found {dataset!r}: there is no such path here, and it"
            " is no valid id",
        ),
        (
            HfHubHTTPError,
            HubError,
            f"{hub} refused {dataset}: {error}; if it is private {LOGIN_ADVICE}, else try again later",
        ),
        (
            # The datasets library turns both the offline mode and a broken network into a ConnectionError.
            (ConnectionError, TRANSPORT_ERROR),
            HubError,
            f"there is no path {dataset} here, and {hub} cannot be reached: {error}; check the path, "
            + ("or unset HF_HUB_OFFLINE" if constants.HF_HUB_OFFLINE else "or set HF_HUB_OFFLINE=1 for a cached copy"),
        ),
    ]
    for kind, translation, message in meanings:
        if isinstance(error, kind):
            return translation(message)
    return None


def _chain(error: BaseException | None) -> list[BaseException]:
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__ or error.__context__
    return chain
