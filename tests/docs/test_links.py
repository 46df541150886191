"""Links lead somewhere."""

from __future__ import annotations

from tests.docs.pages import DOCS, ROOT, anchors, every_page, links, text_of


def test_every_relative_link_leads_to_a_file() -> None:
    """A page that was moved takes its links along."""
    broken = [
        f"{page.relative_to(ROOT)}: {file}"
        for page in every_page()
        for file, _ in links(page)
        if file and not (page.parent / file).exists()
    ]
    assert broken == []


def test_every_anchor_is_a_heading() -> None:
    """A heading that was reworded takes the links to it along."""
    known = {page.resolve(): anchors(page) for page in every_page()}
    broken = [
        f"{page.relative_to(ROOT)}: {file}#{anchor}"
        for page in every_page()
        for file, anchor in links(page)
        if anchor and anchor not in known.get((page.parent / file).resolve() if file else page.resolve(), set())
    ]
    assert broken == []


def test_every_page_is_found_from_the_index() -> None:
    """What nobody links to, nobody reads."""
    index = text_of(DOCS / "index.md")
    pages = [page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md") if page.name != "index.md"]

    assert [page for page in pages if f"({page})" not in index] == []
