from __future__ import annotations

import threading
import time
from random import Random
from typing import TYPE_CHECKING

import psycopg
import pytest
from tests.faults import rows

from qianzhi.synthetic import insert

if TYPE_CHECKING:
    from tests.faults.field import Field

pytestmark = pytest.mark.faults

WRITERS = 8
TRANSACTIONS = 6
LONG_SECONDS = 0.6
ROUNDS = 2


def test_cycles_at_once_send_no_row_twice(field: Field) -> None:
    """Whoever asks for a cycle while others are at it gets one, and every row goes once."""
    for _ in range(ROUNDS):
        field.stage_day()
        cycles = [field.start_cycle() for _ in range(3)]
        assert [running.end() for running in cycles] == [0, 0, 0]
    field.run_until_still()


def test_cycles_at_once_find_missed_rows_once(field: Field) -> None:
    """Rows that no trigger noticed are found by several cycles at once and go once."""
    for _ in range(ROUNDS):
        field.stage_day()
        field.ask_gateway("DELETE FROM qianzhi.arrived")
        cycles = [field.start_cycle() for _ in range(3)]
        assert [running.end() for running in cycles] == [0, 0, 0]
    field.run_until_still()


def test_rows_of_long_transactions_are_never_passed_by(field: Field) -> None:
    """Eight writers commit late, out of order, or not at all, while cycles run: what is committed goes, once."""
    field.run_until_still()
    writers = [Writer(field, number) for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    cycles = 0
    while any(writer.is_alive() for writer in writers):
        assert field.start_cycle().end() in {0, 1}
        cycles += 1
    for writer in writers:
        writer.join()
    assert [writer.error for writer in writers] == [None] * WRITERS
    assert cycles > 1
    field.run_until_still()
    held = {office for (office,) in field.ask_hub("SELECT bm FROM guangdong.current_contacts")}
    assert {office for writer in writers for office in writer.committed} <= held
    assert not {office for writer in writers for office in writer.withdrawn} & held


class Writer(threading.Thread):
    """A hospital system with long transactions; the last of them takes some back."""

    def __init__(self, field: Field, number: int) -> None:
        super().__init__(daemon=True)
        self.committed: list[str] = []
        self.withdrawn: list[str] = []
        self.error: Exception | None = None
        self._dsn = field.sender_dsn
        self._rng = Random(number)
        self._withdraws = number == WRITERS - 1

    def run(self) -> None:
        """Insert, wait, and commit or roll back."""
        try:
            with psycopg.connect(self._dsn) as connection:
                for _ in range(TRANSACTIONS):
                    self._transact(connection)
        except psycopg.Error as error:
            self.error = error

    def _transact(self, connection: psycopg.Connection) -> None:
        offices = []
        for _ in range(self._rng.randint(1, 3)):
            offices += [rows.label(), rows.label()]
            insert.insert(connection, "guangdong.contacts", rows.contacts(offices[-2:]))
            time.sleep(self._rng.uniform(0, LONG_SECONDS))
        if self._withdraws and self._rng.random() < 0.5:
            connection.rollback()
            self.withdrawn += offices
        else:
            connection.commit()
            self.committed += offices
