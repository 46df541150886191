"""Serving an ASGI application: the one way in which either end answers HTTP."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog
from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops, SSLProtocols
from granian.http import HTTP1Settings
from granian.log import LogLevels

from qianzhi.runtime.stopping import SIGNALS, follow_supervisor

if TYPE_CHECKING:
    from pathlib import Path

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]  # ASGI
Factory = Callable[[], Application]  # sent to another process: a function of a module, or a partial of one

HEAD_SECONDS_MAX = 15  # how long the head of a request may take
BUFFER_BYTES_MAX = 408 * 1024  # of each connection; a longer head is refused
STOP_SECONDS_MAX = 25  # less than what a supervisor grants
WAITING_CONNECTIONS_MAX = 1024  # not accepted yet
CONNECTIONS_MAX = 1024  # of each worker
LOOPBACK = "127.0.0.1"
_ANYWHERE = ("0.0.0.0", "::")  # noqa: S104  (compared, never bound)
log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger()
_QUIET: dict[str, Any] = {
    # Its messages go to our logs. Its log of requests is off: where a document prescribes personal query parameters,
    # an address is personal.
    "loggers": {"_granian": {"propagate": True}, "granian.access": {"propagate": False}},
}


@dataclass(frozen=True, slots=True)
class Listener:
    """Where an application is served; without certificate and key it is plain HTTP."""

    address: str
    port: int
    workers: int = 1
    connections_max: int = CONNECTIONS_MAX
    has_sockets: bool = False  # whether the application speaks over WebSocket too
    certificate: Path | None = None
    key: Path | None = None


def host_here(listen: str) -> str:
    """Return by which host this machine itself reaches what listens at an address."""
    return LOOPBACK if listen in _ANYWHERE else listen


def serve(factory: Factory, listener: Listener) -> None:
    """
    Serve until a signal asks to stop; requests under way are answered first.

    `factory` is called once in each worker, which is another process: it opens what it uses and configures logs.
    A worker that dies is replaced. Bodies are bounded by the application, not here. Exits with 1 if workers keep dying.
    """
    server = Granian(
        "qianzhi",
        address=listener.address,
        port=listener.port,
        workers=listener.workers,
        interface=Interfaces.ASGI,
        loop=Loops.asyncio,
        http=HTTPModes.http1,
        websockets=listener.has_sockets,
        backlog=WAITING_CONNECTIONS_MAX,
        backpressure=listener.connections_max,
        http1_settings=HTTP1Settings(header_read_timeout=HEAD_SECONDS_MAX * 1000, max_buffer_size=BUFFER_BYTES_MAX),
        ssl_cert=listener.certificate,
        ssl_key=listener.key,
        ssl_protocol_min=SSLProtocols.tls12,  # a Windows Server 2016 speaks no later one
        respawn_failed_workers=True,
        workers_kill_timeout=STOP_SECONDS_MAX,
        log_level=LogLevels(logging.getLevelName(logging.getLogger().getEffectiveLevel()).lower()),
        log_dictconfig=_QUIET,
    )
    _end_children_that_load()
    server.serve(target_loader=_Loader(factory), wrap_loader=False)


def _end_children_that_load() -> None:
    """
    Let a worker that still loads its application end at once when it is asked to.

    A forked one begins with the server's handlers, which note a request where no worker looks: it was loaded to the
    end, heard nothing, and was killed STOP_SECONDS_MAX later. What comes while it is forked waits until it may end.
    """
    if sys.platform != "win32":  # there nothing is forked
        os.register_at_fork(before=_hold_signals, after_in_parent=_release_signals, after_in_child=_begin_anew)


def _hold_signals() -> None:
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)


def _release_signals() -> None:
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def _begin_anew() -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    _release_signals()


@dataclass(frozen=True, slots=True)
class _Loader:
    """What a worker calls first."""

    factory: Factory

    def __call__(self) -> Application:
        follow_supervisor()
        return _Reporting(self.factory())


@dataclass(frozen=True, slots=True)
class _Reporting:
    """Logs what an application did not handle: the server itself says only that there was something."""

    application: Application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.application(scope, receive, send)
        except Exception:
            if scope["type"] == "http":  # an application without lifespan refuses that by an exception
                log.exception("server:request:failed", method=scope["method"])
            raise
