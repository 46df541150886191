"""Dialogs: a heading, what is drawn within, and opening and closing."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from nicegui import ui

from qianzhi.console.calls import finished
from qianzhi.console.layout import element, text
from qianzhi.console.text import _

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from qianzhi.console.visit import Visit


class Dialog:
    """A dialog that was drawn; it opens when asked."""

    def __init__(self, *, stays: bool = False) -> None:
        self._drawn = ui.dialog()
        if stays:
            self._drawn.props["persistent"] = True

    @contextmanager
    def within(self) -> Iterator[None]:
        """Draw into the dialog."""
        with self._drawn, ui.card().classes("dialog"):
            yield

    def open(self) -> None:
        """Show it."""
        self._drawn.value = True

    def close(self) -> None:
        """Hide it."""
        self._drawn.value = False


@contextmanager
def dialog(title: str, *, stays: bool = False) -> Iterator[Dialog]:
    """Draw a dialog with a heading; `stays`: a click beside it does not close it."""
    made = Dialog(stays=stays)
    with made.within():
        text(title, "h2")
        yield made


def confirm(visit: Visit, title: str, what: str, act: Callable[[], object], button: str) -> None:
    """Ask before something is done that is not easily undone."""
    with dialog(title) as asked:
        text(what, "p", "soft")

        async def agreed() -> None:
            asked.close()
            await finished(act())

        with element("div", "actions"):
            ui.button(button, on_click=visit.handler(agreed)).props("unelevated no-caps")
            ui.button(_("取消"), on_click=asked.close).props("flat no-caps")
    asked.open()
