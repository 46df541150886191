"""Long work in a thread of its own, with a dialog that shows how far it is and lets it be stopped."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from anyio import CapacityLimiter, to_thread
from nicegui import ui

from qianzhi.console.dialogs import dialog
from qianzhi.console.layout import element
from qianzhi.console.text import _
from qianzhi.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import Callable

    from qianzhi.console.visit import Visit

LOOK_SECONDS: Final = 0.25
WORKS_MAX: Final = 2  # at once, of all visitors
_Result = TypeVar("_Result")
_works = CapacityLimiter(WORKS_MAX)


class StoppedError(Exception):
    """Somebody asked the work to stop; raised out of `Progress.at` and caught by `run`."""


class Progress:
    """How far a work is; written by its thread, read by the dialog."""

    def __init__(self) -> None:
        self.share: float | None = None
        self.step = ""
        self._stop = threading.Event()

    def at(self, step: str, share: float | None = None) -> None:
        """Say what is done now, and the share (0 to 1) that is done, where that is known; ends a work to be stopped."""
        if self._stop.is_set():
            raise StoppedError
        self.step, self.share = step, share

    def stop(self) -> None:
        """Ask the work to stop at its next step."""
        self._stop.set()


class Work(Generic[_Result]):
    """A work with its dialog."""

    def __init__(self, visit: Visit, title: str, do: Callable[[Progress], _Result]) -> None:
        self._visit = visit
        self._do = do
        self.progress = Progress()
        with dialog(title, stays=True) as self._dialog:
            self._bar = ui.linear_progress(0, show_value=False).props("indeterminate")
            self._step = ui.label(_("正在准备…")).classes("soft")
            with element("div", "actions"):
                ui.button(_("停止"), on_click=self.progress.stop).props("flat no-caps")

    async def run(self) -> _Result | None:
        """Do the work; None when somebody stopped it. Errors of ours go on to who asked."""
        if _works.borrowed_tokens >= WORKS_MAX:
            raise OperatorError(_("已有其他任务在运行。"), remedy=_("请等它结束后再试。"))
        self._dialog.open()
        timer = ui.timer(LOOK_SECONDS, self._look)
        try:
            return await to_thread.run_sync(self._do, self.progress, limiter=_works)
        except StoppedError:
            return None
        finally:
            timer.cancel()
            self._dialog.close()

    def _look(self) -> None:
        self._step.set_text(self.progress.step)
        if self.progress.share is not None:
            self._bar.props(remove="indeterminate")
            self._bar.value = min(1.0, max(0.0, self.progress.share))


async def run(visit: Visit, title: str, do: Callable[[Progress], _Result]) -> _Result | None:
    """Do a long work with a dialog (see `Work.run`); to be called in a handler."""
    return await Work(visit, title, do).run()
