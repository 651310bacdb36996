"""Pull requests that are opened once: an open one of the same author and title is used again."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from huggingface_hub import CommitOperationAdd, HfApi

from lead_hub.hub import patiently

RepoType = Literal["model", "dataset"]


@dataclass(frozen=True)
class PullRequest:
    """Where a pull request is, and whether it is a new one."""

    url: str
    is_new: bool


def user_name(api: HfApi) -> str:
    """The name of the user whose token it is; asked once, because the Hub counts these requests strictly."""
    return str(patiently(lambda: api.whoami(cache=True), asked_for="the name of the user")["name"])


def open_once(
    repo_id: str, files: Mapping[str, bytes], *, title: str, api: HfApi, repo_type: RepoType, parent: str | None = None
) -> PullRequest | None:
    """Open a pull request, unless one of this user with this title is open; None where the files are there already."""
    author = user_name(api)
    description = "Transferability scores, predicted by lead-hub without fine-tuning."

    def request() -> PullRequest | None:
        discussions = api.get_repo_discussions(
            repo_id, author=author, discussion_type="pull_request", discussion_status="open", repo_type=repo_type
        )
        # The author again: a Hub that does not know the filter lists everybody's.
        mine = [other for other in discussions if other.title == title and other.author == author]
        if mine:
            return PullRequest(mine[0].url, is_new=False)
        commit = api.create_commit(
            repo_id,
            additions(files),
            commit_message=title,
            commit_description=description,
            repo_type=repo_type,
            create_pr=True,
            parent_commit=parent,
        )
        return PullRequest(commit.pr_url, is_new=True) if commit.pr_url else None

    return patiently(request, asked_for=f"a pull request to {repo_id}")


def additions(files: Mapping[str, bytes]) -> list[CommitOperationAdd]:
    """The operations of a commit; made anew for every try, because the client marks them as done."""
    return [CommitOperationAdd(path, content) for path, content in sorted(files.items())]
