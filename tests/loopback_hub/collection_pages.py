"""Collections: lists of repositories with a note each."""

import hashlib
import re
from dataclasses import dataclass, field
from typing import Any

from tests.loopback_hub.access import User, check_namespace, readable
from tests.loopback_hub.descriptions import page_of
from tests.loopback_hub.repository import now
from tests.loopback_hub.wire import Answer, Call, RefusedError, json_answer

MAX_TITLE = 60
MAX_NOTE = 500


@dataclass(eq=False)
class HubCollection:
    slug: str
    title: str
    description: str | None
    private: bool
    items: list[dict[str, Any]] = field(default_factory=list)
    last_updated: str = field(default_factory=now)
    n_added: int = 0

    @property
    def namespace(self) -> str:
        return self.slug.partition("/")[0]

    def document(self) -> dict[str, Any]:
        items = [{**item, "position": position} for position, item in enumerate(self.items)]
        return {
            **{"slug": self.slug, "title": self.title, "description": self.description, "private": self.private},
            **{"owner": {"name": self.namespace, "type": "user"}, "items": items, "lastUpdated": self.last_updated},
            **{"position": 0, "theme": "blue", "upvotes": 0, "gating": False, "isUpvotedByUser": False},
        }


def _sees(user: User | None, collection: HubCollection) -> bool:
    return not collection.private or (user is not None and collection.namespace in user.namespaces)


def _found(call: Call, slug: str) -> HubCollection:
    collection = call.hub.collections.get(slug)
    if collection is None or not _sees(call.user, collection):
        raise RefusedError(404, f"Collection {slug} not found")
    return collection


def _own(call: Call, slug: str) -> HubCollection:
    collection = _found(call, slug)
    check_namespace(call, collection.namespace)
    return collection


def create(call: Call) -> Answer:
    asked = call.json()
    check_namespace(call, asked["namespace"])
    title = asked["title"]
    if not 1 <= len(title) < MAX_TITLE:
        raise RefusedError(400, f"a title has 1 to {MAX_TITLE - 1} characters, this one {len(title)}")
    words = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
    number = hashlib.sha256(f"{asked['namespace']}/{title}".encode()).hexdigest()[:24]
    slug = f"{asked['namespace']}/{words}-{number}"
    with call.hub.lock:
        if slug in call.hub.collections:
            raise RefusedError(409, "You already have a collection of that title", slug=slug)
        made = HubCollection(slug, title, asked.get("description"), bool(asked.get("private")))
        call.hub.collections[slug] = made
    return json_answer(made.document())


def list_all(call: Call) -> Answer:
    owners = call.query.get("owner", [])
    with call.hub.lock:
        known = list(call.hub.collections.values())
    found = [one for one in known if _sees(call.user, one) and (not owners or one.namespace in owners)]
    shown, headers = page_of(call, [{**one.document(), "items": one.document()["items"][:4]} for one in found])
    for document in shown:
        del document["position"]  # the client sets it
    return json_answer(shown, headers=headers)


def show(call: Call, slug: str) -> Answer:
    return json_answer(_found(call, slug).document())


def delete(call: Call, slug: str) -> Answer:
    _own(call, slug)
    del call.hub.collections[slug]
    return Answer()


def _checked_note(note: str | None) -> dict[str, str] | None:
    if note is not None and len(note) > MAX_NOTE:
        raise RefusedError(400, f"a note has at most {MAX_NOTE} characters")
    return {"text": note} if note else None


def add_item(call: Call, slug: str) -> Answer:
    collection = _own(call, slug)
    asked = call.json()
    wanted = asked["item"]
    readable(call, wanted["type"], wanted["id"])
    note = _checked_note(asked.get("note"))
    with call.hub.lock:
        if any((item["id"], item["type"]) == (wanted["id"], wanted["type"]) for item in collection.items):
            raise RefusedError(409, f"{wanted['id']} is in the collection already")
        collection.n_added += 1
        item = {"_id": f"{collection.n_added:024x}", "id": wanted["id"], "type": wanted["type"]}
        collection.items.append({**item, "note": note} if note else item)
        collection.last_updated = now()
    return json_answer(collection.document())


def _place(collection: HubCollection, item: str) -> int:
    for place, known in enumerate(collection.items):
        if known["_id"] == item:
            return place
    raise RefusedError(404, f"no item {item}")


def change_item(call: Call, slug: str, item: str) -> Answer:
    collection = _own(call, slug)
    asked = call.json()
    with call.hub.lock:
        place = _place(collection, item)
        known = collection.items.pop(place)
        if "note" in asked:
            known["note"] = _checked_note(asked["note"])
        collection.items.insert(asked.get("position", place), known)
    return json_answer({"success": True})


def delete_item(call: Call, slug: str, item: str) -> Answer:
    collection = _own(call, slug)
    with call.hub.lock:
        del collection.items[_place(collection, item)]
    return Answer()
