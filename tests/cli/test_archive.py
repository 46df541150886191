"""`qianzhi gateway archive …` and `qianzhi gateway key …`, as an operator types them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl
import psycopg
import pytest
from tests.cli.conftest import ask, call

from qianzhi.errors import ConfigurationError, OperatorError
from qianzhi.gateway import assembly
from qianzhi.runtime import clock
from qianzhi.runtime.home import Home
from qianzhi.runtime.sources import load_settings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def settled(home: Path) -> Path:
    """A gateway with three rows that were accepted long ago."""
    place = Home(home)
    with psycopg.connect(assembly.owner_dsn(place, load_settings(place)), autocommit=True) as session:
        session.execute(
            "INSERT INTO guangdong.person (jgdm, klx, kh, xm) "
            "SELECT '44', '01', number::text, '张三' FROM generate_series(1, 3) AS number"
        )
        session.execute("DELETE FROM qianzhi.arrived")
        session.execute(
            "INSERT INTO qianzhi.batches (batch_id, lane_id, edition, ruleset, as_of, row_ids, row_count, digest, "
            "byte_count, state, settled_at, accepted_count, rejected_count) "
            "SELECT gen_random_uuid(), lane_id, 'V3.0', '', now(), '{[1,3]}', 3, sha256(''), 1, 'settled', %s, 3, 0 "
            "FROM qianzhi.lanes WHERE dataset = 'person'",
            (clock.now() - timedelta(days=500),),
        )
    return home


def test_the_way_of_rows_into_an_archive_and_out_of_it(settled: Path, tmp_path: Path) -> None:
    """Made, listed, verified, shown and restored; the tally still counts them."""
    assert ask(settled, "gateway", "archive", "run", "--dataset", "device") == []
    made = call(settled, "gateway", "archive", "run")
    assert made.exit_code == 0, made.output
    assert made.output.splitlines()[-1] == "3 rows are archived in 1 files."
    (listed,) = ask(settled, "gateway", "archive", "list")
    assert (listed["dataset"], listed["rows"], listed["encrypted"]) == ("person", 3, False)
    assert "person" in call(settled, "gateway", "archive", "list").output
    assert ask(settled, "gateway", "archive", "run") == []
    assert call(settled, "gateway", "archive", "verify").output == "1 of 1 archives are what they were.\n"
    shown = ask(settled, "gateway", "archive", "show", str(listed["archive"]))
    assert {"row_id", "JGDM", "XM"} < set(shown["columns"])
    assert "XM" in call(settled, "gateway", "archive", "show", str(listed["archive"])).output
    target = tmp_path / "rows.parquet"
    told = call(settled, "gateway", "archive", "restore", str(listed["archive"]), "--to", str(target))
    assert "3 rows stand in" in told.output
    assert pl.read_parquet(target)["XM"].to_list() == ["张三"] * 3
    person = ask(settled, "gateway", "status")["destinations"]["hub"]["datasets"]["person"]
    assert (person["staged"], person["accepted"], person["open"]) == (3, 3, 0)


def test_the_worker_of_a_gateway_keeps_its_retention(settled: Path) -> None:
    """What the settings say reaches it; in quiet hours it clears first and archives then."""
    place = Home(settled)
    settings = load_settings(place)
    keeper = assembly.keeper(place, settings)
    quiet = datetime.combine(clock.local_now().date(), settings.gateway.retention.begin, clock.LOCAL)
    before = len(ask(settled, "gateway", "archive", "list"))
    for _ in range(3):
        keeper.tick(quiet)
    assert len(ask(settled, "gateway", "archive", "list")) == before


def test_an_archive_that_nobody_knows_is_a_mistake_in_the_command(settled: Path) -> None:
    """Exit code 2, as for every name that is not known."""
    assert call(settled, "gateway", "archive", "show", "999").exit_code == 2
    assert call(settled, "gateway", "archive", "run", "--dataset", "nothing").exit_code == 2


def test_the_key_is_made_applied_and_rotated(settled: Path) -> None:
    """From the first key on everything is encrypted; what was there before when it is asked for; no key is printed."""
    place = Home(settled)
    documents = assembly.papers(place, load_settings(place))
    paper = documents.put(b"a contract")
    assert isinstance(call(settled, "gateway", "key", "list").exception, ConfigurationError)
    assert isinstance(call(settled, "gateway", "key", "rotate").exception, ConfigurationError)
    made = call(settled, "gateway", "key", "make")
    path = settled / "gateway" / "credentials" / "at-rest.key"
    assert made.exit_code == 0, made.output
    assert load_settings(place).gateway.encryption.key_file == path
    assert isinstance(call(settled, "gateway", "key", "make").exception, ConfigurationError)
    assert ask(settled, "gateway", "key", "apply") == {
        "batches": 0,
        "images": 0,
        "pictures": 0,
        "documents": 1,
        "archives": 1,
    }
    locked = assembly.papers(place, load_settings(place))
    later = locked.put(b"another contract")
    assert (locked.get(paper), locked.get(later)) == (b"a contract", b"another contract")
    assert not any(b"contract" in locked.path(digest).read_bytes() for digest in (paper, later))
    (first,) = ask(settled, "gateway", "key", "list")
    assert call(settled, "gateway", "key", "rotate").exit_code == 0
    before, after = ask(settled, "gateway", "key", "list")
    assert (before["key"], before["writes"], after["writes"]) == (first["key"], False, True)
    assert "1 archives" in call(settled, "gateway", "key", "apply").output
    assert call(settled, "gateway", "archive", "verify").exit_code == 0
    secrets = [line.split()[-1] for line in path.read_text(encoding="ascii").splitlines() if line[0] != "#"]
    assert all(secret not in made.output + call(settled, "gateway", "key", "list").output for secret in secrets)


def test_a_damaged_archive_fails_the_verification(settled: Path) -> None:
    """Exit code 1, which archive, and what to do."""
    (path,) = (settled / "gateway" / "archive").rglob("*.parquet")
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    told = call(settled, "gateway", "archive", "verify")
    assert told.exit_code == 1
    assert "0 of 1 archives are what they were." in told.output
    assert "backup" in told.output
    path.write_bytes(content)


def test_without_the_key_file_the_commands_say_what_is_missing(settled: Path) -> None:
    """And nothing is written instead."""
    path = settled / "gateway" / "credentials" / "at-rest.key"
    away = path.rename(path.with_name("away"))
    told = call(settled, "gateway", "key", "list")
    assert isinstance(told.exception, OperatorError)
    assert str(path) in told.exception.what
    away.rename(path)
    assert call(settled, "gateway", "archive", "verify").exit_code == 0
