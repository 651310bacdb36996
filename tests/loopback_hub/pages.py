"""The table of everything that the test Hub answers: method, path, function."""

import re
from collections.abc import Callable
from urllib.parse import unquote

from tests.loopback_hub import (
    accounts,
    collection_pages,
    descriptions,
    discussions,
    downloads,
    job_pages,
    listing,
    oauth_pages,
    uploads,
)
from tests.loopback_hub.wire import Answer, Call, RefusedError

ID = r"(?P<repository_id>[^/]+/[^/]+|[^/]+)"
API = rf"/api/(?P<kind>model|dataset|space)s/{ID}"
WEB = rf"(?:/(?P<kind>dataset|space)s)?/{ID}"
REV = r"(?P<revision>[^/]+)"

PAGES: list[tuple[str, str, Callable[..., Answer]]] = [
    ("GET", r"/api/whoami-v2", accounts.whoami),
    ("GET", r"/\.well-known/openid-configuration", oauth_pages.configuration),
    ("GET", r"/oauth/jwks", oauth_pages.keys),
    ("GET", r"/oauth/authorize", oauth_pages.ask),
    ("POST", r"/oauth/authorize", oauth_pages.answer),
    ("POST", r"/oauth/token", oauth_pages.exchange),
    ("GET", r"/oauth/userinfo", oauth_pages.userinfo),
    ("POST", r"/api/repos/create", accounts.create),
    ("DELETE", r"/api/repos/delete", accounts.delete),
    ("PUT", rf"{API}/settings", accounts.change_settings),
    ("GET", rf"{API}/auth-check", accounts.check_read),
    ("GET", rf"{API}/auth-check/write", accounts.check_write),
    ("POST", r"/api/validate-yaml", uploads.validate_yaml),
    ("GET", r"/api/(?P<kind>model|dataset|space)s", listing.list_repositories),
    ("GET", rf"{API}/revision/{REV}", descriptions.info),
    ("GET", rf"{API}/tree/{REV}(?:/(?P<path>.*))?", descriptions.tree),
    ("POST", rf"{API}/paths-info/{REV}", descriptions.paths_info),
    ("GET", rf"{API}/refs", descriptions.references),
    ("GET", rf"{API}/commits/{REV}", descriptions.commits),
    ("POST", rf"{API}/(?P<sort>branch|tag)/{REV}", descriptions.add_reference),
    ("POST", rf"{API}/preupload/{REV}", uploads.preupload),
    ("POST", rf"{API}/commit/{REV}", uploads.commit),
    ("POST", rf"{API}/discussions", discussions.create),
    ("GET", rf"{API}/discussions", discussions.list_all),
    ("GET", rf"{API}/discussions/(?P<number>\d+)", discussions.details),
    ("POST", rf"{API}/discussions/(?P<number>\d+)/comment", discussions.comment),
    ("POST", rf"{API}/discussions/(?P<number>\d+)/title", discussions.retitle),
    ("POST", rf"{API}/discussions/(?P<number>\d+)/status", discussions.change_status),
    ("POST", rf"{API}/discussions/(?P<number>\d+)/merge", discussions.merge),
    ("GET", API, descriptions.info),
    ("POST", r"/api/collections", collection_pages.create),
    ("GET", r"/api/collections", collection_pages.list_all),
    ("GET", r"/api/collections/(?P<slug>[^/]+/[^/]+)", collection_pages.show),
    ("DELETE", r"/api/collections/(?P<slug>[^/]+/[^/]+)", collection_pages.delete),
    ("POST", r"/api/collections/(?P<slug>[^/]+/[^/]+)/items", collection_pages.add_item),
    ("PATCH", r"/api/collections/(?P<slug>[^/]+/[^/]+)/items/(?P<item>\w+)", collection_pages.change_item),
    ("DELETE", r"/api/collections/(?P<slug>[^/]+/[^/]+)/items/(?P<item>\w+)", collection_pages.delete_item),
    ("GET", r"/api/jobs/hardware", job_pages.hardware),
    ("POST", r"/api/jobs/(?P<namespace>[^/]+)", job_pages.run),
    ("GET", r"/api/jobs/(?P<namespace>[^/]+)", job_pages.listed),
    ("GET", r"/api/jobs/(?P<namespace>[^/]+)/(?P<job_id>\w+)", job_pages.inspect),
    ("POST", r"/api/jobs/(?P<namespace>[^/]+)/(?P<job_id>\w+)/cancel", job_pages.cancel),
    ("POST", rf"{WEB}\.git/info/lfs/objects/batch", uploads.lfs_batch),
    ("POST", rf"{WEB}\.git/info/lfs/objects/verify", uploads.lfs_verify),
    ("GET", rf"{WEB}/resolve/{REV}/(?P<path>.+)", downloads.resolve),
]
CDN_PAGES: list[tuple[str, str, Callable[..., Answer]]] = [
    ("GET", r"/_cdn/.+?/(?P<sha256>[0-9a-f]{64})/.+", downloads.large_file),
    ("PUT", r"/_upload/(?P<sha256>[0-9a-f]{64})", uploads.lfs_put),
]


def _compiled(
    pages: list[tuple[str, str, Callable[..., Answer]]],
) -> list[tuple[str, re.Pattern[str], Callable[..., Answer]]]:
    return [(method, re.compile(pattern), function) for method, pattern, function in pages]


MAIN, CDN = _compiled(PAGES), _compiled(CDN_PAGES)


def answer_to(call: Call) -> Answer:
    """What the first page that fits answers.

    Raises:
        RefusedError: the page says no, or there is none.
    """
    wanted = "GET" if call.method == "HEAD" else call.method
    for method, pattern, function in CDN if call.is_cdn else MAIN:
        if method == wanted and (match := pattern.fullmatch(call.path)):
            # Unquoted only now: a revision such as refs%2Fpr%2F1 is one part of the path.
            parts = {name: unquote(part) for name, part in match.groupdict().items() if part is not None}
            if "/resolve/" in pattern.pattern or ".git/" in pattern.pattern:
                parts.setdefault("kind", "model")
            return function(call, **parts)
    raise RefusedError(404, f"the test Hub has no page {call.method} {call.path}")
