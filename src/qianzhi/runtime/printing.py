"""
Pages that people print, stamp and send: one self-contained HTML file of A4 size, without script or outside address.

Whatever stands in a value is text.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

MEDIA_TYPE: Final = "text/html; charset=utf-8"
CELL_CHARACTERS_MAX: Final = 4000

_STYLE: Final = """
@page { size: A4; margin: 22mm 20mm; }
body { font: 12pt/1.7 "SimSun", "Songti SC", "Noto Serif CJK SC", serif; color: #000; }
body { max-width: 170mm; margin: 0 auto; }
h1 { font-size: 19pt; text-align: center; margin: 10mm 0 8mm; }
p { margin: 0 0 4mm; }
table { border-collapse: collapse; width: 100%; }
th, td { border: 1px solid #000; padding: 2mm 3mm; text-align: left; vertical-align: top; overflow-wrap: anywhere; }
th { width: 38%; font-weight: normal; background: #f2f2f2; }
td { white-space: pre-line; min-height: 8mm; }
tr { break-inside: avoid; }
.stamp { margin-top: 16mm; margin-left: auto; width: 80mm; break-inside: avoid; }
.small { margin-top: 10mm; font-size: 9pt; color: #333; overflow-wrap: anywhere; }
"""
_HEAD: Final = (
    '<!doctype html>\n<html lang="zh-CN">\n<head>\n<meta charset="utf-8">\n'
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
)


@dataclass(frozen=True, slots=True)
class Page:
    """What is printed: a heading, sentences, lines of label and value, and whose stamp it wants."""

    heading: str
    lines: Sequence[tuple[str, str]] = ()
    sentences: Sequence[str] = ()
    stamp: str = ""
    day: str = ""  # blank: to be written by hand
    small: Sequence[str] = ()


def html(page: Page) -> bytes:
    """Return the page as a file."""
    title = _text(page.heading)
    parts = [f"{_HEAD}<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"]
    parts += [f"<p>{_text(sentence)}</p>\n" for sentence in page.sentences]
    if page.lines:
        rows = (f"<tr><th>{_text(label)}</th><td>{_text(value)}</td></tr>\n" for label, value in page.lines)
        parts.append(f"<table>\n{''.join(rows)}</table>\n")
    if page.stamp:
        day = _text(page.day) or "　　　　年　　月　　日"
        parts.append(f'<div class="stamp"><p>{_text(page.stamp)}（盖章）：</p><p>日期：{day}</p></div>\n')
    parts += [f'<p class="small">{_text(remark)}</p>\n' for remark in page.small]
    return "".join([*parts, "</body>\n</html>\n"]).encode()


def _text(value: str) -> str:
    return escape(value[:CELL_CHARACTERS_MAX])
