"""What a log says of an exception: its type, where it was raised, our own words; never a text that may hold values."""

from __future__ import annotations

import errno
from traceback import extract_tb
from typing import TYPE_CHECKING

from qianzhi.errors import QianzhiError

if TYPE_CHECKING:
    from types import TracebackType

CAUSES_MAX = 5
FRAMES_MAX = 8
_OURS = "qianzhi"


def describe(error: BaseException) -> dict[str, object]:
    """Return the entry of an exception and of its causes."""
    described = _describe_one(error)
    causes: list[dict[str, object]] = []
    cause = _cause(error)
    while cause is not None and len(causes) < CAUSES_MAX:
        causes.append(_describe_one(cause))
        cause = _cause(cause)
    return {**described, "causes": causes} if causes else described


def _cause(error: BaseException) -> BaseException | None:
    return error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _describe_one(error: BaseException) -> dict[str, object]:
    kind = type(error)
    described: dict[str, object] = {"error": kind.__name__, **_words(error)}
    if frames := _frames(error.__traceback__):
        described["frames"] = frames
    return described


def _words(error: BaseException) -> dict[str, object]:
    """Return what the exception says in words that are known to hold no value."""
    if isinstance(error, QianzhiError):
        return {"what": error.what, "remedy": error.remedy}
    if type(error).__module__.partition(".")[0] == "psycopg":
        return _of_postgres(error)
    if isinstance(error, OSError) and error.errno is not None:
        return {"code": errno.errorcode.get(error.errno, str(error.errno))}
    return {}


def _of_postgres(error: BaseException) -> dict[str, object]:
    # Its message, detail and context quote values; its code and the names of objects do not.
    diagnosis = getattr(error, "diag", None)
    named = {
        "sqlstate": getattr(error, "sqlstate", None),
        "schema": getattr(diagnosis, "schema_name", None),
        "table": getattr(diagnosis, "table_name", None),
        "constraint": getattr(diagnosis, "constraint_name", None),
    }
    return {key: value for key, value in named.items() if value}


def _frames(traceback: TracebackType | None) -> list[str]:
    """Return where it went through our code, and where it was raised, innermost last."""
    frames = [(frame.filename.replace("\\", "/"), frame) for frame in extract_tb(traceback)]
    kept = [(name, frame) for at, (name, frame) in enumerate(frames) if f"/{_OURS}/" in name or at == len(frames) - 1]
    return [f"{'/'.join(name.split('/')[-2:])}:{frame.lineno}:{frame.name}" for name, frame in kept[-FRAMES_MAX:]]
