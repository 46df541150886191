"""The workbook that people fill in: a sheet a dataset, a column a field, codes to choose from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from qianzhi.gateway.resources.records import State
from qianzhi.runtime.workbooks import Column, Sheet, write
from qianzhi.specs.model import Text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from qianzhi.gateway.resources.form import Form, Input
    from qianzhi.gateway.resources.records import Record

GUIDE: Final = "说明 Guide"
_WIDTH_MIN, _WIDTH_MAX = 12, 40  # characters
_GUIDE_WIDTH: Final = 60
_TO_CORRECT: Final = frozenset({State.REJECTED, State.WITHHELD, State.QUARANTINED})

_GUIDE: Final = (
    Text("每个工作表是一个数据集，每行是一条记录。", "Each sheet is a dataset, each row a record."),
    Text("有底色的列为必填项。", "Coloured columns must be filled in."),
    Text("代码从下拉列表中选择，或直接填写代码。", "Choose codes from the list, or type the code alone."),
    Text(
        "身份证号等长数字须以文本格式输入；不要使用公式。",
        "Type long numbers, such as identity numbers, as text; use no formulas.",
    ),
    Text(
        "图片列填写随附图片的文件名，或把图片插入该单元格。",
        "In a column of pictures write the name of an attached file, or insert the picture into the cell.",
    ),
    Text(
        "新增、修改由系统按主键判断；没有变化的行不会上报；删除一行不等于撤销。",
        "New and changed records are told apart by their key; unchanged rows are passed over; "
        "to delete a row revokes nothing.",
    ),
    Text("要撤销记录，在最后一列选择撤销。", "To revoke a record, choose so in the last column."),
    Text("机构标识、数据生成时间和填报时间由系统填写。", "Institution and times are filled in for you."),
)


def template(forms: Sequence[Form], records: Mapping[str, Sequence[Record]]) -> bytes:
    """Return a workbook with the sheets of some datasets, filled with records where there are any (by dataset)."""
    guide = Sheet(
        GUIDE,
        (Column("说明", _GUIDE_WIDTH), Column("Guide", _GUIDE_WIDTH)),
        [(each.zh, each.en) for each in _GUIDE],
    )
    return write([guide, *(_sheet(form, records.get(form.dataset.name, ())) for form in forms)])


def revoke_heading(form: Form) -> str:
    """Return what stands above the column by which records are revoked."""
    field = form.dataset.field(form.dataset.change.field)
    return f"{field.title}\n{field.name}"


def revoke_label(form: Form) -> str:
    """Return what this column offers."""
    return f"{form.dataset.change.revoke} 撤销"


def is_kept(record: Record) -> bool:
    """Tell whether people go on keeping a record: it exists, or its newest row was refused and is to be corrected."""
    return record.exists or record.state in _TO_CORRECT


def cells(form: Form, record: Record) -> dict[str, str]:
    """Return what a record's cells show, by field."""
    return {each.name: each.shown(record.values.get(each.name)) for each in form.inputs}


def _sheet(form: Form, records: Sequence[Record]) -> Sheet:
    columns = [*map(_column, form.inputs), Column(revoke_heading(form), _WIDTH_MIN, (revoke_label(form),))]
    return Sheet(form.title, columns, _rows(form, records))


def _column(entry: Input) -> Column:
    labels = tuple(choice.label for choice in entry.choices)
    width = max(_WIDTH_MIN, 2 * max(map(len, (entry.field.title, *labels))))
    return Column(entry.heading, min(width, _WIDTH_MAX), labels, entry.required)


def _rows(form: Form, records: Sequence[Record]) -> Iterator[list[str]]:
    for record in records:
        if is_kept(record):
            yield [*cells(form, record).values(), ""]
