"""Discussions and pull requests: open, list, comment, close, merge."""

from dataclasses import dataclass, field
from typing import Any

from tests.loopback_hub.access import User, may_write, open_to_proposals, readable, signed_in, writable
from tests.loopback_hub.repository import Repository, now
from tests.loopback_hub.wire import Answer, Call, RefusedError, json_answer

PAGE_SIZE = 10


@dataclass(eq=False)
class Discussion:
    number: int
    title: str
    author: str
    base: str | None  # the commit that a pull request started from; None for a discussion
    status: str = "open"
    created_at: str = field(default_factory=now)
    events: list[dict[str, Any]] = field(default_factory=list)
    merge_commit: str | None = None

    @property
    def reference(self) -> str:
        return f"refs/pr/{self.number}"

    def add_event(self, kind: str, author: str, data: dict[str, Any]) -> dict[str, Any]:
        number = f"{self.number:04x}{len(self.events):04x}"
        event = {"id": number, "type": kind, "createdAt": now(), "author": {"name": author}, "data": data}
        self.events.append(event)
        return event

    def add_comment(self, author: str, text: str) -> dict[str, Any]:
        latest = {"raw": text, "html": text, "updatedAt": now(), "author": {"name": author}}
        return self.add_event("comment", author, {"edited": False, "hidden": False, "latest": latest, "history": []})


def open_discussion(
    repository: Repository, user: User, title: str, description: str, *, base: str | None, status: str = "open"
) -> Discussion:
    """A new discussion, or with a base commit a new pull request with its own reference."""
    with repository.lock:
        discussion = Discussion(len(repository.discussions) + 1, title, user.name, base, status)
        discussion.add_comment(user.name, description)
        repository.discussions.append(discussion)
        if base is not None:
            repository.refs[discussion.reference] = base
    return discussion


def create(call: Call, kind: str, repository_id: str) -> Answer:
    """The client's upload_folder opens its pull requests as drafts and commits to them afterwards."""
    repository = open_to_proposals(call, kind, repository_id)
    asked = call.json()
    base, status = (repository.head, "draft") if asked.get("pullRequest") else (None, "open")
    discussion = open_discussion(
        repository, signed_in(call), asked["title"], asked.get("description", ""), base=base, status=status
    )
    url = f"{call.hub.endpoint}{repository.page}/discussions/{discussion.number}"
    return json_answer({"num": discussion.number, "pullRequest": base is not None, "url": url})


def _summary(repository: Repository, discussion: Discussion) -> dict[str, Any]:
    return {
        "num": discussion.number,
        "title": discussion.title,
        "status": discussion.status,
        "isPullRequest": discussion.base is not None,
        "createdAt": discussion.created_at,
        "author": {"name": discussion.author},
        "repo": {"name": repository.id, "type": repository.kind},
        "numComments": sum(event["type"] == "comment" for event in discussion.events),
    }


def list_all(call: Call, kind: str, repository_id: str) -> Answer:
    """Newest first, pages of ten, drafts among the open ones."""
    repository = readable(call, kind, repository_id)
    author, wanted, status = call.first("author"), call.first("type"), call.first("status")
    found = [
        _summary(repository, discussion)
        for discussion in reversed(repository.discussions)
        if author in (None, discussion.author)
        and (wanted in (None, "all") or (wanted == "pull_request") == (discussion.base is not None))
        and (status in (None, "all") or (status == "open") == (discussion.status in ("open", "draft")))
    ]
    start = int(call.first("p") or 0) * PAGE_SIZE
    shown = found[start : start + PAGE_SIZE]
    return json_answer({"discussions": shown, "count": len(found), "start": start})


def _found(repository: Repository, number: str) -> Discussion:
    if not 1 <= int(number) <= len(repository.discussions):
        raise RefusedError(404, f"no discussion {number}")
    return repository.discussions[int(number) - 1]


def details(call: Call, kind: str, repository_id: str, number: str) -> Answer:
    repository = readable(call, kind, repository_id)
    discussion = _found(repository, number)
    shown = {**_summary(repository, discussion), "events": discussion.events}
    if discussion.base is not None:
        changed = _changed(repository, discussion)
        shown["changes"] = {"base": "refs/heads/main", "mergeCommitId": discussion.merge_commit}
        shown["filesWithConflicts"] = _conflicts(repository, discussion)
        shown["diff"] = "".join(f"diff --git a/{path} b/{path}\n" for path in changed)
    return json_answer(shown)


def comment(call: Call, kind: str, repository_id: str, number: str) -> Answer:
    discussion = _found(open_to_proposals(call, kind, repository_id), number)
    return json_answer({"newMessage": discussion.add_comment(signed_in(call).name, call.json()["comment"])})


def _own(call: Call, kind: str, repository_id: str, number: str) -> Discussion:
    """The discussion, if the user opened it or may write to its repository."""
    repository = open_to_proposals(call, kind, repository_id)
    discussion = _found(repository, number)
    if discussion.author != signed_in(call).name and not may_write(call.user, repository):
        raise RefusedError(403, f"Forbidden: discussion {number} is not yours")
    return discussion


def retitle(call: Call, kind: str, repository_id: str, number: str) -> Answer:
    discussion = _own(call, kind, repository_id, number)
    old, discussion.title = discussion.title, call.json()["title"]
    event = discussion.add_event("title-change", signed_in(call).name, {"from": old, "to": discussion.title})
    return json_answer({"newTitle": event})


def change_status(call: Call, kind: str, repository_id: str, number: str) -> Answer:
    discussion = _own(call, kind, repository_id, number)
    if discussion.status == "merged":
        raise RefusedError(400, "a merged pull request stays merged")
    discussion.status = call.json()["status"]
    if text := call.json().get("comment"):
        discussion.add_comment(signed_in(call).name, text)
    event = discussion.add_event("status-change", signed_in(call).name, {"status": discussion.status})
    return json_answer({"newStatus": event})


def _changed(repository: Repository, discussion: Discussion) -> dict[str, Any]:
    """Path -> file (None: deleted) of all that the pull request changes."""
    assert discussion.base is not None
    before = repository.objects[discussion.base].files
    after = repository.objects[repository.refs[discussion.reference]].files
    return {path: after.get(path) for path in sorted({*before, *after}) if before.get(path) != after.get(path)}


def _conflicts(repository: Repository, discussion: Discussion) -> list[str]:
    """Files that main has changed as well, and differently."""
    assert discussion.base is not None
    before, main = repository.objects[discussion.base].files, repository.objects[repository.head].files
    changed = _changed(repository, discussion)
    return [path for path in changed if main.get(path) not in (before.get(path), changed[path])]


def merge(call: Call, kind: str, repository_id: str, number: str) -> Answer:
    repository = writable(call, kind, repository_id)
    user = signed_in(call)
    with repository.lock:
        discussion = _found(repository, number)
        if discussion.base is None or discussion.status not in ("open", "draft"):
            raise RefusedError(400, f"discussion {number} cannot be merged")
        if conflicts := _conflicts(repository, discussion):
            raise RefusedError(409, f"conflicts in {', '.join(conflicts)}")
        title = f"{discussion.title} (#{number})"
        merged = repository.commit(_changed(repository, discussion), title, author=user.name)
        discussion.status, discussion.merge_commit = "merged", merged.oid
        discussion.add_event("status-change", user.name, {"status": "merged"})
    return json_answer({})
