"""
PDF files of other people, opened in a child process that may be killed: what is in them, and several made into one.

The child has a bound of time and of memory, reads no file and calls nobody; a bomb costs it and nobody else.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

PROCESSOR_SECONDS_MAX: Final = 20
SECONDS_MAX: Final = 60.0
"""On the wall: a busy machine is no fault of the file."""

MEMORY_BYTES_MAX: Final = 1536 * 2**20
"""Of the child, its interpreter and libraries included."""

_CHILD: Final = "qianzhi.runtime.pdf_child"


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look into a PDF gave; `trouble` is one of the words of `pdf_child`, empty for a file that may be kept."""

    page_count: int = 0
    trouble: str = ""


def look(content: bytes) -> Looked:
    """Look into a PDF. Never raises for what is in it."""
    said = _run("look", [content])
    if said is None:
        return Looked(trouble="heavy")
    try:
        told = json.loads(said)
        return Looked(int(told["page_count"]), str(told["trouble"]))
    except (ValueError, KeyError, TypeError):
        return Looked(trouble="damaged")


def merge(parts: Sequence[bytes]) -> bytes | None:
    """Return one PDF of scans (PDFs and images that were looked into) in their order; None where that cannot be."""
    return _run("merge", parts) or None


def _run(task: str, parts: Sequence[bytes]) -> bytes | None:
    """Return what the child printed; None when it failed, or had to be ended."""
    head = json.dumps([len(part) for part in parts]).encode() + b"\n"
    command = [sys.executable, "-P", "-m", _CHILD, task, str(PROCESSOR_SECONDS_MAX), str(MEMORY_BYTES_MAX)]
    try:
        ended = subprocess.run(
            command,
            input=b"".join((head, *parts)),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=SECONDS_MAX,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None
    return ended.stdout if ended.returncode == 0 else None
