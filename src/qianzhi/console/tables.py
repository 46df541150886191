"""Tables of what does not fit into a browser: filtered, sorted and cut into pages where the data is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from nicegui import ui

from qianzhi.console import notices
from qianzhi.console.calls import finished
from qianzhi.console.layout import element, text
from qianzhi.console.text import _
from qianzhi.runtime import clock

if TYPE_CHECKING:
    from nicegui.events import GenericEventArguments

    from qianzhi.console.visit import Visit
    from qianzhi.db.server import Session

SIZES: Final = (20, 50, 100)
FILTER_CHARACTERS_MAX: Final = 100
PAGE_MAX: Final = 100_000
SET: Final = "(set)"

Kind = Literal["text", "long", "value", "instant", "number", "code", "tag", "link", "count"]
Tone = notices.Tone


@dataclass(frozen=True, slots=True)
class Column:
    """
    A column; `name` is what the fetch function calls it, `title` is translated already.

    Values of "tag" are `Tagged`, of "link" and "count" (a number) `Linked`; anything else is shown as text.
    """

    name: str
    title: str
    kind: Kind = "text"
    sortable: bool = False


@dataclass(frozen=True, slots=True)
class Tagged:
    """A word in a colour."""

    word: str
    tone: Tone = "plain"


Words = Mapping[str, tuple[str, Tone]]
"""What people call each of some keys (marked for translation), and in which colour."""


def tagged(words: Words, key: str) -> Tagged:
    """Return the word of a key in its colour; a key without one is shown as it is."""
    word, tone = words.get(key, (key, "plain"))
    return Tagged(_(word), tone)


@dataclass(frozen=True, slots=True)
class Linked:
    """A text that leads to a page of the console."""

    title: str
    path: str


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter; with `options` (value to title) one is chosen, without them something is typed."""

    name: str
    title: str
    options: Mapping[str, str] | None = None
    kind: Literal["text", "date"] = "text"
    is_personal: bool = False  # its value may be a patient's, and is not written to the audit
    preset: str = ""  # what it says until somebody says something else


@dataclass(frozen=True, slots=True)
class Query:
    """What a table asks for: `page` begins with 1."""

    filters: Mapping[str, str] = field(default_factory=dict)
    sort: str | None = None
    descending: bool = False
    page: int = 1
    size: int = SIZES[1]

    @property
    def offset(self) -> int:
        """How many rows come before."""
        return (self.page - 1) * self.size


@dataclass(frozen=True, slots=True)
class Slice:
    """
    One page of rows, and how many rows there are in all.

    `options` are what filters offer now, by the filter's name; `note` says what people should know of this page.
    """

    rows: Sequence[Mapping[str, object]]
    total: int
    options: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    note: str = ""


def sliced(rows: Sequence[Mapping[str, object]], query: Query) -> Slice:
    """Return the page of rows that a query asks for, where all of them are at hand."""
    return Slice(rows[query.offset : query.offset + query.size], len(rows))


Fetch = Callable[["Session", Query], Slice]


class Table:
    """
    A table that asks `fetch` (with a session, in a thread) for each page of its rows.

    `opened` is called with the fetched row that somebody clicks. On a page that shows patients each look is audited,
    with the filters and what the table is `about` besides.
    Parameters of the page's address that are named like a filter set it; an empty one undoes what is preset.
    """

    def __init__(
        self,
        visit: Visit,
        columns: Sequence[Column],
        fetch: Fetch,
        *,
        filters: Sequence[Filter] = (),
        sort: str | None = None,
        descending: bool = False,
        empty: str = "",
        hint: str = "",
        opened: Callable[[Mapping[str, object]], object] | None = None,
        tools: Callable[[], object] | None = None,
        about: Mapping[str, str] | None = None,
    ) -> None:
        self._visit = visit
        self._about = about or {}
        self._columns = {column.name: column for column in columns}
        self._fetch = fetch
        self._filters = {each.name: each for each in filters}
        said = {name: visit.query.get(name, each.preset) for name, each in self._filters.items()}
        self.query = Query({name: value for name, value in said.items() if value}, sort, descending)
        self._empty = (empty or _("没有记录。"), hint)
        self._opened = opened
        self._rows: Sequence[Mapping[str, object]] = ()
        self._selects: dict[str, ui.select] = {}
        self._draw(tools)

    async def load(self) -> None:
        """Ask for the page of rows that is wanted now, and show it."""
        query = self.query
        found = await self._visit.ask(self._fetched, query)
        if query is not self.query:
            return  # something else was asked for meanwhile; whoever did shows it
        self._rows = found.rows
        self._table.rows = [
            _shown(self._visit, list(self._columns.values()), at, row) for at, row in enumerate(found.rows)
        ]
        self._table.pagination = {
            "page": query.page,
            "rowsPerPage": query.size,
            "rowsNumber": found.total,
            "sortBy": query.sort,
            "descending": query.descending,
        }
        self._nothing.set_visibility(not found.total)
        self._note.set_text(found.note)
        self._note.set_visibility(bool(found.note))
        for name, options in found.options.items():
            self._offer(name, options)
        self._table.set_visibility(bool(found.total))
        self._table.classes(**{"add" if found.total <= SIZES[0] else "remove": "few"})

    def _fetched(self, session: Session, query: Query) -> Slice:
        found = self._fetch(session, query)
        if self._visit.page.shows_patients:
            self._visit.looked(session, self._audited(query.filters), len(found.rows))
        return found

    def _audited(self, filters: Mapping[str, str]) -> dict[str, str]:
        chosen = {name: SET if self._filters[name].is_personal else value for name, value in filters.items()}
        return {**self._about, **chosen}

    def _draw(self, tools: Callable[[], object] | None) -> None:
        with element("section", "sheet"):
            if self._filters or tools:
                with element("div", "tools"):
                    for each in self._filters.values():
                        self._draw_filter(each)
                    element("span", "gap")
                    if tools:
                        tools()
            self._table = ui.table(
                rows=[],
                columns=[_as_quasar(each) for each in self._columns.values()],
                row_key="at",
                pagination={"rowsPerPage": self.query.size},
            )
            self._table.props("flat dense binary-state-sort").props["rows-per-page-options"] = list(SIZES)
            _dress(self._table, list(self._columns.values()))
            self._table.on("request", self._visit.handler(self._turn))
            if self._opened is not None:
                # A keyboard comes to the button in the first cell; its click is then also one of the row.
                _cell(self._table, next(iter(self._columns)), "button", {"type": "button", "class": "open"})
                self._table.on("rowClick", self._visit.handler(self._open), args=[None, ["at"], None])
                self._table.classes("opens")
            self._note = ui.label("").classes("note")
            with element("div") as self._nothing:
                notices.empty(*self._empty)

    def _draw_filter(self, each: Filter) -> None:
        value = self.query.filters.get(each.name, "")

        async def changed(event: Any) -> None:  # noqa: ANN401 - of either component
            await self._narrow(each.name, str(event.value or ""))

        if each.options is not None:
            options = {"": _("全部"), **({value: value} if value else {}), **each.options}
            drawn = ui.select(options, value=value, label=each.title)
            drawn.on_value_change(self._visit.handler(changed)).props("dense outlined options-dense")
            self._selects[each.name] = drawn
        else:
            typed = ui.input(each.title, value=value).props("dense outlined clearable debounce=400")
            typed.props["maxlength"] = FILTER_CHARACTERS_MAX
            if each.kind == "date":
                typed.props["type"] = "date"
            typed.on_value_change(self._visit.handler(changed))

    async def _narrow(self, name: str, value: str) -> None:
        filters = {key: held for key, held in self.query.filters.items() if key != name}
        if value.strip():
            filters[name] = value.strip()[:FILTER_CHARACTERS_MAX]
        self.query = Query(filters, self.query.sort, self.query.descending, 1, self.query.size)
        await self.load()

    def _offer(self, name: str, options: Mapping[str, str]) -> None:
        """Let a filter offer what there is; what is chosen stays, whether there is any or not."""
        chosen = self.query.filters.get(name, "")
        kept = {chosen: options.get(chosen, chosen)} if chosen else {}
        self._selects[name].set_options({"": _("全部"), **kept, **options}, value=chosen)

    async def _turn(self, event: GenericEventArguments) -> None:
        """Take what the browser asks for, as far as there is such a thing."""
        wanted = event.args.get("pagination") if isinstance(event.args, dict) else None
        if not isinstance(wanted, dict):
            return
        column = self._columns.get(str(wanted.get("sortBy")))
        sort = column.name if column is not None and column.sortable else None
        page, size = wanted.get("page"), wanted.get("rowsPerPage")
        self.query = Query(
            self.query.filters,
            sort,
            bool(wanted.get("descending")),
            page if isinstance(page, int) and 1 <= page <= PAGE_MAX else 1,
            size if size in SIZES else self.query.size,
        )
        await self.load()

    async def _open(self, event: GenericEventArguments) -> None:
        at = event.args[1].get("at") if isinstance(event.args, list) else None
        if self._opened is None or not isinstance(at, int) or not 0 <= at < len(self._rows):
            return
        await finished(self._opened(self._rows[at]))


def plain(visit: Visit, columns: Sequence[Column], rows: Sequence[Mapping[str, object]]) -> None:
    """Draw rows that are all there, without filters and pages."""
    with element("section", "sheet"):
        shown = [_shown(visit, columns, at, row) for at, row in enumerate(rows)]
        table = ui.table(rows=shown, columns=[_as_quasar(each) for each in columns], row_key="at")
        table.props("flat dense hide-bottom")
        _dress(table, columns)


def _dress(table: ui.table, columns: Sequence[Column]) -> None:
    for column in columns:
        if column.kind in _CELLS:
            _cell(table, column.name, *_CELLS[column.kind])


def _cell(table: ui.table, column: str, tag: str, props: Mapping[str, str]) -> None:
    """
    Draw the values of a column as elements; a prop that begins with ":" is computed from the cell's `props`.

    Elements and no template: a template is a new component whenever anything on the page changes, which makes its
    cells anew and takes the keyboard's focus from them.
    """
    with table.add_slot(f"body-cell-{column}"):
        around = ui.element("q-td")
        around.props[":props"] = "props"
        with around:
            inner = ui.element(tag)
            inner.props.update({":textContent": "props.value", **props})
        for each in (around, inner):
            each.props[":id"] = "undefined"  # the same element is drawn in every row


def _shown(visit: Visit, columns: Sequence[Column], at: int, row: Mapping[str, object]) -> dict[str, object]:
    """Return a row as the browser gets it: texts, and beside them colours and addresses."""
    shown: dict[str, object] = {"at": at}
    for column in columns:
        name, value = column.name, row.get(column.name)
        if isinstance(value, Tagged):
            shown[name], shown[f"{name}_tone"] = value.word, value.tone
        elif isinstance(value, Linked):
            shown[name], shown[f"{name}_path"] = value.title, visit.link(value.path)
        else:
            shown[name] = as_text(value)
    return shown


def as_text(value: object) -> str:
    """Return a value as people read it: instants in local time, thousands set apart."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return _("是") if value else _("否")
    if isinstance(value, datetime):
        return f"{clock.local(value) if value.tzinfo else value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, date):
        return value.isoformat()
    return f"{value:,}" if isinstance(value, int) else str(value)


def minute(instant: datetime) -> str:
    """Return an instant to the minute for a column of kind "instant": where it is narrow, the day above the time."""
    return as_text(instant)[:16]


def facts(pairs: Mapping[str, object]) -> None:
    """Show names and values, one a line."""
    with element("dl", "facts"):
        for name, value in pairs.items():
            text(name, "dt")
            text(as_text(value), "dd")


def _as_quasar(column: Column) -> dict[str, object]:
    return {
        "name": column.name,
        "label": column.title,
        "field": column.name,
        "sortable": column.sortable,
        "align": "right" if column.kind in {"number", "count"} else "left",
        "classes": _CLASSES.get(column.kind, ""),
    }


_CLASSES: Final[Mapping[str, str]] = {
    "long": "wraps",
    "value": "value",
    "instant": "instant",
    "number": "number",
    "count": "number",
    "code": "code",
}
_LINK: Final = ("a", {":href": "props.row[props.col.name + '_path']"})
_CELLS: Final[Mapping[str, tuple[str, Mapping[str, str]]]] = {
    "tag": ("span", {":class": "'tag ' + props.row[props.col.name + '_tone']"}),
    "link": _LINK,
    "count": _LINK,
}
