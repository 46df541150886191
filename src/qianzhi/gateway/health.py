"""/healthz and /metrics of the gateway: whether its parts can do their work, in a process that never touches a row."""

from __future__ import annotations

import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import orjson

from qianzhi.db.server import connect
from qianzhi.errors import QianzhiError
from qianzhi.gateway import metrics, reminder
from qianzhi.ledger import tally
from qianzhi.runtime import clock
from qianzhi.runtime.home import End
from qianzhi.runtime.supervisor import read_states

if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket

    from qianzhi.gateway.destination import Destination, Workplace
    from qianzhi.runtime.home import Home

    Asked = socket | tuple[bytes, socket]

DATABASE_WAIT_SECONDS = 2.0
REQUEST_SECONDS_MAX = 5.0
CONNECTIONS_MAX = 64  # each has a thread; whoever comes beyond is hung up on unheard
REQUESTS_AT_ONCE_MAX = 16  # whoever comes beyond is told to come again


def health(home: Home, workplace: Workplace, destinations: list[Destination]) -> dict[str, Any]:
    """Return what is well and what is not; `status` is "ok" only when everything is."""
    parts = {part.name: part.phase.value for part in read_states(home.end(End.GATEWAY).run)}
    report: dict[str, Any] = {"status": "ok", "parts": parts, "destinations": {}}
    try:
        with connect(workplace.dsn, application="qianzhi health", wait_seconds=DATABASE_WAIT_SECONDS) as connection:
            for destination in destinations:
                troubles = tally.troubles(connection, destination.name)
                last = tally.last_cycle(connection, destination.name)
                running = tally.running_cycle(connection, destination.name)
                standing = reminder.standing(connection, destination.name, local_now=clock.local_now())
                report["destinations"][destination.name] = {
                    "batches_not_delivered": len(troubles),
                    "last_cycle_finished_at": last["finished_at"] if last else None,
                    "running_cycle_started_at": running["started_at"] if running else None,
                    "errors_before_cut_off": standing.error_count if standing else 0,
                }
                if troubles:
                    report["status"] = "delivery"
    except QianzhiError as error:
        report.update(status="database", what=error.what, remedy=error.remedy)
    return report


def serve(
    listen: str, port: int, report: Callable[[], dict[str, Any]], measured: Callable[[], bytes]
) -> ThreadingHTTPServer:
    """Return a server, bound but not yet serving: GET /healthz answers 200 or 503, GET /metrics what is measured."""
    places = threading.BoundedSemaphore(REQUESTS_AT_ONCE_MAX)

    class Handler(BaseHTTPRequestHandler):
        timeout = REQUEST_SECONDS_MAX

        def do_GET(self) -> None:
            if not places.acquire(blocking=False):
                self.send_error(HTTPStatus.SERVICE_UNAVAILABLE)
                return
            try:
                self._answer(self.path.partition("?")[0])
            finally:
                places.release()

        def _answer(self, path: str) -> None:
            if path == "/healthz":
                said = report()
                status = HTTPStatus.OK if said["status"] == "ok" else HTTPStatus.SERVICE_UNAVAILABLE
                self._write(status, "application/json", orjson.dumps(said))
            elif path == "/metrics":
                self._write(HTTPStatus.OK, metrics.CONTENT_TYPE, measured())
            else:
                self.send_error(HTTPStatus.NOT_FOUND)

        def _write(self, status: HTTPStatus, content_type: str, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Log nothing: a request line may hold whatever its sender put there."""

    return _Server((listen, port), Handler)


class _Server(ThreadingHTTPServer):
    """Bounds the threads, also those of whoever connects and says nothing."""

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._connections = threading.BoundedSemaphore(CONNECTIONS_MAX)
        super().__init__(address, handler)

    def process_request(self, request: Asked, client_address: object) -> None:
        """Answer a connection in a thread of its own, if there is one left."""
        if self._connections.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Asked, client_address: object) -> None:
        """Give the place back at the end."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._connections.release()
