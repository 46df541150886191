"""
Which other machines are asked for files: only those of the settings, and only at addresses that were looked at.

An address that a name resolves to is checked, and the connection goes to exactly that one; each redirection is a new
address. So neither a name that resolves to another address the second time nor a redirection leads into the network
of the hospital.
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from qianzhi.errors import SenderError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    Address = IPv4Address | IPv6Address
    Resolve = Callable[[str, int], Awaitable[list[str]]]

URL_CHARACTERS_MAX: Final = 2_048
RESOLVE_SECONDS_MAX: Final = 5.0
ADDRESSES_MAX: Final = 16
_PORTS: Final = {"https": 443, "http": 80}
_NAT64: Final = IPv6Network("64:ff9b::/96")
_REMEDY: Final = "Name its origin in [gateway.evidence.remote] origins, and a network that is not public in networks."


@dataclass(frozen=True, slots=True)
class Target:
    """An address of a file, and where exactly its connection goes."""

    url: str
    scheme: str
    host: str
    port: int
    address: str


class Reach:
    """What may be asked for files."""

    def __init__(self, origins: Iterable[str], networks: Iterable[str] = (), *, resolve: Resolve | None = None) -> None:
        self._origins = {_origin(each) for each in origins}
        self._networks = [ip_network(each) for each in networks]
        self._resolve = resolve or _resolved

    async def target(self, url: str) -> Target:
        """Return where to connect for an address. Raises SenderError for what must not be asked."""
        scheme, host, port = self.require_known(url)
        try:
            addresses = await asyncio.wait_for(self._resolve(host, port), RESOLVE_SECONDS_MAX)
        except (OSError, TimeoutError, UnicodeError) as error:
            raise _refusal("its name is not known") from error
        # All must do: whoever answers for the name chooses which of them comes first.
        if not addresses or len(addresses) > ADDRESSES_MAX or not all(map(self.is_allowed, addresses)):
            raise _refusal("it leads to a network that is not public")
        return Target(url, scheme, host, port, addresses[0])

    def require_known(self, url: str) -> tuple[str, str, int]:
        """Return scheme, host and port of an address. Raises SenderError unless its origin is one of the settings."""
        if len(url) > URL_CHARACTERS_MAX or not url.isascii() or not url.isprintable() or "\\" in url or " " in url:
            raise _refusal("it cannot be read")
        try:
            origin = _origin(url)
            has_name = "@" in urlsplit(url).netloc
        except ValueError as error:
            raise _refusal("it cannot be read") from error
        if has_name or origin not in self._origins:
            raise _refusal("its origin is not one of those named")
        return origin

    def is_allowed(self, text: str) -> bool:
        """Tell whether a numeric address may be connected to, with every address of IPv4 that it wraps."""
        try:
            address = ip_address(text)
        except ValueError:
            return False
        return all(self._is_allowed(each) for each in (address, *_wrapped(address)))

    def _is_allowed(self, address: Address) -> bool:
        if any(address in network for network in self._networks):
            return True
        if isinstance(address, IPv6Address) and address.ipv4_mapped:
            return True  # judged by what it wraps
        return address.is_global and not address.is_multicast and not address.is_reserved


def _wrapped(address: Address) -> list[IPv4Address]:
    if isinstance(address, IPv4Address):
        return []
    found = [address.ipv4_mapped, address.sixtofour, address.teredo[1] if address.teredo else None]
    if address in _NAT64:
        found.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return [each for each in found if each is not None]


def _origin(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port; ValueError for what has none."""
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError("an address has a scheme and a host")
    return parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme]


async def _resolved(host: str, port: int) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _refusal(why: str) -> SenderError:
    return SenderError(f"The address of the file must not be asked: {why}.", remedy=_REMEDY)
