from __future__ import annotations

import random
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from qianzhi.synthetic import play

if TYPE_CHECKING:
    from collections.abc import Callable

    from qianzhi.specs.model import Regulator
    from qianzhi.synthetic import Plan, Played

SERVICES = ("treatment_order", "treatment_diagnose", "treatment_referral")
STAFF_FIELDS = {
    "treatment_record": {"YZYSGH": "YZYSQM"},
    "treatment_order": {
        "CFKLYSGH": "CFKLYSQM",
        "CFSHYJSGH": "CFSHYJSQM",
        "CFTPYJSGH": "CFTPYJSQM",
        "CFHDYJSGH": "CFHDYJSQM",
        "CFFYYJSGH": "CFFYYJSQM",
    },
    "treatment_diagnose": {"ZDYSGH": "ZDYSXM"},
    "treatment_referral": {"FZYSGH": "FZYSXM"},
}


def rows(played: Played, dataset: str) -> list[dict[str, Any]]:
    """Return the rows of all days."""
    return pl.concat([day.frames[dataset] for day in played.days]).to_dicts()


def same(one: Played, other: Played) -> bool:
    """Say whether two hospitals have equal rows."""
    return all(
        ours.frames[dataset].equals(theirs.frames[dataset])
        for ours, theirs in zip(one.days, other.days, strict=True)
        for dataset in ours.frames
    )


def test_a_seed_decides_everything(plan_of: Callable[..., Plan], guangdong: Regulator) -> None:
    """Equal plans give equal rows and equal expected findings; another seed gives other ones."""
    one, two = (play(plan_of(people=30, fault_rate=0.1), guangdong) for _ in range(2))
    assert same(one, two)
    assert [day.expected for day in one.days] == [day.expected for day in two.days]
    assert not same(one, play(plan_of(people=30, seed=2), guangdong))


def test_the_common_generator_is_left_alone(plan_of: Callable[..., Plan], guangdong: Regulator) -> None:
    """Playing neither reads nor moves the generator that all of Python shares."""
    random.seed(5)
    before = random.getstate()
    one = play(plan_of(people=20), guangdong)
    assert random.getstate() == before
    random.seed(6)
    assert same(one, play(plan_of(people=20), guangdong))


def test_good_rows_do_not_depend_on_faults(good: Played, faulty: Played) -> None:
    """The rows of a hospital with faults, less the planted ones, are those of the hospital without."""
    for calm, wild in zip(good.days, faulty.days, strict=True):
        for dataset, frame in wild.frames.items():
            planted = [expected.position for expected in wild.expected if expected.dataset == dataset]
            kept = frame.with_row_index().filter(~pl.col("index").is_in(planted)).drop("index")
            assert kept.equals(calm.frames[dataset])


def test_every_dataset_has_its_ten_rows_every_day(good: Played) -> None:
    """Acceptance asks for ten rows of each dataset on five days; the hospital has them without repeating one."""
    assert len(good.days) == 5
    for day in good.days:
        for dataset, frame in day.frames.items():
            assert frame.height >= 10, (day.on, dataset)
            assert frame.is_unique().all()


@pytest.mark.parametrize("people", [1, 2, 7])
def test_a_tiny_hospital_can_be_played(people: int, plan_of: Callable[..., Plan], guangdong: Regulator) -> None:
    """Few people and a single day are enough, only not for ten rows of everything."""
    played = play(plan_of(people=people, days=1, fault_rate=0.5), guangdong)
    assert played.days[0].frames["person"].height >= people


def test_every_column_of_every_dataset_is_known(good: Played, guangdong: Regulator) -> None:
    """Frames have the edition's columns in its order, all of text, and fill every required one."""
    for day in good.days:
        for dataset in guangdong.datasets:
            frame = day.frames[dataset.name]
            assert frame.columns == [field.name for field in dataset.fields]
            assert set(frame.dtypes) == {pl.String}
            required = [field.name for field in dataset.fields if field.required]
            assert frame.select(pl.col(required).null_count()).sum_horizontal().item() == 0


def test_each_record_lives_a_proper_life(good: Played, guangdong: Regulator) -> None:
    """First new, then modified, then revoked; nothing comes after, and time never goes back."""
    operations = set()
    for dataset in guangdong.datasets:
        last: dict[tuple[str, ...], tuple[str, str]] = {}
        for row in rows(good, dataset.name):
            key = tuple(row[name] for name in dataset.key)
            change, at = row["CXBZ"], row["SJSCSJ"]
            if change == "1":
                assert key not in last
            else:
                assert last[key][0] != "3"
                assert last[key][1] <= at
            last[key] = change, at
            operations.add((dataset.name, change))
    for entity in ("person", "treatment_record", *SERVICES, "department", "staff"):  # the use cases of ch. 6
        assert {(entity, change) for change in "123"} <= operations


def test_rows_belong_to_their_day(good: Played) -> None:
    """What happens is dated within its natural day and written down by two the next morning, not before it happens."""
    for day in good.days:
        for frame in day.frames.values():
            for happened, filled in frame.select("SJSCSJ", "TBRQSJ").rows():
                assert happened.startswith(day.on.isoformat())
                cut_off = f"{day.on + timedelta(days=1)} 02:00:00"
                assert happened <= filled <= cut_off


def test_services_agree_with_person_and_visit(good: Played) -> None:
    """Every service record repeats its visit's patient, and the visit repeats the person's."""
    block = ("KLX", "KH", "XM", "XBDM", "CSRQ")
    people = {tuple(row[name] for name in block) for row in rows(good, "person")}
    visits = {
        (row["MZH"], row["JZRQSJ"], row["NLS"], *(row[name] for name in block))
        for row in rows(good, "treatment_record")
    }
    assert {visit[3:] for visit in visits} <= people
    for dataset in SERVICES:
        for row in rows(good, dataset):
            assert (row["MZH"], row["JZRQSJ"], row["NLS"], *(row[name] for name in block)) in visits


def test_staff_departments_and_points_exist(good: Played) -> None:
    """Whoever signs is of the staff under that name; departments carry their name; service points exist."""
    staff = {(row["YHRYGH"], row["YHRYXM"]): row for row in rows(good, "staff")}
    departments = {(row["KSBM"], row["KSMC"]) for row in rows(good, "department")}
    points = {row["FWWDDM"] for row in rows(good, "service_point")} | {rows(good, "institution")[0]["JGDM"]}
    assert {row["KSDM"] for row in staff.values()} <= {code for code, _ in departments}
    for dataset, pairs in STAFF_FIELDS.items():
        for row in rows(good, dataset):
            assert row["FWWDDM"] in points
            for number, name in pairs.items():
                assert (row[number], row[name]) in staff
    for row in rows(good, "treatment_record"):
        assert (row["KSBM"], row["KSMC"]) in departments
        assert staff[row["YZYSGH"], row["YZYSQM"]]["KSDM"] == row["KSBM"]


def test_prescriptions_are_lawful(good: Played) -> None:
    """Only at a second visit, by its doctor, audited by a pharmacist, one to five lines, with exact sums."""
    visits = {row["MZH"]: row for row in rows(good, "treatment_record")}
    lines: dict[str, set[str]] = {}
    for row in rows(good, "treatment_order"):
        visit = visits[row["MZH"]]
        assert visit["CZBZDM"] == "2"
        assert visit["DZCFWJCFDZ"] == "T"
        assert row["CFKLYSGH"] == visit["YZYSGH"]
        assert row["CFSHYJSGH"].startswith("P")
        packets = Decimal(row["ZYYPJS"] or 1)
        assert Decimal(row["DJ"]) * Decimal(row["FYJL"]) * packets == Decimal(row["ZJE"])
        lines.setdefault(row["CFBH"], set()).add(row["CFMXID"])
    assert {len(line) for line in lines.values()} <= {1, 2, 3, 4, 5}
    assert len({len(line) for line in lines.values()}) > 2


def test_times_are_in_order(good: Played) -> None:
    """Diagnosis, prescription and referral lie within their visit."""
    visits = {row["MZH"]: row for row in rows(good, "treatment_record") if row["JZJSSJ"]}
    for dataset, field in (
        ("treatment_diagnose", "ZDSJ"),
        ("treatment_order", "CFKLSJ"),
        ("treatment_referral", "ZZSJ"),
    ):
        for row in rows(good, dataset):
            visit = visits[row["MZH"]]
            assert visit["JZRQSJ"] <= row[field] <= visit["JZJSSJ"]


def test_a_visit_over_midnight_comes_again(plan_of: Callable[..., Plan], guangdong: Regulator) -> None:
    """What has not ended at midnight is sent open, and sent again as a modification with its end on the next day."""
    played = play(plan_of(people=400, days=3), guangdong)
    visits = rows(played, "treatment_record")
    opened = {row["MZH"]: row for row in visits if row["JZJSSJ"] is None and row["JZRQSJ"] < "2026-11-19"}
    assert opened
    for number, row in opened.items():
        again = [other for other in visits if other["MZH"] == number and other["JZJSSJ"]]
        started, ended = (datetime.fromisoformat(text) for text in (row["JZRQSJ"], again[0]["JZJSSJ"]))
        assert again[0]["CXBZ"] == "2"
        assert ended.date() == started.date() + timedelta(days=1)


def test_children_see_the_paediatrician(good: Played) -> None:
    """Nobody under fourteen is seen by another department, and nobody else by that one."""
    for row in rows(good, "treatment_record"):
        assert (int(row["NLS"]) < 14) == (row["KSMC"] == "儿科")
        assert (row["NLY"] is None) == (int(row["NLS"]) > 0)


def test_figures_are_told_of_months_that_are_over(plan_of: Callable[..., Plan], guangdong: Regulator) -> None:
    """Twelve months before the present one, over the turn of the year, and their balance is right."""
    played = play(plan_of(people=5, days=1, last_on=date(2027, 2, 3)), guangdong)
    figures = rows(played, "institution_business")
    assert [row["NF"] for row in figures] == [*(f"2026{month:02d}" for month in range(2, 13)), "202701"]
    for row in figures:
        assert Decimal(row["ZZCH"]) - Decimal(row["FZ"]) == Decimal(row["JZC"])
