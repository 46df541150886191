"""
What noticing arrivals costs the hospital: its inserts with the trigger of the staging table and without it.

Each way of inserting is measured without the trigger, with it for the night's cycle, and with it for real-time mode
(which notifies), one right after the other and in another order every round. The rows are made before; what is timed
ends with the commit. There is one destination, and no worker: what a worker does is not the trigger's cost.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from io import BytesIO
from threading import Barrier
from typing import TYPE_CHECKING, Any, Final, cast

from psycopg import sql

from qianzhi.bench.figures import Report, Series, ratio
from qianzhi.bench.ground import APPLICATION, DATASET, REGULATOR, Ground
from qianzhi.db.queries import load
from qianzhi.db.server import Session, connect
from qianzhi.errors import OperatorError
from qianzhi.runtime import clock
from qianzhi.synthetic import play, volume
from qianzhi.synthetic.insert import copy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import polars as pl

ROWS: Final = 100_000
SHARE_OF_COMMITS: Final = 50  # bulk rows for each single commit that is measured
SHARE_OF_BATCHED: Final = 20  # bulk rows for each one-row statement of a long transaction
COMMITS_MIN: Final = 10
SESSIONS: Final = 4
PEOPLE: Final = 5_000
START_SECONDS_MAX: Final = 30.0
COPY_BYTES: Final = 1 << 20
BARE: Final = "without"
VARIANTS: Final[Mapping[str, str | None]] = {BARE: None, "nightly": "nightly", "realtime": "realtime"}
_TABLE = sql.Identifier(REGULATOR, DATASET)
_SQL = load("qianzhi.bench", "arrival.sql")


@dataclass(frozen=True, slots=True)
class _Load:
    """Rows ready to be inserted in every way."""

    columns: sql.Composed
    insert: sql.Composed
    rows: Sequence[Sequence[Any]]  # for one-row statements
    text: bytes  # for COPY
    count: int

    @property
    def commits(self) -> int:
        return max(COMMITS_MIN, self.count // SHARE_OF_COMMITS)


Way = tuple[str, "Callable[[Ground, _Load], tuple[int, float]]"]


def run(rows: int, rounds: int, tell: Callable[[str], None], *, people: int = PEOPLE) -> Report:
    """Measure every way of inserting, `rounds` times; the bulk ones insert `rows` rows each time."""
    speeds: dict[tuple[str, str], list[float]] = {(name, variant): [] for name, _ in WAYS for variant in VARIANTS}
    with Ground() as ground:
        load_ = _load(ground, rows, people)
        for number in range(1, rounds + 1):
            for name, insert in WAYS:
                for variant in _turned(list(VARIANTS), number):
                    _prepare(ground, VARIANTS[variant])
                    count, seconds = insert(ground, load_)
                    _require_noted(ground, 0 if variant == BARE else count)
                    speeds[name, variant].append(count / seconds)
            tell(f"round {number}/{rounds}: " + ", ".join(_told(name, speeds) for name, _ in WAYS))
        facts = {"rows": rows, "rounds": rounds, "durability": _durability(ground), "destinations": len(ground.ports)}
    return _report(speeds, facts | {"commits of a session": load_.commits, "client": "one process, a thread a session"})


def _report(speeds: Mapping[tuple[str, str], list[float]], facts: Mapping[str, Any]) -> Report:
    series = {
        (name, variant): Series(f"{name} {variant}", "commits/s" if name in _COMMITTING else "rows/s", values)
        for (name, variant), values in speeds.items()
    }
    ratios = {each.name: ratio(each, series[name, BARE]) for (name, variant), each in series.items() if variant != BARE}
    return Report("arrival", list(series.values()), ratios=ratios, facts=facts)


def _told(name: str, speeds: Mapping[tuple[str, str], list[float]]) -> str:
    with_, without = speeds[name, "nightly"][-1], speeds[name, BARE][-1]
    return f"{name} {with_:,.0f} of {without:,.0f} ({with_ / without:.2f})"


def _turned(variants: list[str], by: int) -> list[str]:
    """Return them beginning with another one each time, so that none is always the first."""
    at = by % len(variants)
    return variants[at:] + variants[:at]


def _load(ground: Ground, rows: int, people: int) -> _Load:
    """Make the rows, and put them where INSERT … SELECT finds them."""
    whom = volume.parents(play(ground.plan(people), ground.regulator), ground.on)
    frames = list(volume.treatment_records(rows, whom, 1, ground.on))
    text = BytesIO()
    for frame in frames:
        frame.write_csv(text, include_header=False)
    with ground.administer() as session:
        session.execute(_SQL.prepare_source)
        session.execute(sql.SQL(_SQL.open_source).format(role=sql.Identifier(ground.regulator.sender)))
        for frame in frames:
            copy(session, f"{REGULATOR}.source", frame)
    names = [sql.Identifier(name.lower()) for name in frames[0].columns]
    columns = sql.SQL(", ").join(names)
    values = sql.SQL(", ").join([sql.Placeholder()] * len(names))
    statement = sql.SQL(_SQL.insert).format(table=_TABLE, columns=columns, values=values)
    return _Load(columns, statement, _head(frames, rows), text.getvalue(), rows)


def _head(frames: Sequence[pl.DataFrame], rows: int) -> list[Any]:
    """Return as many rows as any one-row way inserts."""
    wanted = max(SESSIONS * max(COMMITS_MIN, rows // SHARE_OF_COMMITS), rows // SHARE_OF_BATCHED)
    return [row for frame in frames for row in frame.head(wanted).iter_rows()][:wanted]


def _prepare(ground: Ground, mode: str | None) -> None:
    with ground.administer() as session:
        session.execute(_SQL.empty)
        session.execute(_SQL.attach if mode else _SQL.detach)
        if mode:
            session.execute(_SQL.set_mode, {"mode": mode})
    ground.checkpoint()


def _require_noted(ground: Ground, count: int) -> None:
    with ground.administer() as session:
        row = session.execute(_SQL.arrived_count).fetchone()
    if row != (count,):
        raise OperatorError(f"Not {count} rows are noted as arrived.", remedy="The figures would mean nothing.")


def _durability(ground: Ground) -> str:
    with ground.administer() as session:
        row = session.execute(_SQL.durability).fetchone()
    return cast("str", row[0]) if row else ""


def _hospital(ground: Ground, *, autocommit: bool = False) -> Session:
    return connect(ground.sender_dsn, application=APPLICATION, autocommit=autocommit)


def _one_session(ground: Ground, load_: _Load) -> tuple[int, float]:
    """Commit row after row on one session."""
    with _hospital(ground, autocommit=True) as session:
        begun = clock.monotonic()
        _commit_each(session, load_, 0)
        return load_.commits, clock.monotonic() - begun


def _many_sessions(ground: Ground, load_: _Load) -> tuple[int, float]:
    """Commit row after row on several sessions at once."""
    with ExitStack() as stack:
        sessions = [stack.enter_context(_hospital(ground, autocommit=True)) for _ in range(SESSIONS)]
        pool = stack.enter_context(ThreadPoolExecutor(SESSIONS))
        barrier = Barrier(SESSIONS)

        def insert(number: int) -> tuple[float, float]:
            barrier.wait(START_SECONDS_MAX)
            begun = clock.monotonic()
            _commit_each(sessions[number], load_, number)
            return begun, clock.monotonic()

        begun, ended = zip(*pool.map(insert, range(SESSIONS)), strict=True)
        return SESSIONS * load_.commits, max(ended) - min(begun)


def _commit_each(session: Session, load_: _Load, number: int) -> None:
    for row in load_.rows[number * load_.commits : (number + 1) * load_.commits]:
        session.execute(load_.insert, row)


def _batched(ground: Ground, load_: _Load) -> tuple[int, float]:
    """Insert row after row in one transaction, without waiting for each answer, as batch drivers do."""
    rows = load_.rows[: max(COMMITS_MIN, load_.count // SHARE_OF_BATCHED)]
    with _hospital(ground) as session, session.cursor() as cursor:
        begun = clock.monotonic()
        cursor.executemany(load_.insert, rows)
        session.commit()
        return len(rows), clock.monotonic() - begun


def _by_statement(ground: Ground, load_: _Load) -> tuple[int, float]:
    """Insert all rows by one statement."""
    statement = sql.SQL(_SQL.insert_all).format(table=_TABLE, columns=load_.columns)
    with _hospital(ground) as session:
        begun = clock.monotonic()
        session.execute(statement)
        session.commit()
        return load_.count, clock.monotonic() - begun


def _by_copy(ground: Ground, load_: _Load) -> tuple[int, float]:
    """Copy all rows."""
    statement = sql.SQL(_SQL.copy).format(table=_TABLE, columns=load_.columns)
    with _hospital(ground) as session, session.cursor() as cursor:
        begun = clock.monotonic()
        with cursor.copy(statement) as copying:
            for at in range(0, len(load_.text), COPY_BYTES):
                copying.write(load_.text[at : at + COPY_BYTES])
        session.commit()
        return load_.count, clock.monotonic() - begun


_COMMITTING = ("one session", f"{SESSIONS} sessions")
WAYS: Final[tuple[Way, ...]] = (
    (_COMMITTING[0], _one_session),
    (_COMMITTING[1], _many_sessions),
    ("batched", _batched),
    ("insert", _by_statement),
    ("copy", _by_copy),
)
