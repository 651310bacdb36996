"""Which commit of a Hub dataset is meant, and what the Hub's refusals mean for the user."""

from dataclasses import dataclass

from huggingface_hub import constants
from huggingface_hub.errors import HFValidationError, OfflineModeIsEnabled

from lead_hub.access import Access
from lead_hub.errors import DatasetError, HubError, LeadHubError
from lead_hub.hub import TIMEOUT_S, TRANSPORT_ERROR, is_commit, why_refused


@dataclass(frozen=True)
class DatasetCommit:
    """The commit to load.

    Attributes:
        dataset: Hub id.
        revision: what the user asked for.
        sha: 40 hex digits; None offline, where only the copy that was loaded can tell.
        is_private: False only where the Hub said that everybody may read it.
        files: names of all files of the commit; none offline.
    """

    dataset: str
    revision: str | None
    sha: str | None
    is_private: bool = True
    files: tuple[str, ...] = ()

    def loaded(self, copy: str) -> str:
        """The commit that was loaded, which offline is what the library's cached copy says of itself.

        Raises:
            HubError: the cached copy is another commit than asked for, or of unknown commit; the library opens one
                also where the Hub fails midway, and does not say so.
        """
        if self.sha is not None:
            if is_commit(copy) and copy != self.sha:
                raise HubError(
                    f"{self.dataset} must be read at commit {self.sha}, but the Hub did not give all of it, and the"
                    f" copy in the cache is commit {copy}: try again later, or ask for that commit with revision"
                )
            return self.sha
        if not is_commit(copy) or self.revision not in (None, copy):
            raise HubError(
                f"offline, only the cached copy of {self.dataset} can be read, and it is commit {copy} while"
                f" {self.revision or 'a commit of 40 hex digits'} is needed; go online once, or ask for that commit"
            )
        return copy


def pin_dataset(dataset: str, revision: str | None, *, access: Access) -> DatasetCommit:
    """Ask the Hub once which commit `revision` is, so that everything is later loaded at that commit.

    Raises:
        DatasetError: neither a local path nor a dataset on the Hub.
        HubError: gated, refused, or not reachable.
        RunCancelledError: cancelled.
    """
    api, asked_for = access.api, f"the dataset {dataset}"
    try:
        info = access.ask(lambda: api.dataset_info(dataset, revision=revision, timeout=TIMEOUT_S), asked_for=asked_for)
        if info.gated:  # anybody may read that it exists; that its files are refused, the datasets library would hide
            access.ask(lambda: api.auth_check(dataset, repo_type="dataset"), asked_for=asked_for)
    except OfflineModeIsEnabled:
        return DatasetCommit(dataset, revision, None)
    except (HFValidationError, OSError, TRANSPORT_ERROR) as error:
        raise hub_error(dataset, error) or HubError(f"{dataset}: {error}") from error
    names = tuple(file.rfilename for file in info.siblings or ())
    return DatasetCommit(dataset, revision, info.sha, is_private=bool(info.private or info.gated), files=names)


# What a refusal makes of the dataset's name: not to be found, or there but not to be had.
NOT_FOUND = frozenset({"missing", "not an id", "no revision"})
# Where it might have been a path.
MAYBE_A_PATH = frozenset({"missing", "not an id", "unreachable"})


def hub_error(dataset: str, error: BaseException) -> LeadHubError | None:
    """The error to raise for what the Hub answered anywhere in the chain of causes, None if it was not the Hub."""
    refusal = why_refused(error, name=dataset, noun="dataset")
    if refusal is None:
        return None
    words = refusal.words
    if refusal.kind in MAYBE_A_PATH:
        words = f"there is no path {dataset} here, and {words}"
    if refusal.kind in ("unreachable", "offline"):
        words += (
            "; check the path, or unset HF_HUB_OFFLINE"
            if constants.HF_HUB_OFFLINE
            else "; check the path, or set HF_HUB_OFFLINE=1 for a cached copy"
        )
    return DatasetError(words) if refusal.kind in NOT_FOUND else HubError(words)
