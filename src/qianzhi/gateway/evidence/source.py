"""Reading a file that nobody vouches for: by place, within bounds, and never past its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from qianzhi.errors import SenderError

if TYPE_CHECKING:
    from typing import BinaryIO

READ_BYTES_MAX: Final = 64 * 2**20
"""Of one file, all parts together: enough for a whole picture, or for the tables of hours of video."""

STEPS_MAX: Final = 20_000
"""Parts of one file that are looked at: a sound one has some hundred before its tracks are known."""


class Source:
    """A file of `size` bytes; what is asked of it beyond its bounds raises SenderError."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.size = size
        self._file = file
        self._read = 0
        self._steps = 0

    def at(self, offset: int, length: int) -> bytes:
        """Return exactly `length` bytes."""
        if offset < 0 or length < 0 or offset + length > self.size:
            raise unsound("a part of it points beyond its end")
        self._count(length)
        self._file.seek(offset)
        content = self._file.read(length)
        if len(content) != length:
            raise unsound("it ends too early")
        return content

    def head(self, length: int) -> bytes:
        """Return the first bytes, fewer where there are no more."""
        return self.at(0, min(length, self.size))

    def tail(self, length: int) -> bytes:
        """Return the last bytes, fewer where there are no more."""
        length = min(length, self.size)
        return self.at(self.size - length, length)

    def number(self, offset: int, length: int) -> int:
        """Return an unsigned number, its highest byte first."""
        return int.from_bytes(self.at(offset, length), "big")

    def _count(self, length: int) -> None:
        self._read += length
        self._steps += 1
        if self._read > READ_BYTES_MAX or self._steps > STEPS_MAX:
            raise unsound("it has more parts than such a file has")


def unsound(why: str) -> SenderError:
    """Return the refusal of a file."""
    return SenderError(
        f"The file cannot be served: {why}.", remedy="Register a sound file of a kind that is asked for."
    )
