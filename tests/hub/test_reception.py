"""One batch from its bytes to its receipt."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING
from uuid import uuid4

import pyarrow as pa
import pytest
from tests.hub.samples import AS_OF, CODE, OTHER_CODE, deliver, frame, manifest, read, row, sealed, send

from qianzhi.errors import SenderError
from qianzhi.hub.bodies import Body
from qianzhi.hub.problems import Problem
from qianzhi.hub.reception import Answer, Reception
from qianzhi.runtime import clock
from qianzhi.sealing import envelopes
from qianzhi.specs.model import RuleKind

if TYPE_CHECKING:
    from qianzhi.hub.desk import Desk
    from qianzhi.hub.identity import Sender


def count(desk: Desk, table: str) -> int:
    """Return how many rows a table has."""
    with desk.pool.connection() as session:
        found = session.execute(f"SELECT count(*) FROM {table}").fetchone()
    assert found is not None
    return int(str(found[0]))


def test_a_sound_row_is_accepted_and_stands_in_the_current_view(desk: Desk, sender: Sender) -> None:
    """An accepted row is stored as it came and shown as what holds."""
    receipt = send(desk, sender, "person", row("person", KH=" K7 ", DZYJ="a@example.org"))
    assert (receipt.accepted, receipt.rejected) == (1, [])
    with desk.pool.connection() as session:
        shown = session.execute("SELECT institution, kh, dzyj, zjhm FROM guangdong.current_person").fetchall()
    assert shown == [(CODE, " K7 ", "a@example.org", None)]


def test_one_bad_row_does_not_stop_its_neighbours(desk: Desk, sender: Sender) -> None:
    """A row without a required field is rejected alone, with a reason and a remedy in two languages."""
    receipt = send(desk, sender, "person", row("person", 1, KH="A"), row("person", 2, KH="B", XM=None))
    assert (receipt.accepted, receipt.rejected) == (1, [2])
    (finding,) = [each for each in receipt.findings if each["severity"] == "error"]
    assert (finding["row_id"], finding["code"], finding["class"], finding["field"]) == (2, "V01", "E01", "XM")
    assert all(finding[name] for name in ("reason", "remedy", "reason_en", "remedy_en"))


def test_rejected_rows_are_kept_too(desk: Desk, sender: Sender) -> None:
    """The validation log can show what was rejected: nothing submitted is thrown away."""
    send(desk, sender, "person", row("person", XM=None))
    with desk.pool.connection() as session:
        kept = session.execute("SELECT row_id, accepted, kh FROM guangdong.person").fetchall()
    assert kept == [(1, False, "K1")]
    assert count(desk, "guangdong.current_person") == 0


def test_the_same_batch_again_gets_the_first_receipt(desk: Desk, sender: Sender) -> None:
    """A repeat is answered byte for byte as the first time and stores nothing."""
    batch = sealed("person", row("person"))
    first, second = deliver(desk, sender, *batch), deliver(desk, sender, *batch)
    assert isinstance(first, Answer)
    assert isinstance(second, Answer)
    assert (first.receipt, first.repeated, second.repeated) == (second.receipt, False, True)
    assert count(desk, "guangdong.person") == 1


def test_concurrent_repeats_are_one_batch(desk: Desk, sender: Sender) -> None:
    """The same bytes many times at once are stored once, and everybody gets the same receipt."""
    batch = sealed("person", row("person"))
    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(lambda _: deliver(desk, sender, *batch), range(12)))
    assert len({answer.receipt for answer in answers if isinstance(answer, Answer)}) == 1
    assert not [answer for answer in answers if isinstance(answer, Problem)]
    assert count(desk, "guangdong.person") == 1


def test_a_batch_id_twice_at_once_for_two_datasets_is_a_conflict(desk: Desk, sender: Sender) -> None:
    """Where two locks let both through, the unique batch id lets one win and the other is a conflict."""
    batch_id = uuid4()
    batches = [sealed(name, row(name), batch_id=batch_id) for name in ("person", "department")]
    with ThreadPoolExecutor(2) as threads:
        answers = list(threads.map(lambda batch: deliver(desk, sender, *batch), batches))
    problems = [answer for answer in answers if isinstance(answer, Problem)]
    assert [problem.status for problem in problems] == [HTTPStatus.CONFLICT]
    assert count(desk, "qianzhi.batches") == 1


def test_other_content_under_a_known_id_is_a_conflict(desk: Desk, sender: Sender) -> None:
    """One id names one act of sending."""
    batch_id, content = sealed("person", row("person"))
    deliver(desk, sender, batch_id, content)
    again = deliver(desk, sender, *sealed("person", row("person", KH="K2"), batch_id=batch_id))
    assert isinstance(again, Problem)
    assert (again.status, again.code) == (HTTPStatus.CONFLICT, "batch-conflict")


def test_batch_ids_of_institutions_do_not_meet(desk: Desk, sender: Sender, other: Sender) -> None:
    """Two institutions may use the same id."""
    batch_id = uuid4()
    send(desk, sender, "person", row("person"), batch_id=batch_id)
    mine = send(desk, other, "person", row("person", JGDM=OTHER_CODE), batch_id=batch_id, institution=OTHER_CODE)
    assert mine.accepted == 1


@pytest.mark.parametrize(
    ("said", "status", "code"),
    [
        ({"institution": OTHER_CODE}, HTTPStatus.FORBIDDEN, "foreign-institution"),
        ({"regulator": "elsewhere"}, HTTPStatus.UNPROCESSABLE_ENTITY, "address-mismatch"),
        ({"edition": "V0"}, HTTPStatus.CONFLICT, "edition-unknown"),
        ({"ruleset": "0" * 64}, HTTPStatus.CONFLICT, "ruleset-unknown"),
        ({"as_of": AS_OF + timedelta(hours=25)}, HTTPStatus.CONFLICT, "as-of-ahead"),
        ({"as_of": datetime(1, 1, 1)}, HTTPStatus.CONFLICT, "as-of-early"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(
    desk: Desk, sender: Sender, said: dict[str, object], status: HTTPStatus, code: str
) -> None:
    """Each way in which a batch cannot be judged here has its own code, and nothing of it is stored."""
    answer = deliver(desk, sender, *sealed("person", row("person"), **said))
    assert isinstance(answer, Problem)
    assert (answer.status, answer.code) == (status, code)
    assert count(desk, "qianzhi.batches") == 0


def test_the_address_must_name_the_batch(desk: Desk, sender: Sender) -> None:
    """Bytes sent to the address of another batch are refused."""
    _, content = sealed("person", row("person"))
    answer = deliver(desk, sender, uuid4(), content)
    assert isinstance(answer, Problem)
    assert answer.code == "address-mismatch"


def test_a_record_of_another_institution_is_rejected(desk: Desk, sender: Sender) -> None:
    """JGDM must be the identity of the sender (V20, class E09); its neighbours go their way."""
    receipt = send(desk, sender, "person", row("person", 1), row("person", 2, KH="B", JGDM=OTHER_CODE))
    assert receipt.rejected == [2]
    assert {(each["code"], each["class"]) for each in receipt.findings if each["row_id"] == 2} == {("V20", "E09")}


def test_nul_rejects_its_row_alone(desk: Desk, sender: Sender) -> None:
    """PostgreSQL cannot hold U+0000: the row that has it is rejected (V02, E03) and shown with U+FFFD."""
    receipt = send(desk, sender, "person", row("person", 1), row("person", 2, KH="B", XM="李\x00四"))
    assert receipt.rejected == [2]
    found = {(each["code"], each["class"], each["field"], each["value"]) for each in receipt.findings}
    assert ("V02", "E03", "XM", "李\ufffd四") in found
    with desk.pool.connection() as session:
        assert session.execute("SELECT xm FROM guangdong.person WHERE row_id = 2").fetchall() == [("李\ufffd四",)]


def test_a_large_text_is_stored_and_its_finding_is_short(desk: Desk, sender: Sender) -> None:
    """Ten megabytes in one field reject that row, and the receipt stays small."""
    batch_id, content = sealed("person", row("person", 1), row("person", 2, KH="B", XM="张" * 3_500_000))
    answer = deliver(desk, sender, batch_id, content)
    assert isinstance(answer, Answer)
    assert read(answer.receipt).rejected == [2]
    assert len(answer.receipt) < 10_000


def test_a_bomb_is_refused_before_it_unfolds(desk: Desk, sender: Sender) -> None:
    """A small body that unpacks to more than the bound is an error of its sender."""
    bomb = pa.Codec("zstd").compress(b"\x00" * (envelopes.DECODED_BYTES_MAX + 1), asbytes=True)
    with pytest.raises(SenderError, match="larger than"):
        deliver(desk, sender, uuid4(), bomb)


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\x28\xb5\x2f\xfd\x00", b"{}"])
def test_nonsense_is_an_error_of_its_sender(desk: Desk, sender: Sender, content: bytes) -> None:
    """Bytes that are no batch are refused with what a batch is."""
    with pytest.raises(SenderError, match="not a sound batch"):
        deliver(desk, sender, uuid4(), content)


def test_bytes_that_are_no_utf8_are_refused(desk: Desk, sender: Sender) -> None:
    """A text column with invalid UTF-8 is refused as a whole: nobody can say what it says."""
    stated = manifest("person")
    whole = envelopes.open_envelope(envelopes.seal(stated, frame("person", row("person", XM="abcdef"))))
    content = envelopes.seal(stated, whole.rows)
    stream = pa.CompressedInputStream(pa.BufferReader(content), "zstd").read().replace(b"abcdef", b"ab\xff\xfeef")
    with pytest.raises(SenderError, match="not a sound batch"):
        deliver(desk, sender, stated.batch_id, pa.Codec("zstd").compress(stream, asbytes=True))


def test_columns_must_be_those_of_the_edition(desk: Desk, sender: Sender) -> None:
    """A batch with a column too few is refused, for nobody can say what it left out."""
    stated = manifest("person")
    with pytest.raises(SenderError, match="columns"):
        deliver(desk, sender, stated.batch_id, envelopes.seal(stated, frame("person", row("person")).drop("XM")))


def test_a_row_id_stands_once(desk: Desk, sender: Sender) -> None:
    """Two rows of one id could not be told apart in the receipt."""
    with pytest.raises(SenderError, match="twice"):
        deliver(desk, sender, *sealed("person", row("person", 1), row("person", 1, KH="B")))


def test_a_rehearsal_of_row_rules_leaves_no_state(desk: Desk, sender: Sender) -> None:
    """With the kind `row` alone, nothing that is held is looked at or changed."""
    rehearsal = Reception(desk.pool, desk.served, kinds=frozenset({RuleKind.ROW}), now=clock.now)
    for _ in range(2):
        batch_id, content = sealed("person", row("person", JGDM=OTHER_CODE))
        answer = rehearsal.receive(sender, batch_id, _body(content), envelopes.MEDIA_TYPE)
        assert isinstance(answer, Answer)
        assert read(answer.receipt).accepted == 1
    assert count(desk, "qianzhi.key_states") == 0


def test_a_month_that_nobody_opened_is_opened(desk: Desk, sender: Sender) -> None:
    """When the watch did not run for months, the first batch of a month still finds its partition."""
    later = (AS_OF + timedelta(days=100)).replace(tzinfo=clock.LOCAL)
    reception = Reception(desk.pool, desk.served, now=lambda: later)
    batch_id, content = sealed("person", row("person"))
    answer = reception.receive(sender, batch_id, _body(content), envelopes.MEDIA_TYPE)
    assert isinstance(answer, Answer)
    assert count(desk, "guangdong.person_202702") == 1


def _body(content: bytes) -> Body:
    return Body(content, envelopes.digest(content))
