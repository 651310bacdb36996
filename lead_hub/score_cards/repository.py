"""A score-card repository as it is at one commit; every byte is checked against the hash that the Hub lists."""

import warnings
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from huggingface_hub import HfApi, get_session, hf_hub_url
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, HFValidationError, OfflineModeIsEnabled
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import build_hf_headers, hf_raise_for_status  # type: ignore[attr-defined]  # public, lazy

from lead_hub.errors import HubError
from lead_hub.hub import AnnouncedHash, patiently, why_refused
from lead_hub.score_cards.card import ScoreResult, read_card
from lead_hub.score_cards.table import TABLE_PATH, ScoreRow, fits_table, read_table, score_row

README_PATH = "README.md"
PATHS_A_REQUEST = 100
READERS = 8
MOST_FILE_BYTES = 256 << 20  # a card has some kilobytes, the table some hundred bytes a result
REFUSED_CARD = "Invalid metadata in README.md"
READS = 3  # of one file, before its bytes are called wrong


@dataclass(frozen=True)
class Repository:
    """A dataset repository at one commit.

    Attributes:
        repo_id: its id on the Hub.
        sha: the commit, 40 hex digits.
        is_private: whether others cannot see it.
        api: the client that reads it.
    """

    repo_id: str
    sha: str
    is_private: bool
    api: HfApi

    def files(self, paths: Iterable[str]) -> dict[str, RepoFile]:
        """Find those of the paths that exist."""
        wanted = sorted(set(paths))
        found: dict[str, RepoFile] = {}
        for start in range(0, len(wanted), PATHS_A_REQUEST):
            some = wanted[start : start + PATHS_A_REQUEST]
            ask = partial(self.api.get_paths_info, self.repo_id, some, revision=self.sha, repo_type="dataset")
            entries = patiently(ask, asked_for=f"the files of {self.repo_id}")
            found |= {entry.path: entry for entry in entries if isinstance(entry, RepoFile)}
        return found

    def cards(self) -> list[RepoFile]:
        """List all cards, by path."""

        def listing() -> list[RepoFile]:
            tree = self.api.list_repo_tree(
                self.repo_id, "cards", recursive=True, revision=self.sha, repo_type="dataset"
            )
            return [entry for entry in tree if isinstance(entry, RepoFile) and entry.path.endswith(".json")]

        try:
            return sorted(patiently(listing, asked_for=f"the cards of {self.repo_id}"), key=lambda file: file.path)
        except EntryNotFoundError:
            return []

    def read(self, files: Iterable[RepoFile]) -> dict[str, bytes]:
        """Read the contents of files, by path."""
        wanted = list(files)
        for file in wanted:
            self._refuse_large(file)
        with ThreadPoolExecutor(max_workers=READERS) as readers:
            return {
                file.path: content for file, content in zip(wanted, readers.map(self.read_one, wanted), strict=True)
            }

    def read_one(self, file: RepoFile) -> bytes:
        """Read one file.

        Raises:
            HubError: it is too large to be one of score cards, or its bytes are not those that the Hub lists, however
                often they are asked for.
        """
        self._refuse_large(file)
        url = hf_hub_url(self.repo_id, file.path, repo_type="dataset", revision=self.sha, endpoint=self.api.endpoint)
        headers = build_hf_headers(token=self.api.token, library_name="lead_hub")

        def content() -> bytes:
            response = get_session().get(url, headers=headers)
            hf_raise_for_status(response)
            return bytes(response.content)

        is_large = file.lfs is not None
        announced = AnnouncedHash(
            size_bytes=None, sha256=file.lfs.sha256 if file.lfs else None, git_sha1=None if is_large else file.blob_id
        )
        for _ in range(READS):
            data = patiently(content, asked_for=f"{file.path} of {self.repo_id}")
            if announced.fits(data):
                return data
        raise HubError(
            f"{self.repo_id}@{self.sha} {file.path} must have the hash that the Hub lists, found other bytes"
            f" {READS} times: try again later"
        )

    def _refuse_large(self, file: RepoFile) -> None:
        if file.size > MOST_FILE_BYTES:
            raise HubError(
                f"a file of score cards must have at most {MOST_FILE_BYTES / 1e6:.0f} MB, {file.path} of"
                f" {self.repo_id} has {file.size / 1e6:.0f}: name another repository"
            )

    def read_results(self, files: Iterable[RepoFile]) -> dict[str, list[ScoreResult]]:
        """The results on the given cards, by path; what does not match its hash is left out with a warning."""
        return self.results_of(self.read(files))

    def results_of(self, contents: Mapping[str, bytes]) -> dict[str, list[ScoreResult]]:
        """The same of cards that were read, by path."""
        cards = {path: read_card(content, path=path) for path, content in contents.items()}
        for path, results in cards.items():
            if not all(map(fits_table, results)):
                warnings.warn(
                    f"{path}: a result is ignored, because values are missing or of another kind", stacklevel=2
                )
        return {path: list(filter(fits_table, results)) for path, results in cards.items()}

    def read_rows(self) -> list[ScoreRow]:
        """The table of all results; made anew from the cards where the file is missing or cannot be read."""
        table = self.files([TABLE_PATH]).get(TABLE_PATH)
        rows = None if table is None else read_table(self.read_one(table))
        if rows is not None:
            return rows
        results = self.read_results(self.cards())
        if results:
            warnings.warn(
                f"{self.repo_id}: {TABLE_PATH} is missing or damaged; its rows are taken from the cards", stacklevel=2
            )
        return [score_row(result) for path in sorted(results) for result in results[path]]


def open_repository(repo_id: str, *, api: HfApi, revision: str | None = None) -> Repository:
    """The repository at its head, or at the given branch, tag or commit.

    Raises:
        HfHubHTTPError: the Hub's refusal, for `plain_errors` or the caller to translate.
    """
    ask = partial(api.dataset_info, repo_id, revision=revision)
    info = patiently(ask, asked_for=f"the dataset repository {repo_id}")
    return Repository(repo_id, sha=info.sha or "", is_private=bool(info.private), api=api)


@contextmanager
def plain_errors(repo_id: str, *, to: str) -> Iterator[None]:
    """Within the block, the client's errors become a HubError that says what to do.

    Args:
        repo_id: the repository that it is about.
        to: what is being done, e.g. "write score cards to".
    """
    try:
        yield
    except (HfHubHTTPError, HFValidationError, OfflineModeIsEnabled) as error:
        refusal = why_refused(error, name=repo_id, noun="repository")
        raise HubError(f"cannot {to} {repo_id}: {refusal.words if refusal else error}") from error
    except ValueError as error:
        if not str(error).startswith(REFUSED_CARD):  # what the client makes of the Hub's own check
            raise
        raise HubError(f"cannot {to} {repo_id}: {error}") from error
