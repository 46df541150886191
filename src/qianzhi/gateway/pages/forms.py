"""The regulator's forms: what this installation does not know is asked, and a page to print and stamp comes out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qianzhi.console import downloads, notices
from qianzhi.console.forms import Form as Asked
from qianzhi.console.forms import Input
from qianzhi.console.layout import element, text
from qianzhi.console.pages import Page
from qianzhi.console.roles import ADMINISTRATORS, WITH_PATIENTS
from qianzhi.console.text import _, mark
from qianzhi.gateway.documents.facts import RECORD, facts
from qianzhi.gateway.documents.forms import ANSWER_CHARACTERS_MAX, FormFile, fill, make
from qianzhi.gateway.documents.opening import dossiers
from qianzhi.runtime import printing, workbooks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qianzhi.console.visit import Visit
    from qianzhi.gateway.documents.dossier import Dossier
    from qianzhi.runtime.home import Home
    from qianzhi.runtime.settings import Settings
    from qianzhi.specs.paperwork import Form, Item

_KIND = "qianzhi_kind"
_SECRETS = "qianzhi_secrets"
_MEDIA_TYPES = {FormFile.HTML: printing.MEDIA_TYPE, FormFile.XLSX: workbooks.MEDIA_TYPE}


def page(home: Home, settings: Settings) -> Page:
    """Return the page."""

    def show(visit: Visit) -> None:
        seen: set[str] = set()
        for name, dossier in dossiers(home, settings).items():
            regulator = settings.gateway.destinations[name].regulator
            if regulator not in seen:
                seen.add(regulator)
                for form in dossier.paperwork.forms:
                    _Card(visit, home, settings, dossier).draw(form)

    return Page("/forms", mark("表单"), show, mark("资料与文档"), "print", WITH_PATIENTS)


class _Card:
    def __init__(self, visit: Visit, home: Home, settings: Settings, dossier: Dossier) -> None:
        self._visit = visit
        self._home = home
        self._settings = settings
        self._dossier = dossier

    def draw(self, form: Form) -> None:
        with element("section", "card"):
            text(form.title.said(self._visit.language), "h2")
            text(_("本机已知的内容自动填写；打印盖章后扫描上传。"), "p", "soft")
            inputs = [self._input(item) for item in form.items if item.fact in {None, RECORD}]
            kinds = {FormFile.HTML.value: _("打印页（HTML）"), FormFile.XLSX.value: "Excel"}
            inputs.append(Input(_KIND, _("文件格式"), options=kinds, value=FormFile.HTML.value, is_required=True))
            if self._visit.role in ADMINISTRATORS and any(item.secret and item.fact for item in form.items):
                inputs.append(Input(_SECRETS, _("打印数据库密码"), "switch"))

            async def save(values: dict[str, str]) -> dict[str, str]:
                await self._make(form, values)
                return {}

            Asked(self._visit, inputs, save, button=_("生成表单"))

    def _input(self, item: Item) -> Input:
        title = item.label.said(self._visit.language)
        options = {choice: choice for choice in item.choices} or None
        kind = "password" if item.secret else "text"
        hint = _("不填时取自“机构与人员”。") if item.fact == RECORD else ""
        return Input(item.key, title, kind, hint=hint, options=options, characters_max=ANSWER_CHARACTERS_MAX)  # type: ignore[arg-type]  # one of its kinds

    async def _make(self, form: Form, values: Mapping[str, str]) -> None:
        kind = FormFile(values[_KIND])
        answers = {key: value for key, value in values.items() if key not in {_KIND, _SECRETS}}
        may_tell = self._visit.role in ADMINISTRATORS and values.get(_SECRETS) == "T"
        content, missing = await self._visit.work(self._made, form, answers, kind, may_tell)
        downloads.offer(self._visit, f"{form.title.zh}.{kind}", content, _MEDIA_TYPES[kind])
        if missing:
            notices.done(_("已生成，还有 {count} 项空白。").format(count=missing))

    def _made(self, form: Form, answers: Mapping[str, str], kind: FormFile, may_tell: bool) -> tuple[bytes, int]:  # noqa: FBT001 - passed on to a thread
        regulator = self._settings.gateway.destinations[self._dossier.destination].regulator
        known = facts(self._home, self._settings, regulator)
        filled = fill(form, known, answers, with_secrets=may_tell)
        self._dossier.note_printed(filled, self._visit.live.who.actor)
        return make(filled, kind), len(filled.missing)
