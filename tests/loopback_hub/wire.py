"""What travels between the HTTP server and the functions that answer: a call, an answer or a refusal."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.loopback_hub.access import User
    from tests.loopback_hub.server import HubServer


@dataclass(frozen=True)
class Request:
    """One request as it was answered; status 0 means that the client got no answer at all."""

    method: str
    path: str
    query: dict[str, list[str]]
    user: str | None
    status: int


@dataclass(frozen=True)
class Call:
    """A request on its way to the function that answers it; header names are in lower case."""

    hub: "HubServer"
    method: str
    path: str
    query: dict[str, list[str]]
    headers: Mapping[str, str]
    body: bytes
    is_cdn: bool = False
    user: "User | None" = None

    def first(self, name: str) -> str | None:
        return self.query.get(name, [None])[0]

    def flag(self, name: str) -> bool:
        return (self.first(name) or "").lower() in ("true", "1")

    def json(self) -> Any:
        try:
            return json.loads(self.body or b"{}")
        except ValueError as error:
            raise RefusedError(400, "the body is no JSON") from error


@dataclass(frozen=True)
class Answer:
    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


def json_answer(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(json.dumps(value).encode(), status, {"Content-Type": "application/json", **(headers or {})})


class RefusedError(Exception):
    """The Hub's no: its status, its words, and the code by which the client tells refusals apart."""

    def __init__(self, status: int, message: str, code: str | None = None, **more: object) -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code
        self.headers: dict[str, str] = more.pop("headers", {})  # type: ignore[assignment]
        self.more = more

    def answer(self) -> Answer:
        one_line = " ".join(self.message.split()).encode("ascii", "replace").decode()
        headers = {**self.headers, "X-Error-Message": one_line}
        if self.code:
            headers["X-Error-Code"] = self.code
        return json_answer({"error": self.message, **self.more}, self.status, headers)
