"""The streams of an Ogg file (RFC 3533): each begins with a page that names its codec."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from qianzhi.gateway.evidence.source import unsound

if TYPE_CHECKING:
    from qianzhi.gateway.evidence.source import Source

STREAMS_MAX: Final = 16
_CAPTURE: Final = b"OggS"
_HEAD: Final = 27
_FLAGS_AT, _COUNT_AT, _BEGINS = 5, 26, 0x02
# What the first packet of a stream begins with.
_CODECS: Final = (
    (b"\x80theora", "vide", "Theora"),
    (b"\x01vorbis", "soun", "Vorbis"),
    (b"OpusHead", "soun", "Opus"),
    (b"Speex   ", "soun", "Speex"),
    (b"\x7fFLAC", "soun", "FLAC"),
    (b"fishead\0", "", ""),  # a directory of the others
)
_MARK_BYTES: Final = max(len(mark) for mark, _, _ in _CODECS)


def is_ogg(head: bytes) -> bool:
    """Tell whether a file begins like one."""
    return head.startswith(_CAPTURE)


def tracks(source: Source) -> list[tuple[str, str]]:
    """Return kind and codec of each stream. Raises SenderError for a damaged file."""
    found: list[tuple[str, str]] = []
    at = 0
    while at + _HEAD <= source.size:
        head = source.at(at, _HEAD)
        if not head.startswith(_CAPTURE) or head[4]:
            raise unsound("its pages do not follow each other")
        if not head[_FLAGS_AT] & _BEGINS:
            break  # all streams begin before any goes on
        lengths = source.at(at + _HEAD, head[_COUNT_AT])
        begin, length = at + _HEAD + len(lengths), sum(lengths)
        found.append(_codec(source.at(begin, length)[:_MARK_BYTES]))
        if len(found) > STREAMS_MAX:
            raise unsound("it has more streams than a recording has")
        at = begin + length
    return [track for track in found if track[0]]


def _codec(packet: bytes) -> tuple[str, str]:
    return next(((kind, codec) for mark, kind, codec in _CODECS if packet.startswith(mark)), ("data", "unknown"))
