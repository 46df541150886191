"""Whether a file may be kept as a document: what it really is, and that opening it does nobody any harm."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from qianzhi.errors import SenderError
from qianzhi.runtime import office, pdf
from qianzhi.sealing import images
from qianzhi.specs.model import Text
from qianzhi.specs.paperwork import Kind

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

PAPER_BYTES_MAX: Final = 20 * 2**20
PARTS_MAX: Final = 40
"""Scans that are made into one file at once."""

PARTS_BYTES_MAX: Final = 80 * 2**20

MEDIA_TYPES: Final[Mapping[Kind, str]] = MappingProxyType({
    Kind.PDF: "application/pdf",
    Kind.PNG: "image/png",
    Kind.JPEG: "image/jpeg",
    Kind.DOCX: "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    Kind.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
})  # fmt: skip

_PDF_MARK: Final = b"%PDF-"
_MARK_BYTES_MAX: Final = 1024
"""A reader looks for the mark so far."""


@dataclass(frozen=True, slots=True)
class Paper:
    """A file that may be kept."""

    kind: Kind
    page_count: int  # 1 for what has no pages

    @property
    def media_type(self) -> str:
        """Return the media type that it is kept and sent with."""
        return MEDIA_TYPES[self.kind]


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a file is not kept: a finding about a file, for whoever brought it. `code` is stable."""

    code: str
    what: Text
    remedy: Text

    @property
    def sentence(self) -> str:
        """What is wrong, in both languages."""
        return f"{self.code} {self.what.zh} {self.what.en}"

    @property
    def advice(self) -> str:
        """What to do, in both languages."""
        return f"{self.remedy.zh} {self.remedy.en}"


def examine(content: bytes, accepts: Collection[Kind]) -> Paper | Objection:
    """Look into a file. What it is called and what it was said to be count for nothing."""
    if not content:
        return _OBJECTIONS["empty"]
    if len(content) > PAPER_BYTES_MAX:
        return _OBJECTIONS["large"]
    kind = kind_of(content)
    if kind is None or kind not in accepts:
        return _other_kind(accepts)
    return _examined(content, kind)


def merge(parts: Sequence[bytes]) -> bytes | Objection:
    """Return one PDF of scans (PDF, PNG, JPEG) in their order, each examined before it is opened."""
    if not parts or len(parts) > PARTS_MAX or sum(map(len, parts)) > PARTS_BYTES_MAX:
        return _OBJECTIONS["large" if parts else "empty"]
    for part in parts:
        found = examine(part, (Kind.PDF, Kind.PNG, Kind.JPEG))
        if isinstance(found, Objection):
            return found
    made = pdf.merge(parts)
    return _OBJECTIONS["heavy"] if made is None else made


def kind_of(content: bytes) -> Kind | None:
    """Return what a file seems to be by its first bytes; nothing else of it is looked at."""
    if _PDF_MARK in content[:_MARK_BYTES_MAX]:
        return Kind.PDF
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return Kind.PNG
    if content.startswith(b"\xff\xd8\xff"):
        return Kind.JPEG
    if content.startswith(b"PK\x03\x04"):
        found = office.kind_of(content)
        return Kind(found) if found else None
    return None


def _examined(content: bytes, kind: Kind) -> Paper | Objection:
    match kind:
        case Kind.PDF:
            looked = pdf.look(content)
            return _OBJECTIONS[looked.trouble] if looked.trouble else Paper(kind, looked.page_count)
        case Kind.DOCX | Kind.XLSX:
            trouble = office.trouble_of(content)
            return _OBJECTIONS[trouble] if trouble else Paper(kind, 1)
        case _:
            return _image(content, kind)


def _image(content: bytes, kind: Kind) -> Paper | Objection:
    try:
        found = images.media_type(content)
    except SenderError:
        return _OBJECTIONS["damaged"]
    # A file may be a picture to one reader and a page or an archive to another.
    both = b"<script" in content.lower() or _PDF_MARK in content[:_MARK_BYTES_MAX]
    return Paper(kind, 1) if found == MEDIA_TYPES[kind] and not both else _OBJECTIONS["damaged"]


def _other_kind(accepts: Collection[Kind]) -> Objection:
    names = ", ".join(each.value.upper() for each in Kind if each in accepts)
    return Objection(
        "P03",
        Text(f"文件不是所要求的类型（{names}）。", f"The file is none of the kinds asked for ({names})."),
        Text("另存为所要求的类型后重新上传。", "Save it as one of them and upload it again."),
    )


_PRINT_AGAIN: Final = Text(
    "打开原件，重新打印或另存为 PDF 后上传。", "Open the original, print it to a PDF again, and upload that."
)
_REASONS: Final = {  # code, and what is wrong
    "large": (
        "P01",
        f"文件超过 {PAPER_BYTES_MAX // 2**20} MB。",
        f"The file is larger than {PAPER_BYTES_MAX // 2**20} MB.",
    ),
    "empty": ("P02", "文件没有内容。", "The file holds nothing."),
    "damaged": ("P04", "文件已损坏，无法读取。", "The file is damaged and cannot be read."),
    "encrypted": ("P05", "文件已加密或设置了权限密码。", "The file is encrypted, or protected by a password."),
    "active": (
        "P06",
        "文件含有脚本、宏或自动执行的动作。",
        "The file holds a script, a macro, or what runs by itself.",
    ),
    "carrying": ("P07", "文件内嵌了其他文件。", "The file carries other files within."),
    "heavy": ("P08", "文件过于复杂，超出可检查的范围。", "The file is more complicated than what can be examined."),
}
_REMEDIES: Final = {
    "large": Text("降低扫描分辨率后重新上传。", "Scan it at a lower resolution."),
    "empty": Text("重新选择文件。", "Choose the file again."),
    "encrypted": Text("取消密码后重新上传。", "Remove the password and upload it again."),
}
_OBJECTIONS: Final[Mapping[str, Objection]] = MappingProxyType(
    {
        word: Objection(code, Text(zh, en), _REMEDIES.get(word, _PRINT_AGAIN))
        for word, (code, zh, en) in _REASONS.items()
    }
)
