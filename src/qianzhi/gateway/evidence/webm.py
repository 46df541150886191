"""The tracks of a WebM file (EBML, RFC 8794 and RFC 9559): elements within elements, up to the first cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from qianzhi.gateway.evidence.source import unsound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qianzhi.gateway.evidence.source import Source

CODECS: Final = {
    "V_VP8": "VP8",
    "V_VP9": "VP9",
    "V_AV1": "AV1",
    "A_VORBIS": "Vorbis",
    "A_OPUS": "Opus",
}
KINDS: Final = {1: "vide", 2: "soun"}
_EBML, _DOC_TYPE = 0x1A45DFA3, 0x4282
_SEGMENT, _CLUSTER, _TRACKS = 0x18538067, 0x1F43B675, 0x1654AE6B
_ENTRY, _TYPE, _CODEC = 0xAE, 0x83, 0x86
_ID_BYTES_MAX, _SIZE_BYTES_MAX, _TEXT_BYTES_MAX = 4, 8, 64


def is_webm(head: bytes) -> bool:
    """Tell whether a file begins like one."""
    return head.startswith(_EBML.to_bytes(4, "big"))


def tracks(source: Source) -> list[tuple[str, str]]:
    """Return kind and codec of each track. Raises SenderError for a damaged file, or Matroska that is no WebM."""
    top = _elements(source, 0, source.size)
    _, begin, end = next(top)
    kinds = [_text(source, start, stop) for name, start, stop in _elements(source, begin, end) if name == _DOC_TYPE]
    if kinds != ["webm"]:
        raise unsound("it is Matroska, but not WebM")
    for name, start, stop in top:
        if name == _SEGMENT:
            return list(_tracks(source, start, stop))
    raise unsound("it holds no recording")


def _tracks(source: Source, start: int, end: int) -> Iterator[tuple[str, str]]:
    for name, begin, stop in _elements(source, start, end):
        if name == _CLUSTER:
            return
        if name == _TRACKS:
            for entry, first, last in _elements(source, begin, stop):
                if entry == _ENTRY:
                    yield _track(source, first, last)


def _track(source: Source, start: int, end: int) -> tuple[str, str]:
    kind, codec = "", "unknown"
    for name, begin, stop in _elements(source, start, end):
        if name == _TYPE and stop - begin == 1:
            kind = KINDS.get(source.number(begin, 1), "")
        elif name == _CODEC:
            codec = CODECS.get(_text(source, begin, stop), "unknown")
    return kind, codec


def _elements(source: Source, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield id, begin and end of each element; one of unknown size, as a live recording writes it, goes to the end."""
    while start < end:
        name, at = _vint(source, start, _ID_BYTES_MAX, keep_marker=True)
        size, begin = _vint(source, at, _SIZE_BYTES_MAX, keep_marker=False)
        stop = end if size is None else begin + size
        if name is None or stop > end:
            raise unsound("its elements do not fit into each other")
        yield name, begin, stop
        start = stop


def _vint(source: Source, at: int, bytes_max: int, *, keep_marker: bool) -> tuple[int | None, int]:
    """Return a number of variable length and the place behind it; None where all its bits are set."""
    first = source.number(at, 1)
    length = 9 - first.bit_length()
    if length > bytes_max:
        raise unsound("its elements have no sound heads")
    number = source.number(at, length)
    bits = 7 * length
    value = number & ((1 << bits) - 1)
    if value == (1 << bits) - 1:
        return None, at + length
    return (number if keep_marker else value), at + length


def _text(source: Source, start: int, stop: int) -> str:
    if stop - start > _TEXT_BYTES_MAX:
        raise unsound("a name in it is too long")
    return source.at(start, stop - start).rstrip(b"\0").decode("latin-1")
