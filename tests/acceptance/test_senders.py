from __future__ import annotations

import json
import ssl
import threading
import time
from typing import TYPE_CHECKING, Self
from uuid import uuid4

import httpx
import psycopg
import pytest
from tests.acceptance.test_rows import contact, department, is_department
from tests.acceptance.town import INSTITUTION, REGULATOR, call, wait_for
from tests.faults import rows

from qianzhi import regulators
from qianzhi.runtime import clock

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.town import Town

OTHER = "440000000000000002"
REMEMBERED_SECONDS = 3.5  # a revocation works after this time at the latest
FORBIDDEN = {
    "UPDATE contacts SET bm = 'x'": "42501",
    "DELETE FROM contacts": "42501",
    "TRUNCATE contacts": "42501",
    "INSERT INTO contacts (id, bm) OVERRIDING SYSTEM VALUE VALUES (1, 'x')": "42501",
    "CREATE TABLE mine (a text)": "42501",
    "CREATE TABLE public.mine (a text)": "42501",
    "CREATE TEMP TABLE mine (a text)": "42501",
    "CREATE SCHEMA mine": "42501",
    "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'": "42501",
    "ALTER TABLE contacts DISABLE TRIGGER ALL": "42501",
    "DROP TABLE contacts": "42501",
    "SELECT * FROM qianzhi.arrived": "42501",
    "SELECT * FROM qianzhi.batches": "42501",
    "COPY contacts TO PROGRAM 'cat'": "42501",
    "COPY contacts FROM '/etc/passwd'": "42501",
    "SELECT pg_read_file('postgresql.conf')": "42501",
    "SELECT lo_create(0)": "42501",
    "SET ROLE qianzhi_gateway": "42501",
    "SELECT setval('contacts_id_seq', 1)": "42501",
}


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_the_hospitals_account_may_only_read_and_insert(town: Town, statement: str) -> None:
    """Whatever else us_pos tries is refused for want of a right."""
    with psycopg.connect(town.address, autocommit=True) as connection, pytest.raises(psycopg.Error) as refused:
        connection.execute(statement)
    assert refused.value.sqlstate == FORBIDDEN[statement]


def test_a_credential_is_rotated_and_revoked_while_rows_flow(town: Town) -> None:
    """The old one works until it is revoked, the new one from the next row on, without a restart; no row is lost."""
    with Flow(town) as flow:
        old = town.credential_file.read_text(encoding="utf-8")
        new = town.home / "new-credential"
        said = town.call("hub", "institutions", "rotate", INSTITUTION, "--overlap-hours", "1", "--credential-file", new)
        assert said.code == 0, said.errors
        assert old not in said.output
        assert new.read_text(encoding="utf-8") not in said.output
        flow.wait_for_next()
        town.credential_file.write_text(new.read_text(encoding="utf-8"), encoding="utf-8")
        credentials = town.call("hub", "institutions", "show", INSTITUTION, "--json").json["credentials"]
        assert len(credentials) == 2
        assert town.call("hub", "institutions", "revoke", old.partition(".")[0]).code == 0
        time.sleep(REMEMBERED_SECONDS)
        flow.wait_for_next()
    flow.wait_for_all()


def test_a_revoked_credential_lets_nobody_in(town: Town) -> None:
    """A gateway whose credential is revoked says so and keeps its rows; with a new one they go."""
    old = town.credential_file.read_text(encoding="utf-8")
    town.call("hub", "institutions", "revoke", old.partition(".")[0])
    time.sleep(REMEMBERED_SECONDS)
    office = rows.label()
    town.insert("contacts", contact(office))
    said = town.call("gateway", "cycle", "--json")
    assert said.code == 1
    doctor = town.call("gateway", "doctor", "--json")
    assert doctor.code == 1
    assert any("401" in told["what"] for told in doctor.json)
    assert town.ask_hub("SELECT bm FROM guangdong.contacts WHERE bm = %s", office) == []
    new = town.home / "newer-credential"
    town.call("hub", "institutions", "rotate", INSTITUTION, "--credential-file", new)
    town.credential_file.write_text(new.read_text(encoding="utf-8"), encoding="utf-8")
    wait_for("the row to go", lambda: town.call("gateway", "cycle").code == 0)
    assert town.ask_hub("SELECT bm FROM guangdong.current_contacts WHERE bm = %s", office) == [(office,)]


def test_a_suspended_institution_waits_until_it_is_resumed(town: Town) -> None:
    """The hub refuses what it sends, the gateway keeps it, and it goes afterwards."""
    assert town.call("hub", "institutions", "suspend", INSTITUTION).code == 0
    time.sleep(REMEMBERED_SECONDS)
    office = rows.label()
    town.insert("contacts", contact(office))
    assert town.call("gateway", "cycle").code == 1
    assert town.call("hub", "institutions", "resume", INSTITUTION).code == 0
    wait_for("the row to go", lambda: town.call("gateway", "cycle").code == 0)
    assert town.ask_hub("SELECT bm FROM guangdong.current_contacts WHERE bm = %s", office) == [(office,)]


def test_the_doctor_finds_nothing_to_do(town: Town) -> None:
    """When all is well it exits 0 and says of each thing how it is."""
    said = town.call("gateway", "doctor", "--json")
    assert said.code == 0, said.output
    assert all(told.keys() == {"name", "health", "what", "remedy"} for told in said.json)
    assert {told["health"] for told in said.json} <= {"well", "note"}


def test_status_tells_what_runs_and_where_rows_are(town: Town) -> None:
    """Both ends say so as JSON."""
    hub = town.call("hub", "status", "--json")
    assert hub.code in {0, 1}
    assert set(hub.json["parts"]) == {"postgresql", "intake", "watch"}
    gateway = town.call("gateway", "status", "--json")
    assert gateway.code == 0
    assert json.loads(gateway.output)
    assert town.call("hub", "findings", "--json").json


def test_a_json_batch_over_https_gets_its_receipt(town: Town) -> None:
    """Any HTTP client can submit: an answer per row, the same again for the same, and the log with what failed."""
    said = town.call("hub", "institutions", "add", OTHER, "又一家互联网医院")
    assert said.code == 0, said.errors
    regulator = regulators.regulator(REGULATOR)
    good = rows.contacts([rows.label()], JGDM=OTHER).to_dicts()[0]
    bad = rows.contacts([rows.label()], JGDM=OTHER, TBRQSJ="1763600000").to_dicts()[0]
    batch = {
        "dataset": "contacts",
        "edition": regulator.edition,
        "ruleset": regulator.digest,
        "as_of": f"{clock.local_now():%Y-%m-%dT%H:%M:%S}",
        "institution": OTHER,
        "rows": [{"row_id": 1, **good}, {"row_id": 2, **bad}],
    }
    trust = ssl.create_default_context(cafile=town.authority)
    headers = {"Authorization": f"Bearer {said.output.strip()}"}
    address = f"{town.hub_url}/v1/{REGULATOR}"
    with httpx.Client(base_url=address, headers=headers, verify=trust, trust_env=False, timeout=60) as client:
        path = f"/batches/{uuid4()}"
        receipts = [client.put(path, json=batch), client.put(path, json=batch), client.get(path)]
        assert [answer.status_code for answer in receipts] == [200, 200, 200]
        assert len({answer.content for answer in receipts}) == 1
        assert (receipts[0].json()["accepted"], receipts[0].json()["rejected"]) == (1, [2])
        assert client.put(path, json=batch | {"rows": batch["rows"][:1]}).status_code == 409
        (line,) = client.get("/log").json()
        assert (line["dataset"], line["submitted"], line["succeeded"], line["failed"]) == ("contacts", 2, 1, 1)
        (failed,) = client.get(f"/log/{line['batch_id']}/failed").json()
        assert (failed["row_id"], failed["content"]["TBRQSJ"]) == (2, "1763600000")
        assert failed["findings"][0]["reason"]


def test_mistakes_are_told_in_two_lines(town: Town, tmp_path: Path) -> None:
    """A command that cannot do what is asked exits with something else than 0, and says what and what to do."""
    for arguments in (
        ("gateway", "cycle", "--home", tmp_path / "nothing"),
        ("gateway", "findings", "--home", town.home, "--destination", "nowhere"),
        ("gateway", "dsn", "--role", "nobody", "--home", town.home),
        ("hub", "run", "--home", tmp_path / "nothing"),
        ("hub", "institutions", "show", "no-such", "--home", town.home),
        ("synth", "--people", "0", "--home", town.home),
    ):
        said = call(*arguments)
        assert said.code in {1, 2}, arguments
        assert said.output == ""
        assert "Traceback" not in said.errors
        assert said.errors.strip()


class Flow:
    """Rows in real time, one after the other, until the context ends."""

    def __init__(self, town: Town) -> None:
        self._town = town
        self._ended = threading.Event()
        self._codes: list[str] = []
        self._thread = threading.Thread(target=self._insert, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def wait_for_next(self) -> None:
        """Wait until a row that is inserted from now on stands in the hub."""
        count = len(self._codes)
        wait_for("another row", lambda: len(self._codes) > count)
        wait_for("the row at the hub", lambda: is_department(self._town, self._codes[count]))

    def wait_for_all(self) -> None:
        """Wait until every row stands in the hub."""
        for code in self._codes:
            wait_for("every row at the hub", lambda code=code: is_department(self._town, code))

    def _insert(self) -> None:
        while not self._ended.wait(0.2):
            code = rows.label()
            self._town.insert("department", department(code))
            self._codes.append(code)
