"""What a file is, by what it holds and never by its name: container, codecs, and what is unusual about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from qianzhi.gateway.evidence import mp4, ogg, papers, sounds, webm
from qianzhi.gateway.evidence.source import Source, unsound

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

HEAD_BYTES: Final = 64
# The codecs that every browser of the time of the documents plays in each container; others are noted.
USUAL: Final = {
    "video/mp4": ("H.264", "AAC"),
    "video/webm": ("VP8", "Vorbis"),
    "video/ogg": ("Theora", "Vorbis"),
    "audio/ogg": ("Vorbis",),
    "audio/mpeg": ("MP3",),
    "audio/wav": ("PCM",),
}
VIDEO, SOUND = "vide", "soun"


@dataclass(frozen=True, slots=True)
class Format:
    """What a file is."""

    media_type: str
    codecs: tuple[str, ...] = ()

    @property
    def unusual(self) -> tuple[str, ...]:
        """The codecs that whoever watches may be unable to play."""
        usual = USUAL.get(self.media_type, self.codecs)
        return tuple(codec for codec in self.codecs if codec not in usual)


# How each begins, what reads its tracks, and what it is with and without a video track.
_RECORDINGS: Final[tuple[tuple[Callable[[bytes], bool], Callable[[Source], list[tuple[str, str]]], str, str], ...]] = (
    (mp4.is_mp4, mp4.tracks, "video/mp4", ""),
    (webm.is_webm, webm.tracks, "video/webm", ""),
    (ogg.is_ogg, ogg.tracks, "video/ogg", "audio/ogg"),
    (sounds.is_wav, sounds.wav_tracks, "", "audio/wav"),
    (sounds.is_mp3, sounds.mp3_tracks, "", "audio/mpeg"),
)


def examine(file: BinaryIO, size: int) -> Format:
    """Return what a file of `size` bytes is. Raises SenderError for what is damaged or of no kind that is served."""
    source = Source(file, size)
    head = source.head(HEAD_BYTES)
    if papers.is_png(head):
        papers.look_at_png(source)
        return Format("image/png")
    if papers.is_pdf(head):
        papers.look_at_pdf(source)
        return Format("application/pdf")
    for begins, tracks, seen, heard in _RECORDINGS:
        if begins(head):
            return _recording(tracks(source), seen, heard)
    raise unsound("it is neither PNG, PDF, MP4, WebM, Ogg, MP3 nor WAV")


def _recording(tracks: list[tuple[str, str]], seen: str, heard: str) -> Format:
    kinds = {kind for kind, _ in tracks}
    media_type = seen if VIDEO in kinds else heard if SOUND in kinds else ""
    if not media_type:
        raise unsound("it holds no picture or sound that could be asked for")
    return Format(media_type, tuple(dict.fromkeys(codec for kind, codec in tracks if kind in {VIDEO, SOUND})))
