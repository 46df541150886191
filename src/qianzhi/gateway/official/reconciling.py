"""Reconciling: somebody decides about rows of official tables that the ledger does not know, and deliveries go on."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Final

from qianzhi.db.server import connect
from qianzhi.errors import RetryableError
from qianzhi.gateway.official import tables
from qianzhi.gateway.official.door import LedgerJournal
from qianzhi.gateway.official.horizon import horizon
from qianzhi.gateway.official.session import judged, open_session
from qianzhi.ledger import lanes, reconciliations
from qianzhi.ledger.lanes import Mode

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from qianzhi.db.server import Session
    from qianzhi.gateway.official.door import Machine
    from qianzhi.gateway.official.horizon import Beyond
    from qianzhi.ledger.lanes import Lane
    from qianzhi.specs.model import Dataset, Regulator

PATIENCE_SECONDS: Final = 60.0  # how long a lane is waited for that a cycle has


def unknown(
    dsn: str, destination: str, machine: Machine, regulator: Regulator, *, wait_seconds: float = 0.0
) -> Iterator[Beyond]:
    """Yield of each official table that is delivered into the rows that the ledger (`dsn`) cannot explain."""
    with connect(dsn, application="qianzhi reconcile") as session:
        datasets = [regulator.dataset(lane.dataset) for lane in _lanes(session, destination, regulator)]
    yield from _beyond(dsn, destination, machine, datasets, wait_seconds=wait_seconds)


def reconcile(
    dsn: str, destination: str, machine: Machine, regulator: Regulator, *, may_be_ours: bool, actor: str
) -> Iterator[Beyond]:
    """
    Decide about every row that `unknown` would name, so that deliveries go on; yield which rows these were.

    Where they may be ours, each row that is about to go is looked for among them, and recorded as delivered if it is
    there. Repeating it changes nothing. Raises RetryableError while a cycle does not let go of a lane.
    """
    with connect(dsn, application="qianzhi reconcile") as session:
        for lane in _lanes(session, destination, regulator):
            with lanes.locked(session, lane, patience_seconds=PATIENCE_SECONDS) as is_free:
                if not is_free:
                    raise RetryableError(
                        f"A cycle is at {lane.dataset} and does not let go.", remedy="Repeat it when that is over."
                    )
                for beyond in _beyond(dsn, destination, machine, [regulator.dataset(lane.dataset)]):
                    numbers = range(beyond.first, beyond.last + 1)
                    reconciliations.note(
                        session, destination, lane.dataset, numbers=numbers, may_be_ours=may_be_ours, actor=actor
                    )
                    session.commit()
                    yield beyond


def _lanes(session: Session, destination: str, regulator: Regulator) -> list[Lane]:
    every = lanes.lanes_of(session, destination, regulator)
    session.rollback()
    return [lane for lane in every if lane.mode is not Mode.OFF]


def _beyond(
    dsn: str, destination: str, machine: Machine, datasets: Collection[Dataset], *, wait_seconds: float = 0.0
) -> Iterator[Beyond]:
    with (
        closing(LedgerJournal(dsn, destination)) as journal,
        open_session(machine.dsn, wait_seconds=wait_seconds) as official,
        judged("The official machine refused"),
    ):
        for dataset in datasets:
            found = horizon(official, tables.find(official, machine.place, dataset), dataset.name, journal)
            if found.beyond is not None:
                yield found.beyond
