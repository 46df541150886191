"""What a vendor reads by SQL of its rows, and what stays closed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import errors
from tests.docs.pages import DOCS, examples
from tests.gateway.views.site import CORRECTED, HUB, QUARANTINED, REGULATOR, UNDER_WAY, WAITING, Site

from qianzhi.checks.catalogue import HELD_REMEDY
from qianzhi.gateway import report
from qianzhi.ledger import views

if TYPE_CHECKING:
    from collections.abc import Iterator

FOREIGN = "别人的秘密"


def test_row_states_account_for_every_staged_row(site: Site, vendor: psycopg.Connection) -> None:
    """Each staged row has one state towards the one destination, and their numbers are those of the tally."""
    told = vendor.execute("SELECT dataset, state, count(*) FROM row_states GROUP BY 1, 2").fetchall()
    counts: dict[str, dict[str, int]] = {}
    for dataset, state, count in told:
        counts.setdefault(dataset, {})[state] = count
    with psycopg.connect(site.dsn) as session:
        tallies = report.tallies(session, site.destination)
    for dataset, tally in tallies.items():
        said = counts.get(dataset, {})
        ended = ("superseded", "nothing_to_revoke", "quarantined")
        assert (said.get("accepted", 0), said.get("held", 0)) == (tally.accepted, tally.held)
        assert sum(said.get(state, 0) for state in ("rejected", *ended)) == tally.rejected
        assert said.get("waiting", 0) + said.get("under_way", 0) == tally.open
        assert sum(said.values()) == tally.staged == site.staged.get(dataset, 0)
    assert set().union(*counts.values()) >= {"accepted", "rejected", "held", "waiting", "under_way", "quarantined"}


def test_a_row_says_where_it_is(vendor: psycopg.Connection) -> None:
    """The key is shown as the row spells it; a row that was sent names its batch."""
    told = vendor.execute(
        "SELECT split_part(key, 'BM=', 2), state, state_zh, batch_id IS NOT NULL, state_at IS NOT NULL FROM row_states"
        " WHERE dataset = 'contacts' AND split_part(key, 'BM=', 2) = ANY(%s) ORDER BY id",
        [[CORRECTED, QUARANTINED, *UNDER_WAY, *WAITING]],
    ).fetchall()
    assert told == [
        (CORRECTED, "rejected", "已拒绝", True, True),
        (CORRECTED, "accepted", "已接收", True, True),
        (QUARANTINED, "quarantined", "隔离", False, True),
        *((office, "under_way", "上传中", True, True) for office in UNDER_WAY),
        *((office, "waiting", "待上传", False, True) for office in WAITING),
    ]


def test_a_delivered_row_is_accepted_on_the_official_word_only(ask: psycopg.Connection) -> None:
    """What an official front machine has is delivered until its console says of this very row that it is accepted."""
    states = "SELECT state FROM guangdong.row_states WHERE dataset = 'department' AND id = 1"
    of_row = "lane_id = (SELECT lane_id FROM qianzhi.lanes WHERE dataset = 'department') AND row_ids @> 1::bigint"
    with ask.transaction(force_rollback=True):
        assert ask.execute(states).fetchone() == ("accepted",)
        ask.execute(
            f"UPDATE qianzhi.batches SET state = 'delivered', delivered_at = now(), settled_at = NULL WHERE {of_row}"
        )
        assert ask.execute(states).fetchone() == ("delivered",)
        ask.execute(
            "INSERT INTO qianzhi.deliveries (lane_id, row_id, batch_id, remote_id, delivered_at)"
            f" SELECT lane_id, 1, batch_id, 1, now() FROM qianzhi.batches WHERE {of_row}"
        )
        assert ask.execute(states).fetchone() == ("delivered",)
        ask.execute("UPDATE qianzhi.deliveries SET accepted = true, answered_at = now() WHERE row_id = 1")
        assert ask.execute(states).fetchone() == ("accepted",)


def test_a_held_row_says_what_it_wants(site: Site, vendor: psycopg.Connection) -> None:
    """A row that waits names the dataset and the key of the record that it waits for."""
    told = vendor.execute("SELECT dataset, id, wants FROM row_states WHERE state = 'held' ORDER BY 1, 2").fetchall()
    known = "SELECT dataset, row_id, wants FROM qianzhi.held JOIN qianzhi.lanes USING (lane_id) ORDER BY 1, 2"
    assert told == site.ask(known)
    assert all("(JGDM=" in wants for *_, wants in told)


def test_findings_say_in_sql_what_the_product_says(site: Site, vendor: psycopg.Connection) -> None:
    """Reason and remedy of every finding and held row are those that the product's own list has."""
    told = vendor.execute(
        "SELECT dataset, id, code, class, field, value, reason, remedy, severity FROM findings"
    ).fetchall()
    with psycopg.connect(site.dsn) as session:
        listed = report.findings_of(session, site.destination)
    assert len(told) > 30
    assert sorted(told, key=str) == sorted((tuple(entry.values()) for entry in listed), key=str)
    assert all(reason and remedy and "None" not in reason for *_, reason, remedy, _ in told)


def test_nobody_is_asked_to_send_a_held_row_again(site: Site, vendor: psycopg.Connection) -> None:
    """It goes by itself once its parent is accepted; a row that the hub refused for the same reason does not."""
    held = vendor.execute("SELECT remedy FROM findings WHERE finding_id IS NULL").fetchall()
    assert {remedy for (remedy,) in held} == {HELD_REMEDY.zh}
    with psycopg.connect(site.dsn) as session:
        listed = report.findings_of(session, site.destination, language="en")
    assert [entry["remedy"] for entry in listed].count(HELD_REMEDY.en) == len(held) > 0
    assert "不必重新写入" in HELD_REMEDY.zh


def test_a_finding_closes_when_its_record_is_accepted(vendor: psycopg.Connection) -> None:
    """What was corrected is not asked for again; everything else stays open."""
    closed = vendor.execute(
        "SELECT DISTINCT key FROM findings JOIN row_states USING (dataset, id) WHERE closed_at IS NOT NULL"
        " AND dataset = 'contacts' AND key LIKE %s",
        [f"%{CORRECTED}"],
    ).fetchall()
    assert len(closed) == 1
    last = "SELECT count(*) FROM findings WHERE closed_at IS NULL AND field = 'FZRXM' AND code = 'V01'"
    assert vendor.execute(last).fetchone() == (0,)


def test_exactly_those_are_closed_whose_record_was_accepted_later(site: Site, ask: psycopg.Connection) -> None:
    """Whatever the order in which findings and receipts come: one of a row that went late is closed at once."""
    differing = (
        "SELECT count(*) FROM qianzhi.findings AS f WHERE (closed_at IS NOT NULL) <> EXISTS (SELECT FROM"
        " qianzhi.key_states AS k WHERE (k.lane_id, k.key_hash, k.key_check) = (f.lane_id, f.key_hash, f.key_check)"
        " AND k.row_id > f.row_id)"
    )
    assert site.ask(differing) == [(0,)]
    with ask.transaction(force_rollback=True):
        late = (
            "INSERT INTO qianzhi.findings (lane_id, row_id, key_hash, key_check, origin, code, class, severity)"
            " SELECT lane_id, row_id - 1, key_hash, key_check, 'gateway', 'V98', 'E11', 'error' FROM qianzhi.key_states"
            " WHERE live LIMIT 5"
        )
        ask.execute(late)
        assert ask.execute("SELECT count(closed_at) FROM qianzhi.findings WHERE code = 'V98'").fetchone() == (5,)
        assert ask.execute(differing).fetchone() == (0,)
        counted = (
            "SELECT sum(total_count)::bigint, sum(open_count)::bigint FROM qianzhi.finding_counts WHERE code = 'V98'"
        )
        assert ask.execute(counted).fetchone() == (5, 0)


def test_a_finding_opens_again_when_its_key_falls_back(ask: psycopg.Connection) -> None:
    """What an official console refuses after all closes nothing: the record asks for work as before."""
    ((lane, key_hash),) = ask.execute(
        "SELECT lane_id, key_hash FROM qianzhi.key_states JOIN qianzhi.lanes USING (lane_id)"
        " WHERE dataset = 'contacts' AND row_id = (SELECT max(id) FROM guangdong.contacts WHERE bm = %s)",
        [CORRECTED],
    ).fetchall()
    still = (
        "SELECT bool_and(closed_at IS NULL), count(*) > 0 FROM qianzhi.findings WHERE lane_id = %s AND key_hash = %s"
    )
    before = ask.execute(still, [lane, key_hash]).fetchone()
    assert before == (False, True)
    for fall in ("UPDATE qianzhi.key_states SET row_id = 0", "DELETE FROM qianzhi.key_states"):
        with ask.transaction(force_rollback=True):
            ask.execute(f"{fall} WHERE lane_id = %s AND key_hash = %s", [lane, key_hash])
            assert ask.execute(still, [lane, key_hash]).fetchone() == (True, True)
            counted = "SELECT sum(open_count)::bigint FROM qianzhi.finding_counts"
            really = "SELECT count(*) FROM qianzhi.findings WHERE closed_at IS NULL"
            assert ask.execute(counted).fetchone() == ask.execute(really).fetchone()


def test_views_and_columns_say_what_they_are(vendor: psycopg.Connection) -> None:
    """Every column of the views has a remark, and no remark lacks its column."""
    told = vendor.execute(
        "SELECT c.relname, a.attname, col_description(c.oid, a.attnum), obj_description(c.oid)"
        " FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid"
        " WHERE c.relnamespace = 'guangdong'::regnamespace AND c.relkind = 'v' AND a.attnum > 0"
    ).fetchall()
    assert {f"{view}.{column}": remark for view, column, remark, _ in told} | {
        view: said for view, _, _, said in told
    } == (dict(views.REMARKS))


@pytest.mark.parametrize("question", list(examples(DOCS / "howto" / "read-results-by-sql.md", "sql")))
def test_the_examples_of_the_guide_can_be_typed(vendor: psycopg.Connection, question: str) -> None:
    """A vendor who copies a question out of the guide gets an answer."""
    assert vendor.execute(question).description


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM qianzhi.findings",
        "SELECT * FROM qianzhi.finding_texts",
        "SELECT * FROM qianzhi.batches",
        "SELECT * FROM qianzhi.audit",
        "SELECT qianzhi.close_findings()",
        "INSERT INTO findings (id) VALUES (1)",
        "UPDATE findings SET closed_at = NULL",
        "DELETE FROM row_states",
        "CREATE VIEW mine AS SELECT * FROM findings",
        "CREATE FUNCTION mine(text) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
        "ALTER VIEW findings SET (security_barrier = false)",
        "ALTER VIEW findings OWNER TO CURRENT_USER",
        "TRUNCATE findings",
    ],
)
def test_nothing_behind_the_views_is_open(vendor: psycopg.Connection, statement: str) -> None:
    """A vendor reads the views, and can neither reach what is behind them nor change them."""
    refusals = (errors.InsufficientPrivilege, errors.WrongObjectType, errors.ObjectNotInPrerequisiteState)
    with pytest.raises(refusals):
        vendor.execute(statement)


@pytest.fixture
def foreign(site: Site) -> Iterator[None]:
    """Rows of another regulator in the same ledger, for the time of a test."""
    with psycopg.connect(site.dsn, autocommit=True) as session:
        session.execute("INSERT INTO qianzhi.destinations (name, regulator) VALUES ('elsewhere', 'hebei')")
        session.execute(
            "INSERT INTO qianzhi.lanes (destination_id, regulator, dataset)"
            " SELECT destination_id, regulator, 'person' FROM qianzhi.destinations WHERE name = 'elsewhere'"
        )
        session.execute(
            "INSERT INTO qianzhi.findings (lane_id, row_id, origin, code, class, field, value, severity)"
            " SELECT lane_id, 1, 'gateway', 'V01', 'E01', 'XM', %s, 'error' FROM qianzhi.lanes"
            " WHERE regulator = 'hebei'",
            [FOREIGN],
        )
        yield
        session.execute("DELETE FROM qianzhi.findings WHERE value = %s", [FOREIGN])
        session.execute("DELETE FROM qianzhi.lanes WHERE regulator = 'hebei'")
        session.execute("DELETE FROM qianzhi.destinations WHERE regulator = 'hebei'")


@pytest.mark.parametrize(
    "condition",
    [
        "true",
        "(CASE WHEN value = '别人的秘密' THEN 1 / (length(value) - 5) ELSE 1 END) = 1",
        "(CASE WHEN value LIKE '别人%%' THEN value::integer ELSE 1 END) = 1",
        "value ~ (CASE WHEN value LIKE '别人%%' THEN '(' ELSE 'x?' END)",
        "pg_catalog.set_config('application_name', coalesce(value, ''), false) IS NOT NULL",
    ],
)
def test_a_view_shows_only_its_regulator_s_rows(foreign: None, vendor: psycopg.Connection, condition: str) -> None:
    """No condition of a reader is tried on rows of another regulator, so that no error can tell what they hold."""
    told = vendor.execute(f"SELECT destination, value FROM findings WHERE {condition}").fetchall()
    assert told
    assert {destination for destination, _ in told} == {HUB}
    assert FOREIGN not in {value for _, value in told}
    assert vendor.info.parameter_status("application_name") != FOREIGN


def scans(plan: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the kind and the table of every scan of a plan."""
    if "Relation Name" in plan:
        yield plan["Node Type"], plan["Relation Name"]
    for part in plan.get("Plans", ()):
        yield from scans(part)


@pytest.fixture(scope="module")
def volume(site: Site) -> Iterator[int]:
    """Many findings and staged rows more, for the time of this module; the first of their ids."""
    many = 200_000
    with psycopg.connect(site.dsn, autocommit=True) as session:
        session.execute(
            "INSERT INTO qianzhi.findings (lane_id, row_id, origin, code, class, field, severity, found_at, key_hash)"
            " SELECT lane_id, 1000000 + n, 'gateway', 'V99', 'E11', 'XM', 'warning',"
            " now() - interval '1 day' - n * interval '1 second', n"
            " FROM generate_series(1, %s) AS n JOIN qianzhi.lanes ON lane_id = 1 + n %% 12",
            [many],
        )
        session.execute("ANALYZE qianzhi.findings")
        yield 1_000_000
        session.execute("DELETE FROM qianzhi.findings WHERE code = 'V99'")
        session.execute("VACUUM ANALYZE qianzhi.findings")


@pytest.mark.parametrize(
    "question",
    [
        "SELECT * FROM findings WHERE id = 1150000",
        "SELECT * FROM findings WHERE dataset = 'person' AND id = 1150000",
        "SELECT * FROM findings WHERE id > 1199000",
        "SELECT * FROM findings WHERE id > 1199000 ORDER BY id LIMIT 100",
        "SELECT * FROM findings WHERE found_at > now() - interval '1 hour'",
        "SELECT * FROM findings WHERE found_at > '2100-01-01' ORDER BY found_at",
        "SELECT * FROM findings WHERE finding_id > 199900",
    ],
)
def test_what_vendors_ask_of_findings_uses_an_index(volume: int, vendor: psycopg.Connection, question: str) -> None:
    """By row, by newer rows, by time: no question of those reads the whole table."""
    (((plan,),),) = (vendor.execute(f"EXPLAIN (FORMAT JSON) {question}").fetchall(),)
    of_findings = [kind for kind, name in scans(plan[0]["Plan"]) if name == "findings"]
    assert of_findings
    assert "Seq Scan" not in of_findings


@pytest.mark.parametrize("question", ["id = 7", "dataset = 'person' AND id > 30"])
def test_what_vendors_ask_of_row_states_uses_an_index(volume: int, vendor: psycopg.Connection, question: str) -> None:
    """A row is looked up by its primary key in each table, also where the tables are small."""
    vendor.execute("SET enable_seqscan = off")
    (((plan,),),) = (vendor.execute(f"EXPLAIN (FORMAT JSON) SELECT * FROM row_states WHERE {question}").fetchall(),)
    staged = {name for kind, name in scans(plan[0]["Plan"]) if kind != "Seq Scan"} & {
        dataset.name for dataset in REGULATOR.datasets
    }
    assert staged == ({"person"} if "dataset" in question else {dataset.name for dataset in REGULATOR.datasets})
    assert "Seq Scan" not in {kind for kind, name in scans(plan[0]["Plan"]) if name in {"arrived", "held", "outcomes"}}
