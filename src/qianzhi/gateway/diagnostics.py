"""The diagnostic bundle: what somebody needs who helps from afar, without a value of any person."""

from __future__ import annotations

import io
import platform
import re
import zipfile
from importlib.metadata import distributions
from typing import TYPE_CHECKING, Any, Final

import orjson

import qianzhi
from qianzhi.db.queries import load
from qianzhi.db.server import connect
from qianzhi.errors import QianzhiError
from qianzhi.gateway import assembly, doctor
from qianzhi.gateway.standing import standing
from qianzhi.runtime import clock
from qianzhi.runtime.home import End
from qianzhi.runtime.privacy import DROPPED, NAMES, NUMBERS, cleaned, is_event
from qianzhi.runtime.supervisor import read_states

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import psycopg

    from qianzhi.gateway.destination import Destination
    from qianzhi.runtime.home import Home
    from qianzhi.runtime.settings import Settings

_SQL = load("qianzhi.gateway", "diagnostics.sql")

LOG_LINES_MAX: Final = 2000  # of each log, the newest
LOG_BYTES_MAX: Final = 4 * 2**20  # read from the end of each log
FILES_MAX: Final = 100_000  # of each folder that are counted
DATABASE_WAIT_SECONDS: Final = 5.0
SERVER_SETTINGS: Final = ("server_version", "TimeZone", "server_encoding", "data_checksums", "lc_messages")
SECRET: Final = frozenset({"dsn", "notify_command"})  # settings that may hold one, or a name
ORGANISATIONS: Final = frozenset({"institution"})  # long numbers that are nobody's
_QUOTING: Final = "deliveries to "  # the diagnosis that repeats what a destination said
_HARMLESS: Final = re.compile(r"[\x20-\x7e]*")
_LONG_NUMBER: Final = re.compile(r"\d{7}")
_FRAMES: Final = re.compile(r"[A-Za-z0-9_./<>-]+:\d+:[A-Za-z0-9_<>]+")


def packed(home: Home, settings: Settings, tell: Callable[[str], None]) -> bytes:
    """Return the bundle, a ZIP archive; `tell` is told the name of each file that goes into it."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in contents(home, settings):
            tell(name)
            archive.writestr(name, text)
    return content.getvalue()


def contents(home: Home, settings: Settings) -> Iterator[tuple[str, bytes]]:
    """Yield every file of the bundle; what cannot be found out says why."""
    rooms = home.end(End.GATEWAY)
    yield "versions.json", _json(_versions())
    yield "settings.json", _json(redacted(settings.model_dump(mode="json")))
    yield "doctor.json", _json(_diagnoses(home, settings))
    yield "parts.json", _json([_part(each) for each in read_states(rooms.run)])
    yield "folders.json", _json({folder.name: _size(folder) for folder in rooms.all})
    for name, look in _LOOKS.items():
        yield name, _json(_asked(home, settings, look))
    for file in sorted(rooms.log.glob("*.log")):
        yield f"log/{file.name}", b"\n".join(map(orjson.dumps, log_tail(file)))


def plain(text: str) -> str:
    """Return a text of ours that is about nobody: ASCII without long numbers; anything else says `[dropped]`."""
    return text if _HARMLESS.fullmatch(text) and not _LONG_NUMBER.search(text) else DROPPED


def redacted(value: object, key: str = "") -> object:
    """Return settings without what may be a secret, a name or a person's number."""
    if key in SECRET:
        return None if value in (None, [], ()) else "[set]"
    if isinstance(value, dict):
        return {plain(str(name)): redacted(each, str(name)) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [redacted(each, key) for each in value]
    if isinstance(value, str):
        return value if key in ORGANISATIONS and value.isalnum() and value.isascii() else plain(value)
    return value


def log_tail(file: Path) -> Iterator[dict[str, Any]]:
    """Yield the newest entries of a log, each cleaned again: who wrote the file need not have been us."""
    with file.open("rb") as opened:
        opened.seek(max(file.stat().st_size - LOG_BYTES_MAX, 0))
        lines = opened.read(LOG_BYTES_MAX).splitlines()[-LOG_LINES_MAX:]
    for line in lines:
        try:
            entry = orjson.loads(line)
        except orjson.JSONDecodeError:  # the first may be cut
            entry = None
        yield _entry(entry) if isinstance(entry, dict) else {"event": DROPPED}


def _entry(entry: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in entry.items() if name in NAMES | NUMBERS}
    for name, value in cleaned(kept).items():
        kept[name] = plain(value) if isinstance(value, str) and name not in {"batch", "digest"} else value
    for name in ("what", "remedy", "message"):
        if isinstance(entry.get(name), str):
            kept[name] = plain(entry[name])
    if isinstance(entry.get("frames"), list):
        kept["frames"] = [each for each in entry["frames"] if isinstance(each, str) and _FRAMES.fullmatch(each)]
    event, at, level = entry.get("event"), entry.get("timestamp"), entry.get("level")
    kept["event"] = event if is_event(event) else DROPPED
    return kept | {"timestamp": plain(str(at)), "level": plain(str(level))}


def _versions() -> dict[str, Any]:
    packages = {each.metadata["Name"]: each.version for each in distributions()}
    return {
        "qianzhi": qianzhi.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "made_at": clock.now(),
        "packages": dict(sorted(packages.items())),
    }


def _diagnoses(home: Home, settings: Settings) -> list[dict[str, str]]:
    found = [each.as_json("en") for each in doctor.examine(home, settings)]
    for each in found:
        each["name"], each["what"], each["remedy"] = (plain(each[name]) for name in ("name", "what", "remedy"))
        if each["name"].startswith(_QUOTING):
            each["what"] = DROPPED
    return found


def _part(state: Any) -> dict[str, Any]:  # noqa: ANN401 - a PartState, whose fields are listed
    names = ("name", "phase", "pid", "changed_at", "failures", "last_end")
    return {name: getattr(state, name) for name in names}


def _size(folder: Path) -> dict[str, int]:
    count = size = 0
    for path in folder.rglob("*"):
        if count >= FILES_MAX:
            break
        try:
            if path.is_file():
                count, size = count + 1, size + path.lstat().st_size
        except OSError:  # removed meanwhile, or PostgreSQL's own
            continue
    return {"files": count, "bytes": size}


def _asked(home: Home, settings: Settings, look: Callable[[psycopg.Connection, list[Destination]], object]) -> object:
    try:
        with connect(
            assembly.owner_dsn(home, settings),
            application="qianzhi diagnose",
            autocommit=True,
            wait_seconds=DATABASE_WAIT_SECONDS,
        ) as session:
            return look(session, assembly.destinations(home, settings))
    except QianzhiError as error:
        return {"error": type(error).__name__, "what": plain(error.what)}


def _standings(session: psycopg.Connection, destinations: list[Destination]) -> object:
    found = {}
    for each in destinations:
        told = standing(session, each).as_json()
        for trouble in told["troubles"]:
            trouble["outcome"] = plain(str(trouble["outcome"]).partition(":")[0])
        found[plain(each.name)] = told
    return found


def _server(session: psycopg.Connection, _destinations: list[Destination]) -> object:
    rows = session.execute(_SQL.settings, {"names": list(SERVER_SETTINGS)})
    return {name: {"setting": plain(setting), "source": source} for name, setting, source in rows}


def _tables(session: psycopg.Connection, destinations: list[Destination]) -> object:
    schemas = ["qianzhi", *{each.regulator.key for each in destinations}]
    names = ("schema", "table", "bytes", "rows", "dead_rows")
    return [dict(zip(names, row, strict=True)) for row in session.execute(_SQL.tables, {"schemas": schemas})]


def _migrations(session: psycopg.Connection, _destinations: list[Destination]) -> object:
    names = ("end", "number", "name", "applied_at")
    return [dict(zip(names, row, strict=True)) for row in session.execute(_SQL.migrations)]


def _events(session: psycopg.Connection, _destinations: list[Destination]) -> object:
    return {
        event if is_event(event) else DROPPED: {"count": count, "last_at": last_at}
        for event, count, last_at in session.execute(_SQL.events)
    }


_LOOKS: Final = {
    "destinations.json": _standings,
    "postgresql.json": _server,
    "tables.json": _tables,
    "migrations.json": _migrations,
    "audit.json": _events,
}


def _json(value: object) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str)
