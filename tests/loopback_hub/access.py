"""Who asks, and what they may see and change."""

from dataclasses import dataclass, field
from typing import Literal

from tests.loopback_hub.repository import Repository
from tests.loopback_hub.wire import Call, RefusedError

Role = Literal["read", "write", "contribute", "read+contribute", "identify"]


@dataclass(frozen=True)
class User:
    """A user as one of their tokens knows them.

    `contribute` may create, and then sees and changes only what such tokens of the user created; `read+contribute`
    sees all that the user may; `identify` says who the user is and nothing else.
    """

    name: str
    orgs: tuple[str, ...]
    role: Role
    token: str = field(compare=False)

    @property
    def namespaces(self) -> tuple[str, ...]:
        return (self.name, *self.orgs)


def user_of(call: Call) -> User | None:
    """The user behind the Authorization header; None without one."""
    header = call.headers.get("authorization")
    if header is None or header.startswith("Basic "):  # an application, of which only /oauth/token knows
        return None
    user = call.hub.users.get(header.removeprefix("Bearer "))
    if user is None:
        raise RefusedError(401, "Invalid credentials in Authorization header")
    return user


def signed_in(call: Call) -> User:
    if call.user is None:
        raise RefusedError(401, "Invalid username or password.")
    return call.user


def no_such_repository(call: Call) -> RefusedError:
    """A repository that is missing and one that is hidden look the same."""
    if call.user is None:
        return RefusedError(401, "Invalid username or password.", "RepoNotFound")
    return RefusedError(404, "Repository not found", "RepoNotFound")


def sees_inside(user: User | None, repository: Repository) -> bool:
    """Whether a private or gated repository is open to the user."""
    if user is None or user.role == "identify":
        return False
    if user.role == "contribute":
        return repository.creator == user or user.name in repository.granted
    return repository.namespace in user.namespaces or user.name in repository.granted


def may_write(user: User | None, repository: Repository) -> bool:
    if user is None or repository.namespace not in user.namespaces or user.role in ("read", "identify"):
        return False
    return user.role == "write" or repository.creator == user


def readable(call: Call, kind: str, repository_id: str) -> Repository:
    """The repository, if its description may be seen; a gated one may."""
    repository = call.hub.repositories.get((kind, repository_id))
    if repository is None or (repository.private and not sees_inside(call.user, repository)):
        raise no_such_repository(call)
    return repository


def check_files(call: Call, repository: Repository) -> None:
    """Refuse the files of a gated repository to whoever was not granted access."""
    if not repository.gated or sees_inside(call.user, repository):
        return
    what = f"Access to {repository.kind} {repository.id} is restricted"
    if call.user is None:
        raise RefusedError(401, f"{what}. You must be authenticated to access it. Please log in.", "GatedRepo")
    page = f"{call.hub.endpoint}{repository.page}"
    message = f"{what} and you are not in the authorized list. Visit {page} to ask for access."
    raise RefusedError(403, message, "GatedRepo")


def writable(call: Call, kind: str, repository_id: str) -> Repository:
    repository = readable(call, kind, repository_id)
    user = signed_in(call)
    if not may_write(user, repository):
        raise RefusedError(
            403, f"Forbidden: you do not have the right to write to {kind} {repository_id} with this token"
        )
    return repository


def open_to_proposals(call: Call, kind: str, repository_id: str) -> Repository:
    """The repository, if the user may open a discussion or a pull request there."""
    repository = readable(call, kind, repository_id)
    user = signed_in(call)
    if user.role != "write" and (user.role in ("read", "identify") or repository.creator != user):
        raise RefusedError(403, f"Forbidden: this token may not open discussions in {kind} {repository_id}")
    return repository


def check_namespace(call: Call, namespace: str) -> User:
    """The user, if they may create something under that name."""
    user = signed_in(call)
    if user.role in ("read", "identify") or namespace not in user.namespaces:
        raise RefusedError(403, f'You don\'t have the rights to create something under the namespace "{namespace}"')
    return user
