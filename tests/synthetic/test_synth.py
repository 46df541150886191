from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from qianzhi.synthetic import SynthPlan, run
from qianzhi.synthetic.faults import SPOILT_IMAGE

if TYPE_CHECKING:
    from collections.abc import Callable

    from qianzhi.specs.model import Regulator
    from qianzhi.synthetic import Plan


def test_a_hospital_stands_in_the_staging_tables(
    us_pos: str, guangdong: Regulator, plan_of: Callable[..., Plan], tmp_path: Path
) -> None:
    """Rows, pictures and the file of expected findings are there, and each entry's id and key lead to one row."""
    plan = plan_of(people=40, days=2, fault_rate=0.2, images=tmp_path / "images")
    days: list[date] = []
    result = run(SynthPlan(plan, guangdong, us_pos, tmp_path / "out" / "expected.json"), days.append)
    assert days == [date(2026, 11, 18), date(2026, 11, 19)]
    expected = json.loads(result.expected.read_text(encoding="utf-8"))
    assert len(expected) == result.faults > 50
    with psycopg.connect(us_pos) as connection:
        for dataset in guangdong.datasets:
            table = sql.Identifier("guangdong", dataset.name)
            counted = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(table)).fetchone()
            assert counted == (result.rows[dataset.name],)
        for found in expected:
            columns = sql.SQL(", ").join(sql.Identifier(name.lower()) for name in found["key"])
            table = sql.Identifier("guangdong", found["dataset"])
            query = sql.SQL("SELECT {} FROM {} WHERE id = %s").format(columns, table)
            assert connection.execute(query, [found["row_id"]]).fetchone() == tuple(found["key"].values())
        paths = connection.execute("SELECT grzpcfdz FROM guangdong.staff").fetchall()
    assert (tmp_path / "images" / SPOILT_IMAGE).exists()
    missing = [found for found in expected if found["kind"] == "image_missing"]
    assert sum(not Path(str(path)).exists() for (path,) in paths) == len(missing)
    assert result.pictures >= 3 * 32


def test_an_entry_says_what_to_expect(
    us_pos: str, guangdong: Regulator, plan_of: Callable[..., Plan], tmp_path: Path
) -> None:
    """The file holds kind, day, dataset, row, key and the finding; a hospital without faults has an empty list."""
    run(SynthPlan(plan_of(people=10, images=tmp_path, fault_rate=0.2), guangdong, us_pos, tmp_path / "a.json"))
    entries = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    names = ("kind", "day", "dataset", "row_id", "key", "code", "class", "field", "severity", "outcome")
    assert {tuple(found) for found in entries} == {names}
    run(SynthPlan(plan_of(people=10, images=tmp_path, seed=2), guangdong, us_pos, tmp_path / "b.json"))
    assert json.loads((tmp_path / "b.json").read_text(encoding="utf-8")) == []
