"""GET /api/models and its like: filters, order, pages, and the facts that were asked for."""

from typing import Any

from tests.loopback_hub.access import sees_inside
from tests.loopback_hub.descriptions import check_expand, description, identity, page_of
from tests.loopback_hub.repository import Repository
from tests.loopback_hub.wire import Answer, Call, RefusedError, json_answer

SORTS = ("createdAt", "lastModified", "downloads", "likes", "trendingScore")
ALWAYS = ("likes", "trendingScore", "private", "downloads", "tags", "pipeline_tag", "library_name", "createdAt")
WHEN_FULL = ("author", "sha", "lastModified", "gated", "disabled", "siblings")
SUFFIXES = {"K": 10**3, "M": 10**6, "B": 10**9}


def list_repositories(call: Call, kind: str) -> Answer:
    expand = call.query.get("expand", [])
    check_expand(expand, call.hub.refused_expand)
    with call.hub.lock:
        repositories = [one for (its_kind, _), one in call.hub.repositories.items() if its_kind == kind]
    known = [
        (repository, description(repository, repository.objects[repository.head]))
        for repository in repositories
        if not repository.private or sees_inside(call.user, repository)
    ]
    found = [(repository, facts) for repository, facts in known if _matches(call, repository, facts)]
    shown, headers = page_of(call, _sorted(call, found))
    keys = expand or _default_keys(call)
    return json_answer(
        [_item(repository, facts, keys, bare=bool(expand)) for repository, facts in shown], headers=headers
    )


def _item(repository: Repository, facts: dict[str, Any], keys: list[str], *, bare: bool) -> dict[str, Any]:
    more = {} if bare or repository.kind != "model" else {"modelId": repository.id}
    return {**identity(repository), **more, **{key: facts[key] for key in keys if key in facts}}


def _default_keys(call: Call) -> list[str]:
    keys = [*ALWAYS]
    if call.flag("full"):
        keys += WHEN_FULL
    return keys + [key for key in ("cardData", "config") if call.flag(key)]


def _matches(call: Call, repository: Repository, facts: dict[str, Any]) -> bool:
    author, search, gated = call.first("author"), call.first("search"), call.first("gated")
    task = call.first("pipeline_tag")
    return (
        (author is None or repository.namespace == author)
        and (search is None or search.lower() in repository.id.lower())
        and (gated is None or bool(repository.gated) == (gated == "true"))
        and (task is None or facts.get("pipeline_tag") == task)
        and set(call.query.get("filter", [])) <= {*facts["tags"], f"author:{repository.namespace}"}
        and _within(call.first("num_parameters"), facts.get("safetensors"))
    )


def _within(limits: str | None, safetensors: dict[str, Any] | None) -> bool:
    """Whether the number of parameters keeps to "min:1K,max:100M"; an unknown one does not."""
    if limits is None:
        return True
    if safetensors is None:
        return False
    bounds = dict(limit.split(":") for limit in limits.split(","))
    return _number(bounds.get("min", "0")) <= safetensors["total"] <= _number(bounds.get("max", "1000000B"))


def _number(text: str) -> float:
    return float(text[:-1]) * SUFFIXES[text[-1]] if text[-1] in SUFFIXES else float(text)


def _sorted(call: Call, found: list[tuple[Repository, dict[str, Any]]]) -> list[tuple[Repository, dict[str, Any]]]:
    """Largest or latest first, as the Hub sorts by everything; equal ones in the order of their creation."""
    sort = call.first("sort") or "trendingScore"
    if sort not in SORTS:
        raise RefusedError(400, f'"sort" must be one of {", ".join(SORTS)}')
    return sorted(found, key=lambda pair: pair[1][sort], reverse=True)
