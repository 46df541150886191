"""Papers that are shown: PNG and PDF."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from qianzhi.gateway.evidence.source import unsound
from qianzhi.sealing.images import IMAGE_BYTES_MAX, media_type

if TYPE_CHECKING:
    from qianzhi.gateway.evidence.source import Source

PDF_BYTES_MAX: Final = 20 * 2**20
_END_WITHIN_BYTES: Final = 2048
# What runs, opens or hides something. Streams are left out: their bytes may look like anything.
_BEGIN, _END = b"stream", b"endstream"
_ESCAPED = re.compile(rb"#([0-9A-Fa-f]{2})")
_ACTIVE = re.compile(rb"/(JavaScript|JS|Launch|EmbeddedFiles?|RichMedia|XFA|SubmitForm|ImportData)(?![0-9A-Za-z])")
_LOCKED = re.compile(rb"/Encrypt(?![0-9A-Za-z])")


def is_png(head: bytes) -> bool:
    """Tell whether a file begins like one."""
    return head.startswith(b"\x89PNG\r\n\x1a\n")


def is_pdf(head: bytes) -> bool:
    """Tell whether a file begins like one."""
    return head.startswith(b"%PDF-")


def look_at_png(source: Source) -> None:
    """Raise SenderError unless it is a whole picture of a size that a paper has."""
    if source.size > IMAGE_BYTES_MAX:
        raise unsound(f"it is larger than {IMAGE_BYTES_MAX // 2**20} MiB")
    if media_type(source.head(source.size)) != "image/png":
        raise unsound("it is not what it begins like")


def look_at_pdf(source: Source) -> None:
    """Raise SenderError for what is cut off, locked by a password, or does more than be read."""
    if source.size > PDF_BYTES_MAX:
        raise unsound(f"it is larger than {PDF_BYTES_MAX // 2**20} MiB")
    if b"%%EOF" not in source.tail(_END_WITHIN_BYTES):
        raise unsound("it ends too early")
    said = _ESCAPED.sub(lambda found: bytes([int(found[1], 16)]), _without_streams(source.head(source.size)))
    if _LOCKED.search(said):
        raise unsound("it is encrypted")
    if _ACTIVE.search(said):
        raise unsound("it holds a script, another file, or an action that starts something")


def _without_streams(content: bytes) -> bytes:
    """Return what stands between the streams; a stream without an end hides nothing."""
    kept, at = [], 0
    while (begin := content.find(_BEGIN, at)) >= 0 and (end := content.find(_END, begin + len(_BEGIN))) >= 0:
        kept.append(content[at:begin])
        at = end + len(_END)
    return b" ".join([*kept, content[at:]])
