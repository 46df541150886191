"""
Structured logs: JSON lines in a file of each component, lines for people on a terminal.

An entry is `log.info("area:subject:action", key=…)` with `log = structlog.stdlib.get_logger()`; `privacy` says which
keys and values may stand in it. Messages of libraries are kept as unformatted templates, and only of a few.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from datetime import UTC, datetime
from logging.handlers import WatchedFileHandler
from typing import TYPE_CHECKING, Any, TextIO

import orjson
import structlog
from filelock import FileLock, Timeout

from qianzhi.errors import QianzhiError
from qianzhi.runtime.failures import describe
from qianzhi.runtime.privacy import DROPPED, cleaned, is_event

if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from pathlib import Path
    from types import TracebackType

    from qianzhi.runtime.settings import Log

    Entry = MutableMapping[str, Any]

LOCK_SECONDS_MAX = 1.0
_IMPATIENT = "apscheduler.scheduler"
_LOUD = ("httpx", "httpcore", "asyncio", "granian.access", "apscheduler")
_FRAME = ("timestamp", "level", "component", "event", "frames")  # what is not of the event itself
_TRUSTED = ("_granian", "apscheduler")  # their templates hold no value of a request or of a row


def configure_logs(
    component: str, folder: Path, settings: Log, *, console: TextIO | None = None, is_command: bool = False
) -> None:
    """
    Send the logs of this process to `<folder>/<component>.log`, and to the console if that is a terminal.

    A command has a table or a sentence to print: its terminal is told warnings and errors only, in words.
    Exceptions that nobody catches are logged too, instead of being printed with the values they hold.
    Several processes may share a component. Safe to repeat, as after a fork.
    """
    handlers: list[logging.Handler] = [
        SharedFile(folder / f"{component}.log", bytes_max=settings.file_bytes_max, files_max=settings.files_max)
    ]
    handlers[0].setFormatter(_Json(component))
    stream = console or sys.stderr
    if stream.isatty():
        handlers.append(logging.StreamHandler(stream))
        handlers[1].setFormatter(_Words(component) if is_command else _Human(component))
        handlers[1].setLevel(logging.WARNING if is_command else logging.NOTSET)
    logging.basicConfig(level=settings.level.upper(), handlers=handlers, force=True)
    logging.captureWarnings(capture=True)
    logging.raiseExceptions = False  # a full disk must not stop the work, nor print the entry that it did not take
    for name in _LOUD:  # they name every request, with its query
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))
    # It warns whenever a tick is still at work as its next one comes: a night's images take hours, ticks seconds.
    logging.getLogger(_IMPATIENT).setLevel(logging.ERROR)
    _configure_structlog()
    _log_uncaught()


def remove_old_logs(folder: Path, *, before: datetime) -> int:
    """Remove log files that were set aside and written to last before an instant; return how many."""
    oldest, removed = before.timestamp(), 0
    for path in folder.glob("*.log.*"):
        if path.suffix[1:].isdigit() and path.stat().st_mtime < oldest:
            path.unlink(missing_ok=True)
            removed += 1
    return removed


class SharedFile(WatchedFileHandler):
    """A file (mode 0600) that several processes append to, set aside by whichever finds it full."""

    def __init__(self, path: Path, *, bytes_max: int, files_max: int) -> None:
        self._path = path
        self._bytes_max = bytes_max
        self._files_max = files_max
        super().__init__(path, encoding="utf-8", errors="backslashreplace")

    def emit(self, record: logging.LogRecord) -> None:
        """Write an entry."""
        super().emit(record)
        try:
            if self.stream is not None and os.fstat(self.stream.fileno()).st_size >= self._bytes_max:
                self._set_aside()
        except (Timeout, OSError):  # Windows: another process has it open; it is set aside another time
            return

    def _open(self) -> Any:  # noqa: ANN401 - as the base class has it
        return open(
            self._path,
            "a",
            encoding="utf-8",
            errors="backslashreplace",
            opener=lambda path, flags: os.open(path, flags, 0o600),
        )

    def _set_aside(self) -> None:
        with FileLock(f"{self._path}.lock", timeout=LOCK_SECONDS_MAX):
            if self._path.stat().st_size >= self._bytes_max:  # nobody else was faster
                self._rename_all()

    def _rename_all(self) -> None:
        for number in range(self._files_max - 1, 0, -1):
            older = self._aside(number)
            if older.exists():
                older.replace(self._aside(number + 1))
        if self.stream is not None:
            self.stream.close()
        try:
            self._path.replace(self._aside(1))
        finally:
            self.stream = self._open()
            self._statstream()  # what the base class compares to notice that another process set it aside

    def _aside(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")


class _Json(logging.Formatter):
    def __init__(self, component: str) -> None:
        super().__init__()
        self._component = component

    def format(self, record: logging.LogRecord) -> str:
        return orjson.dumps(self._entry(record), default=str).decode()

    def _entry(self, record: logging.LogRecord) -> dict[str, Any]:
        said = record.msg if isinstance(record.msg, dict) else _foreign(record)
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        return {"timestamp": at, "level": record.levelname.lower(), "component": self._component, **said}


class _Human(_Json):
    def __init__(self, component: str) -> None:
        super().__init__(component)
        self._render = structlog.dev.ConsoleRenderer(colors=sys.platform != "win32", pad_event_to=40)

    def format(self, record: logging.LogRecord) -> str:
        entry = {key: value for key, value in self._entry(record).items() if key != "frames"}
        entry["timestamp"] = datetime.fromtimestamp(record.created, UTC).astimezone().strftime("%H:%M:%S")
        return str(self._render(None, record.levelname, entry))


class _Words(_Json):
    """`Warning: gateway role not limited (role=us_pos).`, or what an error of ours says by itself."""

    def format(self, record: logging.LogRecord) -> str:
        entry = self._entry(record)
        if {"what", "remedy"} <= entry.keys():
            return f"{record.levelname.capitalize()}: {entry['what']} {entry['remedy']}"
        event = str(entry["event"]).replace(":", " ").replace("_", " ")
        rest = [f"{key}={value}" for key, value in entry.items() if key not in _FRAME]
        said = f" ({', '.join(rest)})" if rest else ""
        return f"{record.levelname.capitalize()}: {event}{said}."


def _foreign(record: logging.LogRecord) -> dict[str, Any]:
    """Return the entry of a library's message."""
    entry: dict[str, Any] = {"logger": record.name}
    if record.name.partition(".")[0] in _TRUSTED:
        entry["message"] = str(record.msg).partition("\n")[0]  # a traceback follows
    else:
        entry["message"] = DROPPED
    if record.exc_info and record.exc_info[1] is not None:
        entry |= describe(record.exc_info[1])
    return {"event": "library:message:logged", **cleaned(entry)}


def _configure_structlog() -> None:
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            _describe_exception,
            _clean,
            _hand_over,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def _describe_exception(_logger: object, _method: str, entry: Entry) -> Entry:
    raised = entry.pop("exc_info", None)
    error = raised if isinstance(raised, BaseException) else sys.exc_info()[1] if raised else None
    return entry if error is None else {**entry, **describe(error)}


def _clean(_logger: object, _method: str, entry: Entry) -> Entry:
    event = entry.pop("event")
    return {"event": event if is_event(event) else DROPPED, **cleaned(entry)}


def _hand_over(_logger: object, _method: str, entry: Entry) -> tuple[tuple[Entry], dict[str, Any]]:
    return (entry,), {}


def _log_uncaught() -> None:
    """Replace the three places where Python prints an exception together with the values in its text."""
    log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger()

    def of_main(_kind: type[BaseException], error: BaseException, _at: TracebackType | None) -> None:
        log.critical("process:exception:uncaught", exc_info=error)
        said = str(error) if isinstance(error, QianzhiError) else f"{type(error).__name__}; the log says where."
        sys.stderr.write(f"{said}\n")

    def of_thread(ended: threading.ExceptHookArgs) -> None:
        log.critical("process:thread:uncaught", exc_info=ended.exc_value)

    def of_nowhere(ended: sys.UnraisableHookArgs) -> None:
        log.error("process:exception:unraisable", exc_info=ended.exc_value)

    sys.excepthook, threading.excepthook, sys.unraisablehook = of_main, of_thread, of_nowhere
