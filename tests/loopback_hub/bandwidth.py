"""A line that carries so many bytes a second, all connections together, as a laptop's line to the real Hub."""

import threading
import time
from collections.abc import Callable, Iterator

CHUNK_BYTES = 1 << 16


class Line:
    """Says how long each piece has to wait for those before it."""

    def __init__(self, bytes_per_s: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._bytes_per_s, self._clock = bytes_per_s, clock
        self._lock = threading.Lock()
        self._free_at_s = clock()

    def wait_s(self, n_bytes: int) -> float:
        """Take the line for so many bytes; they are through after as many seconds."""
        with self._lock:
            now_s = self._clock()
            self._free_at_s = max(self._free_at_s, now_s) + n_bytes / self._bytes_per_s
            return self._free_at_s - now_s

    def pieces(self, body: bytes, pause: Callable[[float], object]) -> Iterator[bytes]:
        """The body in pieces, each given once it would be through.

        Args:
            body: what is sent.
            pause: waits for so many seconds.
        """
        for start in range(0, len(body), CHUNK_BYTES):
            piece = body[start : start + CHUNK_BYTES]
            pause(self.wait_s(len(piece)))
            yield piece
