"""The data directory of an installation: where each thing lies, and how it is made."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from platformdirs import user_data_path

from qianzhi.db.account import make_private
from qianzhi.errors import ConfigurationError

HOME_VARIABLE = "QIANZHI_HOME"
SETTINGS_FILE = "qianzhi.toml"


class End(StrEnum):
    """The two ends of the product; each has a folder of its own, so that both may share a home."""

    GATEWAY = "gateway"
    HUB = "hub"


@dataclass(frozen=True, slots=True)
class Rooms:
    """The folders of one end, below `root`; all of them hold personal data or keys, so only the owner opens them."""

    root: Path

    @property
    def pg(self) -> Path:
        """The embedded PostgreSQL."""
        return self.root / "pg"

    @property
    def spool(self) -> Path:
        """Encoded batches on their way."""
        return self.root / "spool"

    @property
    def blobs(self) -> Path:
        """Images and documents, one content-addressed file each."""
        return self.root / "blobs"

    @property
    def archive(self) -> Path:
        """Old rows in files; made with the first of them."""
        return self.root / "archive"

    @property
    def log(self) -> Path:
        """Log files."""
        return self.root / "log"

    @property
    def run(self) -> Path:
        """Process ids and states of what runs now."""
        return self.root / "run"

    @property
    def tls(self) -> Path:
        """The certificate authority, certificates and their keys."""
        return self.root / "tls"

    @property
    def credentials(self) -> Path:
        """Secrets, one file each."""
        return self.root / "credentials"

    @property
    def all(self) -> tuple[Path, ...]:
        """Every folder."""
        return (self.pg, self.spool, self.blobs, self.log, self.run, self.tls, self.credentials)


@dataclass(frozen=True, slots=True)
class Home:
    """The data directory of an installation."""

    path: Path

    @property
    def settings(self) -> Path:
        """The settings file; it may be missing."""
        return self.path / SETTINGS_FILE

    def end(self, end: End) -> Rooms:
        """Return the folders of one end; they may not exist yet."""
        return Rooms(self.path / end.value)

    def create(self, end: End) -> Rooms:
        """
        Make the folders of one end where they are missing.

        Raises ConfigurationError when this account may not.
        """
        rooms = self.end(end)
        try:
            for folder in (self.path, rooms.root, *rooms.all):
                make_private(folder)
        except OSError as error:
            raise ConfigurationError(
                f"The data directory {self.path} cannot be made: {error.strerror}.",
                remedy=f"Choose another one by --home or {HOME_VARIABLE}, or let this account write there.",
            ) from error
        return rooms

    def existing(self, end: End) -> Rooms:
        """Return the folders of an end that was initialised; ConfigurationError when it was not."""
        rooms = self.end(end)
        if not rooms.root.is_dir():
            raise ConfigurationError(
                f"There is no {end.value} in {self.path}.",
                remedy=f"Run `qianzhi {end.value} init`, or name another data directory by --home or {HOME_VARIABLE}.",
            )
        return rooms


def find_home(option: Path | None = None) -> Home:
    """Return the home that the command line names, else the environment, else the user's own data directory."""
    named = option or (Path(value) if (value := os.environ.get(HOME_VARIABLE)) else None)
    return Home((named or user_data_path("qianzhi", appauthor=False)).expanduser().absolute())
