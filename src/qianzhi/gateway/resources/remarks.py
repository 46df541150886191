"""What is wrong with a workbook or a picture before any rule is asked, in the two languages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from qianzhi.specs.model import Severity, Text

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a workbook as its user sees it: sheet, row from 1, column by letters; or a file."""

    sheet: str = ""
    row: int | None = None
    column: str = ""


@dataclass(frozen=True, slots=True)
class Remark:
    """One finding with its place: of a rule, or of what stands below in SENTENCES."""

    place: Place
    code: str
    severity: Severity
    field: str
    value: str
    reason: Text
    remedy: Text

    def as_json(self, language: str) -> dict[str, Any]:
        """Return the public form."""
        return {
            "sheet": self.place.sheet,
            "row": self.place.row,
            "column": self.place.column,
            "code": self.code,
            "severity": self.severity.value,
            "field": self.field,
            "value": self.value,
            "reason": self.reason.said(language),
            "remedy": self.remedy.said(language),
        }


VALUE_CHARACTERS_MAX: Final = 200


def remark(code: str, place: Place, *, field: str = "", value: str = "", detail: Text | None = None) -> Remark:
    """Return what SENTENCES say under `code`; `detail` ends the reason."""
    severity, reason, remedy = SENTENCES[code]
    if detail is not None:
        reason = Text(f"{reason.zh}（{detail.zh}）", f"{reason.en} ({detail.en})")
    return Remark(place, code, severity, field, value[:VALUE_CHARACTERS_MAX], reason, remedy)


SENTENCES: Final[Mapping[str, tuple[Severity, Text, Text]]] = {
    "sheet-unknown": (
        Severity.WARNING,
        Text("不认识的工作表，未读取", "The sheet is not known and was not read"),
        Text("保留模板中的工作表名称。", "Keep the names that the sheets have in the template."),
    ),
    "sheet-missing": (
        Severity.WARNING,
        Text("缺少该工作表，其中的记录保持不变", "The sheet is missing; its records stay as they are"),
        Text("若要填报，从模板中复制该工作表。", "Copy the sheet from the template if you want to fill it in."),
    ),
    "heading-unknown": (
        Severity.WARNING,
        Text("不认识的列，未读取", "The column is not known and was not read"),
        Text("保留模板中的表头。", "Keep the headings of the template."),
    ),
    "heading-repeated": (
        Severity.ERROR,
        Text("同一数据项有两列", "Two columns are of one field"),
        Text("只保留一列。", "Keep one of the two."),
    ),
    "heading-missing": (
        Severity.WARNING,
        Text("缺少该列，其中的值保持不变", "The column is missing; its values stay as they are"),
        Text("若要填报，从模板中复制该列。", "Copy the column from the template if you want to fill it in."),
    ),
    "key-column-missing": (
        Severity.ERROR,
        Text("缺少主键所在的列，该工作表无法读取", "A column of the key is missing; the sheet cannot be read"),
        Text("从模板中复制该列。", "Copy the column from the template."),
    ),
    "key-missing": (
        Severity.ERROR,
        Text("主键没有值", "A field of the key has no value"),
        Text("填写该项；空行请整行删除。", "Fill it in, or delete the whole row."),
    ),
    "key-repeated": (
        Severity.ERROR,
        Text("同一主键出现两次", "The key comes twice"),
        Text("只保留一行，或改用另一个编号。", "Keep one of the rows, or give one another number."),
    ),
    "number-doubtful": (
        Severity.ERROR,
        Text(
            "数字超过 15 位，Excel 已丢失末尾的数位",
            "A number of more than 15 digits, of which Excel has dropped the last",
        ),
        Text("把单元格设为文本格式，重新输入。", "Format the cell as text and type the value again."),
    ),
    "formula": (
        Severity.ERROR,
        Text("单元格含有公式", "The cell holds a formula"),
        Text("复制后选择性粘贴为数值。", "Copy it and paste its value in its place."),
    ),
    "change-unknown": (
        Severity.ERROR,
        Text("该列只能填撤销，或留空", "This column says revoke, or nothing"),
        Text("留空；新增和修改由系统判断。", "Leave it blank: new and modified records are told apart for you."),
    ),
    "nothing-to-revoke": (
        Severity.ERROR,
        Text("没有可撤销的记录", "There is no record to revoke"),
        Text("核对主键，或删除该行。", "Check the key, or delete the row."),
    ),
    "record-exists": (
        Severity.ERROR,
        Text("已有这一主键的记录", "There is a record of this key already"),
        Text("打开该记录修改，或改用另一个编号。", "Open that record and change it, or give another number."),
    ),
    "record-changed": (
        Severity.ERROR,
        Text("记录在此期间已被他人修改", "Somebody has changed the record meanwhile"),
        Text("重新打开记录后再修改。", "Open the record again and change it then."),
    ),
    "picture-missing": (
        Severity.ERROR,
        Text("没有随附这一名称的图片", "No picture of this name is attached"),
        Text("随附该文件，或填写图片的全路径。", "Attach the file, or give the full path of a picture."),
    ),
    "picture-refused": (
        Severity.ERROR,
        Text("图片不能使用", "The picture cannot be used"),
        Text("另存为较小的 JPEG 或 PNG 后重新上传。", "Save it as a smaller JPEG or PNG and upload it again."),
    ),
    "picture-unused": (
        Severity.WARNING,
        Text("没有单元格使用这个图片", "No cell names this picture"),
        Text("核对图片列中的文件名。", "Check the file names in the columns of pictures."),
    ),
    "file-refused": (
        Severity.ERROR,
        Text("压缩包中的文件不能使用", "A file of the archive cannot be used"),
        Text(
            "压缩包中只放图片，不含文件夹路径、加密或其他压缩包。",
            "Put nothing but pictures into it: no paths upwards, no passwords, no archives.",
        ),
    ),
    "drawing-unread": (
        Severity.WARNING,
        Text("工作表中的图片无法读取", "The pictures within the sheet could not be read"),
        Text(
            "把图片作为文件随附，并在单元格中填写文件名。",
            "Attach the pictures as files and write their names into the cells.",
        ),
    ),
}
