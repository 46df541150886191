"""What the hub judges by what it holds: references, the change chain, repeats, facts."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING

from tests.hub.samples import AS_OF, OTHER_CODE, picture, row, send

from qianzhi.hub import blobs, promises
from qianzhi.hub.bodies import Body
from qianzhi.runtime import clock

if TYPE_CHECKING:
    from qianzhi.hub.desk import Desk
    from qianzhi.hub.identity import Sender

EARLIER, LATER, LATEST = "2026-11-19 08:00:00", "2026-11-19 09:00:00", "2026-11-19 10:00:00"


def holding(desk: Desk) -> list[tuple[object, ...]]:
    """Return card and name of every person that holds."""
    with desk.pool.connection() as session:
        return session.execute("SELECT kh, xm FROM guangdong.current_person ORDER BY kh").fetchall()


def test_a_child_waits_for_its_parent(desk: Desk, sender: Sender) -> None:
    """A visit of an unknown person is rejected (V30, class E06) and names the missing dataset and key."""
    visit = row("treatment_record", MZH="M1")
    refused = send(desk, sender, "treatment_record", visit)
    assert refused.rejected == [1]
    (finding,) = [each for each in refused.findings if each["severity"] == "error"]
    assert (finding["code"], finding["class"]) == ("V30", "E06")
    assert "person" in finding["detail"]
    assert "KH=K1" in finding["detail"]


def test_a_child_goes_after_its_parent(desk: Desk, sender: Sender) -> None:
    """Once the person is accepted, the same visit is; and the diagnosis of that visit too."""
    send(desk, sender, "person", row("person"))
    assert send(desk, sender, "treatment_record", row("treatment_record", MZH="M1")).accepted == 1
    assert send(desk, sender, "treatment_diagnose", row("treatment_diagnose", MZH="M1")).accepted == 1
    assert send(desk, sender, "treatment_diagnose", row("treatment_diagnose", MZH="M2", ZDXXID="2")).rejected == [1]


def test_a_parent_of_another_institution_is_none(desk: Desk, sender: Sender, other: Sender) -> None:
    """What one institution sent is nothing to another, even under the same key."""
    send(desk, sender, "person", row("person"))
    visit = row("treatment_record", JGDM=OTHER_CODE)
    assert send(desk, other, "treatment_record", visit, institution=OTHER_CODE).rejected == [1]


def test_a_rejected_parent_is_none(desk: Desk, sender: Sender) -> None:
    """Only accepted rows can be referred to."""
    send(desk, sender, "person", row("person", XM=None))
    assert send(desk, sender, "treatment_record", row("treatment_record")).rejected == [1]


def test_a_revoked_parent_is_none(desk: Desk, sender: Sender) -> None:
    """What was revoked cannot be referred to."""
    send(desk, sender, "person", row("person", SJSCSJ=EARLIER))
    send(desk, sender, "person", row("person", CXBZ="3", SJSCSJ=LATER))
    assert send(desk, sender, "treatment_record", row("treatment_record")).rejected == [1]


def test_a_child_that_says_otherwise_than_its_parent_is_warned(desk: Desk, sender: Sender) -> None:
    """A visit that repeats the person's name differently is accepted with a warning (V37.1)."""
    send(desk, sender, "person", row("person", XM="张三"))
    same = send(desk, sender, "treatment_record", row("treatment_record", MZH="M1", XM="张三"))
    differing = send(desk, sender, "treatment_record", row("treatment_record", MZH="M2", XM="张山"))
    assert (same.accepted, differing.accepted) == (1, 1)
    assert "V37.1" not in same.codes()
    assert "V37.1" in differing.codes(severity="warning")


def test_a_change_chain(desk: Desk, sender: Sender) -> None:
    """New, modify, revoke, new: each over batches, and the current view follows."""
    assert send(desk, sender, "person", row("person", XM="甲", SJSCSJ=EARLIER)).accepted == 1
    assert holding(desk) == [("K1", "甲")]
    assert send(desk, sender, "person", row("person", XM="乙", CXBZ="2", SJSCSJ=LATER)).accepted == 1
    assert holding(desk) == [("K1", "乙")]
    assert send(desk, sender, "person", row("person", XM="乙", CXBZ="3", SJSCSJ=LATER)).accepted == 1
    assert holding(desk) == []
    assert send(desk, sender, "person", row("person", XM="丙", SJSCSJ=LATEST)).accepted == 1
    assert holding(desk) == [("K1", "丙")]


def test_a_chain_within_one_batch(desk: Desk, sender: Sender) -> None:
    """Rows of one key in one batch are judged in the order of their business times, whatever their order."""
    receipt = send(
        desk,
        sender,
        "person",
        row("person", 1, XM="丙", CXBZ="2", SJSCSJ=LATEST),
        row("person", 2, XM="甲", SJSCSJ=EARLIER),
        row("person", 3, XM="乙", CXBZ="2", SJSCSJ=LATER),
    )
    assert receipt.accepted == 3
    assert holding(desk) == [("K1", "丙")]


def test_a_second_new_of_a_live_key_is_rejected(desk: Desk, sender: Sender) -> None:
    """A record is made only once (V21, class E07); what holds is what was accepted first."""
    send(desk, sender, "person", row("person", XM="甲", SJSCSJ=EARLIER))
    receipt = send(desk, sender, "person", row("person", XM="乙", SJSCSJ=LATER))
    assert receipt.rejected == [1]
    assert ("V21", "E07") in {(each["code"], each["class"]) for each in receipt.findings}
    assert holding(desk) == [("K1", "甲")]


def test_a_change_of_nothing_is_rejected(desk: Desk, sender: Sender) -> None:
    """Modify and revoke need an accepted row of the key (V22)."""
    for operation in ("2", "3"):
        receipt = send(desk, sender, "person", row("person", CXBZ=operation))
        assert receipt.rejected == [1]
        assert "V22" in receipt.codes(severity="error")


def test_a_repeat_of_the_same_content_is_warned(desk: Desk, sender: Sender) -> None:
    """Equal content from another act of sending is a duplicate (V26), never mistaken for a retry."""
    send(desk, sender, "person", row("person", SJSCSJ=EARLIER))
    receipt = send(desk, sender, "person", row("person", SJSCSJ=EARLIER))
    assert {"V21", "V26"} <= receipt.codes()


def test_a_rejected_row_changes_no_state(desk: Desk, sender: Sender) -> None:
    """A modify that is rejected leaves what holds as it was."""
    send(desk, sender, "person", row("person", XM="甲", SJSCSJ=EARLIER))
    send(desk, sender, "person", row("person", XM=None, CXBZ="2", SJSCSJ=LATER))
    assert holding(desk) == [("K1", "甲")]


def test_one_identity_number_with_two_names_is_warned(desk: Desk, sender: Sender) -> None:
    """The same identity number under two cards and names (V28.2): the second is warned, across batches."""
    send(desk, sender, "person", row("person", KH="A", ZJHM="X1", XM="甲"))
    receipt = send(desk, sender, "person", row("person", KH="B", ZJHM="X1", XM="乙"))
    assert receipt.accepted == 1
    assert "V28.2" in receipt.codes(severity="warning")


def test_two_names_within_one_batch_are_warned_once(desk: Desk, sender: Sender) -> None:
    """Within a batch the earlier row says what holds, and the later one is warned."""
    receipt = send(
        desk,
        sender,
        "person",
        row("person", 1, KH="A", ZJHM="X1", XM="乙", SJSCSJ=LATER),
        row("person", 2, KH="B", ZJHM="X1", XM="甲", SJSCSJ=EARLIER),
    )
    assert ("V28.2" in receipt.codes(1), "V28.2" in receipt.codes(2)) == (True, False)


def test_a_record_may_correct_its_own_name(desk: Desk, sender: Sender) -> None:
    """A modify of the record that said a name first is a correction and no contradiction; it counts from then on."""
    send(desk, sender, "person", row("person", KH="A", ZJHM="X1", XM="甲", SJSCSJ=EARLIER))
    corrected = send(desk, sender, "person", row("person", KH="A", ZJHM="X1", XM="乙", CXBZ="2", SJSCSJ=LATER))
    agreeing = send(desk, sender, "person", row("person", KH="B", ZJHM="X1", XM="乙"))
    assert "V28.2" not in corrected.codes() | agreeing.codes()


def test_what_a_rejected_row_says_counts_for_nothing(desk: Desk, sender: Sender) -> None:
    """Facts come from accepted rows only."""
    send(desk, sender, "person", row("person", KH="A", ZJHM="X1", XM="甲", CSRQ=None))
    receipt = send(desk, sender, "person", row("person", KH="B", ZJHM="X1", XM="乙"))
    assert "V28.2" not in receipt.codes()


def test_one_card_with_two_identity_numbers_is_warned(desk: Desk, sender: Sender) -> None:
    """A card that changes its holder's identity number is warned (V28.1), once."""
    send(desk, sender, "person", row("person", ZJHM="X1", SJSCSJ=EARLIER))
    changed = send(desk, sender, "person", row("person", ZJHM="X2", CXBZ="2", SJSCSJ=LATER))
    again = send(desk, sender, "person", row("person", ZJHM="X2", CXBZ="2", SJSCSJ=LATEST, DZYJ="b@example.org"))
    assert ("V28.1" in changed.codes(), "V28.1" in again.codes()) == (True, False)


def test_an_image_that_was_not_sent_rejects_its_row(desk: Desk, sender: Sender) -> None:
    """A row whose image field is filled needs the blob of that image (V41, class E08)."""
    photo = row("staff", GRZPCFDZ="/photos/1.png")
    receipt = send(desk, sender, "staff", photo)
    assert receipt.rejected == [1]
    assert ("V41.1", "E08", "GRZPCFDZ") in {(each["code"], each["class"], each["field"]) for each in receipt.findings}
    unknown = send(desk, sender, "staff", photo | {"GRZPCFDZ#blob": "0" * 64})
    malformed = send(desk, sender, "staff", photo | {"GRZPCFDZ#blob": "no digest"})
    assert unknown.rejected == malformed.rejected == [1]


def test_an_image_that_is_promised_may_follow_its_row(desk: Desk, sender: Sender) -> None:
    """A sender that holds the image and says so has its row accepted; what is overdue is told, until it comes."""
    content = picture(2)
    named = hashlib.sha256(content).hexdigest()
    photo = row("staff", GRZPCFDZ="/photos/1.png") | {"GRZPCFDZ#blob": named}
    receipt = send(desk, sender, "staff", photo, images_follow=True)
    nameless = send(desk, sender, "staff", photo | {"GRZPCFDZ#blob": None, "YHRYGH": "2"}, images_follow=True)
    early, late = AS_OF + timedelta(hours=71), AS_OF + timedelta(hours=73)
    with desk.pool.connection() as session:
        assert (receipt.rejected, nameless.rejected) == ([], [1])
        assert promises.overdue(session, now=early.replace(tzinfo=clock.LOCAL)) == []
        (owed,) = promises.overdue(session, now=late.replace(tzinfo=clock.LOCAL))
        assert (owed["code"], owed["images"]) == (sender.code, 1)

        body = Body(content, bytes.fromhex(named))
        assert blobs.store(session, desk.files, sender.institution_id, body, "image/png") is None
        assert promises.overdue(session, now=late.replace(tzinfo=clock.LOCAL)) == []
        assert (promises.forget_kept(session), promises.forget_kept(session)) == (1, 0)


def test_what_a_rejected_row_promises_is_not_awaited(desk: Desk, sender: Sender) -> None:
    """Its sender corrects it and promises again."""
    photo = row("staff", GRZPCFDZ="/photos/1.png", YHRYGH=None) | {"GRZPCFDZ#blob": "a" * 64}
    assert send(desk, sender, "staff", photo, images_follow=True).rejected == [1]
    with desk.pool.connection() as session:
        assert promises.overdue(session, now=clock.now() + timedelta(days=3650)) == []
