"""What the doctor says in front of an official machine."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from psycopg import sql
from tests.faults import rows
from tests.gateway.conftest import REGULATOR
from tests.gateway.official.conftest import OFFICIAL
from tests.gateway.official.machine import write_password
from tests.gateway.official.test_delivery import cycle, stage

from qianzhi.gateway import doctor
from qianzhi.gateway.diagnosis import Health
from qianzhi.gateway.official import examination
from qianzhi.gateway.official.folder import Folder
from qianzhi.gateway.official.reconciling import reconcile
from qianzhi.runtime.sources import write_settings

if TYPE_CHECKING:
    import psycopg
    import pytest
    from tests.gateway.official.machine import Official

    from qianzhi.gateway.destination import Destination, Workplace
    from qianzhi.gateway.diagnosis import Diagnosis
    from qianzhi.gateway.official.door import Machine
    from qianzhi.runtime.home import Home

TABLES, FOLDER, SERVER = "tables of official", "image folder of official", "destination official"


def seen(machine: Machine) -> dict[str, Diagnosis]:
    """Return the diagnoses by name."""
    found = {each.name: each for each in examination.examine("official", machine, REGULATOR.datasets, wait_seconds=0.2)}
    assert all(each.remedy for each in found.values() if each.health is not Health.WELL)
    return found


def test_a_machine_in_order_is_well_and_left_as_it_was(official: Official) -> None:
    """Reached, tables as the edition has them, rights, folder; nothing stays behind."""
    found = seen(official.machine())
    assert {each.health for each in found.values()} == {Health.WELL}
    assert set(found) == {SERVER, TABLES, FOLDER}
    assert list(official.images.iterdir()) == []
    assert all(official.count(dataset.name) == 0 for dataset in REGULATOR.datasets)


def test_what_differs_of_its_tables_is_named(official: Official) -> None:
    """Every table that is wrong, and missing rights."""
    official.ask("ALTER TABLE contacts DROP COLUMN lxdh")
    official.ask("DROP TABLE device")
    wrong = seen(official.machine())[TABLES]
    assert wrong.health is Health.ILL
    for language in ("zh", "en"):
        assert "LXDH" in wrong.as_json(language)["what"]
        assert "device" in wrong.as_json(language)["what"]


def test_missing_rights_are_named(official: Official) -> None:
    """An account that may only look delivers nothing."""
    official.ask(sql.SQL("REVOKE INSERT ON person FROM {}").format(sql.Identifier(official.role)))
    unlawful = seen(official.machine())[TABLES]
    told = unlawful.as_json("en")
    assert (unlawful.health, "person" in told["what"], "INSERT" in told["remedy"]) == (Health.ILL, True, True)


def test_a_machine_that_lets_nobody_in_is_ill(official: Official) -> None:
    """A wrong password is told apart from nobody answering; the folder is looked at in any case."""
    where = official.passfile.read_text(encoding="utf-8").rpartition(":")[0]
    write_password(official.passfile, where, "wrong")
    refused = seen(official.machine())
    assert (refused[SERVER].health, "refuses" in refused[SERVER].as_json("en")["what"]) == (Health.ILL, True)
    assert refused[FOLDER].health is Health.WELL
    away = replace(official.machine(), dsn="host=127.0.0.1 port=9 dbname=x user=us_pos connect_timeout=1")
    assert "does not take sessions" in seen(away)[SERVER].as_json("en")["what"]


def test_the_image_folder_is_tried(official: Official) -> None:
    """It must be there, be writable, and its name must leave room for a file's name."""
    machine = official.machine()
    gone = seen(replace(machine, folder=Folder(official.images / "gone", "D:\\i")))[FOLDER]
    long = seen(replace(machine, folder=Folder(official.images, "D:\\" + "x" * 100)))[FOLDER]
    unset = seen(replace(machine, folder=None))[FOLDER]
    assert (gone.health, long.health, unset.health) == (Health.ILL, Health.ILL, Health.NOTE)
    assert "GRZPCFDZ" in long.as_json()["what"]


def test_rows_that_the_ledger_does_not_know_are_told(
    workplace: Workplace, front: Destination, official: Official, ask: psycopg.Connection
) -> None:
    """They keep rows waiting until somebody has decided, unless others fill the table by agreement."""
    stage(ask, "contacts", rows.contacts(["a"]))
    cycle(workplace, front)

    def told(machine: Machine) -> Diagnosis:
        return examination.rows_there(OFFICIAL, machine, workplace.dsn, REGULATOR, wait_seconds=0.2)

    assert told(official.machine()).health is Health.WELL
    official.ask("INSERT INTO contacts (jgdm) VALUES ('44'), ('44')")
    found, shared = told(official.machine()), told(replace(official.machine(), shared=frozenset({"contacts"})))
    assert (found.health, shared.health) == (Health.ILL, Health.NOTE)
    assert "contacts 2-3" in found.as_json("en")["what"]
    assert "results reconcile" in found.as_json("zh")["remedy"]
    done = reconcile(workplace.dsn, OFFICIAL, official.machine(), REGULATOR, may_be_ours=False, actor="operator")
    assert len(list(done)) == 1
    assert told(official.machine()).health is Health.WELL


def test_the_doctor_looks_at_every_destination(home: Home, official: Official, monkeypatch: pytest.MonkeyPatch) -> None:
    """An official machine beside a hub that cannot be reached."""
    monkeypatch.setattr(doctor, "CONNECT_SECONDS", 0.2)
    (home.path / "credential").write_text("id.secret", encoding="utf-8")
    hub, front = "gateway.destinations.hub", "gateway.destinations.official"
    settings = write_settings(
        home,
        {
            f"{hub}.regulator": "guangdong",
            f"{hub}.url": "https://127.0.0.1:9",
            f"{hub}.credential_file": "credential",
            f"{front}.regulator": "guangdong",
            f"{front}.kind": "front-machine",
            f"{front}.machine.dsn": official.dsn,
            f"{front}.machine.images_folder": official.images,
            f"{front}.machine.images_prefix": "D:\\i",
        },
    )
    found = {each.name: each.health for each in doctor.examine(home, settings)}
    assert (found["destination hub"], found[SERVER]) == (Health.ILL, Health.WELL)
    assert (found[TABLES], found[FOLDER]) == (Health.WELL, Health.WELL)
