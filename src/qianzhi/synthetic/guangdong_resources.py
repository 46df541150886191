"""What the resource tables of Guangdong say of a hospital that does not exist, and how the tables write values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qianzhi.synthetic.catalogue import SPECIALTIES

if TYPE_CHECKING:
    from datetime import date, datetime
    from decimal import Decimal

    from qianzhi.synthetic.resources import Device, Institution, Month, Point
    from qianzhi.synthetic.staff import Department

Row = dict[str, str | None]


def moment(at: datetime) -> str:
    """Write an instant the way the tables take it."""
    return f"{at:%Y-%m-%d %H:%M:%S}"


def day(on: date) -> str:
    """Write a date the way the tables take it."""
    return f"{on:%Y-%m-%d}"


def number(value: Decimal) -> str:
    """Write a decimal without exponent."""
    return f"{value:f}"


def licensed_subjects() -> str:
    """Return the 诊疗科目 of the licence: those of every department."""
    return "；".join(dict.fromkeys(specialty.subject_name for specialty in SPECIALTIES))


def flag(on: bool) -> str:  # noqa: FBT001 - the flag is the value
    """Write a flag the way the tables take it."""
    return "T" if on else "F"


def institution_row(institution: Institution) -> Row:
    """Return what the institution table says."""
    return {
        "ZZJGDM": institution.credit_code,
        "JGMC": institution.name,
        "XZQHDM": institution.area,
        "JGLX": "01",
        "JGCLRQ": day(institution.founded_on),
        "DWLSGXDM": "40",
        "JGFLGLLBDM": "1",
        "JGFLDM": "A100",
        "JJLXDM": "11",
        "DZ": institution.address,
        "STYYZZJGDM": institution.physical_credit_code,
        "STYYMC": institution.physical_name,
        "STYLJGJB": "3",
        "STYLJGDJ": "0",
        "HLWYYWZ": "https://hospital.example.com",
        "XKZHM": institution.licence,
        "XKXMMC": licensed_subjects(),
        "XKZYXQ": day(institution.licensed_until),
        "XXAQDJBH": "3",
        "XXAQDJBHBH": "44000000000-00001",
        "KBZJJES": number(institution.capital),
        "FRDB": institution.head,
        "JGSZDMZZZDFBZ": "2",
        "SFFZJG": "2",
        "JGMS": institution.note or "示例互联网医院",
        "YZBM": "510000",
        "DHHM": institution.phone,
        "DWDZYX": "office@example.com",
        "DSFJGDM": institution.partner_code,
        "DSFJGMC": institution.partner_name,
        "XYYXQ": day(institution.partner_until),
        "BSPT": "01",
        "JGMSXX": "双机热备",
        "JFMJ": "60",
        "SFSLGD": "1",
    }


def point_row(point: Point) -> Row:
    """Return what the table of service points says."""
    institution = point.institution
    return {
        "ZZJGDM": institution.credit_code,
        "FWWDDM": point.code,
        "FWDMC": point.name,
        "XZQHDM": institution.area,
        "FWDLX": "05",
        "FWDCLRQ": day(point.founded_on),
        "DWLSGXDM": "40",
        "FWDFLGLLBDM": "1",
        "FWDFLDM": "B200",
        "JJLXDM": "11",
        "DZ": institution.address,
        "FWDYYJB": "0",
        "FWDYYDJ": "3",
        "HLWYYWZ": "https://hospital.example.com",
        "XKZHM": institution.licence,
        "XKXMMC": licensed_subjects(),
        "XKZYXQ": day(institution.licensed_until),
        "KBZJJES": "10",
        "FRDB": institution.head,
        "FWDSZDMZZZDFBZ": "2",
        "SFFZJG": "2",
        "YZBM": "510000",
        "DHHM": institution.phone,
        "DWDZYX": "office@example.com",
        "BZ": point.note or None,
    }


def department_row(department: Department) -> Row:
    """Return what the table of departments says."""
    specialty = department.specialty
    return {
        "KSBM": specialty.code,
        "KSMC": specialty.name,
        "BZKSDM": specialty.subject,
        "KSJS": department.note or f"{specialty.name}线上服务",
    }


def device_row(device: Device) -> Row:
    """Return what the table of devices says."""
    return {
        "SBDH": device.code,
        "SBMC": device.name,
        "TPSBTS": str(device.count),
        "CD": "2",
        "SCCJ": "示例设备厂",
        "SBXH": f"X-{device.code}",
        "SBLX": device.kind,
        "GMRQ": day(device.bought_on),
        "YT": "互联网诊疗",
        "SBJZJE": number(device.price),
        "GJSXQK": "1",
        "LLSJSM": str(device.life_years),
        "SYQK": "1",
        "BZ": device.note or None,
    }


def month_row(month: Month) -> Row:
    """Return what the table of monthly business says."""
    return {
        "NF": month.month,
        "PCJGSL": "0",
        "BSPT": "01",
        "JGMSXX": "双机热备",
        "JFMJ": "60",
        "ZGZS": str(month.staff),
        "KHFWRYZS": str(month.staff // 10),
        "YWYFMJ": "3500",
        "ZSR": number(month.income),
        "ZZC": number(month.spending),
        "ZZCH": number(month.assets),
        "LDZC": number(month.liquid),
        "DWTZ": number(month.invested),
        "GDZC": number(month.fixed),
        "WXZCJKBF": number(month.intangible),
        "FZ": number(month.debt),
        "JZC": number(month.assets - month.debt),
        "RJZZYSPBS": str(month.doctors_daily),
    }
