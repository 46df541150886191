"""The words a synthetic hospital is made of: areas, syllables, departments, conditions, drugs, devices, offices."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from decimal import Decimal
from importlib import resources

AREAS = {  # counties of Guangdong in GB/T 2260
    "440103": "荔湾区",
    "440104": "越秀区",
    "440105": "海珠区",
    "440106": "天河区",
    "440111": "白云区",
    "440112": "黄埔区",
    "440113": "番禺区",
    "440114": "花都区",
    "440303": "罗湖区",
    "440304": "福田区",
    "440305": "南山区",
    "440306": "宝安区",
    "440307": "龙岗区",
    "440402": "香洲区",
    "440604": "禅城区",
    "440605": "南海区",
}

SURNAMES = tuple("赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨朱秦尤许何吕施张孔曹严华金魏陶姜戚谢邹喻柏水窦章云苏潘葛")
SYLLABLES_FIRST = tuple("安柏采朝澄初春丹迪方冠海涵禾景静君可兰礼凌梦明宁沛千青清若书思素桐婉文希贤晓雅言亦永语远")
SYLLABLES_SECOND = tuple("白宸川帆枫歌荷恒桦佳嘉洁锦瑾菁岚乐林茗暮楠妮培祺琪然溶睿珊舒涛恬彤薇维曦弦昕妍瑶怡逸苑岳舟")


@dataclass(frozen=True, slots=True)
class Condition:
    """
    A diagnosis that a department makes.

    `code` ICD-10 as used in China; `tcm_code`, `tcm_name`: the Chinese disease of a Chinese-medicine visit.
    """

    code: str
    name: str
    complaint: str
    sex: str | None = None
    age_min: int = 0
    tcm_code: str | None = None
    tcm_name: str | None = None


@dataclass(frozen=True, slots=True)
class Drug:
    """
    What a prescription line can be.

    `dose` and `pack` count in `unit`; `times` a day; `price` is yuan for one pack (herbs: for one gram).
    """

    code: str
    name: str
    generic: str
    strength: str
    form: str  # CV08.50.002
    dose: Decimal
    unit: str
    frequency: str  # CV06.00.228
    times: int
    route: str  # CV06.00.102
    pack: Decimal
    pack_unit: str
    price: Decimal
    kind: str = "western"  # western, patent, herb


@dataclass(frozen=True, slots=True)
class Specialty:
    """A department, its 诊疗科目 and what it treats; without conditions it sees nobody."""

    code: str
    name: str
    subject: str
    subject_name: str
    conditions: tuple[Condition, ...] = ()
    drugs: tuple[str, ...] = ()
    children: bool = False


def _read(name: str) -> list[dict[str, str]]:
    text = resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def _drugs() -> dict[str, Drug]:
    rows = _read("drugs.csv")
    return {
        row["code"]: Drug(
            code=row["code"],
            name=row["name"],
            generic=row["generic"],
            strength=row["strength"],
            form=row["form"],
            dose=Decimal(row["dose"]),
            unit=row["unit"],
            frequency=row["frequency"],
            times=int(row["times"]),
            route=row["route"],
            pack=Decimal(row["pack"]),
            pack_unit=row["pack_unit"],
            price=Decimal(row["price"]),
            kind=row["kind"],
        )
        for row in rows
    }


def _conditions(department: str) -> tuple[Condition, ...]:
    return tuple(
        Condition(
            code=row["code"],
            name=row["name"],
            complaint=row["complaint"],
            sex=row["sex"] or None,
            age_min=int(row["age_min"]),
            tcm_code=row["tcm_code"] or None,
            tcm_name=row["tcm_name"] or None,
        )
        for row in _read("conditions.csv")
        if row["department"] == department
    )


def _specialties() -> tuple[Specialty, ...]:
    return tuple(
        Specialty(
            code=row["code"],
            name=row["name"],
            subject=row["subject"],
            subject_name=row["subject_name"],
            conditions=_conditions(row["code"]),
            drugs=tuple(row["drugs"].split()),
            children=row["children"] == "children",
        )
        for row in _read("specialties.csv")
    )


DRUGS = _drugs()
SPECIALTIES = _specialties()  # the last two are pharmacy and nursing

DEVICES = (
    ("应用服务器", "1"),
    ("数据库服务器", "1"),
    ("前置机", "1"),
    ("视频服务器", "1"),
    ("备份服务器", "1"),
    ("核心交换机", "2"),
    ("接入交换机", "2"),
    ("防火墙", "2"),
    ("负载均衡设备", "2"),
    ("不间断电源", "2"),
    ("诊疗平台软件", "3"),
    ("处方审核软件", "3"),
    ("电子签名软件", "3"),
)

OFFICES = (
    "院长办公室",
    "医务科",
    "护理管理科",
    "药事管理科",
    "信息科",
    "质量控制科",
    "财务科",
    "人事科",
    "客户服务部",
    "医保办公室",
    "法务科",
    "后勤保障科",
)

POINTS = (
    "东门服务点",
    "西门服务点",
    "南门服务点",
    "北门服务点",
    "社区一站",
    "社区二站",
    "社区三站",
    "社区四站",
    "社区五站",
    "社区六站",
    "社区七站",
    "社区八站",
)
