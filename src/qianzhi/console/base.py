"""Where the console is reached: its address, its sub-path, and what that asks of cookies and links."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

PATH_CHARACTERS_MAX: Final = 500


@dataclass(frozen=True, slots=True)
class Base:
    """How browsers reach the console; `public_url` stands where a reverse proxy does."""

    is_https: bool = False
    public_url: str | None = None

    @property
    def prefix(self) -> str:
        """The sub-path, without a slash at its end; empty for none."""
        return urlsplit(self.public_url).path.rstrip("/") if self.public_url else ""

    @property
    def is_secure(self) -> bool:
        """Whether browsers come by HTTPS."""
        return self.is_https or self.public_url is not None

    def link(self, path: str) -> str:
        """Return the address of a page, as a browser asks for it."""
        return f"{self.prefix}{path}"

    def is_own(self, origin: str, host: str) -> bool:
        """
        Tell whether an Origin header names the console itself.

        Without TLS only this machine reaches it: a name of another one that leads here is that of somebody else's page.
        """
        try:
            given = urlsplit(origin)
            is_here = self.is_https or is_loopback(given.hostname or "")
        except ValueError:
            return False
        if self.public_url is not None:
            public = urlsplit(self.public_url)
            if (given.scheme, given.netloc) == (public.scheme, public.netloc):
                return True
        return is_here and given.scheme == ("https" if self.is_https else "http") and given.netloc == host

    def address_of(self, peer: str, headers: Mapping[str, str]) -> str:
        """Return who asks; a proxy is believed where one is set up and speaks from this machine."""
        if self.public_url is None or peer not in {"127.0.0.1", "::1"}:
            return peer
        return headers.get("x-forwarded-for", peer).rpartition(",")[2].strip()[:PATH_CHARACTERS_MAX] or peer


def is_loopback(host: str) -> bool:
    """Tell whether a name or address is that of this machine alone."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def safe_path(path: str | None) -> str | None:
    """Return a path that leads to this console and nowhere else; None for anything else."""
    if path is None or len(path) > PATH_CHARACTERS_MAX or not path.isprintable() or "\\" in path:
        return None
    return path if path.startswith("/") and not path.startswith("//") else None
