"""The documents of Guangdong's list, and how a hub's answers about them are read."""

from __future__ import annotations

import re
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import orjson
import pytest

from qianzhi import regulators
from qianzhi.errors import ConfigurationError, OperatorError, SpecError
from qianzhi.regulators.guangdong.documents import HubCabinet, open_cabinet
from qianzhi.runtime import clock
from qianzhi.runtime.certificates import own_identity
from qianzhi.specs.paperwork import Kind

# As ch. 3 二 of the access document names them.
RULES = (
    "互联网医院网络架构图、互联网医疗服务管理制度、互联网医院信息系统使用管理制度、互联网医疗质量控制和评价制度、"
    "在线处方管理制度、患者知情与登记制度、在线医疗文书管理制度、在线复诊患者风险评估与突发状况预防处置制度、人员培训考核制度"
)
EMERGENCIES = ("停电", "断网", "设备故障", "网络信息安全")


def test_each_document_of_chapter_3_is_on_the_list() -> None:
    """Every rule and regulation by its name, every emergency, the yearly notice as one PDF of two papers."""
    wanted = {each.title.zh: each for each in regulators.paperwork("guangdong").documents}
    for title in RULES.split("、"):
        assert wanted[title].required
    for emergency in EMERGENCIES:
        assert any(title.startswith(emergency) and title.endswith("应急预案") for title in wanted)
    notice = wanted["年度信息系统安全等级保护任务告知书（回执）及备案证明"]
    assert (notice.yearly, notice.accepts, len(notice.parts)) == (True, (Kind.PDF,), 2)
    assert [each.title.zh for each in wanted.values() if each.yearly] == [notice.title.zh]


def test_the_forms_ask_for_all_that_the_document_asks() -> None:
    """Appendix 1, ①–⑦; the statement of step 5 with ports, users, passwords and the identity."""
    app1 = regulators.paperwork("guangdong").form("app1")
    for number in "①②③④⑤⑥⑦":
        assert any(item.label.zh.startswith(number) for item in app1.items)
    (ports,) = (item for item in app1.items if item.fact == "ports")
    assert ports.of == ("8080", "8877", "28888")
    statement = {item.label.zh for item in regulators.paperwork("guangdong").form("statement").items}
    assert {"机构标识", "数据库端口", "数据库用户", "数据库连接密码", "联调环境VPN用户", "生产环境VPN密码"} <= statement


@pytest.fixture
def edition(tmp_path: Path) -> Iterator[Path]:
    """An imported edition of Guangdong, the same as the shipped one."""
    shipped = Path(str(regulators.folder("guangdong")))
    copied = tmp_path / "guangdong"
    for file in shipped.rglob("*"):
        if file.suffix in {".toml", ".csv"}:
            (copied / file.relative_to(shipped)).parent.mkdir(parents=True, exist_ok=True)
            (copied / file.relative_to(shipped)).write_bytes(file.read_bytes())
    yield copied
    regulators.use(None)


def test_an_imported_edition_may_bring_its_own_list(edition: Path) -> None:
    """Without one, the list of the package stays; a wrong one is refused."""
    (edition / "documents.toml").unlink()
    regulators.use(edition.parent)
    assert len(regulators.paperwork("guangdong").documents) == 16
    (edition / "documents.toml").write_text("documents = []", encoding="utf-8")
    regulators.use(edition.parent)
    assert regulators.paperwork("guangdong").documents == ()
    (edition / "documents.toml").write_text("document = 1", encoding="utf-8")
    regulators.use(edition.parent)
    with pytest.raises(SpecError):
        regulators.paperwork("guangdong")


def test_a_regulator_may_want_no_documents(edition: Path) -> None:
    """Then nobody is asked for any."""
    file = edition / "regulator.toml"
    file.write_text(re.sub(r"capabilities = .*", 'capabilities = ["rows"]', file.read_text("utf-8")), encoding="utf-8")
    regulators.use(edition.parent)
    with pytest.raises(ConfigurationError):
        regulators.paperwork("guangdong")


class Talker(BaseHTTPRequestHandler):
    """Answers every GET with what a test wants."""

    said = b""

    def do_GET(self) -> None:
        """Say it."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.said)))
        self.end_headers()
        self.wfile.write(self.said)

    def log_message(self, *_: object) -> None:
        """Say nothing else."""


@pytest.fixture(scope="module")
def cabinet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubCabinet]:
    """A cabinet whose hub talks nonsense."""
    identity = own_identity(tmp_path_factory.mktemp("tls"), (), now=clock.now())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity.certificate, identity.key)
    with ThreadingHTTPServer(("127.0.0.1", 0), Talker) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        trusted = ssl.create_default_context(cafile=identity.authority)
        opened = open_cabinet(f"https://127.0.0.1:{server.server_address[1]}", lambda: "a.b", trusted)
        yield opened
        opened.close()
        server.shutdown()


REVIEW = {
    "document": "network_diagram",
    "dated_on": "2026-03-01",
    "digest": "00" * 32,
    "received_at": "2026-03-01T00:00:00+00:00",
    "state": "reviewed",
    "reason": "",
    "reviewed_at": "2026-03-01T00:00:00+00:00",
}


@pytest.mark.parametrize(
    "said",
    [
        {"state": "accepted; DROP TABLE"},
        {"digest": "zz"},
        {"received_at": "yesterday"},
        {"reviewed_at": "2026-03-01T00:00:00"},
        {"dated_on": "2026-13-01"},
        {"reason": ["x"]},
        {"document": None},
    ],
)
def test_an_answer_that_makes_no_sense_is_the_operators(cabinet: HubCabinet, said: dict[str, object]) -> None:
    """Nothing of it is believed."""
    Talker.said = orjson.dumps([REVIEW | said])
    with pytest.raises(OperatorError):
        cabinet.reviews()


@pytest.mark.parametrize("said", [b"", b"null", b"{}", b"[1]", b"<html>", b"[" * 100_000, b'[{"publication_id": "x"}]'])
def test_an_answer_that_is_no_list_is_the_operators(cabinet: HubCabinet, said: bytes) -> None:
    """So it is with the list of publications."""
    Talker.said = said
    with pytest.raises(OperatorError):
        cabinet.publications()
    with pytest.raises(OperatorError):
        cabinet.reviews()


def test_a_sound_answer_is_read(cabinet: HubCabinet) -> None:
    """Long reasons are cut."""
    Talker.said = orjson.dumps([REVIEW | {"reason": "长" * 5000}])
    (found,) = cabinet.reviews()
    assert (found.state, len(found.reason)) == ("reviewed", 500)
