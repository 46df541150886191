from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from tests.faults import rows
from tests.faults.wire import Line, Manner, Relay, Wire, holds

from qianzhi.runtime.home import End

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.field import Field

pytestmark = pytest.mark.faults

IMPATIENT_SECONDS = 2.0  # long enough for a hub on a busy machine to have taken the batch
ROWS = 12
STORING = {
    Manner.FAILING_AFTERWARDS,
    Manner.NONSENSE_AFTERWARDS,
    Manner.FOREIGN_ROWS,
    Manner.REJECTED_TWICE,
    Manner.NUL,
}
ENDING_WELL = {Manner.TWICE, Manner.ASKED_TWICE}


@pytest.fixture
def wire(field: Field) -> Iterator[Wire]:
    """A line to the hub, which the gateway uses."""
    with Wire(field.hub_url) as found, field.sending_to(found.url):
        yield found


@pytest.fixture
def relay(field: Field) -> Iterator[Relay]:
    """What answers instead of the hub."""
    with Relay(field.hub_url, field.home.end(End.HUB).tls) as found, field.sending_to(found.url):
        yield found


@pytest.mark.parametrize("cut_after_bytes", [0, 300, 1_000, 1_700])
def test_a_line_cut_amid_a_body_costs_nothing(field: Field, wire: Wire, cut_after_bytes: int) -> None:
    """Wherever a connection breaks, the batch is sent again and its rows are there once."""
    field.stage_contacts(ROWS)
    wire.line, wire.cut_after_bytes = Line.CUT, cut_after_bytes
    assert field.start_cycle().end() == 1
    assert wire.faults
    wire.line = Line.WHOLE
    field.run_until_still()


def test_a_lost_receipt_costs_nothing(field: Field, wire: Wire) -> None:
    """The hub has stored what the gateway does not know to be there; the repeat gets the first receipt."""
    before = hub_batches(field)
    field.stage_contacts(ROWS)
    wire.line = Line.SWALLOWING
    assert field.start_cycle(answer_seconds=IMPATIENT_SECONDS).end() == 1
    assert wire.faults
    assert hub_batches(field) > before
    wire.line = Line.WHOLE
    field.run_until_still()


def test_an_answer_that_comes_too_late_costs_nothing(field: Field, wire: Wire) -> None:
    """An answer after the gateway's patience has ended is no answer, and does no harm."""
    field.stage_contacts(ROWS)
    wire.line, wire.late_seconds = Line.SLOW, 1.5 * IMPATIENT_SECONDS
    assert field.start_cycle(answer_seconds=IMPATIENT_SECONDS).end() == 1
    assert wire.faults
    wire.line = Line.WHOLE
    field.run_until_still()


@pytest.mark.parametrize("manner", [manner for manner in Manner if manner is not Manner.GOOD])
def test_a_hub_that_misbehaves_costs_nothing(field: Field, relay: Relay, manner: Manner) -> None:
    """Whatever is answered, nothing counts as accepted but by its own receipt, and all goes on with a good answer."""
    field.stage_contacts(ROWS)
    relay.last_receipt = last_receipt(field)
    relay.manner = manner
    settled, stored = settled_batches(field), hub_batches(field)
    running = field.start_cycle(answer_seconds=IMPATIENT_SECONDS)
    code = running.end()
    assert "Traceback" not in running.errors
    assert relay.asked[manner]
    if manner in ENDING_WELL:
        assert code == 0
    else:
        assert code == 1
        assert settled_batches(field) == settled
        assert (hub_batches(field) > stored) == (manner in STORING)
    relay.manner = Manner.GOOD
    field.run_until_still()


def test_a_batch_that_the_hub_cannot_take_is_halved_down_to_the_row(field: Field, relay: Relay) -> None:
    """One row that no door takes is set aside with a finding; the other rows of its batch are accepted."""
    before = field.run_until_still()["contacts"]["quarantined"]
    good, bad = [rows.label() for _ in range(6)], rows.label()
    ids = field.stage({"contacts": rows.contacts([*good[:3], bad, *good[3:]])})["contacts"]
    relay.refuses = holds(bad, "BM")
    assert field.run_until_still()["contacts"]["quarantined"] == before + 1
    (found,) = [each for each in field.findings("contacts") if each["row_id"] in ids]
    assert (found["row_id"], found["code"], found["severity"]) == (ids[3], "Q01", "error")


def settled_batches(field: Field) -> int:
    """Return how many batches the gateway knows to be settled."""
    ((count,),) = field.ask_gateway("SELECT count(*) FROM qianzhi.batches WHERE state = 'settled'")
    return int(count)


def hub_batches(field: Field) -> int:
    """Return how many batches the hub has stored."""
    ((count,),) = field.ask_hub("SELECT count(*) FROM qianzhi.batches")
    return int(count)


def last_receipt(field: Field) -> bytes:
    """Return some receipt that belongs to a batch of the past; anything where there is none."""
    found = field.ask_gateway("SELECT document FROM qianzhi.receipts LIMIT 1")
    return bytes(*itertools.chain(*found)) if found else b"{}"
