"""
Named kinds of fault, each planted on a row that is good otherwise, with the finding it must lead to.

Codes, classes and severities are stated here by hand, apart from the regulator's rules: the two can be compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

from qianzhi.synthetic.diary import Change
from qianzhi.synthetic.guangdong_resources import Row, day, moment, number
from qianzhi.synthetic.visits import Diagnosis, Visit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import date
    from pathlib import Path

    from qianzhi.synthetic.diary import Happening
    from qianzhi.synthetic.guangdong import Tables
    from qianzhi.synthetic.spares import Spares

SPOILT_IMAGE = "spoilt.png"
MISSING_IMAGE = "missing.jpg"
FOREIGN_INSTITUTION = "999999999999999999"


class Outcome(StrEnum):
    """What becomes of a faulty row."""

    REJECTED = "rejected"
    WARNED = "warned"  # goes its way with a warning
    HELD = "held"  # waits for its parent


@dataclass(frozen=True, slots=True)
class Finding:
    """The finding that a fault must lead to."""

    code: str
    error_class: str
    field: str
    outcome: Outcome

    @property
    def severity(self) -> str:
        """Only what a warning goes with is accepted."""
        return "warning" if self.outcome is Outcome.WARNED else "error"


@dataclass(frozen=True, slots=True)
class Planted:
    """A faulty row and what must be found on it; `at` places it among the rows of its day."""

    kind: str
    dataset: str
    at: datetime
    row: Row
    finding: Finding


@dataclass(frozen=True, slots=True)
class Spoilt:
    """A kind of fault that changes some values of one good row; `spoil` returns the values that change."""

    name: str
    dataset: str
    finding: Finding
    spoil: Callable[[Row, Path], Row]
    change: Change | None = None  # when the row must say another change than it would
    prescribed: bool = False  # when the visit must have a prescription

    def plant(self, spares: Spares, tables: Tables, on: date) -> Iterator[Planted]:
        """Yield the faulty row, or nothing when that day has nothing to build on."""
        happening = self._good(spares, on)
        if happening is not None:
            row = tables.row(happening)
            yield Planted(self.name, self.dataset, happening.at, row | self.spoil(row, tables.images), self.finding)

    def _good(self, spares: Spares, on: date) -> Happening | None:
        if self.prescribed:
            visit = spares.prescribed_visit(on)
            return spares.entry(on, Change.NEW, visit) if visit else None
        happening = spares.make(self.dataset, on)
        if happening is None or self.change is None:
            return happening
        return spares.entry(on, self.change, happening.subject)


@dataclass(frozen=True, slots=True)
class Again:
    """A kind of fault that enters what the day has entered once more: as new, or a change word for word."""

    name: str
    dataset: str
    finding: Finding
    change: Change

    def plant(self, spares: Spares, tables: Tables, on: date) -> Iterator[Planted]:
        """Yield the row that must not come again, or nothing when the day has none like it."""
        known = spares.entered(self.dataset, on, self.change)
        if known is not None:
            if self.change is Change.NEW:
                known = spares.entry(on, Change.NEW, known.subject)
            yield Planted(self.name, self.dataset, known.at, tables.row(known), self.finding)


@dataclass(frozen=True, slots=True)
class Family:
    """A rejected visit and its diagnosis, which must wait for it."""

    name: str
    parent: Finding
    child: Finding

    def plant(self, spares: Spares, tables: Tables, on: date) -> Iterator[Planted]:
        """Yield parent and child, or nothing when nobody was seen on that day."""
        happening = spares.make("treatment_record", on)
        if happening is None or not isinstance(happening.subject, Visit):
            return
        row = tables.row(happening) | {"MZZZZDBMLX": "77"}
        yield Planted("parent_rejected", "treatment_record", happening.at, row, self.parent)
        diagnosis = spares.entry(on, Change.NEW, spares.diagnosis_of(happening.subject))
        yield Planted(self.name, "treatment_diagnose", diagnosis.at, tables.row(diagnosis), self.child)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two diagnoses of one visit and type that both call themselves the main one."""

    name: str
    finding: Finding

    def plant(self, spares: Spares, tables: Tables, on: date) -> Iterator[Planted]:
        """Yield both diagnoses, or nothing when nobody was seen on that day."""
        first = spares.make("treatment_diagnose", on)
        if first is None or not isinstance(first.subject, Diagnosis):
            return
        second = spares.entry(on, Change.NEW, spares.diagnosis_of(first.subject.visit))
        for happening in (first, second):
            row = tables.row(happening) | {"ZDBZ": "1", "ZDLXBM": "99"}
            yield Planted(self.name, "treatment_diagnose", happening.at, row, self.finding)


Kind = Spoilt | Again | Family | Pair


def keys_of(row: Row, key: tuple[str, ...]) -> Mapping[str, str | None]:
    """Return the key fields of a row."""
    return {name: row[name] for name in key}


def _sets(**values: str | None) -> Callable[[Row, Path], Row]:
    return lambda _row, _images: dict(values)


def _moves(field: str, base: str, **distance: float) -> Callable[[Row, Path], Row]:
    """Set an instant relative to another one of the row."""
    return lambda row, _: {field: moment(_instant(row, base) + timedelta(**distance))}


def _instant(row: Row, field: str) -> datetime:
    return datetime.fromisoformat(row[field] or "")


def _years_before(row: Row, field: str, years: int) -> str:
    return day((_instant(row, field) - timedelta(days=round(365.25 * years))).date())


def _rejects(code: str, error_class: str, field: str) -> Finding:
    return Finding(code, error_class, field, Outcome.REJECTED)


def _warns(code: str, error_class: str, field: str) -> Finding:
    return Finding(code, error_class, field, Outcome.WARNED)


def _holds(code: str, field: str) -> Finding:
    return Finding(code, "E06", field, Outcome.HELD)


def _other_sex(row: Row, _: Path) -> Row:
    return {"XBDM": "1", "XBMC": "男性"} if row["XBDM"] == "2" else {"XBDM": "2", "XBMC": "女性"}


def _wrong_sign(field: str) -> Callable[[Row, Path], Row]:
    """Change the check digit of a number that ends in one."""
    return lambda row, _: {field: f"{(row[field] or '')[:-1]}{'1' if (row[field] or '').endswith('0') else '0'}"}


def _late_qualification(row: Row, _: Path) -> Row:
    on = _years_before(row, "SJSCSJ", 1)
    return {"ZGHDSJ": on, "FZRQ": on, "ZCSJ": f"{on} 10:00:00"}


KINDS: tuple[Kind, ...] = (
    Spoilt("missing_required", "device", _rejects("V01", "E01", "SBMC"), _sets(SBMC=None)),
    Spoilt("blank_required", "person", _rejects("V01", "E01", "XM"), _sets(XM="   ")),
    Spoilt("too_long", "device", _rejects("V02", "E02", "SBMC"), _sets(SBMC="应用服务器" * 5)),
    Spoilt("thirtieth_of_february", "device", _rejects("V02", "E03", "GMRQ"), _sets(GMRQ="2024-02-30")),
    Spoilt("date_infinity", "device", _rejects("V02", "E03", "GMRQ"), _sets(GMRQ="infinity")),
    Spoilt("unix_seconds", "contacts", _rejects("V02", "E03", "TBRQSJ"), _sets(TBRQSJ="1730000000")),
    Spoilt("not_a_number", "device", _rejects("V02", "E03", "TPSBTS"), _sets(TPSBTS="三台")),
    Spoilt("too_many_decimals", "device", _rejects("V02", "E02", "SBJZJE"), _sets(SBJZJE="100.12345")),
    Spoilt("code_unknown", "device", _rejects("V03", "E04", "SYQK"), _sets(SYQK="7")),
    Spoilt("code_not_proposed", "treatment_record", _warns("V03", "E04", "JZLX"), _sets(JZLX="555")),
    Spoilt("flag_unknown", "treatment_record", _rejects("V11", "E04", "GMSBS"), _sets(GMSBS="Y")),
    Spoilt("foreign_institution", "person", _rejects("V20", "E09", "JGDM"), _sets(JGDM=FOREIGN_INSTITUTION)),
    Again("duplicate_new", "device", _rejects("V21", "E07", "SBDH"), Change.NEW),
    Again("repeated", "device", _warns("V26", "E07", "SBDH"), Change.MODIFY),
    Spoilt("modify_never_sent", "contacts", _warns("V22", "E06", "CXBZ"), _sets(), change=Change.MODIFY),
    Spoilt("revoke_never_sent", "contacts", _warns("V22", "E06", "CXBZ"), _sets(), change=Change.REVOKE),
    Spoilt("visit_without_person", "treatment_record", _holds("V30", "KH"), _sets(KLX="3", KH="K999999999")),
    Spoilt("diagnosis_without_visit", "treatment_diagnose", _holds("V31", "MZH"), _sets(MZH="Y999999999")),
    Spoilt("order_without_visit", "treatment_order", _holds("V31", "MZH"), _sets(MZH="Y999999999")),
    Family("child_of_rejected", _rejects("V03", "E04", "MZZZZDBMLX"), _holds("V31", "MZH")),
    Spoilt(
        "image_missing",
        "staff",
        _rejects("V41.1", "E08", "GRZPCFDZ"),
        lambda _, images: {"GRZPCFDZ": str(images / MISSING_IMAGE)},
    ),
    Spoilt(
        "image_spoilt",
        "staff",
        _rejects("V41.2", "E08", "ZGZCFDZ"),
        lambda _, images: {"ZGZCFDZ": str(images / SPOILT_IMAGE)},
    ),
    Spoilt("image_is_folder", "staff", _rejects("V41.3", "E08", "ZYZCFDZ"), lambda _, images: {"ZYZCFDZ": str(images)}),
    Spoilt("partner_half_named", "institution", _rejects("V85.2", "E01", "DSFJGMC"), _sets(DSFJGMC=None)),
    Spoilt("name_not_of_code", "person", _warns("V04.2", "E12", "HYZTMC"), _sets(HYZTMC="丧偶", HYZTDM="10")),
    Spoilt("id_check_digit", "person", _warns("V05.1", "E05", "ZJHM"), _wrong_sign("ZJHM")),
    Spoilt("sex_not_of_id", "person", _warns("V06.2", "E11", "XBDM"), _other_sex),
    Spoilt(
        "age_wrong",
        "treatment_diagnose",
        _warns("V07.1", "E11", "NLS"),
        lambda row, _: {"NLS": str(int(row["NLS"] or 0) + 5)},
    ),
    Spoilt("credit_code_sign", "service_point", _warns("V08", "E05", "ZZJGDM"), _wrong_sign("ZZJGDM")),
    Spoilt("phone_malformed", "person", _warns("V09.2", "E03", "SJHM"), _sets(SJHM="1234")),
    Spoilt("filled_in_future", "contacts", _warns("V10.2", "E10", "TBRQSJ"), _moves("TBRQSJ", "SJSCSJ", days=400)),
    Spoilt("control_character", "treatment_record", _warns("V12", "E03", "JKZD"), _sets(JKZD="多喝水\a")),
    Spoilt("filled_too_early", "contacts", _warns("V23.2", "E10", "SJSCSJ"), _moves("TBRQSJ", "SJSCSJ", days=-2)),
    Spoilt("outside_window", "person", _warns("V25", "E10", "SJSCSJ"), _moves("SJSCSJ", "SJSCSJ", days=-5)),
    Spoilt("doctor_renamed", "treatment_record", _warns("V33", "E12", "YZYSQM"), _sets(YZYSQM="别名")),
    Spoilt("department_unknown", "staff", _warns("V34", "E06", "KSDM"), _sets(KSDM="NONE")),
    Spoilt(
        "ends_before_start", "treatment_record", _warns("V50", "E10", "JZJSSJ"), _moves("JZJSSJ", "JZRQSJ", hours=-1)
    ),
    Spoilt(
        "diagnosed_too_early", "treatment_diagnose", _warns("V51", "E10", "ZDSJ"), _moves("ZDSJ", "JZRQSJ", hours=-1)
    ),
    Spoilt(
        "written_too_early", "treatment_order", _warns("V52", "E10", "CFKLSJ"), _moves("CFKLSJ", "JZRQSJ", hours=-1)
    ),
    Spoilt(
        "referred_too_early", "treatment_referral", _warns("V54", "E10", "ZZSJ"), _moves("ZZSJ", "JZRQSJ", hours=-1)
    ),
    Spoilt(
        "licence_before_qualification",
        "staff",
        _warns("V57.1", "E10", "FZRQ"),
        lambda row, _: {"FZRQ": day((_instant(row, "ZGHDSJ") - timedelta(days=9)).date())},
    ),
    Spoilt(
        "licence_over",
        "service_point",
        _warns("V45", "E10", "XKZYXQ"),
        lambda row, _: {"XKZYXQ": _years_before(row, "SJSCSJ", 1)},
    ),
    Spoilt(
        "prescribed_at_first_visit",
        "treatment_record",
        _warns("V60", "E11", "CZBZDM"),
        _sets(CZBZDM="1"),
        prescribed=True,
    ),
    Spoilt("icd_malformed", "treatment_diagnose", _warns("V03", "E04", "XYZDBM"), _sets(XYZDBM="J6-9")),
    Pair("two_main_diagnoses", _warns("V61", "E11", "ZDBZ")),
    Spoilt(
        "diagnosis_uncoded", "treatment_diagnose", _warns("V62.1", "E01", "XYZDBM"), _sets(XYZDBM=None, ZDLXBM="12")
    ),
    Spoilt("narcotic_online", "treatment_order", _warns("V63", "E11", "YPCFSX"), _sets(YPCFSX="2")),
    Spoilt(
        "audited_by_prescriber",
        "treatment_order",
        _warns("V66.1", "E11", "CFSHYJSGH"),
        lambda row, _: {"CFSHYJSGH": row["CFKLYSGH"], "CFSHYJSQM": row["CFKLYSQM"]},
    ),
    Spoilt("valid_too_long", "treatment_order", _warns("V67.1", "E11", "CFYXTS"), _sets(CFYXTS="9")),
    Spoilt("newly_qualified", "staff", _warns("V70", "E11", "ZGHDSJ"), _late_qualification),
    Spoilt("allergy_untold", "treatment_record", _warns("V72", "E01", "GMS"), _sets(GMSBS="T", GMS=None)),
    Spoilt(
        "sum_wrong",
        "treatment_order",
        _warns("V80", "E11", "ZJE"),
        lambda row, _: {"ZJE": number(Decimal(row["ZJE"] or 0) + 1)},
    ),
    Spoilt(
        "balance_wrong",
        "institution_business",
        _warns("V82.1", "E11", "JZC"),
        lambda row, _: {"JZC": number(Decimal(row["JZC"] or 0) + 100)},
    ),
    Spoilt("protection_uncertified", "institution", _warns("V84.1", "E01", "XXAQDJBHBH"), _sets(XXAQDJBHBH=None)),
)
