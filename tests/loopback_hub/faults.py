"""Faults that a test asks for: the next matching requests are refused, cut, slowed down or falsified."""

import threading
from dataclasses import dataclass, field
from typing import Literal

from tests.loopback_hub.wire import Answer, Call, json_answer


@dataclass(frozen=True)
class Fault:
    """What happens to the next `times` requests (None: all) whose path contains `match`.

    A file's bytes come from the CDN origin under /_cdn/<kind>s/<id>/<sha256>/<path>, or for small text files from
    /<id>/resolve/...; both contain the file's name. HEAD requests match as well unless `method` is given.

    Kinds:
        status: answered with `status` and `headers`, nothing is carried out.
        cut: the connection is closed before the answer, or after `after_bytes` bytes of its body.
        slow: waits `seconds` first.
        wrong_bytes: a body of the right length with every byte changed.
        lost_reply: carried out, then the connection is closed before the answer.
    """

    kind: Literal["status", "cut", "slow", "wrong_bytes", "lost_reply"]
    match: str = ""
    method: str | None = None
    times: int | None = 1
    status: int = 503
    headers: dict[str, str] = field(default_factory=dict)
    after_bytes: int | None = None
    seconds: float = 0.0

    def hits(self, call: Call) -> bool:
        return self.match in call.path and self.method in (None, call.method)

    def refusal(self) -> Answer:
        return json_answer({"error": "injected"}, self.status, self.headers)


class Faults:
    """The faults still to come, in the order in which they were added."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left: list[tuple[Fault, int | None]] = []

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._left.append((fault, fault.times))

    def clear(self) -> None:
        with self._lock:
            self._left.clear()

    def left(self) -> list[Fault]:
        """Those that no request has met as often as they were meant to be met."""
        with self._lock:
            return [fault for fault, _ in self._left]

    def take(self, call: Call) -> Fault | None:
        """The first fault that hits this call, used up by one."""
        with self._lock:
            for place, (fault, times) in enumerate(self._left):
                if fault.hits(call):
                    if times is not None and times <= 1:
                        del self._left[place]
                    elif times is not None:
                        self._left[place] = (fault, times - 1)
                    return fault
        return None


def falsified(body: bytes) -> bytes:
    """Other content of the same length."""
    return bytes(byte ^ 0xFF for byte in body)
