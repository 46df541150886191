"""The key file: versions of the key under which files of the data directory are encrypted. Newest writes, all read."""

from __future__ import annotations

import os
import secrets
import stat
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

import structlog
from filelock import FileLock

from qianzhi.errors import OperatorError
from qianzhi.runtime.files import write_durably
from qianzhi.sealing import cipher

if TYPE_CHECKING:
    from pathlib import Path

log = structlog.stdlib.get_logger()

VERSIONS_MAX = 1_000
FILE_BYTES_MAX = 1_000_000
LOCK_SECONDS_MAX = 10.0
_PARTS = 3  # of a line: when it was made, its id, the key in Base64
_HEAD = """\
# The key of qianzhi for files in its data directory, one version a line; the last one writes, every one reads.
# Keep copies of this file apart from the backups: what is encrypted is lost without it. Never remove a line.
"""


@dataclass(frozen=True, slots=True)
class Key:
    """One version of the key."""

    key_id: bytes
    made_at: datetime
    secret: bytes = field(repr=False)


class KeyFile:
    """
    A key file, read when it is needed and again when it has changed.

    Every method raises OperatorError, with a remedy, where the file is missing, damaged, or open to others.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[tuple[int, ...], dict[bytes, Key]] | None = None

    @property
    def versions(self) -> tuple[Key, ...]:
        """All versions, oldest first."""
        return tuple(self._keys().values())

    @property
    def newest(self) -> Key:
        """The version that writes."""
        return self.versions[-1]

    def key(self, key_id: bytes, name: str) -> Key:
        """Return the version that the thing called `name` needs."""
        try:
            return self._keys()[key_id]
        except KeyError:
            raise OperatorError(
                f"The {name} is encrypted under the key {key_id.hex()}, which is not in {self.path}.",
                remedy="Put the key file back that holds this version; "
                "`qianzhi gateway key list` shows what the present one holds.",
            ) from None

    def _keys(self) -> dict[bytes, Key]:
        try:
            said = self.path.stat()
            signature = (said.st_mtime_ns, said.st_size, said.st_ino, said.st_mode)
            if self._seen is None or self._seen[0] != signature:
                _require_private(self.path, said.st_mode)
                self._seen = signature, _parse(self.path, self.path.read_bytes()[:FILE_BYTES_MAX])
        except OSError as error:
            raise OperatorError(
                f"The key file {self.path} cannot be read: {error.strerror}.",
                remedy="Put it back, or mount the medium that it lies on; nothing is written in the clear meanwhile.",
            ) from error
        return self._seen[1]


def make(path: Path, *, now: datetime) -> Key:
    """Make a key file with one version. Raises OperatorError where the file is there already, or has no folder."""
    if not path.parent.is_dir():
        raise OperatorError(f"There is no folder {path.parent}.", remedy="Make it, or mount the medium it lies on.")
    with _alone(path):
        if path.exists():
            raise OperatorError(
                f"The key file {path} is there already.", remedy="Add a version by `qianzhi gateway key rotate`."
            )
        return _add(path, (), now)


def rotate(path: Path, *, now: datetime) -> Key:
    """Add a version to a key file; from now on it writes."""
    with _alone(path):
        return _add(path, KeyFile(path).versions, now)


def _alone(path: Path) -> FileLock:
    # Two rotations at once would each write a file without the other's key.
    return FileLock(path.with_name(f".{path.name}.lock"), timeout=LOCK_SECONDS_MAX, mode=0o600)


def _add(path: Path, before: tuple[Key, ...], now: datetime) -> Key:
    if len(before) == VERSIONS_MAX:
        raise OperatorError(f"The key file {path} holds {VERSIONS_MAX} versions.", remedy="Begin a new key file.")
    secret = secrets.token_bytes(cipher.KEY_BYTES)
    key = Key(cipher.key_id(secret), now, secret)
    lines = (
        f"{each.made_at.isoformat()} {each.key_id.hex()} {b64encode(each.secret).decode()}\n" for each in (*before, key)
    )
    write_durably(path, (_HEAD + "".join(lines)).encode())
    log.info("encryption:key:made", digest=key.key_id.hex(), count=len(before) + 1)
    return key


def _require_private(path: Path, mode: int) -> None:
    """Refuse a file that others may read; on Windows the folder's access list decides, which `doctor` cannot judge."""
    if os.name != "nt" and stat.S_IMODE(mode) & (stat.S_IRWXG | stat.S_IRWXO):
        raise OperatorError(
            f"The key file {path} may be read or changed by others than its owner.", remedy=f"Run `chmod 600 {path}`."
        )


def _parse(path: Path, content: bytes) -> dict[bytes, Key]:
    keys = {}
    for number, line in enumerate(content.decode("ascii", errors="replace").splitlines(), start=1):
        if line.strip() and not line.startswith("#"):
            key = _key(line)
            if key is None:
                raise _damaged(path, f"line {number} is damaged")
            keys[key.key_id] = key
    if not keys:
        raise _damaged(path, "it holds no key")
    return keys


def _key(line: str) -> Key | None:
    """Return the key of a line, or None where its id does not fit it."""
    parts = line.split()
    try:
        made_at, secret = datetime.fromisoformat(parts[0]), b64decode(parts[-1], validate=True)
    except ValueError:
        return None
    if len(parts) != _PARTS or len(secret) != cipher.KEY_BYTES or cipher.key_id(secret).hex() != parts[1]:
        return None
    return Key(cipher.key_id(secret), made_at, secret)


def _damaged(path: Path, what: str) -> OperatorError:
    return OperatorError(f"The key file {path} cannot be used: {what}.", remedy="Put its last good copy back.")
