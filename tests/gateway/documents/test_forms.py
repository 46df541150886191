"""Forms that fill themselves in."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from qianzhi.errors import ConfigurationError
from qianzhi.gateway import assembly
from qianzhi.gateway.documents.facts import RECORD, facts
from qianzhi.gateway.documents.forms import WITHHELD, FormFile, fill, make
from qianzhi.regulators import paperwork, regulator
from qianzhi.runtime import workbooks
from qianzhi.runtime.files import write_durably
from qianzhi.runtime.home import End, Home
from qianzhi.runtime.settings import Settings
from qianzhi.runtime.sources import write_settings
from qianzhi.specs.model import Text
from qianzhi.specs.paperwork import Item

PAPERWORK = paperwork("guangdong")
APP1, STATEMENT = PAPERWORK.form("app1"), PAPERWORK.form("statement")
NAME = "演示医院<b>&\"'"


@pytest.fixture
def settings(home: Home) -> Settings:
    """A gateway that was set up, and whose PostgreSQL does not run."""
    for role in ("us_pos", "qianzhi_gateway"):
        write_durably(home.end(End.GATEWAY).credentials / role, b"pass-of-" + role.encode())
    at = "gateway.destinations.hub"
    return write_settings(
        home,
        {
            f"{at}.regulator": "guangdong",
            f"{at}.url": "https://127.0.0.1:9",
            "gateway.institution": "440000000000000001",
            "gateway.whitelist": ("192.0.2.0/24",),
            "gateway.images.photos.prefix": "D:\\photos",
            "gateway.images.photos.folder": "photos",
        },
    )


def test_every_fact_of_a_form_is_known(home: Home, settings: Settings) -> None:
    """A form that asks for what nobody knows is a mistake in the regulator's folder."""
    wanted = {item.fact for form in PAPERWORK.forms for item in form.items if item.fact}
    assert wanted <= facts(home, settings, "guangdong").keys()


def test_the_form_of_appendix_1_knows_this_machine(home: Home, settings: Settings) -> None:
    """Deployment, networks, folder and ports come from here; what only people know is said to be blank."""
    filled = fill(APP1, facts(home, settings, "guangdong"), {"institution_name": "演示医院"})
    assert filled.heading == "演示医院互联网医院前置机情况说明"
    assert filled.values["deployment"] == "前置服务、数据库一体式"
    assert filled.values["whitelist"] == "192.0.2.0/24"
    assert filled.values["data_folder"] == str(home.path)
    assert "核" in filled.values["hardware"]
    assert [part[:4] for part in filled.values["ports"].split("、")] == ["8080", "8877", "2888"]
    assert filled.missing == ("connection", "connection_user", "server_port", "server_user", "credit_code")


def test_a_port_that_is_taken_is_said_to_be(home: Home, settings: Settings) -> None:
    """Whoever listens there; the console of the front machine itself is in nobody's way."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        asked = Item("ports", Text("端口", "ports"), fact="ports", of=(str(port), "9"))
        assert facts(home, settings, "guangdong")["ports"](asked) == f"{port}已占用、9未占用"
        gateway = settings.gateway
        ours = gateway.model_copy(update={"console": gateway.console.model_copy(update={"port": port})})
        known = facts(home, settings.model_copy(update={"gateway": ours}), "guangdong")
        assert known["ports"](asked) == f"{port}由前置机控制台使用、9未占用"


def test_a_heading_without_its_name_leaves_a_line_to_write_on(home: Home, settings: Settings) -> None:
    """Not a gap that pushes the words aside."""
    filled = fill(APP1, facts(home, settings, "guangdong"), {})
    assert filled.heading == "____________互联网医院前置机情况说明"


def test_the_statement_says_what_a_vendor_needs(home: Home, settings: Settings) -> None:
    """Port, user, identity; the password only where somebody asks for it."""
    known = facts(home, settings, "guangdong")
    known["health"] = lambda _: "正常"
    plain = fill(STATEMENT, known, {})
    assert plain.values["database_port"] == "5432"
    assert plain.values["database_user"] == "us_pos"
    assert plain.values["institution_code"] == "440000000000000001"
    assert plain.values["images"].startswith("D:\\photos → ")
    assert plain.values["database_password"] == WITHHELD
    told = fill(STATEMENT, known, {}, with_secrets=True)
    secret = assembly.password_file(home, "us_pos").read_text(encoding="utf-8")
    assert told.values["database_password"] == secret
    assert (plain.revealed, told.revealed) == ((), ("database_password",))
    assert fill(STATEMENT, known, {"database_password": "x"}, with_secrets=True).revealed == ()
    assert secret.encode() not in make(plain, FormFile.HTML)


def test_a_fact_of_a_record_names_a_field_that_people_keep() -> None:
    """Of a dataset that is kept by form, so that the console has its record."""
    named = [item.of for form in PAPERWORK.forms for item in form.items if item.fact == RECORD]
    kept = {each.name: each for each in regulator("guangdong").datasets if each.resource is not None}
    assert named == [("institution", "STYYMC"), ("institution", "JGMC")]
    assert all(kept[dataset].field(field) for dataset, field in named)


def test_a_database_apart_is_said_to_be(home: Home, settings: Settings) -> None:
    """Two servers, as the document allows."""
    apart = write_settings(home, {"gateway.database.dsn": "postgresql://owner@db.example:5433/hospital"})
    filled = fill(APP1, facts(home, apart, "guangdong"), {})
    assert (filled.values["deployment"], filled.values["server_purpose"]) == ("前置服务、数据库分离式", "前置服务")
    known = facts(home, apart, "guangdong")
    known["health"] = lambda _: ""
    said = fill(STATEMENT, known, {}).values
    assert (said["database_address"], said["database_port"]) == ("db.example", "5433")


def test_a_page_is_whole_in_itself_and_holds_no_script(home: Home, settings: Settings) -> None:
    """Printed by any browser, offline; whatever was answered is text; secrets answered are printed."""
    answers = {"institution_name": NAME, "connection": "VPN", "connection_password": "pw"}
    page = make(fill(APP1, facts(home, settings, "guangdong"), answers), FormFile.HTML).decode()
    assert "演示医院&lt;b&gt;&amp;&quot;&#x27;" in page
    assert "<b>" not in page
    assert "<script" not in page
    assert "src=" not in page
    assert "http://" not in page
    assert "https://" not in page
    assert "default-src 'none'" in page
    assert "医疗机构（盖章）" in page
    assert page.count("<tr>") == len(APP1.items)


def test_a_workbook_has_the_same_lines(home: Home, settings: Settings) -> None:
    """And no formula, whatever was answered."""
    answers = {"institution_name": "=cmd|'/c calc'!A1"}
    table = workbooks.read(make(fill(APP1, facts(home, settings, "guangdong"), answers), FormFile.XLSX))[0]
    assert [row[0] for row in table.rows[1:]] == [item.label.zh for item in APP1.items]
    assert table.rows[1][1] == "=cmd|'/c calc'!A1"


@pytest.mark.parametrize("answers", [{"nothing": "x"}, {"connection": "telepathy"}, {"credit_code": "x" * 2001}])
def test_an_answer_that_does_not_fit_is_a_mistake(home: Home, settings: Settings, answers: dict[str, str]) -> None:
    """Unknown item, none of the choices, too long; the remedy names what fits."""
    with pytest.raises(ConfigurationError):
        fill(APP1, facts(home, settings, "guangdong"), answers)


def test_a_form_may_be_printed_anywhere(home: Home, settings: Settings, tmp_path: Path) -> None:
    """The file is UTF-8 and says so."""
    file = tmp_path / "a.html"
    file.write_bytes(make(fill(APP1, facts(home, settings, "guangdong"), {}), FormFile.HTML))
    assert '<meta charset="utf-8">' in file.read_text(encoding="utf-8")
