"""Where a document stands on a day."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qianzhi.gateway.documents.checklist import STATES, State, checklist, expiry, reminder, summary, urgent
from qianzhi.ledger.documents import Version
from qianzhi.regulators import paperwork

PAPERWORK = paperwork("guangdong")
NOTICE = PAPERWORK.document("protection_level_notice")
DIAGRAM = PAPERWORK.document("network_diagram")
ON = date(2026, 11, 20)


def version(key: str, dated_on: date, step: str | None = None, reason: str = "") -> Version:
    """Return a version of a document."""
    at = datetime(2026, 11, 1, tzinfo=UTC)
    return Version(key, dated_on, "a.pdf", bytes(32), "application/pdf", 10, 1, at, "test", 1, step, reason, at)


def test_what_was_never_brought_is_missing() -> None:
    """Every document of the list has a line; what need not be brought asks for nothing."""
    lines = checklist(PAPERWORK, [], ON)
    assert [line.document for line in lines] == list(PAPERWORK.documents)
    assert {line.state for line in lines} == {State.MISSING}
    assert {line.document.key for line in urgent(lines)} == {each.key for each in PAPERWORK.documents if each.required}


@pytest.mark.parametrize(
    ("step", "state", "settled"),
    [
        (None, State.PRESENT, False),
        ("submitted", State.SUBMITTED, True),
        ("reviewed", State.REVIEWED, True),
        ("returned", State.RETURNED, False),
    ],
)
def test_the_last_step_is_the_state(step: str | None, state: State, settled: bool) -> None:
    """What is here must be handed in, what came back brought again."""
    line = next(each for each in checklist(PAPERWORK, [version(DIAGRAM.key, ON, step)], ON) if each.document == DIAGRAM)
    assert (line.state, line.is_settled, line.expires_on) == (state, settled, None)


def test_the_newest_version_counts() -> None:
    """A version after a reviewed one must be reviewed itself."""
    found = checklist(PAPERWORK, [version(DIAGRAM.key, ON), version(DIAGRAM.key, ON, "reviewed")], ON)
    assert next(line.state for line in found if line.document == DIAGRAM) is State.PRESENT


@pytest.mark.parametrize(
    ("days_left", "wanted"),
    [(365, None), (61, None), (60, 60), (31, 60), (30, 30), (8, 30), (7, 7), (1, 7), (0, 0), (-100, 0)],
)
def test_reminders_begin_60_30_and_7_days_ahead(days_left: int, wanted: int | None) -> None:
    """As the issue says; on the day itself it is too late."""
    assert reminder(days_left) == wanted


def test_a_yearly_document_expires_whatever_was_said_of_it() -> None:
    """A year after its day; from sixty days before, somebody must do something."""
    dated = date(2025, 11, 20)
    for on, state, settled in (
        (date(2026, 9, 20), State.REVIEWED, True),
        (date(2026, 9, 21), State.REVIEWED, False),
        (date(2026, 11, 19), State.REVIEWED, False),
        (date(2026, 11, 20), State.EXPIRED, False),
    ):
        line = checklist(PAPERWORK, [version(NOTICE.key, dated, "reviewed")], on)[0]
        assert (line.state, line.is_settled, line.expires_on) == (state, settled, date(2026, 11, 20))


def test_the_soonest_to_expire_comes_first() -> None:
    """What has a day before what has none."""
    lines = checklist(PAPERWORK, [version(NOTICE.key, date(2025, 11, 25), "reviewed")], ON)
    first = urgent(lines)[0]
    assert (first.document, first.reminder_days) == (NOTICE, 7)


@given(st.dates(date(1980, 1, 1), date(2090, 1, 1)), st.integers(1, 60))
def test_a_document_expires_on_the_same_day_of_a_later_month(dated: date, months: int) -> None:
    """Or on that month's last day, where it has none such; never earlier than 28 days a month."""
    found = expiry(replace(NOTICE, valid_months=months), dated)
    assert found is not None
    assert (found.year * 12 + found.month) - (dated.year * 12 + dated.month) == months
    assert found.day == dated.day or (found + timedelta(days=1)).day == 1
    assert (found - dated).days >= 28 * months


@pytest.mark.parametrize(
    ("held", "health", "said"),
    [
        ([], "note", "14 份缺少"),
        ([version(DIAGRAM.key, ON, "returned", "x")], "ill", "1 份已退回，13 份缺少"),
        ([version(NOTICE.key, date(2025, 11, 20), "reviewed")], "ill", "1 份已过期"),
        ([version(NOTICE.key, date(2025, 11, 25), "reviewed")], "note", "1 份将到期（最早 5 天后）"),
        ([version(each.key, ON, "reviewed") for each in PAPERWORK.documents], "well", "齐全"),
    ],
)
def test_the_list_in_one_sentence(held: list[Version], health: str, said: str) -> None:
    """What came back or is over is ill; what is missing or ends soon should be known."""
    found = summary(checklist(PAPERWORK, held, ON))
    assert (found.health, said in found.what.zh) == (health, True)
    assert found.what.en
    assert bool(found.remedy.zh) == (health != "well")


def test_every_state_has_words_in_both_languages() -> None:
    """People read them."""
    assert set(STATES) == set(State)
    assert all(words.zh and words.en for words in STATES.values())
