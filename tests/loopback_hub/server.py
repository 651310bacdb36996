"""The test Hub itself: its state, the seeding that needs no wire, and the two servers in front of it."""

import hashlib
import threading
from collections.abc import Mapping
from http.server import ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any

from tests.loopback_hub.access import Role, User
from tests.loopback_hub.bandwidth import Line
from tests.loopback_hub.collection_pages import HubCollection
from tests.loopback_hub.faults import Fault, Faults
from tests.loopback_hub.git_objects import StoredFile
from tests.loopback_hub.handler import HubSocketServer
from tests.loopback_hub.job_pages import HubJob
from tests.loopback_hub.oauth_pages import DEFAULT_SCOPES, OAuthApp, SignIn
from tests.loopback_hub.repository import Gated, Repository
from tests.loopback_hub.wire import Request


class HubServer:
    """A Hub on 127.0.0.1 and, on a second port, the origin that its large files come from.

    Attributes:
        requests: Every request so far, in the order of their answers.
        page_size: The most that one page of a listing holds.
        refused_expand: `expand` keys that listings refuse with 400.
        line: How fast answers get out, all together; None for as fast as they can.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.stopped = threading.Event()
        self.requests: list[Request] = []
        self.faults = Faults()
        self._tokens = count(1)
        self._set_defaults()
        self._servers = [HubSocketServer(self, is_cdn=False), HubSocketServer(self, is_cdn=True)]
        # Another host name too: huggingface_hub 1.x takes every port of one host for the Hub itself.
        self.endpoint = f"http://127.0.0.1:{self._servers[0].server_port}"
        self.cdn_endpoint = f"http://localhost:{self._servers[1].server_port}"
        self._threads = [_serving(server) for server in self._servers]

    def _set_defaults(self) -> None:
        self.users: dict[str, User] = {}
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.blobs: dict[str, bytes] = {}
        self.collections: dict[str, HubCollection] = {}
        self.jobs: dict[str, HubJob] = {}
        self.oauth_apps: dict[str, OAuthApp] = {}
        self.oauth_codes: dict[str, SignIn] = {}
        self.page_size = 1000
        self.refused_expand: set[str] = set()
        self.line: Line | None = None

    def __enter__(self) -> "HubServer":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Close both ports and every connection."""
        self.stopped.set()
        for server, thread in zip(self._servers, self._threads, strict=True):
            server.stop()
            thread.join()

    def reset(self) -> None:
        """Forget everything but the ports."""
        with self.lock:
            self.requests.clear()
            self.faults.clear()
            self._set_defaults()

    def add_fault(self, fault: Fault) -> None:
        self.faults.add(fault)

    def add_user(self, name: str, *, orgs: tuple[str, ...] = (), role: Role = "write") -> str:
        """A new token of a new or known user."""
        text = f"{name} {role} {next(self._tokens)}"
        token = "hf_" + hashlib.sha256(text.encode()).hexdigest()[:34]
        self.users[token] = User(name, tuple(orgs), role, token)
        return token

    def add_oauth_app(self, origin: str, *, scopes: tuple[str, ...] = DEFAULT_SCOPES) -> OAuthApp:
        """An application, at home at an origin such as http://localhost:7860, that users may sign in to."""
        number = len(self.oauth_apps) + 1
        app = OAuthApp(f"app-{number}", f"secret-of-app-{number}", origin, scopes)
        self.oauth_apps[app.client_id] = app
        return app

    def repo(self, repository_id: str, *, kind: str = "model") -> Repository:
        return self.repositories[kind, repository_id]

    def add_repo(
        self,
        repository_id: str,
        *,
        kind: str = "model",
        files: Mapping[str, bytes] | None = None,
        folder: Path | None = None,
        last_modified: str | None = None,
        private: bool = False,
        gated: Gated = False,
        granted: tuple[str, ...] = (),
        **facts: Any,
    ) -> str:
        """Seed a repository of one commit and give its sha; `facts` are downloads, likes and tags."""
        repository = Repository(kind, repository_id, private=private, gated=gated, granted=set(granted), **facts)
        self._commit(repository, files, folder, date=last_modified, title="initial commit")
        with self.lock:
            assert (kind, repository_id) not in self.repositories, f"{kind} {repository_id} is there already"
            self.repositories[kind, repository_id] = repository
        return repository.head

    def commit(
        self,
        repository_id: str,
        *,
        kind: str = "model",
        files: Mapping[str, bytes] | None = None,
        folder: Path | None = None,
        deleted: tuple[str, ...] = (),
    ) -> str:
        """A further commit on main, without the wire; gives its sha."""
        return self._commit(self.repo(repository_id, kind=kind), files, folder, deleted=deleted, title="change")

    def _commit(
        self,
        repository: Repository,
        files: Mapping[str, bytes] | None,
        folder: Path | None,
        *,
        title: str,
        date: str | None = None,
        deleted: tuple[str, ...] = (),
    ) -> str:
        contents = dict(files or {})
        if folder is not None:
            paths = [path for path in folder.rglob("*") if path.is_file()]
            contents |= {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
        changes: dict[str, StoredFile | None] = dict.fromkeys(deleted)
        for path, content in contents.items():
            changes[path] = self.stored(StoredFile.of(path, content))
        return repository.commit(changes, title, date=date).oid

    def stored(self, file: StoredFile) -> StoredFile:
        """The file, its content within reach of the CDN origin if it belongs there."""
        if file.is_lfs:
            self.blobs[file.sha256] = file.content
        return file


def _serving(server: ThreadingHTTPServer) -> threading.Thread:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    return thread
