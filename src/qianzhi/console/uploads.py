"""Files that people hand to a page: bounded in number and size, checked by whoever takes them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from nicegui import ui

from qianzhi.console import notices
from qianzhi.console.calls import finished
from qianzhi.console.guard import UPLOAD_BYTES_MAX
from qianzhi.console.text import _
from qianzhi.errors import SenderError

if TYPE_CHECKING:
    from nicegui.events import UploadEventArguments

    from qianzhi.console.visit import Visit

BYTES_MAX: Final = 20 * 1024 * 1024
FILES_MAX: Final = 20
NAME_CHARACTERS_MAX: Final = 200

Take = Callable[[str, bytes], Awaitable[object] | object]


def upload(
    visit: Visit, title: str, take: Take, *, accept: str, bytes_max: int = BYTES_MAX, files_max: int = 1
) -> ui.upload:
    """
    Draw a field for files; `take` gets the name (as the visitor's machine has it: never a path here) and the content.

    `accept` are the suffixes that are offered, such as ".xlsx"; what a file really is, `take` finds out.
    """
    bytes_max, files_max = min(bytes_max, UPLOAD_BYTES_MAX), min(files_max, FILES_MAX)

    async def taken(event: UploadEventArguments) -> None:
        if event.file.size() > bytes_max:
            raise SenderError(_("文件过大。"), remedy=_("请拆分或压缩后再上传。"))
        name = event.file.name.replace("\\", "/").rpartition("/")[2][:NAME_CHARACTERS_MAX]
        await finished(take(name, await event.file.read()))

    def refused() -> None:
        notices.tell(SenderError(_("文件类型、大小或数量不符合要求。"), remedy=_("请按提示选择文件。")))

    drawn = ui.upload(
        label=title,
        multiple=files_max > 1,
        max_file_size=bytes_max,
        max_files=files_max if files_max > 1 else None,
        auto_upload=True,
        on_upload=visit.handler(taken),
        on_rejected=visit.handler(refused),
    )
    drawn.props["accept"] = accept
    return drawn.props("flat bordered").classes("upload")
