"""Reading what the official console exported."""

from __future__ import annotations

import csv
import io
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qianzhi.errors import SenderError
from qianzhi.gateway.official import export
from qianzhi.runtime import workbooks
from qianzhi.runtime.workbooks import Column, Sheet

if TYPE_CHECKING:
    from pathlib import Path

TEXT = "数据集,卡号,处理结果\n个人基本信息,甲001,成功\n"
ROWS = (("数据集", "卡号", "处理结果"), ("个人基本信息", "甲001", "成功"))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gbk", "gb18030"])
@pytest.mark.parametrize("separator", [",", "\t", ";"])
def test_a_text_is_read_in_any_of_its_encodings(encoding: str, separator: str) -> None:
    """Consoles of Windows write GBK, Excel writes UTF-16 with tabs, others UTF-8."""
    (table,) = export.read(TEXT.replace(",", separator).encode(encoding))
    assert table.rows == ROWS


def test_a_title_above_the_headings_does_not_hide_what_separates_cells() -> None:
    """A console may write its name first."""
    (table,) = export.read(("上传日志\n" + TEXT.replace(",", "\t")).encode("gbk"))
    assert table.rows[1:] == ROWS


def test_a_workbook_is_read_with_its_sheets() -> None:
    """Sheets keep their names, for they may say the dataset."""
    content = workbooks.write([Sheet("个人基本信息", [Column(each) for each in ROWS[0]], ROWS[1:])])
    (table,) = export.read(content)
    assert (table.name, table.rows) == ("个人基本信息", ROWS)


def test_texts_that_were_guarded_against_excel_are_read_as_meant() -> None:
    """`="0123"` is how a CSV keeps a leading nought."""
    (table,) = export.read(b'a,b\n"=""0123""", x \n')
    assert table.rows[1] == ("0123", "x")


@pytest.mark.parametrize(
    "content",
    [
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100),
        b"<html><table><tr><td>1</td></tr></table></html>",
        b"PK\x03\x04 and nothing of a workbook",
        b"a,b\n\x00\x01\x02",
        b"\x81\xff\xfe\xfd",
        b'a,b\n"1,2\n',
    ],
)
def test_what_is_no_export_is_refused_with_a_remedy(content: bytes) -> None:
    """An old workbook, a page of the Web, a broken archive, something else altogether."""
    with pytest.raises(SenderError) as caught:
        export.read(content)
    assert caught.value.remedy


def test_files_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes, rows and columns each have a bound, and the remedy is to export less at once."""
    file = tmp_path / "export.csv"
    file.write_bytes(b"a,b\n" * 100)
    for name, bound in (("FILE_BYTES_MAX", 399), ("ROWS_MAX", 99), ("COLUMNS_MAX", 1)):
        with monkeypatch.context() as patch:
            patch.setattr(export, name, bound)
            with pytest.raises(SenderError, match="beyond a bound"):
                export.read(export.read_file(file))
    assert len(export.read(export.read_file(file))[0].rows) == 100
    with pytest.raises(SenderError, match="cannot be read"):
        export.read_file(tmp_path / "nothing")


CELLS = st.text(st.characters(blacklist_categories=("Cs", "Cc", "Cf"), blacklist_characters="\ufeff"), max_size=8).map(
    str.strip
)


@given(st.lists(st.tuples(CELLS.filter(lambda cell: cell[:1] not in {"=", "<"}), CELLS), min_size=1, max_size=5))
def test_what_was_written_is_what_is_read(rows: list[tuple[str, str]]) -> None:
    """Whatever cells hold, signs of the format among them."""
    written = io.StringIO()
    csv.writer(written).writerows([("heading", "reason"), *(("x" + first, "y" + second) for first, second in rows)])
    (table,) = export.read(written.getvalue().encode())
    assert table.rows[1:] == tuple(("x" + first, "y" + second) for first, second in rows)


@given(st.binary(max_size=200))
def test_no_bytes_end_in_anything_but_tables_or_a_refusal(content: bytes) -> None:
    """Nobody who uploads a file sees a traceback."""
    with suppress(SenderError):
        assert export.read(content)
