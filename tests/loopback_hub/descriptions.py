"""What a repository says of itself: facts, file lists, references and commits."""

from typing import Any
from urllib.parse import parse_qs, urlencode

from tests.loopback_hub.access import readable, writable
from tests.loopback_hub.git_objects import Commit, folder_entries
from tests.loopback_hub.repository import Repository
from tests.loopback_hub.wire import Answer, Call, RefusedError, json_answer

EXPANDABLE = {
    *("author", "baseModels", "cardData", "childrenModelCount", "config", "createdAt", "description", "disabled"),
    *("downloads", "downloadsAllTime", "evalResults", "gated", "gguf", "inference", "inferenceProviderMapping"),
    *("lastModified", "library_name", "likes", "mask_token", "model-index", "pipeline_tag", "private"),
    *("resourceGroup", "safetensors", "sha", "siblings", "spaces", "tags", "transformersInfo", "trendingScore"),
    *("usedStorage", "widgetData"),
}
# Only ever sent when asked for by name.
RARE = {"baseModels", "evalResults", "childrenModelCount", "trendingScore"}


def commit_at(repository: Repository, revision: str) -> Commit:
    commit = repository.resolve(revision)
    if commit is None:
        raise RefusedError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
    return commit


def description(repository: Repository, commit: Commit) -> dict[str, Any]:
    """Every fact of a repository that is known, by the key of `expand`."""
    facts = {
        "author": repository.namespace,
        "private": repository.private,
        "gated": repository.gated,
        "disabled": False,
        "downloads": repository.downloads,
        "downloadsAllTime": repository.downloads,
        "likes": repository.likes,
        "trendingScore": 0,
        "createdAt": repository.created_at,
        "lastModified": commit.date,
        "sha": commit.oid,
        "siblings": [{"rfilename": path} for path in sorted(commit.files)],
        "usedStorage": used_storage(repository),
        **repository.facts(commit),
    }
    return {key: value for key, value in facts.items() if value is not None}


def used_storage(repository: Repository) -> int:
    """Bytes of the whole history, each content once."""
    files = {file.etag: file for commit in repository.objects.values() for file in commit.files.values()}
    return sum(len(file.content) for file in files.values())


def check_expand(keys: list[str], refused: set[str]) -> None:
    if unknown := sorted({key for key in keys if key not in EXPANDABLE or key in refused}):
        raise RefusedError(400, f'"expand" must not hold {", ".join(unknown)}')


def identity(repository: Repository) -> dict[str, Any]:
    return {"_id": f"{repository.kind}:{repository.id}", "id": repository.id}


def info(call: Call, kind: str, repository_id: str, revision: str = "main") -> Answer:
    repository = readable(call, kind, repository_id)
    commit = commit_at(repository, revision)
    known = description(repository, commit)
    if expand := call.query.get("expand", []):
        check_expand(expand, set())
        return json_answer({**identity(repository), **{key: known[key] for key in expand if key in known}})
    if call.flag("blobs"):
        known["siblings"] = [sibling(commit, path) for path in sorted(commit.files)]
    shown = {key: value for key, value in known.items() if key not in RARE}
    return json_answer({**identity(repository), "modelId": repository.id, **shown})


def sibling(commit: Commit, path: str) -> dict[str, Any]:
    file = commit.files[path]
    shown: dict[str, Any] = {"rfilename": path, "size": len(file.content), "blobId": file.oid}
    if file.is_lfs:
        shown["lfs"] = {"sha256": file.sha256, "size": len(file.content), "pointerSize": len(file.pointer)}
    return shown


def tree(call: Call, kind: str, repository_id: str, revision: str, path: str = "") -> Answer:
    """Files and folders below a path; folders also where recursive, as `datasets` needs them."""
    repository = readable(call, kind, repository_id)
    commit = commit_at(repository, revision)
    entries = {**folder_entries(commit.files), **{name: file.entry(name) for name, file in commit.files.items()}}
    prefix = f"{path.rstrip('/')}/" if path else ""
    if prefix and prefix[:-1] not in entries:
        raise RefusedError(404, f'"{path}" does not exist on "{revision}"', "EntryNotFound")
    inside = [entry for name, entry in sorted(entries.items()) if name.startswith(prefix)]
    if not call.flag("recursive"):
        inside = [entry for entry in inside if "/" not in entry["path"].removeprefix(prefix)]
    shown, headers = page_of(call, inside)
    return json_answer(_expanded(call, commit, shown), headers={"X-Repo-Commit": commit.oid, **headers})


def _expanded(call: Call, commit: Commit, entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    expand = call.flag("expand") or parse_qs(call.body.decode()).get("expand") == ["true"]
    last = {"id": commit.oid, "title": commit.title, "date": commit.date}
    return [{**entry, "lastCommit": last} for entry in entries] if expand else entries


def paths_info(call: Call, kind: str, repository_id: str, revision: str) -> Answer:
    repository = readable(call, kind, repository_id)
    commit = commit_at(repository, revision)
    folders = folder_entries(commit.files)
    asked = parse_qs(call.body.decode()).get("paths", [])
    found = [commit.files[path].entry(path) if path in commit.files else folders.get(path) for path in asked]
    return json_answer(_expanded(call, commit, [entry for entry in found if entry]))


def page_of(call: Call, items: list[Any]) -> tuple[list[Any], dict[str, str]]:
    """One page of a list, and the Link to the next one if there is more."""
    size = call.hub.page_size
    if limit := call.first("limit"):
        size = min(size, int(limit))
    start = int(call.first("cursor") or 0)
    if start + size >= len(items):
        return items[start:], {}
    query = urlencode({**call.query, "cursor": [str(start + size)]}, doseq=True)
    return items[start : start + size], {"Link": f'<{call.hub.endpoint}{call.path}?{query}>; rel="next"'}


def references(call: Call, kind: str, repository_id: str) -> Answer:
    repository = readable(call, kind, repository_id)
    lists: dict[str, list[dict[str, str]]] = {"branches": [], "converts": [], "tags": []}
    if call.first("include_prs"):
        lists["pullRequests"] = []
    for reference, oid in repository.refs.items():
        sort = {"refs/heads": "branches", "refs/tags": "tags", "refs/pr": "pullRequests"}[reference.rpartition("/")[0]]
        if sort in lists:
            lists[sort].append({"name": reference.rpartition("/")[2], "ref": reference, "targetCommit": oid})
    return json_answer(lists)


def commits(call: Call, kind: str, repository_id: str, revision: str) -> Answer:
    repository = readable(call, kind, repository_id)
    history = repository.history(commit_at(repository, revision).oid)
    shown, headers = page_of(call, [commit.summary() for commit in history])
    return json_answer(shown, headers=headers)


def add_reference(call: Call, kind: str, repository_id: str, sort: str, revision: str) -> Answer:
    """A branch of that name (from `startingPoint`), or a tag (named in the body) on that revision."""
    repository = writable(call, kind, repository_id)
    wanted = call.json()
    name = f"refs/heads/{revision}" if sort == "branch" else f"refs/tags/{wanted['tag']}"
    target = commit_at(repository, wanted.get("startingPoint", "main") if sort == "branch" else revision)
    with repository.lock:
        if name in repository.refs:
            raise RefusedError(409, f"{name} is there already")
        repository.refs[name] = target.oid
    return Answer()
