"""What the doctor finds, with what to do; and the diagnostic bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nicegui import ui

from qianzhi.console import downloads, notices, progress
from qianzhi.console.layout import element, text
from qianzhi.console.pages import Page
from qianzhi.console.roles import ADMINISTRATORS, WITH_PATIENTS
from qianzhi.console.text import _, mark
from qianzhi.gateway import diagnostics, doctor
from qianzhi.gateway.doctor import Diagnosis, Health
from qianzhi.runtime.sources import load_settings

if TYPE_CHECKING:
    from qianzhi.console.notices import Tone
    from qianzhi.console.progress import Progress
    from qianzhi.console.visit import Visit
    from qianzhi.runtime.home import Home
    from qianzhi.runtime.settings import Settings

TONES: Final[dict[Health, Tone]] = {Health.ILL: "bad", Health.NOTE: "warn", Health.WELL: "good"}
BUNDLE_NAME: Final = "qianzhi-diagnose.zip"
BUNDLE_TYPE: Final = "application/zip"


def page(home: Home, _settings: Settings) -> Page:
    """Return the page."""

    def show(visit: Visit) -> None:
        _Doctor(visit, home).show()

    return Page("/doctor", mark("体检"), show, mark("系统"), "monitor_heart", WITH_PATIENTS)


class _Doctor:
    def __init__(self, visit: Visit, home: Home) -> None:
        self._visit, self._home = visit, home

    def show(self) -> None:
        with element("div", "actions"):
            ui.button(_("开始体检"), icon="play_arrow", on_click=self._visit.handler(self._examine)).props("unelevated")
            if self._visit.role in ADMINISTRATORS:
                button = ui.button(_("下载诊断包"), icon="download", on_click=self._visit.handler(self._collect))
                button.props("outline")
        text(_("体检不改变任何数据，也不上传记录。诊断包不含个人信息。"), "p", "soft")
        with element("div") as self._found:
            notices.empty(_("尚未体检。"), icon="monitor_heart")

    async def _examine(self) -> None:
        found = await progress.run(self._visit, _("体检"), self._look)
        if found is None:
            return
        language = self._visit.language.value
        self._found.clear()
        with self._found, element("div", "stack"):
            for health in TONES:
                for each in found:
                    if each.health is health:
                        _draw(each, language)

    def _look(self, step: Progress) -> list[Diagnosis]:
        found = []
        for each in doctor.examine(self._home, load_settings(self._home)):
            found.append(each)
            step.at(each.title(self._visit.language.value))
        return found

    async def _collect(self) -> None:
        content = await progress.run(self._visit, _("正在收集诊断信息"), self._packed)
        if content is not None:
            downloads.offer(self._visit, BUNDLE_NAME, content, BUNDLE_TYPE)

    def _packed(self, step: Progress) -> bytes:
        return diagnostics.packed(self._home, load_settings(self._home), step.at)


def _draw(found: Diagnosis, language: str) -> None:
    said = found.as_json(language)
    colon = "：" if language == "zh" else ": "
    notices.notice(f"{found.title(language)}{colon}{said['what']}", said["remedy"], tone=TONES[found.health])
