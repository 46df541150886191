"""What somebody wants to see of the findings, and what follows from it before a row is read. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from itertools import product
from typing import TYPE_CHECKING, Final

import polars as pl

from qianzhi.checks.keys import key_hash

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import tzinfo

    from qianzhi.specs.model import Dataset, Regulator

TEXT_CHARACTERS_MAX: Final = 200
KEYS_TRIED_MAX: Final = 200
"""Keys that a text may mean: a field between the institution and the last one is tried with each of its codes."""

FACETS: Final = ("destination", "dataset", "code", "class", "field", "severity", "origin")
KINDS: Final = pl.Schema(
    {
        "lane_id": pl.Int64,
        "code": pl.String,
        "class": pl.String,
        "field": pl.String,
        "severity": pl.String,
        "origin": pl.String,
        "total": pl.Int64,
        "open": pl.Int64,
        "ever": pl.Int64,  # of all days, whatever days are chosen
    }
)
_BIGINT_MAX: Final = 2**63 - 1
_PAIR: Final = re.compile(r"([A-Za-z][A-Za-z0-9_]*)=([^,，]*)")
_BETWEEN: Final = re.compile(r"[|,，;；]")


class Order(StrEnum):
    """In which order findings are shown; all but the first two are made among the newest ones (`Page.is_bounded`)."""

    NEWEST = "newest"
    OLDEST = "oldest"
    ROW = "row"
    CODE = "code"
    FIELD = "field"


@dataclass(frozen=True, slots=True)
class Choice:
    """Which findings are wanted; None leaves open. Days are those of Asia/Shanghai, both included."""

    destination: str | None = None
    dataset: str | None = None
    code: str | None = None
    class_: str | None = None
    field: str | None = None
    severity: str | None = None
    origin: str | None = None
    since_on: date | None = None
    until_on: date | None = None
    open_only: bool = False
    text: str = ""  # a part of the value, the id of a row, or the key of a record

    @property
    def wanted(self) -> Mapping[str, str]:
        """The facets that are chosen, by name."""
        said = (self.destination, self.dataset, self.code, self.class_, self.field, self.severity, self.origin)
        return {name: value for name, value in zip(FACETS, said, strict=True) if value}


@dataclass(frozen=True, slots=True)
class Span:
    """The days that hold a page, both included, and how many findings of the choice they hold before it."""

    first_on: date
    last_on: date
    skipped_count: int


def span_of(days: Sequence[tuple[date, int]], offset: int, limit: int, *, newest: bool) -> Span | None:
    """
    Return where a page lies; `days` are ascending, each with its number of findings. None: behind the last one.

    So a page costs what its own days hold, however deep it lies.
    """
    if limit < 1:
        return None
    before, found = 0, list[tuple[date, int]]()
    for on, count in reversed(days) if newest else days:
        if found or before + count > offset:
            found.append((on, count))
            if before + sum(many for _, many in found) >= offset + limit:
                break
        else:
            before += count
    if not found:
        return None
    ends = sorted(on for on, _ in found)
    return Span(ends[0], ends[-1], offset - before)


def instants(first_on: date | None, last_on: date | None, zone: tzinfo) -> tuple[datetime | None, datetime | None]:
    """Return when the first day begins and when the last one has ended; the last of all days never does."""
    midnight = datetime.min.time()
    since = datetime.combine(first_on, midnight, zone) if first_on else None
    until = None
    if last_on is not None and last_on < date.max:
        until = datetime.combine(last_on + timedelta(days=1), midnight, zone)
    return since, until


def facets(kinds: pl.DataFrame, choice: Choice) -> dict[str, dict[str, int]]:
    """
    Return for each facet how many findings each of its values has, the most first.

    `kinds` has the columns of FACETS, total and open. A facet counts what the choice of all the *others* leaves, so
    that the list by which it was chosen offers something else too.
    """
    count = pl.col("open" if choice.open_only else "total")
    found = {}
    for facet in FACETS:
        rest = {name: value for name, value in choice.wanted.items() if name != facet}
        counted = kinds.filter(_all(rest)).group_by(facet).agg(count.sum().alias("count")).filter(pl.col("count") > 0)
        listed = counted.drop_nulls(facet).sort(["count", facet], descending=[True, False])
        found[facet] = dict(listed.iter_rows())
    return found


def total(kinds: pl.DataFrame, choice: Choice) -> int:
    """Return how many findings are chosen, without regard to a text."""
    return int(kinds.filter(_all(choice.wanted))["open" if choice.open_only else "total"].sum())


def seldom(kinds: pl.DataFrame, choice: Choice, most: int) -> pl.DataFrame | None:
    """Return lane_id, code and field of the kinds chosen, if they have no more than `most` findings in all."""
    found = kinds.filter(_all(choice.wanted))
    if found["ever"].sum() > most:
        return None
    return found.select("lane_id", "code", pl.col("field").fill_null("")).unique()


def _all(wanted: Mapping[str, str]) -> pl.Expr:
    return pl.all_horizontal(pl.lit(value=True), *(pl.col(name) == value for name, value in wanted.items()))


def pattern(text: str) -> str:
    """Return the LIKE pattern that finds a text as it stands."""
    return "%" + re.sub(r"([\\%_])", r"\\\1", text[:TEXT_CHARACTERS_MAX]) + "%"


def number(text: str) -> int | None:
    """Return the id of a row that a text may be."""
    return int(text) if text.isascii() and text.isdigit() and int(text) <= _BIGINT_MAX else None


def key_hashes(text: str, regulator: Regulator, institutions: Iterable[str]) -> list[int]:
    """
    Return the hashes of the record keys that a text may mean.

    Understood are `JGDM=…, KH=…` as views show a key, all its values separated by `|` or a comma, and the last value
    alone, which is what people have at hand.
    """
    hashes: set[int] = set()
    for dataset in regulator.datasets:
        tried = list(_keys(text[:TEXT_CHARACTERS_MAX], dataset, regulator, list(institutions)))[:KEYS_TRIED_MAX]
        if tried:
            frame = pl.DataFrame(tried, schema=dict.fromkeys(dataset.key, pl.String), orient="row")
            hashes.update(frame.select(key_hash(dataset.key)).to_series().to_list())
    return sorted(hashes)


def _keys(text: str, dataset: Dataset, regulator: Regulator, institutions: Sequence[str]) -> Iterable[tuple[str, ...]]:
    pairs = {name: value.strip() for name, value in _PAIR.findall(text)}
    if pairs.keys() >= set(dataset.key):
        return [tuple(pairs[name] for name in dataset.key)]
    parts = [part.strip() for part in _BETWEEN.split(text)]
    if not all(parts):
        return []
    if len(parts) == len(dataset.key):
        return [tuple(parts)]
    rest = dataset.key[: len(dataset.key) - len(parts)]
    if len(parts) > len(dataset.key) or pairs:
        return []
    return [(*known, *parts) for known in product(*(_known(name, dataset, regulator, institutions) for name in rest))]


def _known(name: str, dataset: Dataset, regulator: Regulator, institutions: Sequence[str]) -> Sequence[str]:
    if name == dataset.institution:
        return institutions
    system = regulator.codes.get(dataset.field(name).codes or "")
    return tuple(system.codes) if system is not None else ()
