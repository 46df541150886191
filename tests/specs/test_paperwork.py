"""What a regulator wants on paper, read from its files."""

from __future__ import annotations

import pytest

from qianzhi.errors import SpecError
from qianzhi.specs.paperwork import Kind, parse_paperwork

DOCUMENTS = """
[[documents]]
key = "notice"
title = { zh = "告知书", en = "Notice" }
source = "document 1"
accepts = ["pdf", "png"]
valid_months = 12
"""
FORMS = """
[[forms]]
key = "app1"
title = { zh = "说明", en = "Statement" }
heading = "{name}说明"
source = "document 1"

[[forms.items]]
key = "name"
label = { zh = "名称", en = "Name" }
"""


def parse(documents: str = DOCUMENTS, forms: str = FORMS) -> object:
    """Parse both files."""
    return parse_paperwork({"documents.toml": documents.encode(), "forms.toml": forms.encode()})


def test_what_is_left_out_has_its_default() -> None:
    """Required, valid without end, no parts; forms are optional."""
    found = parse_paperwork({"documents.toml": DOCUMENTS.replace("valid_months = 12", "").encode()})
    notice = found.document("notice")
    assert (notice.accepts, notice.required, notice.valid_months, notice.yearly) == (
        (Kind.PDF, Kind.PNG),
        True,
        None,
        False,
    )
    assert found.forms == ()


@pytest.mark.parametrize(
    ("documents", "forms", "said"),
    [
        (DOCUMENTS.replace('"png"', '"exe"'), FORMS, "'exe'"),
        (DOCUMENTS.replace("valid_months = 12", "valid_months = 0"), FORMS, "valid_months"),
        (DOCUMENTS.replace('key = "notice"', 'key = "../notice"'), FORMS, "../notice"),
        (DOCUMENTS + DOCUMENTS, FORMS, "comes twice"),
        (DOCUMENTS + "more = 1", FORMS, "more"),
        (DOCUMENTS, FORMS + FORMS, "comes twice"),
        (DOCUMENTS, FORMS + "fact = 3", "fact"),
        (DOCUMENTS, "forms = 3", "forms"),
    ],
)
def test_what_is_wrong_is_named(documents: str, forms: str, said: str) -> None:
    """Kind, number, key, repetition, unknown keys and types."""
    with pytest.raises(SpecError) as raised:
        parse(documents, forms)
    assert said in raised.value.what


def test_a_folder_without_the_list_is_refused() -> None:
    """It says that it wants documents, and not which."""
    with pytest.raises(SpecError):
        parse_paperwork({"forms.toml": FORMS.encode()})
