"""Sounds without a container of several tracks: MP3 and WAV."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from qianzhi.gateway.evidence.source import unsound

if TYPE_CHECKING:
    from qianzhi.gateway.evidence.source import Source

MP3_FRAMES_READ: Final = 3
"""So many in a row are no accident: each says where the next begins."""

_TAG, _TAG_HEAD, _TAG_FOOTER = b"ID3", 10, 0x10
_SEVEN_BITS = 0x80
_BITRATES: Final = {  # kilobits a second of layer III, by whether it is MPEG-1
    True: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_SAMPLES: Final = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}  # by version
_MPEG_1, _LAYER_3 = 3, 1
_WAV_CODECS: Final = {1: "PCM", 3: "PCM", 6: "A-law", 7: "mu-law", 0xFFFE: "PCM"}
_CHUNK_HEAD: Final = 8
_FORMAT_BYTES_MIN: Final = 16


def is_wav(head: bytes) -> bool:
    """Tell whether a file begins like RIFF of the kind WAVE."""
    return head[:4] == b"RIFF" and head[8:12] == b"WAVE"


def is_mp3(head: bytes) -> bool:
    """Tell whether a file begins with a tag of ID3, or with what may be a frame of layer III."""
    return head.startswith(_TAG) or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2)  # noqa: PLR2004 - bits


def wav_tracks(source: Source) -> list[tuple[str, str]]:
    """Return the one track. Raises SenderError for a damaged file."""
    at, codec = 12, ""
    while at + _CHUNK_HEAD <= source.size:
        name, length = source.at(at, 4), int.from_bytes(source.at(at + 4, 4), "little")
        if name == b"fmt ":
            if length < _FORMAT_BYTES_MIN:
                break
            codec = _WAV_CODECS.get(int.from_bytes(source.at(at + _CHUNK_HEAD, 2), "little"), "unknown")
        if name == b"data" and codec:
            return [("soun", codec)]
        at += _CHUNK_HEAD + length + length % 2
    raise unsound("it holds no sound")


def mp3_tracks(source: Source) -> list[tuple[str, str]]:
    """Return the one track. Raises SenderError where no frames follow each other."""
    at = _behind_tag(source)
    for _ in range(MP3_FRAMES_READ):
        if at == source.size:  # a very short sound
            break
        at += _frame_bytes(source.at(at, 4))
    return [("soun", "MP3")]


def _behind_tag(source: Source) -> int:
    if not source.head(_TAG_HEAD).startswith(_TAG):
        return 0
    head = source.at(0, _TAG_HEAD)
    length = 0
    for byte in head[6:10]:
        if byte >= _SEVEN_BITS:
            raise unsound("its tag has no sound length")
        length = length << 7 | byte
    return _TAG_HEAD + length + (_TAG_HEAD if head[5] & _TAG_FOOTER else 0)


def _frame_bytes(head: bytes) -> int:
    """Return how long a frame is by its head of four bytes (ISO/IEC 11172-3, 13818-3)."""
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    bitrate, sampling, padding = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    is_first = version == _MPEG_1
    rates, samples = _BITRATES[is_first], _SAMPLES.get(version, ())
    if head[0] != 0xFF or head[1] < 0xE0 or layer != _LAYER_3:  # noqa: PLR2004 - eleven bits that are set
        raise unsound("its frames do not follow each other")
    if not 0 < bitrate <= len(rates) or sampling >= len(samples):
        raise unsound("its frames have no sound heads")
    return (144 if is_first else 72) * rates[bitrate - 1] * 1000 // samples[sampling] + padding
