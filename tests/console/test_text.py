"""Every text has its English, and says the same with the same placeholders."""

from __future__ import annotations

import ast
import re
from collections import defaultdict

import pytest
from tests.architecture.tree import modules, parsed, shown

from qianzhi.console.text import Language, _, catalogues, entries, speaking, translations

PLACEHOLDER = re.compile(r"\{(\w*)[^}]*\}")
ENGLISH = Language.EN
LIBRARIES = "system.po"
CHINESE_CHARACTER = re.compile(r"[\u4e00-\u9fff]")


def used() -> dict[str, str]:
    """The texts that the code marks, and where."""
    found: dict[str, str] = {}
    for path in modules():
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"_", "mark"}:
                said = node.args[0]
                if isinstance(said, ast.Constant):
                    found[str(said.value)] = f"{shown(path)}:{node.lineno}"
    return found


def test_every_text_has_its_english() -> None:
    """What the code says in Chinese stands in a catalogue."""
    assert {text: at for text, at in used().items() if text not in translations(ENGLISH)} == {}


def test_no_catalogue_has_what_nobody_says() -> None:
    """A text that left the code leaves the catalogue."""
    assert set(translations(ENGLISH)) - set(used()) == set()


def test_no_two_catalogues_disagree() -> None:
    """Two parts may need the same word; one language then has one translation of it."""
    for language in Language:
        said: dict[str, set[str]] = defaultdict(set)
        for file in catalogues(language):
            for text, translated in entries(file, language).items():
                said[text].add(translated)
        assert {text: found for text, found in said.items() if len(found) > 1} == {}


@pytest.mark.parametrize("language", list(Language))
def test_translations_have_the_same_placeholders(language: Language) -> None:
    """What is put into a text is put into its translation; only of what libraries say something may be left out."""
    for file in catalogues(language):
        for text, said in entries(file, language).items():
            given, taken = (sorted(PLACEHOLDER.findall(each)) for each in (text, said))
            assert given == taken or (file.name == LIBRARIES and not taken), text


def test_english_is_no_chinese() -> None:
    """No translation was forgotten half way."""
    assert [text for text in translations(ENGLISH).values() if CHINESE_CHARACTER.search(text)] == []


def test_the_visitor_s_language_is_spoken() -> None:
    """Chinese unless English is chosen; what nobody translated stays as it is."""
    assert _("登录") == "登录"
    with speaking(ENGLISH):
        assert (_("登录"), _("没有人翻译过")) == ("Sign in", "没有人翻译过")
    assert _("登录") == "登录"
