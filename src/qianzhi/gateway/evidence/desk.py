"""What every question needs: the regulator's way of asking, keys, files, and who is behind a proxy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qianzhi.gateway.evidence.diary import Diary
    from qianzhi.gateway.evidence.gathering import Gathering
    from qianzhi.gateway.evidence.guard import Clients
    from qianzhi.gateway.evidence.keys import KeyRing
    from qianzhi.gateway.evidence.links import Signer
    from qianzhi.gateway.evidence.remote import Remote
    from qianzhi.gateway.evidence.shelf import Shelf
    from qianzhi.ledger.evidence import Media
    from qianzhi.regulators.protocols import Evidence


@dataclass(frozen=True, slots=True)
class Terms:
    """On which terms a regulator is answered."""

    base_url: str
    choices: Mapping[str, str]
    window_seconds: int
    link_seconds: int

    @property
    def base_path(self) -> str:
        """The path below which the regulator asks; a proxy may have taken it away already."""
        return urlsplit(self.base_url).path.rstrip("/")


@dataclass(frozen=True, slots=True)
class Desk:
    """One process that answers."""

    evidence: Evidence
    terms: Terms
    keys: KeyRing
    signer: Signer
    clients: Clients
    shelf: Shelf
    remote: Remote
    records: Gathering[tuple[str, str], list[Media]]  # by kind and record
    files: Gathering[int, Media]  # by media_id
    diary: Diary
