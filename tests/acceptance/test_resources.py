"""What no hospital system holds: typed into forms, accepted by the hub, corrected and withdrawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.acceptance.town import wait_for
from tests.gateway.resources.conftest import drawn

from qianzhi.gateway.resources.records import State
from qianzhi.gateway.resources.registry import Registry, registry
from qianzhi.runtime.sources import load_settings

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.town import Town

    from qianzhi.gateway.resources.records import Record

NUMBER, MEMBER = "R9001", "R9001001"


@pytest.fixture(scope="module")
def kept(town: Town) -> Registry:
    """What people keep at the gateway of the town."""
    return registry(town.rooms, load_settings(town.rooms))


def test_an_institution_a_department_and_a_colleague_are_typed_and_accepted(kept: Registry, town: Town) -> None:
    """Three forms and a photo, one cycle: the regulator holds all of it, the picture too."""
    photo = kept.album.picture(drawn())
    institution = newest(kept, "institution")
    save(kept, "institution", institution.row_id, dict(institution.values) | {"JGDEMC": "示例第二名称"})
    save(kept, "department", None, {"KSBM": NUMBER, "KSMC": "线上内科", "BZKSDM": "03", "KSJS": "<b>线上</b>"})
    plan = kept.form_plan("staff", colleague(kept, GRZPCFDZ=photo.path), row_id=None, pictures=[photo])
    assert plan.errors == 0, plan.as_json("zh")
    kept.save(plan, actor="test")

    town.cycle()

    assert newest(kept, "institution").state is State.ACCEPTED
    assert found(kept, "department", KSBM=NUMBER).state is State.ACCEPTED
    assert found(kept, "staff", YHRYGH=MEMBER).state is State.ACCEPTED
    assert town.ask_hub("SELECT jgdemc FROM guangdong.current_institution") == [("示例第二名称",)]
    assert town.ask_hub("SELECT ksjs FROM guangdong.current_department WHERE ksbm = %s", NUMBER) == [("<b>线上</b>",)]
    assert town.ask_hub("SELECT grzpcfdz FROM guangdong.current_staff WHERE yhrygh = %s", MEMBER) == [(photo.path,)]
    wait_for("the photo at the hub", lambda: photo.content in contents(town.books.hub_blobs))


def test_one_is_corrected_and_one_is_withdrawn(kept: Registry, town: Town) -> None:
    """The right kind of change is chosen; the regulator's current view follows."""
    department, member = found(kept, "department", KSBM=NUMBER), found(kept, "staff", YHRYGH=MEMBER)
    save(kept, "department", department.row_id, dict(department.values) | {"KSMC": "互联网内科"})
    kept.save(kept.revocation("staff", member.row_id), actor="test")

    town.cycle()

    assert town.ask_hub("SELECT ksmc FROM guangdong.current_department WHERE ksbm = %s", NUMBER) == [("互联网内科",)]
    assert town.ask_hub("SELECT count(*) FROM guangdong.current_staff WHERE yhrygh = %s", MEMBER) == [(0,)]
    assert found(kept, "department", KSBM=NUMBER).state is State.ACCEPTED
    assert found(kept, "staff", YHRYGH=MEMBER).state is State.REVOKED
    changes = town.ask_hub("SELECT cxbz, accepted FROM guangdong.staff WHERE yhrygh = %s ORDER BY row_id", MEMBER)
    assert changes == [("1", True), ("3", True)]


def contents(folder: Path) -> set[bytes]:
    """Return what the files below a folder hold."""
    return {file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def save(kept: Registry, dataset: str, row_id: int | None, values: dict[str, str]) -> None:
    """Save a form in which nothing forbids it."""
    plan = kept.form_plan(dataset, values, row_id=row_id)
    assert plan.errors == 0, plan.as_json("zh")
    kept.save(plan, actor="test")


def colleague(kept: Registry, **values: str) -> dict[str, str]:
    """Return what is typed of a new member of the staff: as of another one, but for number and pictures."""
    model = next(each for each in kept.records("staff") if each.state is State.ACCEPTED)
    pictures = {each.name for each in kept.forms["staff"].inputs if each.field.image}
    typed = {name: value for name, value in model.values.items() if name not in pictures}
    return typed | {"YHRYGH": MEMBER, "KSDM": NUMBER} | values


def newest(kept: Registry, dataset: str) -> Record:
    """Return the record of a dataset that has but one."""
    (record,) = kept.records(dataset)
    return record


def found(kept: Registry, dataset: str, **key: str) -> Record:
    """Return a record by its key."""
    (record,) = [each for each in kept.records(dataset) if key.items() <= dict(each.values).items()]
    return record
