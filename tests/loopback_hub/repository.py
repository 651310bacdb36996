"""A repository of the test Hub: its commits, references, discussions, and who may see it."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Literal

from tests.loopback_hub.git_objects import Commit, StoredFile, git_sha1, tree_oid
from tests.loopback_hub.model_facts import dataset_facts, model_facts

if TYPE_CHECKING:
    from tests.loopback_hub.access import User
    from tests.loopback_hub.discussions import Discussion

Gated = Literal["auto", "manual", False]


def now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


@dataclass(eq=False)
class Repository:
    """`granted` may read whatever the repository hides: a private one, and the files of a gated one."""

    kind: str
    id: str
    private: bool = False
    gated: Gated = False
    downloads: int = 0
    likes: int = 0
    tags: tuple[str, ...] = ()
    granted: set[str] = field(default_factory=set)
    creator: "User | None" = None
    created_at: str = field(default_factory=now)
    refs: dict[str, str] = field(default_factory=dict)
    objects: dict[str, Commit] = field(default_factory=dict)
    discussions: list["Discussion"] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)
    facts_of: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def namespace(self) -> str:
        return self.id.partition("/")[0]

    @property
    def page(self) -> str:
        """The path of its web page."""
        return f"/{self.id}" if self.kind == "model" else f"/{self.kind}s/{self.id}"

    @property
    def head(self) -> str:
        return self.refs["refs/heads/main"]

    @property
    def commits(self) -> list[Commit]:
        """The commits of main, oldest first."""
        return self.history(self.head)[::-1]

    def history(self, oid: str | None) -> list[Commit]:
        """A commit and all before it, newest first."""
        commits = []
        while oid is not None:
            commits.append(self.objects[oid])
            oid = commits[-1].parent
        return commits

    def resolve(self, revision: str) -> Commit | None:
        """The commit that a sha, branch, tag or full reference names."""
        for name in (revision, f"refs/heads/{revision}", f"refs/tags/{revision}"):
            if name in self.refs:
                return self.objects[self.refs[name]]
        return self.objects.get(revision)

    def files_at(self, revision: str = "main") -> dict[str, bytes]:
        commit = self.resolve(revision)
        assert commit is not None, f"{self.id} has no revision {revision}"
        return {path: file.content for path, file in commit.files.items()}

    def facts(self, commit: Commit) -> dict[str, Any]:
        """What the Hub derives from the files of a commit."""
        if commit.oid not in self.facts_of:
            derive = model_facts if self.kind == "model" else dataset_facts
            self.facts_of[commit.oid] = derive(commit.files, self.tags)
        return self.facts_of[commit.oid]

    def commit(
        self,
        changes: Mapping[str, StoredFile | None],
        title: str,
        *,
        reference: str = "refs/heads/main",
        description: str = "",
        author: str = "seed",
        date: str | None = None,
    ) -> Commit:
        """Add a commit to a reference (None deletes a file), or none where nothing changes."""
        with self.lock:
            parent = self.refs.get(reference)
            before = dict(self.objects[parent].files) if parent else {}
            after = {path: file for path, file in {**before, **changes}.items() if file is not None}
            if parent and tree_oid(after) == tree_oid(before):
                return self.objects[parent]
            text = f"tree {tree_oid(after)}\nparent {parent}\nrepository {self.kind} {self.id}\n\n{title}"
            oid = git_sha1("commit", text.encode())
            made = Commit(oid, parent, after, title, description, author, date or now())
            self.objects[oid] = made
            self.refs[reference] = oid
            return made
