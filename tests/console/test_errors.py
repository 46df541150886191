"""Errors are English in the code and Chinese for whoever reads Chinese, whatever they came through."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.console import sayings

from qianzhi.console.text import RECOGNISED_CHARACTERS_MAX, Language, catalogues, entries, told, translations

VALUE = re.compile(r"\{(\w+)\}")
CHINESE = translations(Language.ZH)
SHAPES = {VALUE.sub(sayings.VALUE, text) for text in CHINESE} | set(CHINESE) | {sayings.VALUE}
LIBRARIES = "system.po"  # what the operating system and libraries say
# Two texts of the code in one, as the ledger keeps them: an attempt's outcome, and why a document was returned.
KEPT = {f"{name}: {{}}" for name in ("OperatorError", "RetryableError", "SenderError")} | {
    "The hub answered {} ({}). {}"
}


def missing(said: dict[str, str]) -> dict[str, str]:
    """Those that have no Chinese, neither as a whole nor one clause after the other."""
    return {shape: at for shape, at in said.items() if shape not in SHAPES and not set(shape.split("; ")) <= SHAPES}


def test_every_error_that_a_page_can_show_has_its_chinese() -> None:
    """Whatever is raised in what consoles and workers load, with the clauses that are put into it."""
    said = sayings.said()
    assert len(said) > 400  # the errors were found at all
    assert missing(said) == {}


def test_every_refusal_of_a_hub_has_its_chinese() -> None:
    """Its code and its remedy are shown at the gateway."""
    assert missing(sayings.answered()) == {}


def test_every_wrong_setting_has_its_chinese() -> None:
    """Pages that read the settings name what is wrong with them."""
    assert missing(sayings.settings()) == {}


def test_no_catalogue_has_what_no_error_says() -> None:
    """A text that left the code leaves the catalogue."""
    known = sayings.written() | set(sayings.said()) | KEPT
    known |= {clause for shape in known for clause in shape.split("; ")}
    ours = [file for file in catalogues(Language.ZH) if file.name != LIBRARIES]
    texts = {text for file in ours for text in entries(file, Language.ZH)}
    assert {text for text in texts if text not in known and VALUE.sub(sayings.VALUE, text) not in known} == set()


def test_every_text_with_values_is_recognised() -> None:
    """Each as itself, and by no other's pattern; a name that comes again has the same value."""
    wrong = {}
    for text, translation in CHINESE.items():
        said, wanted = (VALUE.sub(lambda value: f"<{value[1]}>", each) for each in (text, translation))
        if told(said, Language.ZH) != wanted:
            wrong[said] = told(said, Language.ZH)
    assert wrong == {}


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        ("There is an account wang.wei already.", "账号 wang.wei 已存在。"),
        ("The workbook goes beyond a bound: more than 40 sheets.", "工作簿超出限制：超过 40 个工作表。"),
        (
            "The file is not an image that can be carried: its content is not one of PNG, JPEG.",
            "文件不是可用的图片：内容不是 PNG, JPEG 之一。",
        ),
        ("/media/key cannot be read: Permission denied.", "无法读取 /media/key：没有权限。"),
        (
            "/media/key cannot be read: what no library said before.",
            "无法读取 /media/key：what no library said before。",
        ),
        (
            "The page was not read (QueryCanceled, SQLSTATE 57014).",
            "未能读取页面内容（QueryCanceled, SQLSTATE 57014）。",
        ),
        ("OperatorError: The hub answered 403 (suspended).", "监管端答复 403（suspended：机构已停用）。"),
        (
            "The hub answered 409 (as-of-ahead). Set the clock of the sending machine right.",
            "监管端答复 409（as-of-ahead：时钟偏快）。请校准本机时钟。",
        ),
        (
            "The official machine: PostgreSQL at 192.0.2.7:5432 refuses role 'us_pos' and database 'front'.",
            "官方前置机：192.0.2.7:5432 的 PostgreSQL 拒绝账号 'us_pos' 访问数据库 'front'。",
        ),
        (
            (
                "Settings are not right: gateway.health.port in /home/qianzhi.toml: Input should be less than or "
                "equal to 65535; gateway.prot in the environment variable QIANZHI_GATEWAY__PROT is unknown; "
                "did you mean port?."
            ),
            (
                "设置有误：/home/qianzhi.toml 中的 gateway.health.port：应不大于 65535；"
                "环境变量 QIANZHI_GATEWAY__PROT 中的 gateway.prot 不是已知设置；可能应为 port。"
            ),
        ),
        (
            (
                "gateway.whitelist cannot be changed in /home/qianzhi.toml: the environment variable "
                "QIANZHI_GATEWAY__WHITELIST says otherwise."
            ),
            (
                "无法在 /home/qianzhi.toml 中更改 gateway.whitelist："
                "环境变量 QIANZHI_GATEWAY__WHITELIST 另有规定，且优先于该文件。"
            ),
        ),
        ("Name one of: none; set one up in qianzhi.toml.", "可选：无；请在 qianzhi.toml 中设置。"),
        ("Name one of: hub, none.", "可选：hub, none。"),
        ("There is no account none.", "没有账号 none。"),
        ("Nobody says this.", "Nobody says this."),
    ],
)
def test_what_was_english_is_told_in_chinese(english: str, chinese: str) -> None:
    """Values stay as they are, clauses are translated, and English stays English."""
    assert told(english, Language.ZH) == chinese
    assert told(english, Language.EN) == english


def test_a_very_long_text_is_shown_as_it_is() -> None:
    """No page waits for what somebody made endless."""
    endless = f"There is no account {'a' * RECOGNISED_CHARACTERS_MAX}."
    assert told(endless, Language.ZH) == endless


def test_a_text_within_a_text_within_a_text_has_an_end() -> None:
    """Neither does it recurse without one."""
    assert told("The official machine: " * 150, Language.ZH).startswith("官方前置机：官方前置机：")


@given(st.text(alphabet="There is no {}();: .'\\中\n") | st.text())
def test_any_text_can_be_told(text: str) -> None:
    """Whatever a ledger or a hub says."""
    assert told(text, Language.EN) == translations(Language.EN).get(text, text)
    assert isinstance(told(text, Language.ZH), str)
