"""`qianzhi gateway results …` and what leads there, as an operator types it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from tests.cli.conftest import INSTITUTION, ask, call, site_dsn
from tests.faults import rows
from tests.gateway.official.machine import Official, make_tables, sign_in

from qianzhi import regulators
from qianzhi.runtime import clock
from qianzhi.runtime.home import Home
from qianzhi.runtime.sources import load_settings
from qianzhi.synthetic.insert import insert

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from qianzhi.db.embedded import Cluster

REGULATOR = regulators.regulator("guangdong")
HEAD = "数据集,BM,处理时间,处理结果,未成功原因"


@pytest.fixture(scope="module")
def official(postgres: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Official]:
    """An official machine."""
    name, role = f"official_{uuid4().hex}", f"us_pos_{uuid4().hex}"
    with psycopg.connect(postgres.dsn(), autocommit=True) as session:
        session.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        make_tables(postgres.dsn(name), REGULATOR, role)
        yield sign_in(postgres.dsn(name), tmp_path_factory.mktemp("official"), role)
        session.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
        session.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


@pytest.fixture(scope="module")
def front(postgres: Cluster, official: Official, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a gateway in front of it."""
    folder = tmp_path_factory.mktemp("front")
    words = ("--institution", INSTITUTION, "--destination", "official", "--machine-dsn", official.dsn)
    images = ("--images-folder", str(official.images), "--images-prefix", "D:\\agreed")
    made = call(folder / "home", "gateway", "init", "--dsn", site_dsn(postgres, folder), *words, *images)
    assert made.exit_code == 0, made.output
    return folder / "home"


def test_what_was_delivered_is_accepted_when_the_console_says_so(front: Path, official: Official) -> None:
    """From `init` to the last word, and exit code 1 while a line settles nothing."""
    site = load_settings(Home(front)).gateway.database.dsn
    with psycopg.connect(str(site)) as session:
        insert(session, "guangdong.contacts", rows.contacts(["a", "b"]))
    told = ask(front, "gateway", "cycle")["regulators"]["guangdong"]["contacts"]
    assert (told["delivered"], told["accepted"], official.count("contacts")) == (2, 0, 2)
    at = f"{clock.local_now() + timedelta(seconds=1):%Y-%m-%d %H:%M:%S}"
    file = front / "export.csv"
    lines = (HEAD, f"contacts,a,{at},成功,", f"contacts,b,{at},未成功,重复", f"contacts,x,{at},成功,")
    file.write_text("\n".join(lines), encoding="gbk")
    words = ("gateway", "results", "import", str(file), "--destination", "official")
    rehearsal = ask(front, *words, "--dry-run", code=1)
    assert (rehearsal["accepted"], rehearsal["failed"], rehearsal["unmatched"]) == (1, 1, 1)
    assert "dry run" in call(front, *words, "--dry-run").output
    done = ask(front, *words, code=1)
    assert done == rehearsal
    assert [(each["line"], each["dataset"]) for each in done["unmatched_lines"]] == [(4, "contacts")]
    assert ask(front, *words, code=1)["known"] == 2
    status = ask(front, "gateway", "status")["destinations"]["official"]["datasets"]["contacts"]
    assert (status["accepted"], status["rejected"], status["delivered"]) == (1, 1, 0)
    (found,) = ask(front, "gateway", "findings", "--language", "en")
    assert (found["code"], found["class"], found["reason"].endswith("(重复)")) == ("R01", "E07", True)


def test_rows_that_are_not_known_are_decided_about(front: Path, official: Official) -> None:
    """A rehearsal names them and changes nothing; a decision lets rows go on, and is needed once."""
    official.ask("INSERT INTO device (jgdm) VALUES ('44')")
    words = ("gateway", "results", "reconcile", "--destination", "official")
    named = [{"dataset": "device", "first": 1, "last": 1, "rows": 1}]
    assert ask(front, *words, "--dry-run") == named
    assert ask(front, *words, "--others") == named
    assert ask(front, *words) == []
    assert "no row that is not known" in call(front, *words).output


def test_mistakes_are_told_with_a_remedy(front: Path, home: Path, tmp_path: Path) -> None:
    """No such file, no such destination, no export, no machine at all, no such batch."""
    text = tmp_path / "text.csv"
    text.write_text("not an export", encoding="utf-8")
    words = ("gateway", "results", "import")
    absent = call(front, *words, str(tmp_path / "absent.csv"), "--destination", "official")
    other = call(front, *words, str(text), "--destination", "hub")
    wrong = call(front, *words, str(text), "--destination", "official")
    nobody = call(home, *words, str(text), "--destination", "hub")
    assert [each.exit_code for each in (absent, other, wrong, nobody)] == [1, 2, 1, 1]
    assert [str(each.exception).count("results_profile") for each in (wrong,)] == [1]
    decided = call(front, "gateway", "results", "decide", str(uuid4()), "--there")
    assert (decided.exit_code, "no such batch" in decided.output) == (2, True)
