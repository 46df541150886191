"""The rows that a hospital's entries become in the twelve tables of Guangdong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qianzhi.synthetic.catalogue import AREAS, SPECIALTIES
from qianzhi.synthetic.diary import Change
from qianzhi.synthetic.guangdong_resources import (
    Row,
    day,
    department_row,
    device_row,
    flag,
    institution_row,
    moment,
    month_row,
    number,
    point_row,
)
from qianzhi.synthetic.images import Picture, picture_name
from qianzhi.synthetic.people import Person, age_months, age_years
from qianzhi.synthetic.resources import Contact, Device, Institution, Month, Point
from qianzhi.synthetic.staff import Department, Member, Role
from qianzhi.synthetic.visits import SUPPLY_DAYS, Diagnosis, Line, Referral, Visit, VisitKind

if TYPE_CHECKING:
    from datetime import date
    from pathlib import Path

    from qianzhi.specs.model import Regulator
    from qianzhi.synthetic.diary import Happening

_QUALIFICATIONS = {Role.DOCTOR: "执业医师", Role.PHARMACIST: "执业药师", Role.NURSE: "注册护士"}
_RANKS = {1: "1", 2: "2", 3: "3", 4: "4", 5: "5"}
_VISIT_TYPES = {
    VisitKind.TREATMENT: "100",
    VisitKind.ADVICE: "900",
    VisitKind.QUESTION: "901",
    VisitKind.NURSING: "902",
}
_DRUG_KINDS = {"western": ("1", "1"), "patent": ("1", "2"), "herb": ("7", "3")}  # YPCFSX, ZYLBDM
_ICD, _TCM_NATIONAL = "01", "04"
_COUNTRIES = {"01": ("156", "中国"), "03": ("840", "美国")}
_DIAGNOSIS_TYPES = {(False, True): "11", (False, False): "12", (True, True): "21", (True, False): "22"}
_PRESCRIPTION_VALID_DAYS = 3
_MARRIED_YEARS = 22


@dataclass(frozen=True, slots=True)
class Tables:
    """Writes rows for one institution, with the columns and the code names of the given edition."""

    regulator: Regulator
    institution: Institution
    images: Path

    def columns(self, dataset: str) -> list[str]:
        """Return the columns of a dataset, in order."""
        return [field.name for field in self.regulator.dataset(dataset).fields]

    def row(self, happening: Happening) -> Row:
        """Return the whole row for an entry; its dataset is the subject's name."""
        dataset = self.regulator.dataset(happening.subject.subject)
        change = {
            Change.NEW: dataset.change.new,
            Change.MODIFY: dataset.change.modify,
            Change.REVOKE: dataset.change.revoke,
        }[happening.change]
        values = self._subject(happening)
        values |= {"JGDM": self.institution.code, "MJ": "1", "CXBZ": change}
        values |= {"SJSCSJ": moment(happening.at), "TBRQSJ": moment(happening.filled_at)}
        return {field.name: values.get(field.name) for field in dataset.fields}

    def _subject(self, happening: Happening) -> Row:  # noqa: C901, PLR0911 - one case a table
        match happening.subject:
            case Institution() as institution:
                return institution_row(institution)
            case Point() as point:
                return point_row(point)
            case Department() as department:
                return department_row(department)
            case Member() as member:
                return self._member(member)
            case Device() as device:
                return device_row(device)
            case Contact() as contact:
                return {"BM": contact.office, "FZRXM": contact.head, "LXDH": contact.phone}
            case Month() as month:
                return month_row(month)
            case Person() as person:
                return self._person(person, happening.at.date())
            case Visit() as visit:
                return self._visit(visit)
            case Diagnosis() as diagnosis:
                return self._diagnosis(diagnosis)
            case Line() as line:
                return self._line(line)
            case Referral() as referral:
                return self._referral(referral)

    def _name(self, dataset: str, field: str, code: str) -> str:
        """Return the name of a code in the domain of a field."""
        system = self.regulator.dataset(dataset).field(field).codes
        if system is None:
            return code
        return self.regulator.codes[system].codes.get(code, code)

    def _member(self, member: Member) -> Row:
        return {
            "YHRYGH": member.number,
            "YHRYXM": member.name,
            "XB": member.sex,
            "CSRQ": day(member.born_on),
            "SFZH": member.id_number,
            "KSDM": member.specialty.code,
            "ZYJSZWDM": member.title,
            "ZYJSZWLBDM": _RANKS[member.rank],
            "ZZLBMC": _QUALIFICATIONS[member.role],
            "ZGZSBH": f"ZG{member.number}",
            "ZGHDSJ": day(member.qualified_on),
            "ZYZSBM": f"ZY{member.number}",
            "FZRQ": day(member.licensed_on),
            "ZYDD": self.institution.physical_name,
            "ZYFW": member.specialty.subject,
            "ZYZYYLJGDM": self.institution.code,
            "ZYZYYYMC": self.institution.name,
            "QKYSBZ": flag(member.specialty.code == SPECIALTIES[0].code and member.role is Role.DOCTOR),
            "SJHM": member.phone,
            "ZC": member.note or "常见病、慢性病",
            "MZ": "01",
            "CJGZRQ": day(member.works_from),
            "ZCSJ": f"{day(member.licensed_on)} 10:00:00",
            "XL": "21",
            "GRZPCFDZ": str(self.images / picture_name(member.number, Picture.PORTRAIT)),
            "ZGZCFDZ": str(self.images / picture_name(member.number, Picture.QUALIFICATION)),
            "ZYZCFDZ": str(self.images / picture_name(member.number, Picture.LICENCE)),
            "ZJLBDM": "01",
        }

    def _person(self, person: Person, today: date) -> Row:
        country, country_name = _COUNTRIES[person.id_kind]
        chinese = person.id_kind == "01"
        grown = age_years(person.born_on, today) >= _MARRIED_YEARS
        married = "20" if grown and person.number % 3 else "10"
        schooling = "20" if grown else "90"
        place = f"广东省{AREAS[person.area]}示例街{person.number}号"
        return {
            "KH": person.card,
            "KLX": person.card_kind,
            "ZJHM": person.id_number,
            "ZJLBDM": person.id_kind,
            "XM": person.name,
            "XBDM": person.sex,
            "XBMC": self._name("person", "XBDM", person.sex),
            "HZSX": "00",
            "HYZTDM": married,
            "HYZTMC": self._name("person", "HYZTDM", married),
            "CSRQ": day(person.born_on),
            "MZDM": "01" if chinese else None,
            "MZMC": self._name("person", "MZDM", "01") if chinese else None,
            "GJDM": country,
            "GJMC": country_name,
            "JGNBDAH": f"DA{person.number:08d}",
            "SJHM": person.phone,
            "DZYJ": f"p{person.number}@example.com",
            "WHCDDM": schooling,
            "WHCDMC": self._name("person", "WHCDDM", schooling),
            "ZYLBDM": "Y",
            "ZYLBMC": self._name("person", "ZYLBDM", "Y"),
            "JZDXZQHM": person.area,
            "JZDZ": place,
            "HKDXZQHM": person.area if chinese else None,
            "HKDZ": place if chinese else None,
            "LXRXM": person.contact,
            "LXRDH": person.phone,
            "ABO": str(person.number % 4 + 1),
            "RH": "2",
            "CBLBDM": "1",
        }

    def _patient(self, visit: Visit) -> Row:
        """Return what every service record repeats about patient and visit."""
        person, started_at = visit.person, visit.started_at
        return {
            "FWWDDM": visit.point or self.institution.code,
            "KH": person.card,
            "KLX": person.card_kind,
            "MZH": visit.number,
            "XM": person.name,
            "XBDM": person.sex,
            "CSRQ": day(person.born_on),
            "NLS": str(age_years(person.born_on, started_at.date())),
            "NLY": age_months(person.born_on, started_at.date()),
            "JZRQSJ": moment(started_at),
        }

    def _visit(self, visit: Visit) -> Row:
        condition, specialty = visit.condition, visit.doctor.specialty
        tcm = condition.tcm_code is not None
        treated = visit.kind is VisitKind.TREATMENT
        return self._patient(visit) | {
            "JZLX": _VISIT_TYPES[visit.kind],
            "KSBM": specialty.code,
            "KSMC": specialty.name,
            "GMSBS": flag(visit.allergy is not None),
            "GMS": visit.allergy,
            "CBLB": "1",
            "JZZDSM": condition.name,
            "CZBZDM": "2" if visit.again else "1",
            "ZS": condition.complaint,
            "XBS": f"{condition.complaint}，一般情况可",
            "JWS": "否认传染病史",
            "MZZZZDDM": condition.code,
            "MZZZZDMC": condition.name,
            "MZZZZDBMLX": _ICD,
            "ZZMS": condition.complaint,
            "BZYJ": "舌淡苔白，脉细" if tcm else None,
            "ZZZF": "健脾和胃" if tcm else None,
            "JKZD": visit.note,
            "CZJH": "线上随访",
            "YZYSGH": visit.doctor.number,
            "YZYSQM": visit.doctor.name,
            "CZYLWSJGDM": self.institution.physical_credit_code,
            "CZYLWSJGMC": self.institution.physical_name,
            "JZJSSJ": moment(visit.ended_at) if visit.ended_at else None,
            "ZZBZ": flag(visit.referred),
            "HZMYD": str(visit.satisfaction) if visit.satisfaction and visit.ended_at else None,
            "DZCFWJCFDZ": flag(visit.prescribed),
            "YSDSPWJCFDZ": flag(visit.video and treated),
            "HZDSPWJCFDZ": flag(visit.video and treated),
            "JLYPCFDZ": flag(on=False),
        }

    def _diagnosis(self, diagnosis: Diagnosis) -> Row:
        condition, doctor = diagnosis.condition, diagnosis.visit.doctor
        tcm = condition.tcm_code is not None
        return self._patient(diagnosis.visit) | {
            "ZDXXID": diagnosis.number,
            "ZDLXBM": _DIAGNOSIS_TYPES[tcm, diagnosis.main],
            "XYZDBM": condition.code,
            "XYZDMC": condition.name,
            "XYZDBMLX": _ICD,
            "ZYZDBM": condition.tcm_code,
            "ZYZDMC": condition.tcm_name,
            "ZYZDBMLX": _TCM_NATIONAL,
            "ZDSM": diagnosis.note,
            "ZDBZ": "1" if diagnosis.main else "2",
            "ZDYSGH": doctor.number,
            "ZDYSXM": doctor.name,
            "ZDSJ": moment(diagnosis.made_at),
        }

    def _line(self, line: Line) -> Row:
        visit, doctor = line.visit, line.visit.doctor
        return (
            self._patient(visit)
            | self._drug(line)
            | self._hands(line)
            | {
                "CFBH": line.prescription,
                "CFMXID": line.identity,
                "CFKLSJ": moment(line.written_at),
                "CFYXTS": str(_PRESCRIPTION_VALID_DAYS),
                "CFKLKSBM": doctor.specialty.code,
                "CFKLKSMC": doctor.specialty.name,
                "YZSM": f"按说明服用{SUPPLY_DAYS}天",
                "PXH": str(line.place),
                "YZXMLXDM": "01",
                "CFYPZH": "1",
                "ZXJG": "已发药",
                "BZ": line.note,
                "QYJGDM": self.institution.code,
                "QYJGMC": self.institution.name,
            }
        )

    def _drug(self, line: Line) -> Row:
        drug, herb = line.drug, line.packets is not None
        attribute, tcm_class = _DRUG_KINDS[drug.kind]
        return {
            "YPCFSX": attribute,
            "ZYLBDM": tcm_class,
            "CFMXYBBM": f"YB{drug.code}",
            "YPID": f"YJ{drug.code}",
            "CFMXMC": drug.name,
            "YWMC": drug.generic,
            "YPGG": drug.strength,
            "DDDZ": None if herb else number(drug.dose * drug.times),
            "YWJXDM": drug.form,
            "YWSYCJL": number(line.dose),
            "YWSYJLDW": drug.unit,
            "YWSYPCDM": drug.frequency,
            "YWSYPCMC": self._name("treatment_order", "YWSYPCDM", drug.frequency),
            "YYTJDM": drug.route,
            "YYTJMC": self._name("treatment_order", "YYTJDM", drug.route),
            "YWSYZJL": number(line.total_dose),
            "ZYYPCF": line.composition,
            "ZYYPJS": str(line.packets) if herb else None,
            "ZYYPJZF": "水煎" if herb else None,
            "ZYYYFF": "分两次温服" if herb else None,
            "FYJL": number(line.quantity),
            "FYJLDW": drug.pack_unit,
            "DJ": number(drug.price),
            "ZJE": number(line.amount),
        }

    def _hands(self, line: Line) -> Row:
        """Return who wrote, audited, prepared, checked and handed out."""
        doctor, auditor, dispenser = line.visit.doctor, line.auditor, line.dispenser
        return {
            "CFKLYSGH": doctor.number,
            "CFKLYSQM": doctor.name,
            "CFSHYJSGH": auditor.number,
            "CFSHYJSQM": auditor.name,
            "CFTPYJSGH": dispenser.number,
            "CFTPYJSQM": dispenser.name,
            "CFHDYJSGH": auditor.number,
            "CFHDYJSQM": auditor.name,
            "CFFYYJSGH": dispenser.number,
            "CFFYYJSQM": dispenser.name,
        }

    def _referral(self, referral: Referral) -> Row:
        doctor = referral.visit.doctor
        return self._patient(referral.visit) | {
            "ZZJLID": referral.number,
            "FZYSGH": doctor.number,
            "FZYSXM": doctor.name,
            "FZKSBM": doctor.specialty.code,
            "FZKSMC": doctor.specialty.name,
            "ZZYY": "需进一步检查",
            "ZZSJ": moment(referral.sent_at),
            "ZXJGDM": referral.target_code,
            "ZXJGMC": referral.target_name,
            "ZXKSBM": "K01",
            "ZXKSMC": "综合门诊",
            "ZYJWS": "否认传染病史",
            "ZLJG": referral.note,
            "XYBZLFA": "线下就诊",
            "ZZBZ": "1",
        }
