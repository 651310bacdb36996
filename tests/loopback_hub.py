"""As much of the Hub as reading datasets and models asks for, over folders on disk and on loopback."""

import hashlib
import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit


@dataclass(frozen=True)
class Repository:
    """A repository of one commit; `refusal` is the Hub's error code for whoever asks."""

    folder: Path
    sha: str
    refusal: tuple[int, str] | None = None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    repositories: dict[str, Repository]
    requests: list[str]

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):  # noqa: PLR0911 - one return for each kind of answer
        path = unquote(urlsplit(self.path).path)
        self.requests.append(f"{self.command} {path}")
        parts = path.removeprefix("/api").strip("/").split("/")
        if parts[0] not in {"datasets", "models"}:  # files of models are asked for as /org/name/resolve/...
            parts = ["models", *parts]
        repository = self.repositories.get("/".join(parts[1:3]))
        if repository is None:
            return self._refuse(404, "RepoNotFound")
        if repository.refusal:
            return self._refuse(*repository.refusal)
        if len(parts) > 4 and parts[4] not in ("main", repository.sha):
            return self._refuse(404, "RevisionNotFound")
        if path.startswith("/api/") and (len(parts) == 3 or parts[3] == "revision"):
            return self._answer(repository, json.dumps({"id": "/".join(parts[1:3]), "sha": repository.sha}).encode())
        target = repository.folder.joinpath(*parts[5:])
        if path.startswith("/api/") and parts[3] == "tree" and target.is_dir():
            paths = target.rglob("*") if "recursive=true" in self.path.lower() else target.iterdir()
            return self._answer(repository, json.dumps([_entry(item, repository.folder) for item in paths]).encode())
        if parts[3] == "resolve" and target.is_file():
            return self._answer(repository, target.read_bytes())
        return self._refuse(404, "EntryNotFound", repository)

    def _answer(self, repository, content):
        self.send_response(200)
        self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", repository.sha)
        self._end(content)

    def _refuse(self, status, code, repository=None):
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", f"{code} says the test Hub")
        if repository:
            self.send_header("X-Repo-Commit", repository.sha)
        self._end(b"{}")

    def _end(self, content):
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *arguments):
        pass


def _entry(path, root):
    name = path.relative_to(root).as_posix()
    if path.is_dir():
        return {"type": "directory", "oid": "0" * 40, "size": 0, "path": name}
    content = path.read_bytes()
    return {"type": "file", "oid": hashlib.sha1(content).hexdigest(), "size": len(content), "path": name}


@contextmanager
def loopback_hub(repositories):
    """Serve until the block ends; gives the endpoint and the list of requests as it grows."""
    handler = type("Handler", (_Handler,), {"repositories": repositories, "requests": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", handler.requests
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
