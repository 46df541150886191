"""From a workbook that people filled in to a plan: what changes, and what is wrong with which cell."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from openpyxl.utils import get_column_letter

from qianzhi.console.text import Language, told
from qianzhi.errors import SenderError
from qianzhi.gateway.resources.insides import Inside, insides
from qianzhi.gateway.resources.plan import Action, Line, Plan
from qianzhi.gateway.resources.remarks import Place, remark
from qianzhi.gateway.resources.template import GUIDE, is_kept, revoke_heading, revoke_label
from qianzhi.runtime.workbooks import read, written
from qianzhi.specs.model import Text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from qianzhi.gateway.resources.attachments import Attachments
    from qianzhi.gateway.resources.form import Form, Input
    from qianzhi.gateway.resources.pictures import Album
    from qianzhi.gateway.resources.records import Record
    from qianzhi.runtime.workbooks import Table

LINES_MAX: Final = 20_000
"""Filled rows of one workbook."""

_REVOKE: Final = ""  # stands for the column by which records are revoked; no field has an empty name
_FULL_PATH: Final = re.compile(r"[/\\]|[A-Za-z]:")
_SPACES: Final = re.compile(r"\s+")
_LINE_ENDS: Final = re.compile(r"\r\n?")


@dataclass(frozen=True, slots=True)
class Stored:
    """The current records of a dataset by key, and its newest row."""

    records: Mapping[tuple[str, ...], Record]
    newest_id: int

    @classmethod
    def of(cls, form: Form, records: Sequence[Record]) -> Stored:
        """Return records as a workbook is compared with them."""
        by_key = {tuple(as_read(record.values.get(name, "")) for name in form.key): record for record in records}
        return cls(by_key, max((record.row_id for record in records), default=0))

    def find(self, key: tuple[str, ...]) -> Record | None:
        """Return the record of a key, as it stands in a cell or a form."""
        return self.records.get(tuple(map(as_read, key)))


def planned(
    content: bytes, forms: Mapping[str, Form], stored: Mapping[str, Stored], attachments: Attachments, album: Album
) -> Plan:
    """
    Return what a workbook would change; the rules are not asked yet.

    Raises SenderError where it cannot be read, holds no sheet of the template, or more than LINES_MAX rows.
    """
    tables = read(content)
    inside = insides(content)
    plan = Plan(remarks=list(attachments.remarks), seen={name: each.newest_id for name, each in stored.items()})
    used: set[str] = set()
    found: list[str] = []
    for table in tables:
        form = _form(table.name, forms)
        if form is None or form.dataset.name in found:
            if table.name != GUIDE:
                plan.remarks.append(remark("sheet-unknown", Place(table.name)))
            continue
        found.append(form.dataset.name)
        sheet = _Sheet(
            form, table, inside.get(table.name, Inside()), stored[form.dataset.name], attachments, album, plan
        )
        plan.lines[form.dataset.name] = sheet.lines()
        used |= sheet.used
        if sum(map(len, plan.lines.values())) > LINES_MAX:
            raise SenderError(f"The workbook holds more than {LINES_MAX} records.", remedy="Split it into several.")
    _look_around(plan, forms, found, attachments, used)
    return plan


def _look_around(
    plan: Plan, forms: Mapping[str, Form], found: Sequence[str], attachments: Attachments, used: set[str]
) -> None:
    if not found:
        raise SenderError(
            "No sheet of the workbook is one of the template.", remedy="Download the template; fill it in."
        )
    if len(found) > 1:  # a workbook of one sheet is one dataset's template
        missing = [form.title for name, form in forms.items() if name not in found]
        plan.remarks += [remark("sheet-missing", Place(title)) for title in missing]
    plan.remarks += [remark("picture-unused", Place(), value=name) for name in attachments.files if name not in used]


def _form(sheet: str, forms: Mapping[str, Form]) -> Form | None:
    return next((form for name, form in forms.items() if sheet.strip() in {name, form.title, form.title[:31]}), None)


@dataclass(slots=True)
class _Sheet:
    """One sheet while it is read."""

    form: Form
    table: Table
    inside: Inside
    stored: Stored
    attachments: Attachments
    album: Album
    plan: Plan
    used: set[str] = field(default_factory=set)  # names of attached files
    _columns: dict[str, int] = field(default_factory=dict)  # by field
    _rows: dict[tuple[str, ...], int] = field(default_factory=dict)  # by key

    def lines(self) -> list[Line]:
        """Return the lines of the sheet that name a record."""
        if not self.table.rows:
            return []
        self._read_headings()
        if not self.inside.is_whole:
            self.plan.remarks.append(remark("drawing-unread", Place(self.table.name)))
        if missing := [name for name in self.form.key if name not in self._columns]:
            self._note("key-column-missing", None, None, field=missing[0])
            return []
        return [line for at in self._filled() if (line := self._line(at)) is not None]

    def _read_headings(self) -> None:
        known = {_heading(each.heading): each.name for each in self.form.inputs}
        known[_heading(revoke_heading(self.form))] = _REVOKE
        titles = [each.field.title for each in self.form.inputs]
        for each in self.form.inputs:  # a name will do, or a title where it is clear
            known.setdefault(each.name, each.name)
            if titles.count(each.field.title) == 1:
                known.setdefault(_heading(each.field.title), each.name)
        for at, text in enumerate(self.table.rows[0]):
            name = known.get(_heading(text))
            if not text.strip():
                continue
            if name is None:
                self._note("heading-unknown", 0, at, value=text)
            elif name in self._columns:
                self._note("heading-repeated", 0, at, value=text)
            else:
                self._columns[name] = at
        for each in self.form.inputs:
            if each.name not in self._columns and each.name not in self.form.key:
                self._note("heading-missing", None, None, field=each.name, value=each.field.title)

    def _filled(self) -> Iterator[int]:
        more = {row for row, _ in (*self.inside.pictures, *self.inside.formulas)}
        for at in range(1, len(self.table.rows)):
            if any(self.table.rows[at]) or at in more:
                yield at

    def _line(self, at: int) -> Line | None:
        key = self._key(at)
        if key is None:
            return None
        record = self.stored.find(key)
        values = {each.name: self._value(each, at, record) for each in self.form.inputs}
        action = self._action(at, record, values)
        if action is None:
            return None
        if action is Action.REVOKE and record is not None:
            values = {each.name: record.values.get(each.name) for each in self.form.inputs}
        columns = {name: get_column_letter(column + 1) for name, column in self._columns.items()}
        return Line(Place(self.table.name, at + 1), action, values, columns)

    def _key(self, at: int) -> tuple[str, ...] | None:
        key = []
        for name in self.form.key:
            said = self.form.input(name).meant(self._text(name, at)) or ""
            if not said:
                self._note("key-missing", at, self._columns[name], field=name)
                return None
            key.append(said)
        earlier = self._rows.setdefault(tuple(key), at)
        if earlier != at:
            where = Text(f"第 {earlier + 1} 行", f"row {earlier + 1}")
            column = self._columns[self.form.key[-1]] if self.form.key else None
            name = self.form.key[-1] if self.form.key else self.form.dataset.institution
            self.plan.remarks.append(
                remark("key-repeated", self._place(at, column), field=name, value=" ".join(key), detail=where)
            )
            return None
        return tuple(key)

    def _action(self, at: int, record: Record | None, values: Mapping[str, str | None]) -> Action | None:
        exists = record is not None and record.exists
        said = self._text(_REVOKE, at)
        change = self.form.dataset.change
        if said in {change.revoke, revoke_label(self.form)}:
            if not exists:
                self._note("nothing-to-revoke", at, self._columns[_REVOKE], field=change.field)
                return None
            return Action.REVOKE
        if said and said not in {change.new, change.modify}:
            self._note("change-unknown", at, self._columns[_REVOKE], field=change.field, value=said)
        if record is not None and all(values[each.name] == record.values.get(each.name) for each in self.form.inputs):
            # What was revoked and stands here again is made anew; all else that says the same is passed over.
            return Action.UNCHANGED if is_kept(record) else Action.NEW
        return Action.MODIFY if exists else Action.NEW

    def _value(self, each: Input, at: int, record: Record | None) -> str | None:
        before = record.values.get(each.name) if record is not None else None
        column = self._columns.get(each.name)
        if column is None:
            return before
        text = self.table.rows[at][column]
        if (at, column) in self.inside.formulas:
            self._note("formula", at, column, field=each.name)
        elif (at, column) in self.table.doubtful:
            self._note("number-doubtful", at, column, field=each.name)
        if each.field.image and (at, column) in self.inside.pictures:
            return self._pictured(each, at, column, self.inside.pictures[at, column], "")
        # What a cell cannot hold, such as a very long text, is not lost because somebody downloaded it.
        if as_read(each.shown(before)) == as_read(text):
            return before
        return self._named(each, at, column, text) if each.field.image else each.meant(text)

    def _named(self, each: Input, at: int, column: int, text: str) -> str | None:
        """Return the path of the picture that a cell names."""
        found = self.attachments.find(text)
        if found is not None:
            self.used.add(found[0])
            return self._pictured(each, at, column, found[1], text)
        if text and not _FULL_PATH.match(text):
            self._note("picture-missing", at, column, field=each.name, value=text)
        return text or None

    def _pictured(self, each: Input, at: int, column: int, content: bytes, text: str) -> str | None:
        try:
            picture = self.album.picture(content)
        except SenderError as error:
            why = Text(told(error.what, Language.ZH).rstrip("。"), error.what.rstrip("."))
            self.plan.remarks.append(
                remark("picture-refused", self._place(at, column), field=each.name, value=text, detail=why)
            )
            return text or None
        self.plan.pictures[picture.path] = picture
        return picture.path

    def _text(self, name: str, at: int) -> str:
        column = self._columns.get(name)
        return "" if column is None else self.table.rows[at][column]

    def _place(self, at: int | None, column: int | None) -> Place:
        return Place(
            self.table.name,
            None if at is None else at + 1,
            "" if column is None else get_column_letter(column + 1),
        )

    def _note(self, code: str, at: int | None, column: int | None, *, field: str = "", value: str = "") -> None:
        self.plan.remarks.append(remark(code, self._place(at, column), field=field, value=value))


def _heading(text: str) -> str:
    return _SPACES.sub(" ", text).strip()


def as_read(text: str) -> str:
    """Return a text as it comes back out of a cell."""
    return _LINE_ENDS.sub("\n", written(text)).strip()
