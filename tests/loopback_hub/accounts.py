"""Who am I, and the life of a repository: create, settings, delete, may I."""

from tests.loopback_hub.access import check_files, check_namespace, readable, signed_in, writable
from tests.loopback_hub.git_objects import StoredFile
from tests.loopback_hub.repository import Repository, now
from tests.loopback_hub.wire import Answer, Call, RefusedError, json_answer

GIT_ATTRIBUTES = b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n*.parquet filter=lfs diff=lfs merge=lfs -text\n"


def whoami(call: Call) -> Answer:
    user = signed_in(call)
    orgs = [{"type": "org", "name": org, "fullname": org, "roleInOrg": "write"} for org in user.orgs]
    role = user.role if user.role in ("read", "write") else "fineGrained"
    access_token = {"displayName": "test", "role": role, "createdAt": now()}
    return json_answer(
        {
            **{"type": "user", "id": user.name, "name": user.name, "fullname": user.name, "isPro": False},
            **{"email": None, "canPay": False, "avatarUrl": "", "periodEnd": None, "orgs": orgs},
            "auth": {"type": "access_token", "accessToken": access_token},
        }
    )


def _named(call: Call) -> tuple[str, str]:
    """Kind and id of the repository that the body names."""
    wanted = call.json()
    namespace = wanted.get("organization") or signed_in(call).name
    return wanted.get("type") or "model", f"{namespace}/{wanted['name']}"


def create(call: Call) -> Answer:
    kind, repository_id = _named(call)
    user = check_namespace(call, repository_id.partition("/")[0])
    private = call.json().get("visibility", "public") == "private"
    repository = Repository(kind, repository_id, private=private, creator=user)
    url = f"{call.hub.endpoint}{repository.page}"
    with call.hub.lock:
        if (kind, repository_id) in call.hub.repositories:
            raise RefusedError(409, f"You already created this {kind} repo", url=url)
        attributes = {".gitattributes": StoredFile(GIT_ATTRIBUTES, is_lfs=False)}
        repository.commit(attributes, "initial commit", author=user.name)
        call.hub.repositories[kind, repository_id] = repository
    return json_answer({"url": url, "name": repository_id, "id": repository_id})


def delete(call: Call) -> Answer:
    kind, repository_id = _named(call)
    writable(call, kind, repository_id)
    with call.hub.lock:
        del call.hub.repositories[kind, repository_id]
    return Answer()


def change_settings(call: Call, kind: str, repository_id: str) -> Answer:
    repository = writable(call, kind, repository_id)
    settings = call.json()
    if "visibility" in settings:
        repository.private = settings["visibility"] == "private"
    if "gated" in settings:
        repository.gated = settings["gated"]
    return json_answer(settings)


def check_read(call: Call, kind: str, repository_id: str) -> Answer:
    check_files(call, readable(call, kind, repository_id))
    return Answer()


def check_write(call: Call, kind: str, repository_id: str) -> Answer:
    writable(call, kind, repository_id)
    return Answer()
