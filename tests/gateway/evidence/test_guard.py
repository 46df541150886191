from __future__ import annotations

from typing import Any

import pytest

from qianzhi.gateway.evidence.guard import CLIENTS_MAX, GUESS_SECONDS, GUESSES_MAX, REPEATS_MAX, Clients, Guard, Repeats


def scope(address: str, *forwarded: str) -> dict[str, Any]:
    """What a server tells of a connection."""
    headers = [(b"x-forwarded-for", each.encode()) for each in forwarded]
    return {"type": "http", "client": (address, 1234), "headers": headers}


def test_a_client_is_shut_out_after_so_many_failures_and_let_in_again() -> None:
    """Twenty within a minute; the minute after is another one."""
    guard = Guard()
    for _ in range(GUESSES_MAX):
        assert not guard.is_shut("192.0.2.1", 0.0)
        guard.note_failure("192.0.2.1", 0.0)

    assert guard.is_shut("192.0.2.1", GUESS_SECONDS - 1)
    assert not guard.is_shut("192.0.2.2", 0.0)
    assert not guard.is_shut("192.0.2.1", GUESS_SECONDS)


def test_slow_failures_shut_nobody_out() -> None:
    """A regulator with a wrong clock asks now and then."""
    guard = Guard()
    for number in range(GUESSES_MAX * 3):
        guard.note_failure("192.0.2.1", number * GUESS_SECONDS / 2)
        assert not guard.is_shut("192.0.2.1", number * GUESS_SECONDS / 2)


def test_memory_is_bounded_however_many_come() -> None:
    """Neither addresses nor questions without end take memory without end."""
    guard, repeats = Guard(), Repeats(600.0)
    for number in range(CLIENTS_MAX + 100):
        guard.note_failure(str(number), 0.0)
    for number in range(REPEATS_MAX + 100):
        repeats.earlier(str(number), 0.0)

    assert len(guard) == CLIENTS_MAX
    assert len(repeats) == REPEATS_MAX


def test_repeats_are_counted_while_their_token_counts() -> None:
    """Afterwards the token is refused anyway."""
    repeats = Repeats(600.0)

    assert [repeats.earlier("a", 0.0), repeats.earlier("a", 1.0), repeats.earlier("b", 1.0)] == [0, 1, 0]
    assert repeats.earlier("a", 601.0) == 0


@pytest.mark.parametrize(
    ("address", "forwarded", "client"),
    [
        ("192.0.2.7", (), "192.0.2.7"),
        ("192.0.2.7", ("203.0.113.9",), "192.0.2.7"),  # no proxy of ours: anybody can write that
        ("192.168.0.1", ("203.0.113.9",), "203.0.113.9"),
        ("192.168.0.1", ("198.51.100.1, 203.0.113.9, 192.168.0.2",), "203.0.113.9"),
        ("192.168.0.1", ("198.51.100.1", "203.0.113.9"), "203.0.113.9"),
        ("192.168.0.1", ("203.0.113.9, nonsense",), "192.168.0.1"),
        ("::ffff:192.0.2.7", (), "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", (), "2001:db8:1:2::"),
        ("", (), None),
    ],
)
def test_a_client_is_who_it_is_behind_a_trusted_proxy(
    address: str, forwarded: tuple[str, ...], client: str | None
) -> None:
    """The first address from the right that no trusted proxy has; of IPv6 the part that one site has."""
    assert Clients(["192.168.0.0/24"]).of(scope(address, *forwarded)) == client


def test_a_long_chain_of_addresses_is_not_followed_to_its_end() -> None:
    """A head may hold thousands of them."""
    assert Clients(["192.168.0.0/24"]).of(scope("192.168.0.1", ",".join(["192.168.0.2"] * 5000))) == "192.168.0.2"
