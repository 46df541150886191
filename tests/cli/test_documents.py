"""`qianzhi gateway documents`, `form` and `specs export`, as people type them."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from tests.cli.conftest import ask, call
from tests.runtime import papers as made
from typer.testing import CliRunner

from qianzhi.cli import app
from qianzhi.errors import ConfigurationError, QianzhiError, RetryableError, SenderError
from qianzhi.runtime import workbooks
from qianzhi.runtime.home import Home
from qianzhi.runtime.sources import load_settings

NOTICE = "protection_level_notice"


def write(folder: Path, name: str, content: bytes) -> str:
    """Put a file into a folder."""
    file = folder / name
    file.write_bytes(content)
    return str(file)


def test_a_document_is_added_and_listed(home: Path, tmp_path: Path) -> None:
    """Exit code 1 as long as something is to be done; scans become one PDF; the file can be had back."""
    listed = ask(home, "gateway", "documents", "list", code=1)
    assert {line["state"] for line in listed} == {"missing"}
    scans = [write(tmp_path, "a.jpg", made.image("JPEG")), write(tmp_path, "b.pdf", made.pdf())]
    added = ask(home, "gateway", "documents", "add", NOTICE, *scans, "--dated", "2026-11-01")
    assert (added["pages"], added["dated_on"], added["step"]) == (2, "2026-11-01", None)
    line = next(each for each in ask(home, "gateway", "documents", "list", code=1) if each["document"] == NOTICE)
    assert (line["state"], line["expires_on"], line["accepts"]) == ("present", "2027-11-01", ["pdf"])
    assert "已上传，待提交" in call(home, "gateway", "documents", "list").output
    assert "present" in call(home, "gateway", "documents", "list", "--language", "en").output
    saved = tmp_path / "saved.pdf"
    assert call(home, "gateway", "documents", "save", NOTICE, "--output", str(saved)).exit_code == 0
    assert saved.read_bytes().startswith(b"%PDF")
    (version,) = ask(home, "gateway", "documents", "versions", NOTICE)
    assert version["digest"] == added["digest"]


def test_what_cannot_be_done_is_an_error_with_a_remedy(home: Path, tmp_path: Path) -> None:
    """A file that must not be kept, a document nobody asks for, a hub that is away, a state that is not ours to say."""
    bad = write(tmp_path, "bad.pdf", made.hidden_pdf(b"<</S/Launch>>"))
    for kind, words in (
        (SenderError, ("add", NOTICE, bad)),
        (ConfigurationError, ("add", "nothing", bad)),
        (ConfigurationError, ("versions", "nothing")),
        (ConfigurationError, ("record", NOTICE, "reviewed")),
        (ConfigurationError, ("fetch", "00000000-0000-0000-0000-000000000000")),
        (RetryableError, ("sync",)),
    ):
        raised = call(home, "gateway", "documents", *words).exception
        assert isinstance(raised, QianzhiError)
        assert isinstance(raised, kind), words
        assert raised.remedy
    assert call(home, "gateway", "documents", "record", NOTICE, "burnt").exit_code == 2
    assert call(home, "gateway", "documents", "save", "network_diagram").exit_code == 2
    assert ask(home, "gateway", "documents", "files") == []


def test_a_form_is_filled_in(home: Path, tmp_path: Path) -> None:
    """From answers on the command line and in a file; what is blank is said; an unknown form or kind is a mistake."""
    answers = tmp_path / "answers.toml"
    answers.write_text('credit_code = "12440000000000000X"\n', encoding="utf-8")
    page = tmp_path / "app1.html"
    words = ("--output", str(page), "--answers", str(answers), "--answer", "institution_name=演示医院")
    told = ask(home, "gateway", "form", "app1", *words)
    assert "credit_code" not in told["missing"]
    assert "connection" in told["missing"]
    assert "演示医院互联网医院前置机情况说明" in page.read_text(encoding="utf-8")
    assert "12440000000000000X" in page.read_text(encoding="utf-8")
    assert page.stat().st_mode & 0o077 == 0
    for wrong in (("app9", "--output", str(page)), ("app1", "--output", "a.docx")):
        assert call(home, "gateway", "form", *wrong).exit_code == 2
    assert call(home, "gateway", "form", "app1", "--output", str(page), "--answer", "x").exit_code == 2


def test_the_statement_of_a_deployment(home: Path, tmp_path: Path) -> None:
    """With the result of the doctor; the password only when asked for: the one that works, and it is audited."""
    book = tmp_path / "statement.xlsx"
    assert call(home, "gateway", "form", "statement", "--output", str(book)).exit_code == 0
    rows = {row[0]: row[1] for row in workbooks.read(book.read_bytes())[0].rows}
    assert rows["数据库连接密码"] == "（另行告知）"
    assert rows["机构标识"] == "440000000000000001"
    assert "项" in rows["部署检查结果"]
    assert call(home, "gateway", "form", "statement", "--output", str(book), "--with-secrets").exit_code == 0
    told = {row[0]: row[1] for row in workbooks.read(book.read_bytes())[0].rows}["数据库连接密码"]
    assert told in call(home, "gateway", "dsn").output
    with psycopg.connect(str(load_settings(Home(home)).gateway.database.dsn)) as session:
        noted = session.execute("SELECT subject, detail FROM qianzhi.audit WHERE event LIKE 'documents:%'").fetchall()
    assert noted == [("前置机部署完成说明", {"items": ["database_password"]})]


def test_the_specification_as_a_workbook(tmp_path: Path) -> None:
    """Without a gateway, for whoever writes a HIS."""
    book = tmp_path / "spec.xlsx"
    words = ["specs", "export", "guangdong", "--format", "xlsx", "--output", str(book)]
    assert CliRunner().invoke(app, words).exit_code == 0
    assert workbooks.read(book.read_bytes())[0].name == "说明"


@pytest.mark.parametrize("words", [("nowhere",), ("guangdong", "--format", "docx")])
def test_an_unknown_specification_is_a_mistake(tmp_path: Path, words: tuple[str, ...]) -> None:
    """Exit code 2, with what is known."""
    called = CliRunner().invoke(app, ["specs", "export", *words, "--output", str(tmp_path / "a.xlsx")])
    assert called.exit_code == 2
