"""Pictures that come with a workbook: single files, or a zip archive of them; names are names and never paths."""

from __future__ import annotations

import io
import zipfile
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from qianzhi.errors import SenderError
from qianzhi.gateway.resources.remarks import Place, Remark, remark
from qianzhi.sealing.images import IMAGE_BYTES_MAX
from qianzhi.specs.model import Text

if TYPE_CHECKING:
    from collections.abc import Iterable

FILES_MAX: Final = 5_000
FILES_BYTES_MAX: Final = 512 * 2**20  # unpacked, of all files together
ARCHIVE_BYTES_MAX: Final = 512 * 2**20
NAME_CHARACTERS_MAX: Final = 150
_UTF8_FLAG: Final = 0x800
_ENCRYPTED_FLAG: Final = 0x1
_ARCHIVES: Final = (b"PK\x03\x04", b"PK\x05\x06", b"Rar!", b"7z\xbc\xaf", b"\x1f\x8b", b"\xfd7zXZ")
_READ_BYTES: Final = 2**16
# Whatever a damaged or hostile archive makes of its reader, it is a file that cannot be used.
_UNREADABLE: Final = (
    ArithmeticError,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
)


@dataclass(frozen=True, slots=True)
class Attachments:
    """Files by name in lower case, and what was refused."""

    files: dict[str, bytes] = field(default_factory=dict)
    remarks: list[Remark] = field(default_factory=list)

    def find(self, text: str) -> tuple[str, bytes] | None:
        """Return the file that a cell names, with the name under which it is kept."""
        name = _last_step(text).casefold()
        return (name, self.files[name]) if name in self.files else None


def attached(files: Iterable[tuple[str, bytes]]) -> Attachments:
    """
    Return what is attached: pictures, and the pictures of zip archives, each told by its magic bytes.

    Raises SenderError beyond FILES_MAX, FILES_BYTES_MAX or ARCHIVE_BYTES_MAX: nothing of it is then used.
    """
    found = Attachments()
    budget = _Budget()
    for name, content in files:
        if content.startswith(_ARCHIVES[:2]):
            _unpack(content, name, found, budget)
        else:
            budget.spend(len(content))
            _add(found, _last_step(name), content)
    return found


class _Budget:
    """What may still be unpacked."""

    def __init__(self) -> None:
        self._bytes = 0

    def spend(self, count: int) -> None:
        self._bytes += count
        if self._bytes > FILES_BYTES_MAX:
            raise _too_much(f"{FILES_BYTES_MAX // 2**20} MiB of pictures")


def _unpack(content: bytes, archive: str, found: Attachments, budget: _Budget) -> None:
    if len(content) > ARCHIVE_BYTES_MAX:
        raise _too_much(f"an archive of {ARCHIVE_BYTES_MAX // 2**20} MiB")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            members = packed.infolist()
            if len(members) > FILES_MAX:
                raise _too_much(f"{FILES_MAX} pictures")
            for member in members:
                if not member.is_dir():
                    _unpack_one(packed, member, found, budget)
    except _UNREADABLE:
        found.remarks.append(_refused(_last_step(archive), Text("压缩包已损坏", "the archive is damaged")))


def _unpack_one(packed: zipfile.ZipFile, member: zipfile.ZipInfo, found: Attachments, budget: _Budget) -> None:
    name = _decoded(member)
    why = _misfit(name, member)
    if why is not None:
        found.remarks.append(_refused(name, why))
        return
    try:
        content = _read(packed, member, budget)
    except _UNREADABLE:
        found.remarks.append(_refused(name, Text("文件已损坏", "the file is damaged")))
        return
    if len(content) > IMAGE_BYTES_MAX:
        found.remarks.append(_refused(name, _TOO_LARGE))
    elif content.startswith(_ARCHIVES):
        found.remarks.append(_refused(name, Text("压缩包中的压缩包", "an archive within the archive")))
    else:
        _add(found, _last_step(name), content)


def _misfit(name: str, member: zipfile.ZipInfo) -> Text | None:
    steps = name.replace("\\", "/").split("/")
    if name.startswith(("/", "\\")) or ":" in steps[0] or ".." in steps or "\0" in name:
        return Text("文件名指向别处", "its name leads elsewhere")
    if member.flag_bits & _ENCRYPTED_FLAG:
        return Text("已加密", "it is encrypted")
    if member.file_size > IMAGE_BYTES_MAX:
        return _TOO_LARGE
    return None


def _read(packed: zipfile.ZipFile, member: zipfile.ZipInfo, budget: _Budget) -> bytes:
    """Read a member no further than one byte beyond what an image may have, whatever it says of its size."""
    content = bytearray()
    with packed.open(member) as file:
        while len(content) <= IMAGE_BYTES_MAX and (part := file.read(_READ_BYTES)):
            budget.spend(len(part))
            content += part
    return bytes(content)


def _add(found: Attachments, name: str, content: bytes) -> None:
    key = name.casefold()
    if not name or len(name) > NAME_CHARACTERS_MAX:
        found.remarks.append(_refused(name, Text("文件名过长", "its name is too long")))
    elif key in found.files and found.files[key] != content:
        found.remarks.append(_refused(name, Text("两个文件同名", "two files have this name")))
    elif len(found.files) >= FILES_MAX:
        raise _too_much(f"{FILES_MAX} pictures")
    else:
        found.files[key] = content


def _decoded(member: zipfile.ZipInfo) -> str:
    """Return a member's name; without the flag of UTF-8, Windows in China wrote it in GBK."""
    if member.flag_bits & _UTF8_FLAG:
        return member.filename
    try:
        return member.filename.encode("cp437").decode("gb18030")
    except UnicodeError:
        return member.filename


def _last_step(name: str) -> str:
    return name.replace("\\", "/").rpartition("/")[2].strip()


_TOO_LARGE: Final = Text(f"大于 {IMAGE_BYTES_MAX // 2**20} MiB", f"it is larger than {IMAGE_BYTES_MAX // 2**20} MiB")


def _refused(name: str, why: Text) -> Remark:
    return remark("file-refused", Place(), value=name, detail=why)


def _too_much(bound: str) -> SenderError:
    return SenderError(f"What is attached goes beyond a bound: {bound}.", remedy="Attach it in several parts.")
