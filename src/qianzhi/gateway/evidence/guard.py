"""Who asks, who guesses, and who asks the same again: small memories with bounds."""

from __future__ import annotations

from collections import OrderedDict
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from ipaddress import IPv4Address

    from starlette.types import Scope

    Address = IPv4Address | IPv6Address

GUESSES_MAX: Final = 20
"""Wrong tokens of one client within GUESS_SECONDS, after which it is refused unheard."""

GUESS_SECONDS: Final = 60.0
CLIENTS_MAX: Final = 10_000
REPEATS_MAX: Final = 50_000
FORWARDED_MAX: Final = 16
"""Addresses in X-Forwarded-For that are looked at."""

_SITE_BITS: Final = 64
"""Of an IPv6 address: whoever has one has all of the rest."""

_FORWARDED: Final = b"x-forwarded-for"


class Guard:
    """Counts wrong tokens by client; the client heard of longest ago is forgotten first."""

    def __init__(self) -> None:
        self._failed: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def is_shut(self, client: str | None, now: float) -> bool:
        """Tell whether a client guessed too often; `now` is monotonic."""
        began, count = self._failed.get(client or "", (now, 0))
        return count >= GUESSES_MAX and now - began < GUESS_SECONDS

    def note_failure(self, client: str | None, now: float) -> None:
        """Count a wrong token."""
        began, count = self._failed.pop(client or "", (now, 0))
        if now - began >= GUESS_SECONDS:
            began, count = now, 0
        self._failed[client or ""] = began, count + 1
        while len(self._failed) > CLIENTS_MAX:
            self._failed.popitem(last=False)

    def __len__(self) -> int:
        return len(self._failed)


class Repeats:
    """Counts equal questions within the time in which their token counts."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._seen: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def earlier(self, question: str, now: float) -> int:
        """Return how often the question came before, and count it."""
        began, count = self._seen.get(question, (now, 0))
        if now - began > self._seconds:
            began, count = now, 0
            self._seen.pop(question, None)
        self._seen[question] = began, count + 1
        while len(self._seen) > REPEATS_MAX:
            self._seen.popitem(last=False)
        return count

    def __len__(self) -> int:
        return len(self._seen)


class Quota:
    """Grants no more than so many within some seconds."""

    def __init__(self, count_max: int, seconds: float) -> None:
        self._count_max, self._seconds = count_max, seconds
        self._began, self._count = float("-inf"), 0

    def take(self, now: float) -> bool:
        """Tell whether one more is granted; `now` is monotonic."""
        if now - self._began >= self._seconds:
            self._began, self._count = now, 0
        self._count += 1
        return self._count <= self._count_max


class Clients:
    """Tells who asks, also through proxies that are trusted."""

    def __init__(self, proxies: Iterable[str]) -> None:
        self._proxies = [ip_network(each) for each in proxies]

    def of(self, scope: Scope) -> str | None:
        """
        Return the client's address; of IPv6 its first 64 bits.

        From the right, the first address that no trusted proxy has: what stands left of it anybody could have written.
        """
        address = _address((scope.get("client") or ("",))[0])
        if address is not None and self._is_proxy(address):
            for text in reversed(_forwarded(scope)):
                if (forwarded := _address(text)) is None:
                    break
                address = forwarded
                if not self._is_proxy(address):
                    break
        return None if address is None else _site(address)

    def _is_proxy(self, address: Address) -> bool:
        return any(address in network for network in self._proxies)


def _forwarded(scope: Scope) -> Sequence[str]:
    said = b",".join(value for name, value in scope["headers"] if name == _FORWARDED)
    return [text.strip() for text in said.decode("latin-1").split(",")][-FORWARDED_MAX:]


def _address(text: str) -> Address | None:
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found


def _site(address: Address) -> str:
    if isinstance(address, IPv6Address):
        return str(ip_network((int(address), _SITE_BITS), strict=False).network_address)
    return str(address)
