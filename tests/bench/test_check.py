from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from qianzhi import regulators
from qianzhi.bench.check import run, spoilt, verdicts

ROWS = 400


@pytest.mark.parametrize("name", ["treatment_order", "treatment_record"])
def test_verdicts_are_those_that_the_dataset_file_asks_for(name: str) -> None:
    """Counted in the file itself: required, coded, a format that can be broken, free text, rules of the two kinds."""
    file = resources.files("qianzhi.regulators") / "guangdong" / "datasets" / f"{name}.toml"
    said: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
    fields = said["fields"]
    plain = [field for field in fields if "codes" not in field]
    texts = [field for field in plain if field["format"].startswith("A")]
    unlimited = [field for field in texts if not any(sign.isdigit() for sign in field["format"])]
    structural = (
        sum(field.get("required", False) for field in fields)
        + (len(fields) - len(plain))
        + (len(plain) - len(unlimited))
        + len(texts)
    )
    found = verdicts(regulators.regulator("guangdong").dataset(name))
    assert found.structural == structural
    assert found.rules == sum(rule["kind"] in {"row", "batch"} for rule in said["rules"])
    assert found.all == found.structural + found.rules


def test_the_widest_dataset_is_the_one_that_is_checked() -> None:
    """No dataset has more columns than treatment_order."""
    widths = {dataset.name: len(dataset.fields) for dataset in regulators.regulator("guangdong").datasets}
    assert max(widths, key=lambda name: widths[name]) == "treatment_order"


def test_faults_are_spread_over_the_rows() -> None:
    """Every fourth row differs from before, in at least three different fields, and the others are as they were."""
    dataset = regulators.regulator("guangdong").dataset("treatment_record")
    instant = "2026-11-19 08:00:00"
    values = dict.fromkeys(("JZRQSJ", "JZJSSJ", "SJSCSJ", "TBRQSJ"), instant) | {"GMSBS": "F", "JZLX": "100"}
    frame = pl.DataFrame(
        {field.name: [values.get(field.name)] * 80 for field in dataset.fields},
        schema=dict.fromkeys((field.name for field in dataset.fields), pl.String),
    )
    bad = spoilt(frame, dataset, 20, Path("/images"))
    differs = pl.DataFrame([bad[name].ne_missing(frame[name]) for name in frame.columns])
    assert differs.select(pl.any_horizontal(pl.all())).to_series().arg_true().to_list() == list(range(0, 80, 4))
    assert sum(column.any() for column in differs.iter_columns()) >= 3


def test_the_bench_reports_figures_ratios_and_what_was_found() -> None:
    """Each dataset is measured without and with faults, as often as asked, and faulty rows have findings."""
    told: list[str] = []
    report = run(ROWS, 2, told.append, people=300).as_json()
    assert len(told) == 2
    for name in ("treatment_order", "treatment_record"):
        clean, faulty = report["figures"][f"{name} 0%"], report["figures"][f"{name} 5%"]
        assert len(clean["values"]) == len(faulty["values"]) == 2
        by_round = [bad / good for bad, good in zip(faulty["values"], clean["values"], strict=True)]
        assert report["ratios"][f"{name} 5%"] == pytest.approx(sum(by_round) / 2)
        count = report["facts"][f"{name} structural checks"] + report["facts"][f"{name} rules"]
        assert report["figures"][f"{name} 0% verdicts"]["median"] == pytest.approx(clean["median"] * count)
        assert report["facts"][f"{name} 0% findings"] == 0
        assert report["facts"][f"{name} 5% findings"] >= report["facts"][f"{name} 5% rows with findings"] == ROWS // 20
    assert report["missed"] == []
