"""Something between a client and a server of HTTP that can fail as networks and busy servers do."""

import http.client
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import urlsplit

Fault = Literal["", "refused", "lost", "hangs", "cut", "deaf", "409", "500", "503"]
"""What becomes of a request: nothing happens to it, the connection ends before it is passed on, its answer gets lost
after it was, nobody answers, half of the answer comes, conditions are not heard, or the server says that it is busy."""

HOP = {"connection", "transfer-encoding", "keep-alive", "content-length"}


class Between:
    """Passes requests on to a server, for as long as the `with` block lasts.

    Args:
        server: Its address.
        fault: From method and path, what becomes of a request.
    """

    def __init__(self, server: str, fault: Callable[[str, str], Fault]) -> None:
        self.met: list[tuple[str, str, Fault]] = []
        self._lock = threading.Lock()
        between, there = self, urlsplit(server).netloc

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                self.raw_requestline = self.rfile.readline(65537)
                if not self.raw_requestline or not self.parse_request():
                    self.close_connection = True
                    return
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                with between._lock:
                    what = fault(self.command, self.path)
                    between.met.append((self.command, self.path, what))
                self.answer(what, body)

            def answer(self, what: Fault, body: bytes) -> None:
                if what in ("refused", "hangs"):
                    time.sleep(1.0 if what == "hangs" else 0)
                    self.close_connection = True
                elif what.isdigit():
                    self.reply(int(what), [], b"<Error><Code>SlowDown</Code></Error>")
                else:
                    status, headers, data = self.pass_on(body, HOP | {"if-none-match"} if what == "deaf" else HOP)
                    if what == "lost":
                        self.close_connection = True
                    else:
                        self.reply(status, headers, data, len(data) // 2 if what == "cut" else None)

            def pass_on(self, body: bytes, kept: set[str]) -> tuple[int, list[tuple[str, str]], bytes]:
                line = http.client.HTTPConnection(there, timeout=30)
                headers = {key: value for key, value in self.headers.items() if key.lower() not in kept}
                line.request(self.command, self.path, body, headers)
                found = line.getresponse()
                data = found.read()
                line.close()
                return found.status, found.getheaders(), data

            def reply(self, status: int, headers: list[tuple[str, str]], data: bytes, much: int | None = None) -> None:
                self.send_response_only(status)
                for key, value in headers:
                    if key.lower() not in HOP:
                        self.send_header(key, value)
                length = dict(headers).get("Content-Length", "0") if self.command == "HEAD" else str(len(data))
                self.send_header("content-length", length)
                self.end_headers()
                self.wfile.write(data[:much])
                self.close_connection = much is not None

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "Between":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
