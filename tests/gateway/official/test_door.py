"""Rows through the door of an official machine: once, whole, and in the shape that its tables take."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import uuid4

import polars as pl
import psycopg
import pytest
from psycopg import sql
from tests.faults import rows
from tests.gateway.conftest import REGULATOR
from tests.gateway.official.machine import SECRET, write_password

from qianzhi.errors import OperatorError, RetryableError, SenderError
from qianzhi.gateway.official.door import FrontDoor
from qianzhi.ledger import handovers
from qianzhi.ledger.handovers import Transaction
from qianzhi.runtime import clock
from qianzhi.sealing.envelopes import Manifest
from qianzhi.sealing.notes import PartlyThere

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from uuid import UUID

    from tests.gateway.official.machine import Official

    from qianzhi.ledger.handovers import Handover
    from qianzhi.ledger.reconciliations import Reconciliation
    from qianzhi.sealing.notes import DeliveryNote


class Notebook:
    """A journal in memory that may be told to fail, as if the process ended there."""

    def __init__(self) -> None:
        self.noted: dict[UUID, Handover] = {}
        self.fails = False

    def begin(self, _batch_id: UUID) -> None:
        """Need not know."""

    def spent(self, _batch_id: UUID) -> int:
        """Know of no other attempt."""
        return 0

    def miss(self, dataset: str, numbers: range) -> None:
        """Miss nothing."""
        raise AssertionError(dataset, numbers)

    def missed(self, _dataset: str) -> range:
        """Return nothing: none was missed."""
        return range(0)

    def note(self, batch_id: UUID, transaction: Transaction, remote_ids: Sequence[int]) -> None:
        """Remember a transaction."""
        self.noted[batch_id] = handovers.Handover(clock.now(), transaction, sorted(remote_ids), None)
        if self.fails:
            raise KeyboardInterrupt

    def last(self, batch_id: UUID) -> Handover | None:
        """Return what is remembered."""
        return self.noted.get(batch_id)

    def newest(self, _dataset: str) -> int:
        """Return the newest number that was noted."""
        return max((number for each in self.noted.values() for number in each.remote_ids), default=0)

    def reconciled(self, _dataset: str) -> list[Reconciliation]:
        """Know of no decision."""
        return []

    def claimed(self, _dataset: str, numbers: range, *, since: datetime) -> list[int]:
        """Know of no row since then."""
        raise AssertionError(numbers, since)

    def close(self) -> None:
        """Hold nothing."""


@pytest.fixture
def notebook() -> Notebook:
    """An empty journal."""
    return Notebook()


@pytest.fixture
def door(official: Official, notebook: Notebook) -> Iterator[FrontDoor]:
    """A door of the official machine."""
    found = FrontDoor(official.machine(), REGULATOR, notebook)
    yield found
    found.close()


def sent(door: FrontDoor, batch: Manifest, sealed: bytes) -> DeliveryNote:
    """Send a batch of which nothing was recognised; return its note."""
    answer = door.send(batch, sealed)
    assert not isinstance(answer, PartlyThere)
    return answer


def manifest(dataset: str = "contacts") -> Manifest:
    """Return the manifest of another batch."""
    return Manifest(uuid4(), "guangdong", dataset, "V3.0", "ab" * 32, "44", datetime(2026, 11, 20, 2, 0))


def contacts(*offices: str, **values: str | None) -> pl.DataFrame:
    """Return good rows with their row_ids."""
    return rows.contacts(offices, **values).with_row_index("row_id", offset=1).cast({"row_id": pl.Int64})


def test_rows_get_the_numbers_of_the_official_side(official: Official, door: FrontDoor) -> None:
    """The column ID is left to it; the note says which row got which number, and nothing of any verdict."""
    batch = manifest()
    note = sent(door, batch, door.encode(batch, contacts("a", "b", "c")))
    stored = official.ask("SELECT id, bm, sjscsj FROM contacts ORDER BY id")
    assert note.rows.rows() == [(1, stored[0][0]), (2, stored[1][0]), (3, stored[2][0])]
    assert [row[1] for row in stored] == ["a", "b", "c"]
    assert isinstance(stored[0][2], datetime)


def test_texts_go_without_the_blanks_around_them(official: Official, door: FrontDoor) -> None:
    """What says nothing becomes NULL, also in a column of times, where the official side would refuse a blank."""
    batch = manifest()
    door.send(batch, door.encode(batch, contacts(" a ", LXDH="  ", TBRQSJ=" ")))
    assert official.ask("SELECT bm, lxdh, tbrqsj FROM contacts") == [("a", None, None)]


def test_a_batch_that_is_there_goes_no_second_time(official: Official, door: FrontDoor) -> None:
    """Sent again, as after a crash before the note was settled, it gives the same note."""
    batch = manifest()
    sealed = door.encode(batch, contacts("a", "b"))
    first, second = sent(door, batch, sealed), sent(door, batch, sealed)
    assert official.count("contacts") == 2
    assert first.rows.equals(second.rows)
    assert door.holds(batch)


def test_rows_that_were_taken_away_since_count_as_there(official: Official, door: FrontDoor) -> None:
    """The official uploader may empty its tables: the server's word on the transaction counts."""
    batch = manifest()
    sealed = door.encode(batch, contacts("a"))
    door.send(batch, sealed)
    official.ask("DELETE FROM contacts")
    assert sent(door, batch, sealed).rows.height == 1
    assert official.count("contacts") == 0


def test_a_batch_that_broke_off_before_the_commit_goes_again(
    official: Official, door: FrontDoor, notebook: Notebook
) -> None:
    """The transaction was noted and never committed: the server says so, and every row stands there once."""
    batch = manifest()
    sealed = door.encode(batch, contacts("a", "b"))
    notebook.fails = True
    with pytest.raises(KeyboardInterrupt):
        door.send(batch, sealed)
    assert not door.holds(batch)
    notebook.fails = False
    door.send(batch, sealed)
    assert official.count("contacts") == 2


def test_a_transaction_that_is_still_open_is_waited_for(
    official: Official, door: FrontDoor, notebook: Notebook
) -> None:
    """While the server is at an earlier attempt nobody knows how it ends: nothing is inserted meanwhile."""
    batch = manifest()
    sealed = door.encode(batch, contacts("a"))
    door.send(manifest(), sealed)
    ((system,),) = official.ask("SELECT system_identifier FROM pg_control_system()")
    with psycopg.connect(official.owner_dsn) as other:
        row = other.execute("SELECT txid_current()").fetchone()
        assert row is not None
        notebook.note(batch.batch_id, Transaction(system, row[0]), [7])
        for ask in (lambda: door.send(batch, sealed), lambda: door.holds(batch)):
            with pytest.raises(RetryableError, match="still at"):
                ask()
        other.rollback()
    door.send(batch, sealed)
    assert official.count("contacts") == 2


@pytest.mark.parametrize("system", [None, 1])
def test_a_server_that_does_not_know_the_transaction_is_looked_through(
    official: Official, door: FrontDoor, notebook: Notebook, system: int | None
) -> None:
    """Rows under the numbers that ours got, saying what ours say, are ours: nothing goes again."""
    batch = manifest()
    sealed = door.encode(batch, contacts("a", "b"))
    first = sent(door, batch, sealed)
    notebook.note(batch.batch_id, Transaction(system, 2**40), first.rows["remote_id"].to_list())
    assert sent(door, batch, sealed).rows.equals(first.rows)
    assert official.count("contacts") == 2


def test_a_server_that_was_set_back_gets_the_rows_again(
    official: Official, door: FrontDoor, notebook: Notebook
) -> None:
    """Where the newest number lies before ours, ours are not there."""
    batch = manifest()
    notebook.note(batch.batch_id, Transaction(1, 2**40), [500, 501])
    door.send(batch, door.encode(batch, contacts("a", "b")))
    assert official.count("contacts") == 2


def test_what_nobody_can_tell_is_for_an_operator(official: Official, door: FrontDoor, notebook: Notebook) -> None:
    """Numbers have gone on and ours are not there: taken away, or never there. Nothing is guessed."""
    batch = manifest()
    sealed = door.encode(batch, contacts("a"))
    door.send(manifest(), door.encode(manifest(), contacts("x", "y", "z")))
    official.ask("DELETE FROM contacts WHERE id = 1")
    notebook.note(batch.batch_id, Transaction(1, 2**40), [1])
    with pytest.raises(OperatorError, match="no longer knows") as caught:
        door.send(batch, sealed)
    assert f"results decide {batch.batch_id}" in caught.value.remedy
    with pytest.raises(OperatorError, match="no longer knows"):
        door.holds(batch)
    last = notebook.noted[batch.batch_id]
    notebook.noted[batch.batch_id] = handovers.Handover(last.handed_at, last.transaction, [1], is_there=True)
    assert sent(door, batch, sealed).rows["remote_id"].to_list() == [1]


def test_a_row_that_the_table_does_not_take_is_of_the_sender(official: Official, door: FrontDoor) -> None:
    """So that the batch is halved down to it; no row of the batch stays there, and no value is told."""
    batch = manifest()
    bad = contacts("a", "b", LXDH="9" * 5000)
    with pytest.raises(SenderError) as caught:
        door.send(batch, door.encode(batch, bad))
    assert "999" not in str(caught.value)
    assert official.count("contacts") == 0


def test_numbers_that_another_courier_notes_meanwhile_are_not_missed(
    official: Official, door: FrontDoor, notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asks what others have spent asks afterwards what is known: what is noted is no longer spent."""
    inserted = official.ask("INSERT INTO contacts (jgdm) SELECT '44' FROM generate_series(1, 40) RETURNING id")
    others = [number for (number,) in inserted]
    official.ask("DELETE FROM contacts")

    def spent(_batch_id: UUID) -> int:
        notebook.noted[uuid4()] = handovers.Handover(clock.now(), Transaction(None, 1), others, None)
        return 0

    monkeypatch.setattr(notebook, "spent", spent)
    batch = manifest()
    assert sent(door, batch, door.encode(batch, contacts("a"))).rows.height == 1
    assert official.count("contacts") == 1


def test_tables_are_found_in_any_spelling(official: Official, notebook: Notebook) -> None:
    """Upper case or a prefix: what settings name is found, and written by the names that stand there."""
    dataset = REGULATOR.dataset("contacts")
    columns = [sql.SQL("{} text").format(sql.Identifier(field.name)) for field in dataset.fields]
    official.ask(sql.SQL('CREATE TABLE "TB_CONTACTS" ("ID" bigserial, {})').format(sql.SQL(", ").join(columns)))
    official.ask(sql.SQL('GRANT SELECT, INSERT ON "TB_CONTACTS" TO {}').format(sql.Identifier(official.role)))
    official.ask(sql.SQL("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {}").format(sql.Identifier(official.role)))
    door = FrontDoor(official.machine(table="tb_{dataset}"), REGULATOR, notebook)
    batch = manifest()
    door.send(batch, door.encode(batch, contacts("a")))
    door.close()
    assert official.ask('SELECT "BM" FROM "TB_CONTACTS"') == [("a",)]


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("ALTER TABLE contacts DROP COLUMN lxdh", "lacks the columns LXDH"),
        ("ALTER TABLE contacts RENAME COLUMN id TO nr", "lacks the columns ID"),
        ("ALTER TABLE contacts ADD COLUMN new_one text NOT NULL", "does not know: new_one"),
        ("DROP TABLE contacts", "was not found"),
    ],
)
def test_a_table_of_another_edition_is_named(official: Official, door: FrontDoor, statement: str, named: str) -> None:
    """What differs stands in the error, and what to do about it."""
    official.ask(sql.SQL(statement))  # type: ignore[arg-type]  # written above
    batch = manifest()
    with pytest.raises(OperatorError, match=named) as caught:
        door.send(batch, door.encode(batch, contacts("a")))
    assert caught.value.remedy
    assert official.ask("SELECT to_regclass('contacts') IS NULL")[0][0] or official.count("contacts") == 0


def test_a_table_that_is_put_right_is_seen_without_a_restart(official: Official, door: FrontDoor) -> None:
    """Nothing of the table is remembered over an error."""
    first, second = manifest(), manifest()
    door.send(first, door.encode(first, contacts("a")))
    official.ask("ALTER TABLE contacts RENAME COLUMN lxdh TO phone")
    for _ in range(2):
        with pytest.raises(OperatorError):
            door.send(second, door.encode(second, contacts("b")))
    official.ask("ALTER TABLE contacts RENAME COLUMN phone TO lxdh")
    door.send(second, door.encode(second, contacts("b")))
    assert official.count("contacts") == 2


def test_a_wrong_password_is_for_an_operator(official: Official, notebook: Notebook) -> None:
    """It is told with a remedy; once the file is right the same door goes on."""
    where = official.passfile.read_text(encoding="utf-8").rpartition(":")[0]
    write_password(official.passfile, where, "wrong")
    door = FrontDoor(official.machine(), REGULATOR, notebook)
    batch = manifest()
    sealed = door.encode(batch, contacts("a"))
    with pytest.raises(OperatorError, match="refuses") as caught:
        door.send(batch, sealed)
    assert "passfile" in caught.value.remedy
    write_password(official.passfile, where, SECRET)
    door.send(batch, sealed)
    door.close()
    assert official.count("contacts") == 1


def test_missing_rights_are_for_an_operator(official: Official, door: FrontDoor) -> None:
    """Nothing of the batch is there."""
    official.ask(sql.SQL("REVOKE INSERT ON contacts FROM {}").format(sql.Identifier(official.role)))
    batch = manifest()
    with pytest.raises(OperatorError, match="did not take") as caught:
        door.send(batch, door.encode(batch, contacts("a")))
    assert "INSERT" in caught.value.remedy


def test_a_table_that_swallows_rows_is_for_an_operator(official: Official, door: FrontDoor) -> None:
    """A trigger that keeps rows away must not leave them lost."""
    official.ask(
        "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN IF NEW.bm = ''b'' THEN RETURN NULL; END IF; RETURN NEW; END'"
    )
    official.ask("CREATE TRIGGER keep BEFORE INSERT ON contacts FOR EACH ROW EXECUTE FUNCTION keep()")
    batch = manifest()
    with pytest.raises(OperatorError, match="took 1 of 2"):
        door.send(batch, door.encode(batch, contacts("a", "b")))
    assert official.count("contacts") == 0


def test_a_session_that_was_cut_is_opened_again(official: Official, door: FrontDoor) -> None:
    """The next attempt needs no restart."""
    first, second = manifest(), manifest()
    door.send(first, door.encode(first, contacts("a")))
    official.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", official.role)
    with pytest.raises(RetryableError):
        door.send(second, door.encode(second, contacts("b")))
    door.send(second, door.encode(second, contacts("b")))
    assert official.count("contacts") == 2
