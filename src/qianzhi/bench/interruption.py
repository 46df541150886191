"""Being asked to stop while servers run in a temporary folder: the first time unwinds, and nothing cuts that short."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

from qianzhi.runtime.stopping import SIGNALS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType


class Interrupted(KeyboardInterrupt):
    """Somebody asked to stop; everything is taken down while this passes through."""


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise Interrupted at the first request to stop, whichever signal brings it, and ignore those after it."""
    before = {number: signal.signal(number, _interrupt) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise Interrupted
