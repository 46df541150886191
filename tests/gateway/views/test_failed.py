"""Failed rows: what a page shows of them, whatever is chosen."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.gateway.views.site import HUB, INSTITUTION, REGULATOR, Site

from qianzhi.gateway import report
from qianzhi.gateway.views import failed
from qianzhi.gateway.views.choice import Choice, Order, Span, key_hashes, number, pattern, span_of
from qianzhi.gateway.views.personal import personal_fields
from qianzhi.ledger import counts
from qianzhi.runtime import clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TODAY = clock.local_now().date()


@pytest.fixture(scope="module")
def known(site: Site) -> list[dict[str, Any]]:
    """Every finding, read by a query of this test's own, newest first, over the days that the fixture gave them."""
    with psycopg.connect(site.dsn, autocommit=True) as session:
        # As if the site had worked for days: else every page would lie in one.
        session.execute(
            "UPDATE qianzhi.findings SET found_at = found_at - (finding_id %% 5) * interval '1 day' WHERE %s", [True]
        )
        rows = session.execute(
            "SELECT f.finding_id, d.name AS destination, l.dataset, f.row_id, f.code, f.class AS class_, f.field,"
            " f.value, f.severity, f.origin::text, f.found_at, f.closed_at,"
            " (f.found_at AT TIME ZONE 'Asia/Shanghai')::date AS found_on"
            " FROM qianzhi.findings f JOIN qianzhi.lanes l USING (lane_id) JOIN qianzhi.destinations d"
            " USING (destination_id) ORDER BY f.found_at DESC, f.finding_id DESC"
        )
        names = [column.name for column in rows.description or ()]
        return [dict(zip(names, row, strict=True)) for row in rows]


def matches(choice: Choice) -> Callable[[dict[str, Any]], bool]:
    """Return whether a finding is chosen, said once more in Python; without a text."""

    def decide(row: dict[str, Any]) -> bool:
        names = ("destination", "dataset", "code", "class_", "field", "severity", "origin")
        return (
            all(getattr(choice, name) in {None, row[name]} for name in names)
            and (choice.since_on is None or row["found_on"] >= choice.since_on)
            and (choice.until_on is None or row["found_on"] <= choice.until_on)
            and not (choice.open_only and row["closed_at"] is not None)
        )

    return decide


def ids(found: failed.Page) -> list[int]:
    """The numbers of the findings of a page."""
    return [row.finding_id for row in found.rows]


DAYS = st.one_of(st.none(), st.integers(0, 6).map(lambda back: TODAY - timedelta(days=back)))
CHOICES = st.builds(
    Choice,
    destination=st.sampled_from([None, None, HUB, "elsewhere"]),
    dataset=st.sampled_from([None, None, "person", "staff", "device", "contacts", "treatment_order"]),
    code=st.sampled_from([None, None, None, "V01", "V02", "V03", "V22", "V25"]),
    class_=st.sampled_from([None, None, None, "E01", "E03", "E10"]),
    severity=st.sampled_from([None, "error", "warning"]),
    origin=st.sampled_from([None, None, "gateway", "hub"]),
    since_on=DAYS,
    until_on=DAYS,
    open_only=st.booleans(),
)


@pytest.fixture(params=[0, failed.SELDOM_ROWS_MAX], ids=["by time", "by kind"], scope="module")
def read_by(request: pytest.FixtureRequest) -> Iterator[None]:
    """Both ways of reading, whatever the numbers would say."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(failed, "SELDOM_ROWS_MAX", request.param)
        yield


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(choice=CHOICES, order=st.sampled_from(Order), limit=st.integers(1, 40))
@example(choice=Choice(), order=Order.NEWEST, limit=1)
def test_pages_hold_every_chosen_finding_once(
    read_by: None, ask: psycopg.Connection, known: list[dict[str, Any]], choice: Choice, order: Order, limit: int
) -> None:
    """Leafing through finds what is chosen, no row lost or doubled, in the order asked; the total says how many."""
    expected = [row["finding_id"] for row in known if matches(choice)(row)]
    first = failed.page(ask, choice, order=order, limit=limit)
    found = ids(first)
    while len(found) < first.total_count:
        more = failed.page(ask, choice, order=order, offset=len(found), limit=limit)
        assert more.rows
        found += ids(more)
    assert first.total_count == len(expected)
    assert sorted(found) == sorted(expected)
    if order is Order.NEWEST:
        assert found == expected
    if order is Order.OLDEST:
        assert found == expected[::-1]
    assert failed.page(ask, choice, order=order, offset=len(found), limit=limit).rows == []


def test_facets_count_what_the_other_choices_leave(ask: psycopg.Connection, known: list[dict[str, Any]]) -> None:
    """A list to choose from offers what would be found instead, the most frequent first."""
    choice = Choice(dataset="staff", severity="error")
    facets = failed.page(ask, choice).facets
    for facet, name in (("dataset", "dataset"), ("severity", "severity"), ("code", "code"), ("field", "field")):
        rest = Choice(**{each: getattr(choice, each) for each in ("dataset", "severity") if each != name})
        values = [row[name] for row in known if matches(rest)(row) and row[name] is not None]
        assert dict(facets[facet]) == {value: values.count(value) for value in values}
        assert list(facets[facet].values()) == sorted(facets[facet].values(), reverse=True)


def test_counts_stay_true_when_they_are_folded(site: Site, ask: psycopg.Connection) -> None:
    """Folding changes the number of entries and nothing that they say."""
    before = failed.page(ask, Choice())
    (many,) = ask.execute("SELECT count(*) FROM qianzhi.finding_counts").fetchone() or (0,)
    counts.fold(ask)
    counts.fold(ask)
    (few,) = ask.execute("SELECT count(*) FROM qianzhi.finding_counts").fetchone() or (0,)
    after = failed.page(ask, Choice())
    assert few < many
    assert (after.total_count, after.facets) == (before.total_count, before.facets)
    really = "SELECT count(*), count(*) FILTER (WHERE closed_at IS NULL) FROM qianzhi.findings"
    assert ask.execute(really).fetchone() == (
        after.total_count,
        failed.page(ask, Choice(open_only=True)).total_count,
    )
    staged = "SELECT dataset, sum(row_count)::bigint FROM qianzhi.staged_counts GROUP BY 1"
    assert dict(ask.execute(staged).fetchall()) == {name: count for name, count in site.staged.items() if count}


def test_a_finding_is_shown_with_its_words_and_its_record(site: Site, ask: psycopg.Connection) -> None:
    """Reason and remedy are those of the catalogue in both languages; the key is the row's."""
    listed = {
        language: {
            (row["dataset"], row["row_id"], row["code"], row["field"]): (row["reason"], row["remedy"])
            for row in report.findings_of(ask, site.destination, language=language)
        }
        for language in ("zh", "en")
    }
    for language, said in listed.items():
        for row in failed.page(ask, Choice(), limit=500, language=language).rows:
            assert said[row.dataset, row.row_id, row.code, row.field] == (row.reason, row.remedy)
    persons = failed.page(ask, Choice(dataset="person"), limit=500).rows
    keys: dict[int, str] = dict(
        ask.execute("SELECT id, concat('JGDM=', jgdm, ', KLX=', klx, ', KH=', kh) FROM guangdong.person")
    )
    assert persons
    assert {row.row_id: row.key for row in persons} == {row.row_id: keys[row.row_id] for row in persons}


def test_what_may_be_a_patient_s_is_marked(ask: psycopg.Connection) -> None:
    """Who shows a finding learns which of its parts, and whether its value, may be about a person."""
    assert personal_fields(failed.Failed) == {"key", "value", "reason"}
    rows = failed.page(ask, Choice(), limit=500).rows
    for row in rows:
        told = next((each for each in REGULATOR.dataset(row.dataset).fields if each.name == row.field), None)
        assert row.is_personal == (told is None or told.personal)
    assert {row.is_personal for row in rows} == {True, False}


@pytest.mark.parametrize("order", list(Order))
def test_a_text_finds_values_rows_and_records(
    ask: psycopg.Connection, known: list[dict[str, Any]], order: Order
) -> None:
    """A part of a value, the id of a row, or a key in each way that people have it at hand."""
    valued = next(row for row in known if row["value"] and len(row["value"]) > 3)
    part = valued["value"][1:4]
    found = failed.page(ask, Choice(text=part), order=order, limit=500)
    assert set(ids(found)) >= {row["finding_id"] for row in known if row["value"] and part in row["value"]}
    assert not found.is_bounded
    by_row = failed.page(ask, Choice(dataset=valued["dataset"], text=str(valued["row_id"])), order=order, limit=500)
    assert valued["finding_id"] in ids(by_row)


@pytest.mark.parametrize("seldom_max", [0, failed.SELDOM_ROWS_MAX])
def test_a_text_that_many_findings_have_is_looked_for_among_the_newest(
    ask: psycopg.Connection, known: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, seldom_max: int
) -> None:
    """Total and order are then of the newest ones, and the page says so; other choices still hold."""
    monkeypatch.setattr(failed, "SORTED_ROWS_MAX", 5)
    monkeypatch.setattr(failed, "SELDOM_ROWS_MAX", seldom_max)
    having = [row for row in known if row["value"] and "1" in row["value"]]
    assert len(having) > 10
    by_row = {row["finding_id"] for row in known if row["row_id"] == 1}
    expected = [row["finding_id"] for row in known if row in having or row["finding_id"] in by_row]
    found = failed.page(ask, Choice(text="1"), limit=100)
    assert (found.total_count, found.is_bounded) == (5, True)
    assert set(ids(found)) <= set(expected)
    assert [each for each in ids(found) if each not in by_row] == [
        each for each in expected if each not in by_row and each in ids(found)
    ]
    errors = failed.page(ask, Choice(text="1", severity="error"), limit=100)
    assert {row.severity for row in errors.rows} == {"error"}
    assert set(ids(errors)) <= set(expected)


def test_a_record_is_found_by_its_key(ask: psycopg.Connection, known: list[dict[str, Any]]) -> None:
    """By its last value alone, by all values, and as a view shows it; by nobody else's."""
    keyed = (
        "SELECT row_id FROM qianzhi.findings JOIN qianzhi.lanes USING (lane_id)"
        " WHERE dataset = 'person' AND key_hash IS NOT NULL"
    )
    ((row_id, *_), *_) = ask.execute(keyed).fetchall()
    ((jgdm, klx, kh),) = ask.execute("SELECT jgdm, klx, kh FROM guangdong.person WHERE id = %s", [row_id]).fetchall()
    same = "SELECT id FROM guangdong.person WHERE (jgdm, klx, kh) = (%s, %s, %s)"
    rows = {each for (each,) in ask.execute(same, [jgdm, klx, kh])}
    expected = {row["finding_id"] for row in known if row["dataset"] == "person" and row["row_id"] in rows}
    for text in (kh, f"{jgdm}|{klx}|{kh}", f"{klx},{kh}", f"JGDM={jgdm}, KLX={klx}, KH={kh}", f" {kh} "):
        found = failed.page(ask, Choice(dataset="person", text=text), institutions=[INSTITUTION], limit=500)
        assert set(ids(found)) >= expected, text
    assert ids(failed.page(ask, Choice(text="nobody's key"), institutions=[INSTITUTION])) == []


def test_no_text_is_taken_for_a_pattern_or_for_sql(ask: psycopg.Connection) -> None:
    """What somebody types is looked for as it stands."""
    for text in ("%", "_", "\\", "'; DROP TABLE qianzhi.findings; --", "9" * 40, "()|*", "\U0001f600" * 300):
        found = failed.page(ask, Choice(text=text), institutions=[INSTITUTION])
        assert all(text in (row.value or "") for row in found.rows)


def test_an_export_yields_the_chosen_findings_in_chunks(
    ask: psycopg.Connection, known: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every chosen finding once, newest first, a bounded number at a time and in all."""
    monkeypatch.setattr(failed, "EXPORT_CHUNK_ROWS", 7)
    choice = Choice(severity="error")
    expected = [row["finding_id"] for row in known if matches(choice)(row)]
    chunks = list(failed.export(ask, choice))
    assert [row.finding_id for chunk in chunks for row in chunk] == expected
    assert {len(chunk) for chunk in chunks[:-1]} == {7}
    assert [row.finding_id for chunk in failed.export(ask, choice, limit=10) for row in chunk] == expected[:10]


def test_a_page_is_found_by_counting_days() -> None:
    """The days before a page are skipped, and one that only begins in it is read."""
    first = date(2026, 11, 1)
    days = [(first + timedelta(days=n), count) for n, count in enumerate([3, 5, 2])]
    assert span_of(days, 0, 2, newest=True) == Span(days[2][0], days[2][0], 0)
    assert span_of(days, 0, 3, newest=True) == Span(days[1][0], days[2][0], 0)
    assert span_of(days, 7, 2, newest=True) == Span(days[0][0], days[0][0], 0)
    assert span_of(days, 4, 3, newest=False) == Span(days[1][0], days[1][0], 1)
    assert span_of(days, 10, 5, newest=True) is None
    assert span_of([], 0, 5, newest=True) is None


def test_a_key_of_unknown_middle_is_tried_with_each_code() -> None:
    """A card's number is enough: the kinds of cards are few."""
    cards = REGULATOR.codes[REGULATOR.dataset("person").field("KLX").codes or ""].codes
    assert len(key_hashes("K1", REGULATOR, [INSTITUTION])) == len(cards) + 2  # and alone, and behind the institution
    assert (number("12"), number("1" * 30), number("1a"), number("²")) == (12, None, None, None)
    assert pattern("50%_\\") == "%50\\%\\_\\\\%"
