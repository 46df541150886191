"""Logs of a test of its own."""

from __future__ import annotations

import io
import json
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from qianzhi.runtime.logs import configure_logs
from qianzhi.runtime.settings import Log

Entries = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def entries(tmp_path: Path) -> Iterator[Entries]:
    """Configures logs for a test, undoes it afterwards, and returns what reads the file."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level, logging.raiseExceptions)
    hooks = (sys.excepthook, threading.excepthook, sys.unraisablehook)
    configure_logs("worker", tmp_path, Log(), console=io.StringIO())
    yield lambda: [json.loads(line) for line in (tmp_path / "worker.log").read_text(encoding="utf-8").splitlines()]
    for handler in root.handlers:
        handler.close()
    root.handlers[:], root.level, logging.raiseExceptions = before
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()
