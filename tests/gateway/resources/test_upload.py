from __future__ import annotations

import io
import zipfile
from pathlib import Path

import openpyxl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.gateway.resources import books
from tests.gateway.resources.conftest import drawn

from qianzhi import regulators
from qianzhi.errors import SenderError
from qianzhi.gateway.resources import upload
from qianzhi.gateway.resources.attachments import Attachments, attached
from qianzhi.gateway.resources.form import forms
from qianzhi.gateway.resources.pictures import Album
from qianzhi.gateway.resources.plan import Action, Plan
from qianzhi.gateway.resources.records import Record, State
from qianzhi.gateway.resources.template import template
from qianzhi.gateway.resources.upload import Stored, planned

FORMS = forms(regulators.regulator("guangdong"))
DEPARTMENT, STAFF, DEVICE = (FORMS[name].title for name in ("department", "staff", "device"))
# What PostgreSQL can hold.
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
LONG = st.integers(32_766, 33_000).map(lambda length: "长" * length)


def record(row_id: int = 1, *, exists: bool = True, state: State = State.ACCEPTED, **values: str) -> Record:
    """Return a record that was saved before."""
    return Record(row_id, values, state, is_live=exists, exists=exists)


def plan(content: bytes, attachments: Attachments | None = None, **held: list[Record]) -> Plan:
    """Return what a workbook would change of the records that are held."""
    stored = {name: Stored.of(form, held.get(name, [])) for name, form in FORMS.items()}
    return planned(content, FORMS, stored, attachments or Attachments(), Album(Path("/nowhere")))


def empty(*names: str) -> bytes:
    """Return the empty template."""
    return template([FORMS[name] for name in names or FORMS], {})


def told(found: Plan) -> list[tuple[str, str, int | None, str]]:
    """Return what was remarked: code, sheet, row and column."""
    return [(each.code, each.place.sheet, each.place.row, each.place.column) for each in found.remarks]


KEYS = TEXT.map(str.strip).filter(bool)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries(
            {"YHRYGH": KEYS}, optional=dict.fromkeys(["YHRYXM", "XB", "CSRQ", "SFZH", "ZC", "GRZPCFDZ"], TEXT | LONG)
        ),
        max_size=3,
        unique_by=lambda values: upload.as_read(values["YHRYGH"]),
    )
)
@example([{"YHRYGH": "_x0041_", "YHRYXM": "_x000D_", "ZC": "a\r\nb\rc\x0b", "XB": "2", "GRZPCFDZ": "甲.jpg"}])
def test_what_was_downloaded_changes_nothing(rows: list[dict[str, str]]) -> None:
    """A filled template that comes back as it went finds every record unchanged, whatever stands in it."""
    kept = [{name: value for name, value in row.items() if value.strip()} for row in rows]
    held = [Record(at, row, State.ACCEPTED, is_live=True, exists=True) for at, row in enumerate(kept, start=1)]

    found = plan(template([FORMS["staff"]], {"staff": held}), staff=held)

    assert [line.action for line in found.lines["staff"]] == [Action.UNCHANGED] * len(held)
    assert found.remarks == []


def test_rows_are_new_modified_revoked_or_passed_over() -> None:
    """The key tells which record is meant; blank rows and blank cells are nothing."""
    held = [record(at, KSBM=f"0{at}", KSMC="内科", BZKSDM="03") for at in range(1, 5)]
    held.append(record(9, exists=False, state=State.REVOKED, KSBM="09", KSMC="内科", BZKSDM="03"))
    content = books.put(
        template([FORMS["department"]], {"department": held}),
        DEPARTMENT,
        {"KSMC": "内一科"},
        {"CXBZ": "3 撤销"},
        {"BZKSDM": "03 内科", "CXBZ": "1"},
        {},
        {},
        {"KSBM": "09", "KSMC": "内科", "BZKSDM": "03"},
        {"KSBM": 10, "KSMC": "=外科", "BZKSDM": "04 外科"},
    )
    content = books.put(content, DEPARTMENT, {"KSMC": "外科"}, first=8)

    found = plan(content, department=held)

    lines = [(line.place.row, line.action.value, line.values["KSBM"]) for line in found.lines["department"]]
    assert lines == [
        (2, "modify", "01"),
        (3, "revoke", "02"),
        (4, "unchanged", "03"),
        (5, "unchanged", "04"),
        (7, "new", "09"),
        (8, "new", "10"),
    ]
    assert found.lines["department"][0].values["KSMC"] == "内一科"
    assert (found.remarks, found.seen["department"]) == ([], 9)


def test_what_was_rejected_is_offered_for_correction() -> None:
    """It stands in the filled template, corrected it is new; what was revoked does not stand there."""
    held = [
        record(1, exists=False, state=State.REJECTED, KSBM="01", KSMC="内科"),
        record(2, exists=False, state=State.REVOKED, KSBM="02", KSMC="外科"),
    ]
    content = template([FORMS["department"]], {"department": held})

    (line,) = plan(content, department=held).lines["department"]
    assert line.action is Action.UNCHANGED
    (line,) = plan(books.put(content, DEPARTMENT, {"KSMC": "内一科"}), department=held).lines["department"]
    assert line.action is Action.NEW


def test_one_institution_has_one_row() -> None:
    """Its key is filled in, so a second row is the same record again."""
    title = FORMS["institution"].title
    found = plan(books.put(empty("institution"), title, {"JGMC": "甲"}, {"JGMC": "乙"}))

    assert [line.action for line in found.lines["institution"]] == [Action.NEW]
    assert told(found) == [("key-repeated", title, 3, "")]


def test_cells_that_cannot_be_trusted_are_named() -> None:
    """Formulas, numbers that Excel cut, keys twice or not at all, withdrawals of nothing: each by row and column."""
    held = [record(1, KSBM="01", KSMC="内科")]
    content = books.put(
        template([FORMS["department"]], {"department": held}),
        DEPARTMENT,
        {"KSMC": "=1+1"},
        {"KSBM": "01", "KSMC": "再来"},
        {"KSMC": "没有编码"},
        {"KSBM": "05", "CXBZ": "3"},
        {"KSBM": "06", "CXBZ": "删除", "YBJDM": 440100199003071234},
    )

    found = plan(content, department=held)

    assert told(found) == [
        ("formula", DEPARTMENT, 2, "B"),
        ("key-repeated", DEPARTMENT, 3, "A"),
        ("key-missing", DEPARTMENT, 4, "A"),
        ("nothing-to-revoke", DEPARTMENT, 5, "F"),
        ("number-doubtful", DEPARTMENT, 6, "D"),
        ("change-unknown", DEPARTMENT, 6, "F"),
    ]
    assert found.errors == len(found.remarks)
    assert found.remarks[1].reason.zh == "同一主键出现两次（第 2 行）"


def test_headings_and_sheets_are_known_by_name_or_title() -> None:
    """Columns may change places; what is unknown is not read, what is missing stays as it is."""
    held = [record(1, KSBM="01", KSMC="内科", BZKSDM="03", KSJS="介绍")]
    book = openpyxl.Workbook()
    page = book.worksheets[0]
    page.title = "department"
    page.append(["科室名称", "备注", "KSBM", "标准科室代码\nBZKSDM", "KSMC"])
    page.append(["内一科", "x", "01", "03", "y"])
    book.create_sheet("别的")

    found = plan(books.saved(book), department=held)

    (line,) = found.lines["department"]
    assert line.action is Action.MODIFY
    assert dict(line.values) == {"KSBM": "01", "KSMC": "内一科", "BZKSDM": "03", "YBJDM": None, "KSJS": "介绍"}
    assert told(found) == [
        ("heading-unknown", "department", 1, "B"),
        ("heading-repeated", "department", 1, "E"),
        ("heading-missing", "department", None, ""),
        ("heading-missing", "department", None, ""),
        ("sheet-unknown", "别的", None, ""),
    ]


def test_a_sheet_without_its_key_is_not_read() -> None:
    """Without it no row says which record it is."""
    book = openpyxl.Workbook()
    page = book.worksheets[0]
    page.title = DEPARTMENT
    page.append(["科室名称"])
    page.append(["内科"])

    found = plan(books.saved(book))

    assert found.lines == {"department": []}
    assert ("key-column-missing", DEPARTMENT, None, "") in told(found)


def test_missing_sheets_are_told_where_several_are_there() -> None:
    """A workbook of one dataset is the template of that dataset."""
    assert told(plan(empty("staff"))) == []
    assert [code for code, *_ in told(plan(empty("staff", "device")))] == ["sheet-missing"] * 5


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"name,sex\n", drawn()])
def test_what_is_no_workbook_of_ours_is_refused(content: bytes) -> None:
    """Nothing is guessed."""
    with pytest.raises(SenderError):
        plan(content)


def test_a_workbook_without_any_known_sheet_is_refused() -> None:
    """It is another one."""
    with pytest.raises(SenderError):
        plan(books.saved(openpyxl.Workbook()))


def test_rows_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies behind the bound is refused, never left out."""
    monkeypatch.setattr(upload, "LINES_MAX", 2)

    with pytest.raises(SenderError):
        plan(books.put(empty("department"), DEPARTMENT, *({"KSBM": f"{at}"} for at in range(3))))


def test_pictures_are_found_by_name_on_the_cell_or_at_a_path() -> None:
    """A file that comes along, a picture that lies on the cell, one that WPS put into it, a path of the machine."""
    content = books.put(
        empty("staff"),
        STAFF,
        {"YHRYGH": "1", "GRZPCFDZ": "甲.jpg"},
        {"YHRYGH": "2"},
        {"YHRYGH": "3", "GRZPCFDZ": '=_xlfn.DISPIMG("ID_1",1)'},
        {"YHRYGH": "4", "GRZPCFDZ": r"D:\photos\4.jpg"},
        {"YHRYGH": "5", "GRZPCFDZ": "五.jpg"},
        pictures={"Y3": drawn("PNG", "red")},
    )
    with zipfile.ZipFile(io.BytesIO(content)) as parts:
        assert any(name.startswith("xl/media/") for name in parts.namelist())
    page = openpyxl.load_workbook(io.BytesIO(content))[STAFF]
    assert page.cell(1, 25).value == "个人照片存放地址\nGRZPCFDZ"

    found = plan(
        books.with_cell_image(content, drawn(colour="blue")),
        attached([("甲.JPG", drawn()), ("没人用.jpg", drawn("GIF"))]),
    )

    paths = [line.values["GRZPCFDZ"] or "" for line in found.lines["staff"]]
    album = Album(Path("/nowhere"))
    assert paths[:3] == [album.picture(each).path for each in (drawn(), drawn("PNG", "red"), drawn(colour="blue"))]
    assert paths[3:] == [r"D:\photos\4.jpg", "五.jpg"]
    assert sorted(found.pictures) == sorted(paths[:3])
    assert [(each.code, each.value) for each in found.remarks] == [
        ("picture-missing", "五.jpg"),
        ("picture-unused", "没人用.jpg"),
    ]


def test_a_picture_that_is_none_is_a_finding_at_its_cell() -> None:
    """A script that calls itself a photo goes no further."""
    content = books.put(empty("staff"), STAFF, {"YHRYGH": "1", "GRZPCFDZ": "a.jpg"})

    found = plan(content, attached([("a.jpg", b"<script>alert(1)</script>")]))

    assert told(found) == [("picture-refused", STAFF, 2, "Y")]
    assert found.remarks[0].reason.zh.startswith("图片不能使用（文件不是可用的图片：内容不是 PNG, JPEG,")
    assert "（" not in found.remarks[0].reason.en
    assert found.pictures == {}


@pytest.mark.parametrize(
    "value", ["<script>alert(1)</script>", "=HYPERLINK('x')", "@SUM(A1)", "'; DROP TABLE staff; --", "-1+1", "\t=1"]
)
def test_markup_and_formulas_in_names_stay_texts(value: str) -> None:
    """They go into a cell and come back as what they are, never as something that runs."""
    held = [record(1, KSBM="01", KSMC=value.strip())]
    content = template([FORMS["department"]], {"department": held})

    cell = openpyxl.load_workbook(io.BytesIO(content))[DEPARTMENT]["B2"]
    assert (cell.data_type, cell.value) == ("s", value.strip())
    (line,) = plan(content, department=held).lines["department"]
    assert (line.action, line.values["KSMC"]) == (Action.UNCHANGED, value.strip())


def test_the_template_shows_what_must_be_filled_in_and_what_may_be_chosen() -> None:
    """Required columns are coloured, coded ones offer `code name`, and a guide stands in front."""
    book = openpyxl.load_workbook(io.BytesIO(empty()))

    assert book.sheetnames[0] == "说明 Guide"
    assert book.sheetnames[1:8] == [form.title for form in FORMS.values()]
    page = book[DEVICE]
    columns = books.columns_of(page)
    fills = {name: page.cell(1, columns[name]).fill.fgColor.rgb for name in ("SBDH", "SBXH")}
    assert fills["SBDH"] != fills["SBXH"]
    offered = {str(each.sqref).split(":")[0] for each in page.data_validations.dataValidation}
    letters = {page.cell(2, columns[name]).coordinate for name in ("CD", "SBLX", "GJSXQK", "SYQK", "CXBZ")}
    assert offered == letters
