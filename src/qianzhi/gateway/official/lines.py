"""Lines of an export: which record each speaks of, when it was said, and what."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import polars as pl

from qianzhi.checks.findings import VALUE_CHARACTERS_MAX
from qianzhi.checks.instants import ZONE
from qianzhi.checks.keys import is_complete, key_check, key_hash
from qianzhi.errors import SenderError
from qianzhi.gateway.official.profile import Meaning, plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from qianzhi.gateway.official.profile import Profile
    from qianzhi.runtime.workbooks import Table
    from qianzhi.specs.model import Dataset, Regulator

HEADING_ROWS_MAX: Final = 20  # looked through for headings: titles and remarks stand above them
REASON_CHARACTERS_MAX: Final = 500
CODE_CHARACTERS_MAX: Final = 40
AHEAD_SECONDS_MAX: Final = 3600.0  # that the official machine's clock may run before ours

_TIMES: Final = (
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S",
    "%Y/%m/%d %H:%M:%S",
    "%Y-%m-%d %H:%M",
    "%Y/%m/%d %H:%M",
    "%Y%m%d%H%M%S",
    "%Y年%m月%d日 %H:%M:%S",
)
_DAYS: Final = ("%Y-%m-%d", "%Y/%m/%d", "%Y%m%d", "%Y年%m月%d日")
NO_DATASET: Final = "which dataset it belongs to is not known"
NO_KEY: Final = "the fields that name the record are not all there"
LOST_DIGITS: Final = "a number that names the record has lost digits in Excel"
NO_TIME: Final = "it does not say when the console said so"
AHEAD: Final = "its time lies ahead"
NO_VERDICT: Final = "it says neither accepted nor failed"

LINE = pl.Schema(
    {
        "place": pl.Int64,  # over all tables of the file
        "sheet": pl.String,
        "line": pl.Int64,  # from 1
        "dataset": pl.String,
        "key_hash": pl.Int64,
        "key_check": pl.Int64,
        "remote_id": pl.Int64,
        "occurred_us": pl.Int64,  # of local time, since 1970
        "told_us": pl.Int64,  # since 1970
        "accepted": pl.Boolean,
        "code": pl.String,
        "class": pl.String,
        "field": pl.String,
        "value": pl.String,
        "reason": pl.String,
        "trouble": pl.String,  # why it can settle nothing; null where it can
    }
)


@dataclass(frozen=True, slots=True)
class Reading:
    """What is known besides the file."""

    regulator: Regulator
    profile: Profile
    institution: str
    dataset: str | None  # of lines and sheets that do not say theirs
    told_at: datetime | None  # of lines that do not say their time
    now: datetime


def lines_of(tables: Sequence[Table], reading: Reading) -> pl.DataFrame:
    """
    Return the lines (columns of LINE) of all tables.

    Raises SenderError where no table has headings that tell records and results apart from anything else.
    """
    heads = [(table, head) for table in tables if (head := _heading_row(table, reading)) is not None]
    if not heads:
        raise SenderError(
            "The file has no headings that name a record and its result.",
            remedy="Export the records with their results, or name the headings in a profile of your own "
            "(machine.results_profile in qianzhi.toml).",
        )
    found = [frame for table, head in heads for frame in _lines(table, head, reading)]
    if not found:
        return pl.DataFrame(schema=LINE)
    return pl.concat(found).with_columns(place=pl.int_range(pl.len(), dtype=pl.Int64)).select(*LINE.names()).cast(LINE)


def _lines(table: Table, head: int, reading: Reading) -> Iterator[pl.DataFrame]:
    """Yield the lines below a row of headings, a frame a dataset."""
    names = [plain(cell) for cell in table.rows[head]]
    meant = _meant(names, reading.profile)
    body = [
        (number + 1, *(row[at] for at in range(len(names))))
        for number, row in enumerate(table.rows)
        if number > head and any(row)
    ]
    if not body:
        return
    frame = pl.DataFrame(body, schema=["line", *(f"c{at}" for at in range(len(names)))], orient="row")
    common = frame.select(
        pl.lit(table.name).alias("sheet"),
        pl.col("line").cast(pl.Int64),
        *(_text(meant.get(each)).alias(each.value) for each in Meaning),
        *(f"c{at}" for at in range(len(names))),
    ).with_columns(_dataset(table.name, reading).alias("dataset"))
    doubtful = {(number + 1, at) for number, at in table.doubtful}
    for (name,), part in common.partition_by("dataset", as_dict=True, maintain_order=True).items():
        yield _read(part, str(name) if name else None, names, doubtful, reading)


def _heading_row(table: Table, reading: Reading) -> int | None:
    """Return the row that names both a result and a key of a dataset."""
    keys = {
        word
        for dataset in reading.regulator.datasets
        for word, field in reading.profile.headings_of(dataset).items()
        if field in dataset.key and (field != dataset.institution or dataset.key == (field,))
    }
    for number, row in enumerate(table.rows[:HEADING_ROWS_MAX]):
        words = {plain(cell) for cell in row}
        meant = {reading.profile.columns[word] for word in words if word in reading.profile.columns}
        if meant & {Meaning.VERDICT, Meaning.REASON} and words & keys:
            return number
    return None


def _meant(names: Sequence[str], profile: Profile) -> dict[Meaning, int]:
    """Return the first column of each meaning."""
    found: dict[Meaning, int] = {}
    for at, name in enumerate(names):
        if name in profile.columns:
            found.setdefault(profile.columns[name], at)
    return found


def _text(at: int | None) -> pl.Expr:
    return pl.lit(None, pl.String) if at is None else pl.col(f"c{at}").replace("", None)


def _dataset(sheet: str, reading: Reading) -> pl.Expr:
    known = dict(reading.profile.datasets)
    said = pl.col(Meaning.DATASET).map_elements(plain, return_dtype=pl.String)
    fallback = known.get(plain(sheet), reading.dataset)
    named = said.replace_strict(known, default="", return_dtype=pl.String)
    return pl.when(said.is_null()).then(pl.lit(fallback, pl.String)).otherwise(named.replace("", None))


def _read(
    part: pl.DataFrame, name: str | None, names: Sequence[str], doubtful: set[tuple[int, int]], reading: Reading
) -> pl.DataFrame:
    """Read the lines of one dataset."""
    if name is None:
        return _empty_handed(part, NO_DATASET)
    dataset = reading.regulator.dataset(name)
    headings = reading.profile.headings_of(dataset)
    at = _columns(names, headings)
    lost = [line for line, place in doubtful if f"c{place}" in {at.get(field) for field in dataset.key}]
    keyed = part.with_columns(_key_field(field, at, dataset, reading) for field in dataset.key)
    read = keyed.with_columns(
        key_hash=key_hash(dataset.key),
        key_check=key_check(dataset.key),
        named=is_complete(dataset.key),
        remote_id=pl.col(Meaning.REMOTE_ID).cast(pl.Int64, strict=False),
        occurred_us=_instant(_of(at, dataset.occurred_at)).dt.epoch("us"),
        told_us=_told(reading),
        accepted=_verdict(reading.profile),
        lost=pl.col("line").is_in(lost),
        **_said(headings),
    )
    return read.with_columns(
        _class(reading.profile),
        trouble=pl.coalesce(
            _if(pl.col("lost"), LOST_DIGITS),
            _if(~pl.col("named"), NO_KEY),
            _if(pl.col("accepted").is_null(), NO_VERDICT),
            _if(pl.col("told_us").is_null(), NO_TIME),
            _if(pl.col("told_us") > int((reading.now.timestamp() + AHEAD_SECONDS_MAX) * 1_000_000), AHEAD),
        ),
    ).select(*(name for name in LINE.names() if name != "place"))


def _columns(names: Sequence[str], headings: Mapping[str, str]) -> dict[str, str]:
    """Return the column of each field: one that is called by the field's name before one called by its title."""
    known = [(headings[word], word, f"c{place}") for place, word in enumerate(names) if word in headings]
    known.sort(key=lambda each: each[1] == plain(each[0]), reverse=True)  # keeps the order of the file otherwise
    return {field: column for field, _, column in reversed(known)}


def _empty_handed(part: pl.DataFrame, trouble: str) -> pl.DataFrame:
    known = {"sheet", "line"}
    return part.select(
        *(
            pl.col(name).cast(kind) if name in known else pl.lit(None, kind).alias(name)
            for name, kind in LINE.items()
            if name not in {"place", "trouble"}
        ),
        trouble=pl.lit(trouble),
    )


def _key_field(field: str, at: Mapping[str, str], dataset: Dataset, reading: Reading) -> pl.Expr:
    said = _of(at, field)
    if field == dataset.institution:
        said = pl.coalesce(said, pl.lit(reading.institution or None, pl.String))
    return said.alias(field)


def _of(at: Mapping[str, str], field: str) -> pl.Expr:
    return pl.col(at[field]).replace("", None) if field in at else pl.lit(None, pl.String)


def _verdict(profile: Profile) -> pl.Expr:
    said = pl.col(Meaning.VERDICT)
    words = said.map_elements(plain, return_dtype=pl.String)
    judged = words.replace_strict(dict(profile.verdicts), default=None, return_dtype=pl.Boolean)
    # Without a word on it, a line that gives a reason is one of the failed.
    return pl.when(said.is_null() & pl.col(Meaning.REASON).is_not_null()).then(pl.lit(value=False)).otherwise(judged)


def _said(headings: Mapping[str, str]) -> dict[str, pl.Expr]:
    field = pl.col(Meaning.FIELD)
    spelt = field.map_elements(plain, return_dtype=pl.String).replace_strict(
        dict(headings), default=None, return_dtype=pl.String
    )
    return {
        "field": pl.coalesce(spelt, field.str.slice(0, CODE_CHARACTERS_MAX)),
        "code": pl.col(Meaning.CODE).str.slice(0, CODE_CHARACTERS_MAX),
        "value": pl.col(Meaning.VALUE).str.slice(0, VALUE_CHARACTERS_MAX),
        "reason": pl.col(Meaning.REASON).str.slice(0, REASON_CHARACTERS_MAX),
    }


def _class(profile: Profile) -> pl.Expr:
    told = pl.struct(pl.col("code").fill_null(""), pl.col("reason").fill_null(""))
    return told.map_elements(
        lambda said: profile.class_of(said["code"], said["reason"]).value, return_dtype=pl.String
    ).alias("class")


def _told(reading: Reading) -> pl.Expr:
    """Return when the console said it: the line's own time, else that of the export."""
    day, hour = pl.col(Meaning.TOLD_ON), pl.col(Meaning.TOLD_BY)
    texts = [pl.col(Meaning.TOLD_AT), pl.concat_str(day, pl.lit(" "), hour), hour]
    begins = reading.regulator.schedule.cycle
    since_midnight = timedelta(hours=begins.hour, minutes=begins.minute)
    # A day without an hour: what was there when the cycle of that day began is what it can speak of.
    days = [_day(text) + since_midnight for text in (pl.col(Meaning.TOLD_AT), day)]
    local = pl.coalesce(*(_instant(text) for text in texts), *days)
    said = local.dt.replace_time_zone(ZONE, ambiguous="earliest", non_existent="null").dt.epoch("us")
    fallback = None if reading.told_at is None else int(reading.told_at.timestamp() * 1_000_000)
    return pl.coalesce(said, pl.lit(fallback, pl.Int64))


def _instant(text: pl.Expr) -> pl.Expr:
    return pl.coalesce(text.str.strptime(pl.Datetime("us"), form, strict=False) for form in _TIMES)


def _day(text: pl.Expr) -> pl.Expr:
    return pl.coalesce(text.str.strptime(pl.Date, form, strict=False) for form in _DAYS).cast(pl.Datetime("us"))


def _if(condition: pl.Expr, text: str) -> pl.Expr:
    return pl.when(condition).then(pl.lit(text))
