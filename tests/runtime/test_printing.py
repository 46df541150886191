"""Pages to print hold what they are given as text."""

from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from qianzhi.runtime.printing import CELL_CHARACTERS_MAX, Page, html

# What HTML itself cannot tell apart, or takes for another sign.
SIGNS = st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"))


class Reader(HTMLParser):
    """Collects the tags of a page and the texts of its cells."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.cells: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag, and begin a cell; nothing is fetched from anywhere."""
        assert not {"src", "href", "action"} & {name for name, _ in attrs}
        self.tags.append(tag)
        if tag == "td":
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        """Add to the cell at hand."""
        if self.tags[-1:] == ["td"]:
            self.cells[-1] += data


def read(page: Page) -> Reader:
    """Read a page as a browser does."""
    reader = Reader()
    reader.feed(html(page).decode())
    reader.close()
    return reader


@given(st.lists(st.text(SIGNS, min_size=1, max_size=30), min_size=1, max_size=4))
def test_values_are_text(values: list[str]) -> None:
    """Whatever signs of HTML stand in them, no tag comes out, and they read as they were given."""
    reader = read(Page("x", [("label", value) for value in values]))
    assert reader.tags.count("td") == len(values)
    assert set(reader.tags) <= {"html", "head", "meta", "title", "style", "body", "h1", "table", "tr", "th", "td"}
    assert [cell.strip() for cell in reader.cells] == [value.strip() for value in values]


def test_a_page_says_whose_stamp_it_wants() -> None:
    """With a day, or room for one; without a stamp nothing is asked for."""
    assert "医疗机构（盖章）" in html(Page("x", stamp="医疗机构")).decode()
    assert "日期：　　　　年" in html(Page("x", stamp="医疗机构")).decode()
    assert "2026年" in html(Page("x", stamp="平台", day="2026年11月20日")).decode()
    assert "盖章" not in html(Page("x")).decode()


def test_a_cell_is_bounded() -> None:
    """Nobody prints a book in a cell."""
    assert read(Page("x", [("a", "长" * 10_000)])).cells[0].strip() == "长" * CELL_CHARACTERS_MAX
