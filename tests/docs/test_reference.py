"""The reference says what the product says."""

from __future__ import annotations

import pytest
from tests.docs.pages import DOCS, READMES, generator, headings, text_of

from qianzhi import regulators
from qianzhi.runtime.reference import every_setting


def test_no_generated_page_is_stale() -> None:
    """Whoever changes the product runs `make docs`."""
    assert generator().stale() == []


def test_every_setting_has_its_heading() -> None:
    """A setting that cannot be looked up is not there."""
    known = set(headings(DOCS / "reference/settings.md"))

    assert [entry.name for entry in every_setting() if f"`{entry.name}`" not in known] == []


def test_every_command_has_its_heading() -> None:
    """A command that cannot be looked up is not there; those of the product's own processes stay hidden."""
    known = set(headings(DOCS / "reference/cli.md"))
    names = [name for name, _ in generator().commands()]

    assert "qianzhi gateway cycle" in names
    assert "qianzhi gateway worker" not in names
    assert [name for name in names if name not in known] == []


@pytest.mark.parametrize("key", regulators.discover())
def test_every_dataset_rule_reference_and_code_system_has_its_heading(key: str) -> None:
    """A finding's code leads to what it means."""
    regulator = regulators.regulator(key)
    known = set(headings(DOCS / f"reference/regulators/{key}.md"))
    wanted = [
        *(dataset.name for dataset in regulator.datasets),
        *(f"{dataset.name} {rule.code}" for dataset in regulator.datasets for rule in dataset.rules),
        *(
            f"{dataset.name} {reference.code} → {reference.to} ({reference.blamed})"
            for dataset in regulator.datasets
            for reference in dataset.references
        ),
        *regulator.codes,
    ]

    assert [heading for heading in wanted if heading not in known] == []


def test_every_structural_code_has_its_heading() -> None:
    """Codes that stand in no regulator's file are explained too."""
    said = " ".join(headings(DOCS / "reference/findings.md"))

    assert [code for code in ("V01", "V02", "V03", "V11", "V12", "Q01") if code not in said] == []


def test_the_readmes_count_right() -> None:
    """What the first page claims of the first regulator is so."""
    datasets = regulators.regulator("guangdong").datasets
    counts = [len(datasets), *(sum(len(getattr(each, part)) for each in datasets) for part in ("fields", "rules"))]
    english, chinese = map(text_of, READMES)

    assert "{} datasets, {} fields, {} rules".format(*counts) in english
    assert "{} 个数据集、{} 个数据元、{} 条规则".format(*counts) in chinese
