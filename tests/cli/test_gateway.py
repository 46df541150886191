"""`qianzhi gateway …`, as an operator types it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from tests.cli.conftest import ask, call
from typer.testing import CliRunner

from qianzhi import __version__, regulators
from qianzhi.cli import app
from qianzhi.errors import ConfigurationError
from qianzhi.runtime.home import Home
from qianzhi.runtime.sources import load_settings, write_settings

if TYPE_CHECKING:
    from pathlib import Path

COUNTS = ["staged", "submitted", "accepted", "rejected", "held"]
DATASETS = [dataset.name for dataset in regulators.regulator("guangdong").datasets]


def test_the_version_is_told() -> None:
    """`qianzhi --version` is all that a report of a mistake need quote."""
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.output) == (0, f"qianzhi {__version__}\n")


def test_init_logs_into_a_file(home: Path) -> None:
    """What setting up does stands in the log, not between the lines for people."""
    assert call(home, "gateway", "init").output == f"The gateway in {home} is ready.\n"
    entries = (home / "gateway" / "log" / "command.log").read_text(encoding="utf-8").splitlines()
    assert all(json.loads(entry)["component"] == "command" for entry in entries)


def test_a_role_is_told_where_the_sites_own_database_is(home: Path) -> None:
    """Host, port and database are those of the setting; user and password are the role's; it can sign in."""
    told = call(home, "gateway", "dsn").output.strip()
    site, shown = conninfo_to_dict(str(load_settings(Home(home)).gateway.database.dsn)), conninfo_to_dict(told)
    assert [shown[part] for part in ("host", "port", "dbname")] == [site[part] for part in ("host", "port", "dbname")]
    assert (shown["user"], "passfile" in shown) == ("us_pos", False)
    with psycopg.connect(told) as session:
        assert session.execute("SELECT current_user, current_schema()").fetchone() == ("us_pos", "guangdong")


def test_the_doctor_tells_that_the_hospitals_account_could_fill_the_disk(home: Path) -> None:
    """Setting up takes large objects away from everybody; where somebody gives them back, the remedy is told."""

    def told() -> dict[str, str]:
        (found,) = [each for each in ask(home, "gateway", "doctor", code=1) if each["name"] == "role us_pos"]
        return dict(found)

    assert told()["health"] == "well"
    with psycopg.connect(str(load_settings(Home(home)).gateway.database.dsn)) as session:
        session.execute("GRANT EXECUTE ON FUNCTION lo_create(oid) TO PUBLIC")
    assert told()["health"] == "note"
    assert "REVOKE EXECUTE ON FUNCTION lo_create(oid) FROM PUBLIC" in told()["remedy"]
    assert call(home, "gateway", "init").exit_code == 0
    assert told()["health"] == "well"


def test_synth_stages_into_the_sites_own_database(home: Path) -> None:
    """A synthetic hospital comes in through the same door as a real one."""
    staged = ask(home, "synth", "--people", "5")["rows"]
    assert set(staged) == set(DATASETS)
    shown = ask(home, "gateway", "status")["destinations"]["hub"]["datasets"]
    assert {dataset: counts["staged"] for dataset, counts in shown.items()} == staged
    assert all(counts["open"] == counts["staged"] for counts in shown.values())


@pytest.mark.parametrize("command", ["check", "findings"])
def test_findings_are_told_in_two_languages_only(home: Path, command: str) -> None:
    """Another one is a mistake in the command, and no traceback."""
    result = call(home, "gateway", command, "--language", "fr")
    assert result.exit_code == 2
    assert "zh" in result.output
    assert call(home, "gateway", "findings", "--language", "en").exit_code == 0


@pytest.mark.parametrize(
    ("words", "known"),
    [
        (("findings", "--dataset", "nonsense"), "treatment_referral"),
        (("backfill", "--dataset", "nonsense"), "treatment_referral"),
        (("findings", "--destination", "x"), "hub"),
        (("cycle", "--destination", "x"), "hub"),
        (("check", "--destination", "x"), "hub"),
        (("backfill", "--destination", "x"), "hub"),
        (("dsn", "--role", "hub"), "us_pos"),
        (("init", "--regulator", "x"), "guangdong"),
    ],
)
def test_an_unknown_name_is_a_mistake_that_names_the_known(home: Path, words: tuple[str, ...], known: str) -> None:
    """Exit code 2; the file of a credential is no role."""
    result = call(home, "gateway", *words)
    assert result.exit_code == 2
    assert f"{words[-1]!r} is not known" in result.output
    assert known in result.output


def test_a_cycle_says_what_the_demo_says(home: Path) -> None:
    """One shape for both; rows that wait for a hub that does not answer are missing in the sum, and complained of."""
    call(home, "synth", "--people", "5", "--seed", "2")
    said = ask(home, "gateway", "cycle", code=1)
    assert "Not every row of institution" in call(home, "gateway", "cycle").stderr
    assert list(said) == ["regulators"]
    assert list(said["regulators"]) == ["guangdong"]
    assert list(said["regulators"]["guangdong"]) == DATASETS
    assert all(list(counts) == COUNTS for counts in said["regulators"]["guangdong"].values())
    assert said["regulators"]["guangdong"]["person"]["staged"] > 0
    assert said["regulators"]["guangdong"]["person"] | {"staged": 0} == dict.fromkeys(COUNTS, 0)


def test_status_says_per_destination_where_rows_are_and_what_waits(home: Path) -> None:
    """Regulator, datasets, cycles and troubles stand under the destination's name."""
    call(home, "synth", "--people", "5", "--seed", "3")
    call(home, "gateway", "cycle")
    said = ask(home, "gateway", "status")
    assert list(said) == ["destinations"]
    hub = said["destinations"]["hub"]
    assert list(hub) == [
        "regulator", "datasets", "last_cycle", "running_cycle", "troubles", "images", "reminder"
    ]  # fmt: skip
    assert hub["regulator"] == "guangdong"
    assert list(hub["datasets"]) == DATASETS
    assert all(list(counts) == [*COUNTS, "ended_here", "open", "delivered"] for counts in hub["datasets"].values())
    assert hub["datasets"]["person"]["open"] == hub["datasets"]["person"]["staged"]
    assert hub["last_cycle"] is None
    assert hub["running_cycle"]["kind"] == "manual"
    assert hub["troubles"][0].keys() >= {"dataset", "row_count", "outcome", "next_attempt_at"}
    told = call(home, "gateway", "status").output
    assert "hub (guangdong)" in told
    assert "none yet" in told


def test_history_of_a_dataset_that_is_off_is_not_sent(home: Path) -> None:
    """Off is off, also when somebody asks for it by name."""
    write_settings(Home(home), {"gateway.destinations.hub.submit": ("person",)})
    assert call(home, "gateway", "init").exit_code == 0
    refused = call(home, "gateway", "backfill", "--dataset", "contacts").exception
    assert isinstance(refused, ConfigurationError)
    assert "switched off" in refused.what
    write_settings(Home(home), {"gateway.destinations.hub.submit": "all"})
    assert call(home, "gateway", "init").exit_code == 0


def test_without_a_destination_it_is_said_what_to_do(home: Path) -> None:
    """Nothing to show is no reason to say nothing."""
    write_settings(Home(home), {"gateway.destinations.hub.enabled": False})
    try:
        shown = call(home, "gateway", "status")
        assert shown.exit_code == 1
        assert "gateway init --hub" in shown.output
        assert ask(home, "gateway", "status", code=1) == {"destinations": {}}
        assert isinstance(call(home, "gateway", "cycle").exception, ConfigurationError)
    finally:
        write_settings(Home(home), {"gateway.destinations.hub.enabled": True})
