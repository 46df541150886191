"""The tracks of an MP4 file (ISO/IEC 14496-12): boxes within boxes, of which only the way to the codecs is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from qianzhi.gateway.evidence.source import unsound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qianzhi.gateway.evidence.source import Source

CODECS: Final = {
    "avc1": "H.264",
    "avc3": "H.264",
    "hev1": "H.265",
    "hvc1": "H.265",
    "av01": "AV1",
    "mp4v": "MPEG-4 Visual",
    "vp08": "VP8",
    "vp09": "VP9",
    "mp4a": "AAC",
    "Opus": "Opus",
    "ac-3": "AC-3",
    ".mp3": "MP3",
}
_HEAD, _LARGE_HEAD = 8, 16
_TO_END, _LARGE = 0, 1  # what a size of these means
_HANDLER_AT = 8  # behind version, flags and a reserved word
_FIRST_ENTRY_AT = 8  # behind version, flags and the count of entries
_ENTRY_TYPE_AT = 4
_WORD = 4


def is_mp4(head: bytes) -> bool:
    """Tell whether a file begins like one."""
    return head[_WORD : 2 * _WORD] == b"ftyp"


def tracks(source: Source) -> list[tuple[str, str]]:
    """Return kind (`vide`, `soun`, …) and codec of each track. Raises SenderError for a damaged file."""
    movie = _only(source, 0, source.size, b"moov")
    if movie is None:
        raise unsound("it has no index of its tracks")
    return [
        track
        for name, start, end in _boxes(source, *movie)
        if name == b"trak" and (track := _track(source, start, end)) is not None
    ]


def _track(source: Source, start: int, end: int) -> tuple[str, str] | None:
    media = _only(source, start, end, b"mdia")
    if media is None:
        return None
    handler = _only(source, *media, b"hdlr")
    table = media
    for name in (b"minf", b"stbl", b"stsd"):
        inner = _only(source, *table, name)
        if inner is None:
            return None
        table = inner
    if handler is None:
        return None
    kind = source.at(handler[0] + _HANDLER_AT, _WORD).decode("latin-1")
    entry = source.at(table[0] + _FIRST_ENTRY_AT + _ENTRY_TYPE_AT, _WORD).decode("latin-1")
    return kind, CODECS.get(entry, "unknown")


def _only(source: Source, start: int, end: int, wanted: bytes) -> tuple[int, int] | None:
    """Return where the content of the first box of a name begins and ends."""
    return next(((begin, stop) for name, begin, stop in _boxes(source, start, end) if name == wanted), None)


def _boxes(source: Source, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, begin and end of the content of each box between two places."""
    while end - start >= _HEAD:
        size, name = source.number(start, _WORD), source.at(start + _WORD, _WORD)
        begin = start + _HEAD
        if size == _LARGE:
            size, begin = source.number(start + _HEAD, 2 * _WORD), start + _LARGE_HEAD
        stop = end if size == _TO_END else start + size
        if stop < begin or stop > end:
            raise unsound("its boxes do not fit into each other")
        yield name, begin, stop
        start = stop
