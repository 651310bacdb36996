"""The bytes of files: small ones from the Hub, large ones by a redirect to the second origin."""

import re
from urllib.parse import quote

from tests.loopback_hub.access import check_files, readable
from tests.loopback_hub.descriptions import commit_at
from tests.loopback_hub.wire import Answer, Call, RefusedError


def resolve(call: Call, kind: str, repository_id: str, revision: str, path: str) -> Answer:
    repository = readable(call, kind, repository_id)
    check_files(call, repository)
    commit = commit_at(repository, revision)
    headers = {"X-Repo-Commit": commit.oid, "Accept-Ranges": "bytes"}
    file = commit.files.get(path)
    if file is None:
        raise RefusedError(404, "Entry not found", "EntryNotFound", headers=headers)
    if not file.is_lfs:
        return ranged(call, file.content, {**headers, "ETag": f'"{file.etag}"', "Content-Type": "text/plain"})
    location = f"{call.hub.cdn_endpoint}/_cdn/{kind}s/{repository_id}/{file.sha256}/{quote(path)}"
    linked = {"X-Linked-Size": str(len(file.content)), "X-Linked-Etag": f'"{file.etag}"', "Location": location}
    return Answer(status=302, headers={**headers, **linked})


def large_file(call: Call, sha256: str) -> Answer:
    """A signed address needs no token, and storage behind a CDN refuses one that brings both."""
    if "authorization" in call.headers:
        raise RefusedError(400, "Only one auth mechanism allowed")
    if sha256 not in call.hub.blobs:
        raise RefusedError(404, "no such object")
    return ranged(call, call.hub.blobs[sha256], {"ETag": f'"{sha256}"', "Accept-Ranges": "bytes"})


def ranged(call: Call, content: bytes, headers: dict[str, str]) -> Answer:
    """All of the content, or the one range of bytes that the request names."""
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", call.headers.get("range", ""))
    if match is None or match.groups() == ("", ""):
        return Answer(content, headers=headers)
    first, last = match.groups()
    size = len(content)
    start = int(first) if first else max(size - int(last), 0)
    end = min(int(last) if first and last else size - 1, size - 1)
    if start > end:
        return Answer(status=416, headers={**headers, "Content-Range": f"bytes */{size}"})
    return Answer(content[start : end + 1], 206, {**headers, "Content-Range": f"bytes {start}-{end}/{size}"})
