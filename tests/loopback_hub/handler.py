"""HTTP: reads a request, lets faults and the pages decide, writes the answer, and notes both."""

import contextlib
import socket
import sys
import threading
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.loopback_hub import pages
from tests.loopback_hub.access import user_of
from tests.loopback_hub.faults import Fault, falsified
from tests.loopback_hub.wire import Answer, Call, RefusedError, Request

if TYPE_CHECKING:
    from tests.loopback_hub.server import HubServer


class HubSocketServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, hub: "HubServer", *, is_cdn: bool) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.hub, self.is_cdn = hub, is_cdn
        self.request_numbers = count(1)
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._open_lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._open_lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):  # a client may hang up at any time
            super().handle_error(request, client_address)

    def stop(self) -> None:
        self.shutdown()
        with self._open_lock:
            for connection in self._open:
                _hang_up(connection)
        self.server_close()


def _hang_up(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the other side was first
        connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # unbuffered small writes wait 40 ms for the client's acknowledgement
    server: HubSocketServer

    def do_GET(self) -> None:
        call = self._call()
        hub = self.server.hub
        fault = hub.faults.take(call)
        if fault and fault.kind == "cut" and fault.after_bytes is None:
            return self._drop(call)
        if fault and fault.kind == "slow":
            hub.stopped.wait(fault.seconds)
        if fault and fault.kind == "status":
            answer = fault.refusal()
        else:
            call, answer = self._answered(call)
        if fault and fault.kind == "lost_reply":
            return self._drop(call)
        return self._send(call, answer, fault)

    do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_GET  # noqa: N815 - the base class's names

    def _call(self) -> Call:
        url = urlsplit(self.path)
        query = parse_qs(url.query, keep_blank_values=True)
        headers = {name.lower(): value for name, value in self.headers.items()}
        return Call(self.server.hub, self.command, url.path, query, headers, self._body(), self.server.is_cdn)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _answered(self, call: Call) -> tuple[Call, Answer]:
        try:
            call = Call(**{**vars(call), "user": user_of(call)}) if not call.is_cdn else call
            return call, pages.answer_to(call)
        except RefusedError as refusal:
            return call, refusal.answer()

    def _send(self, call: Call, answer: Answer, fault: Fault | None) -> None:
        body = falsified(answer.body) if fault and fault.kind == "wrong_bytes" else answer.body
        self._note(call, answer.status)
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("X-Request-Id", f"test-hub-{next(self.server.request_numbers)}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        cut = fault is not None and fault.kind == "cut"
        if self.command != "HEAD":
            for piece in self._pieces(body[: fault.after_bytes] if fault and cut else body):
                self.wfile.write(piece)
        if cut:
            self.wfile.flush()
            self._hang_up()

    def _pieces(self, body: bytes) -> Iterable[bytes]:
        line = self.server.hub.line
        return (body,) if line is None else line.pieces(body, self.server.hub.stopped.wait)

    def _drop(self, call: Call) -> None:
        self._note(call, 0)
        self._hang_up()

    def _hang_up(self) -> None:
        self.close_connection = True
        _hang_up(self.connection)

    def _note(self, call: Call, status: int) -> None:
        """Before the answer leaves, so that whoever has the answer finds its request in the list."""
        user = call.user.name if call.user else None
        request = Request(self.command, unquote(call.path), call.query, user, status)
        with self.server.hub.lock:
            self.server.hub.requests.append(request)

    def log_message(self, *_: object) -> None:
        pass
