"""What a client writes: which files go where, large objects, commits and pull requests."""

import base64
import hashlib
import json
from typing import Any

import yaml

from tests.loopback_hub.access import User, may_write, open_to_proposals, readable, signed_in, writable
from tests.loopback_hub.descriptions import commit_at
from tests.loopback_hub.discussions import open_discussion
from tests.loopback_hub.git_objects import Commit, StoredFile, goes_to_lfs
from tests.loopback_hub.model_facts import front_matter
from tests.loopback_hub.repository import Repository
from tests.loopback_hub.wire import Answer, Call, RefusedError, json_answer


def validate_yaml(call: Call) -> Answer:
    """Front matter must be a mapping; anonymous clients may ask as well."""
    check_card(call.json()["content"].encode())
    return json_answer({"errors": [], "warnings": []})


def check_card(content: bytes) -> None:
    try:
        card = front_matter(content)
    except yaml.YAMLError as error:
        message = f"Invalid metadata in README.md: {error}"
        raise RefusedError(400, message, errors=[{"message": message}], warnings=[]) from error
    if not isinstance(card, dict):
        raise RefusedError(400, "Invalid metadata in README.md", errors=[{"message": "no mapping"}], warnings=[])


def changeable(call: Call, kind: str, repository_id: str, revision: str) -> Repository:
    """The repository, if this user may change that revision or, with create_pr, propose to."""
    if call.flag("create_pr"):
        return open_to_proposals(call, kind, repository_id)
    if revision.startswith("refs/pr/"):
        repository = open_to_proposals(call, kind, repository_id)
        check_pull_request(signed_in(call), repository, revision)
        return repository
    return writable(call, kind, repository_id)


def check_pull_request(user: User, repository: Repository, reference: str) -> None:
    for discussion in repository.discussions:
        if discussion.reference == reference:
            if discussion.status not in ("open", "draft"):
                raise RefusedError(403, f"{reference} is {discussion.status}")
            if discussion.author != user.name and not may_write(user, repository):
                raise RefusedError(403, f"Forbidden: {reference} is not yours")


def preupload(call: Call, kind: str, repository_id: str, revision: str) -> Answer:
    repository = changeable(call, kind, repository_id, revision)
    known = commit_at(repository, revision).files
    files = []
    for asked in call.json()["files"]:
        lfs = goes_to_lfs(asked["path"], base64.b64decode(asked["sample"]), asked["size"])
        file = {"path": asked["path"], "uploadMode": "lfs" if lfs else "regular", "shouldIgnore": False}
        if asked["path"] in known:
            file["oid"] = known[asked["path"]].etag
        files.append(file)
    return json_answer({"files": files, "commitOid": commit_at(repository, revision).oid})


def lfs_batch(call: Call, kind: str, repository_id: str) -> Answer:
    open_to_proposals(call, kind, repository_id)
    prefix = "" if kind == "model" else f"/{kind}s"
    verify = f"{call.hub.endpoint}{prefix}/{repository_id}.git/info/lfs/objects/verify"
    objects = []
    for asked in call.json()["objects"]:
        wanted: dict[str, Any] = {"oid": asked["oid"], "size": asked["size"]}
        if asked["oid"] not in call.hub.blobs:
            upload = f"{call.hub.cdn_endpoint}/_upload/{asked['oid']}"
            wanted["actions"] = {"upload": {"href": upload, "header": {}}, "verify": {"href": verify, "header": {}}}
        objects.append(wanted)
    return json_answer({"transfer": "basic", "objects": objects})


def lfs_put(call: Call, sha256: str) -> Answer:
    if "authorization" in call.headers:
        raise RefusedError(400, "Only one auth mechanism allowed")
    if hashlib.sha256(call.body).hexdigest() != sha256:
        raise RefusedError(400, "the content is not what its name promises")
    call.hub.blobs[sha256] = call.body
    return Answer()


def lfs_verify(call: Call, kind: str, repository_id: str) -> Answer:
    readable(call, kind, repository_id)
    asked = call.json()
    if len(call.hub.blobs.get(asked["oid"], b"")) != asked["size"]:
        raise RefusedError(404, "the object was not uploaded")
    return json_answer(asked)


def commit(call: Call, kind: str, repository_id: str, revision: str) -> Answer:
    """One commit under the repository's lock, so that writers at the same time come one after the other."""
    repository = changeable(call, kind, repository_id, revision)
    user = signed_in(call)
    lines = [json.loads(line) for line in call.body.splitlines() if line.strip()]
    header = next(line["value"] for line in lines if line["key"] == "header")
    with repository.lock:
        base = _base(call, repository, revision, header.get("parentCommit"))
        changes = _changes(call, base, lines)
        answer: dict[str, Any] = {"success": True, "hookOutput": ""}
        reference = revision if revision.startswith("refs/") else f"refs/heads/{revision}"
        if call.flag("create_pr"):
            discussion = open_discussion(repository, user, header["summary"], header["description"], base=base.oid)
            reference = discussion.reference
            answer["pullRequestUrl"] = f"{call.hub.endpoint}{repository.page}/discussions/{discussion.number}"
        made = repository.commit(
            changes, header["summary"], reference=reference, description=header["description"], author=user.name
        )
    url = f"{call.hub.endpoint}{repository.page}/commit/{made.oid}"
    return json_answer({**answer, "commitOid": made.oid, "commitUrl": url})


def _base(call: Call, repository: Repository, revision: str, parent: str | None) -> Commit:
    """The commit to build on: the head, which must be the expected parent, or for a pull request that parent."""
    head = commit_at(repository, revision)
    if parent is None or parent == head.oid:
        return head
    if call.flag("create_pr"):
        return commit_at(repository, parent)
    raise RefusedError(412, "A commit has happened since. Please refresh and try again.")


def _changes(call: Call, base: Commit, lines: list[dict[str, Any]]) -> dict[str, StoredFile | None]:
    changes: dict[str, StoredFile | None] = {}
    for line in lines:
        value = line["value"]
        match line["key"]:
            case "file":
                content = base64.b64decode(value["content"])
                if value["path"] == "README.md":
                    check_card(content)
                changes[value["path"]] = StoredFile(content, is_lfs=False)
            case "lfsFile":
                if value["oid"] not in call.hub.blobs:
                    raise RefusedError(400, f"the object of {value['path']} was not uploaded")
                changes[value["path"]] = StoredFile(call.hub.blobs[value["oid"]], is_lfs=True)
            case "deletedFile":
                if value["path"] not in base.files:
                    raise RefusedError(404, f"{value['path']} does not exist", "EntryNotFound")
                changes[value["path"]] = None
            case "deletedFolder":
                inside = [path for path in base.files if path.startswith(value["path"].rstrip("/") + "/")]
                changes |= dict.fromkeys(inside)
    return changes
