"""Accounts, tries and sessions, as the database keeps them."""

from __future__ import annotations

import statistics
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from time import thread_time

import pytest
from psycopg.errors import Error

from qianzhi.console import accounts, passwords, throttle
from qianzhi.console.entrance import DatabaseAccount, Entered, Entrance, Refused
from qianzhi.console.roles import Role
from qianzhi.console.sessions import Limits, Live, Sessions, Who
from qianzhi.db import migrate
from qianzhi.db.pool import Pool
from qianzhi.db.server import Session, connect, pool
from qianzhi.errors import SenderError
from qianzhi.runtime import clock

PASSWORD = "Right-1-password"  # noqa: S105 - of accounts that exist for the tests
OTHER = "Other-2-password"
WHO = Who("somebody", Role.OPERATOR)


@pytest.fixture
def ledger(database: str) -> str:
    """The DSN of a gateway's ledger."""
    migrate.upgrade(database, "qianzhi.ledger", "gateway")
    return database


@pytest.fixture
def session(ledger: str) -> Iterator[Session]:
    """A session of the ledger."""
    with connect(ledger, application="test", autocommit=True) as opened:
        yield opened


@pytest.fixture
def sessions(ledger: str) -> Iterator[Pool]:
    """A pool of sessions of the ledger."""
    with pool(ledger, application="test", size_max=2) as opened:
        yield opened


class Time:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.at = clock.now()

    def now(self) -> datetime:
        """The instant that it shows."""
        return self.at

    def turn(self, **by: float) -> None:
        """Turn it on."""
        self.at += timedelta(**by)


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    """The clock that the console reads."""
    turned = Time()
    monkeypatch.setattr(clock, "now", turned.now)
    return turned


def role_of(session: Session, name: str, password: str) -> Role | None:
    """The role of whoever has a password."""
    judged = accounts.judge(session, name, password)
    return judged.role if judged is not None else None


def test_an_account_lives_from_adding_to_disabling(session: Session) -> None:
    """It signs in with its password and role, with another password after a change, and not when disabled."""
    accounts.add(session, "li.si", Role.VIEWER, PASSWORD, actor="test")
    assert role_of(session, "li.si", PASSWORD) is Role.VIEWER
    accounts.set_role(session, "li.si", Role.ADMINISTRATOR, actor="test")
    accounts.set_password(session, "li.si", OTHER, actor="test")
    assert role_of(session, "li.si", PASSWORD) is None
    assert role_of(session, "li.si", OTHER) is Role.ADMINISTRATOR
    accounts.set_enabled(session, "li.si", enabled=False, actor="test")
    assert role_of(session, "li.si", OTHER) is None
    assert [(each.name, each.enabled) for each in accounts.listed(session)] == [("li.si", False)]
    events = session.execute("SELECT event FROM qianzhi.audit ORDER BY audit_id").fetchall()
    assert [str(event).rpartition(":")[2] for (event,) in events] == ["added", "role", "password", "disabled"]


@pytest.mark.parametrize("name", ["", "A", "a", "us_pos", "li si", "李四", "a" * 33, "-a", "a;b", "a\n"])
def test_a_name_that_may_mislead_is_refused(session: Session, name: str) -> None:
    """Names are plain, and none is that of a role of the database."""
    with pytest.raises(SenderError):
        accounts.add(session, name, Role.VIEWER, PASSWORD, actor="test", taken={"us_pos"})


def test_a_name_is_one_account(session: Session) -> None:
    """The second of a name is refused, and the first stays as it is; a change of nobody is refused too."""
    accounts.add(session, "li", Role.VIEWER, PASSWORD, actor="test")
    with pytest.raises(SenderError):
        accounts.add(session, "li", Role.ADMINISTRATOR, OTHER, actor="test")
    assert role_of(session, "li", PASSWORD) is Role.VIEWER
    with pytest.raises(SenderError):
        accounts.set_enabled(session, "nobody", enabled=True, actor="test")


@pytest.mark.parametrize(
    "password",
    [
        "Short-1",
        "alllowercase1",
        "ALLUPPERCASE1",
        "Li-1-and-more-of-it"[:12] + "LI",
        "Control-1-\x00\x01\x02",
        "a" * 129,
    ],
)
def test_an_easy_password_is_refused(password: str) -> None:
    """Too short, too long, too plain, with the account's name, with control characters."""
    with pytest.raises(SenderError):
        passwords.require_good(password, "li")


def test_of_a_password_only_a_salted_verifier_is_kept() -> None:
    """Two of the same differ, neither holds it, and composed characters count as what they look like."""
    one, two = passwords.verifier("Pässword-1-2"), passwords.verifier("Pässword-1-2")
    assert one != two
    assert "Pässword" not in one
    assert passwords.matches("Pa\u0308ssword-1-2", one)
    assert not passwords.matches("Password-1-2", one)


def test_asking_for_nobody_takes_as_long_as_for_somebody() -> None:
    """The time of an answer does not tell whether there is such an account."""
    kept = passwords.verifier(PASSWORD)
    passwords.matches("wrong", None)

    def seconds(verifier: str | None) -> float:
        began = thread_time()  # what others do meanwhile on a busy machine does not count
        passwords.matches("wrong", verifier)
        return thread_time() - began

    tries = [(seconds(kept), seconds(None)) for _ in range(5)]
    known, unknown = (statistics.median(each) for each in zip(*tries, strict=True))
    assert 0.5 < known / unknown < 2


def test_waits_double_up_to_a_bound_and_are_forgotten_in_a_day(session: Session, time: Time) -> None:
    """Five tries are free; then 2, 4, 8 … 60 seconds, each counted when it is let through; a day clears them."""
    addresses = (f"192.0.2.{n}" for n in range(200))

    def admit() -> datetime | None:
        return throttle.admit(session, throttle.attempt("li", next(addresses), known=True), time.at)

    assert [admit() for _ in range(5)] == [None] * 5
    waits = []
    for _ in range(8):
        until = admit()
        assert until is not None
        waits.append((until - time.at).total_seconds())
        assert admit() == until
        time.at = until
        assert admit() is None
    assert waits == [2, 4, 8, 16, 32, 60, 60, 60]
    time.turn(days=1, minutes=2)
    assert [admit() for _ in range(5)] == [None] * 5


def test_a_success_clears_its_account_and_buys_no_guesses_at_others(session: Session, time: Time) -> None:
    """The address keeps what it failed before."""
    mine, others = (throttle.attempt(name, "192.0.2.1", known=True) for name in ("mine", "others"))
    for n in range(throttle.ADDRESS_FREE - 1):
        assert throttle.admit(session, throttle.attempt(f"x{n}", "192.0.2.1", known=True), time.at) is None
    throttle.admit(session, mine, time.at)
    throttle.clear(session, mine, time.at)
    assert throttle.admit(session, others, time.at) is None
    assert throttle.admit(session, others, time.at) is not None


def test_guessing_keeps_nobody_out_where_he_was_before(sessions: Pool, session: Session) -> None:
    """Who guesses from however many addresses makes an account wait everywhere but where its owner signed in."""
    accounts.add(session, "li", Role.OPERATOR, PASSWORD, actor="test")
    entrance = Entrance(sessions, Sessions(sessions, Limits()), {})
    assert isinstance(entrance.enter("li", PASSWORD, "192.0.2.1"), Entered)
    for n in range(throttle.ACCOUNT_FREE + 1):
        assert isinstance(entrance.enter("li", "wrong", f"198.51.100.{n}"), Refused)

    elsewhere = entrance.enter("li", PASSWORD, "203.0.113.1")
    assert isinstance(elsewhere, Refused)
    assert elsewhere.until is not None
    assert isinstance(entrance.enter("li", PASSWORD, "192.0.2.1"), Entered)
    tries = [entrance.enter("li", "wrong", "192.0.2.1") for _ in range(throttle.ACCOUNT_FREE + 1)]
    assert [isinstance(each, Refused) and each.until is None for each in tries] == [True] * 5 + [False]


def change_role(session: Session) -> None:
    """Give somebody another role."""
    accounts.set_role(session, "somebody", Role.VIEWER, actor="test")


def change_password(session: Session) -> None:
    """Give somebody another password."""
    accounts.set_password(session, "somebody", OTHER, actor="test")


def disable(session: Session) -> None:
    """Let somebody in no longer."""
    accounts.set_enabled(session, "somebody", enabled=False, actor="test")


CHANGES = [change_role, change_password, disable]


def still_open(session: Session) -> list[object]:
    """Whose sessions are open."""
    rows = session.execute("SELECT account FROM qianzhi.console_sessions WHERE ended_at IS NULL").fetchall()
    return [account for (account,) in rows]


@pytest.mark.parametrize("change", CHANGES)
def test_an_account_that_changes_while_it_is_judged_is_not_let_in(
    sessions: Pool, session: Session, monkeypatch: pytest.MonkeyPatch, change: Callable[[Session], None]
) -> None:
    """What was found right a tenth of a second ago counts no more; the try stays counted, and is told as refused."""
    accounts.add(session, "somebody", Role.OPERATOR, PASSWORD, actor="test")
    kept = Sessions(sessions, Limits())
    entrance = Entrance(sessions, kept, {})
    matches = passwords.matches

    def slowly(password: str, verifier: str | None) -> bool:
        found = matches(password, verifier)
        change(session)
        kept.end_of("somebody")
        return found

    monkeypatch.setattr(passwords, "matches", slowly)
    assert entrance.enter("somebody", PASSWORD, "192.0.2.1") == Refused()
    assert still_open(session) == []
    last = session.execute("SELECT event FROM qianzhi.audit ORDER BY audit_id DESC LIMIT 1").fetchone()
    counted = session.execute("SELECT failures FROM qianzhi.console_failures WHERE subject ~ '^account'").fetchone()
    assert (last, counted) == (("console:session:refused",), (1,))


@pytest.mark.parametrize("change", CHANGES)
def test_nobody_takes_an_account_back_that_changes_while_the_password_is_judged(
    sessions: Pool, session: Session, monkeypatch: pytest.MonkeyPatch, change: Callable[[Session], None]
) -> None:
    """Whoever is signed in with what was the password has no say any more over the next one."""
    accounts.add(session, "somebody", Role.OPERATOR, PASSWORD, actor="test")
    entrance = Entrance(sessions, Sessions(sessions, Limits()), {})
    entered = entrance.enter("somebody", PASSWORD, "192.0.2.1")
    assert isinstance(entered, Entered)
    matches = passwords.matches

    def slowly(password: str, verifier: str | None) -> bool:
        found = matches(password, verifier)
        change(session)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(passwords, "matches", slowly)
        with pytest.raises(SenderError):
            entrance.change_password(entered.live, PASSWORD, "Another-One-2026")
    assert not isinstance(entrance.enter("somebody", "Another-One-2026", "192.0.2.1"), Entered)


@pytest.mark.parametrize("change", CHANGES)
def test_a_session_that_is_opened_or_found_meanwhile_ends_with_the_change(
    sessions: Pool, session: Session, ledger: str, monkeypatch: pytest.MonkeyPatch, change: Callable[[Session], None]
) -> None:
    """Whoever changes the account waits until the session is held, and then ends it where it is held too."""
    accounts.add(session, "somebody", Role.OPERATOR, PASSWORD, actor="test")
    kept = Sessions(sessions, Limits())
    hold = kept._hold
    changing: list[threading.Thread] = []

    def change_and_end() -> None:
        with connect(ledger, application="changes", autocommit=True) as other:
            change(other)
        kept.end_of("somebody")

    def hold_late(live: Live) -> Live:
        changing.append(threading.Thread(target=change_and_end))
        changing[-1].start()
        waiting = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'changes' AND wait_event_type = 'Lock'"
        while changing[-1].is_alive() and session.execute(waiting).fetchone() is None:
            clock.sleep(0.02)
        return hold(live)

    monkeypatch.setattr(kept, "_hold", hold_late)
    with sessions.connection() as lent:
        judged = accounts.judge(session, "somebody", PASSWORD)
        assert judged is not None
        assert accounts.is_as_judged(lent, judged)
        token, live = kept.open(lent, WHO, "192.0.2.1")
    changing.pop().join()
    assert (live.ended, kept.find(token), still_open(session)) == (True, None, [])

    token, _ = opened(Sessions(sessions, Limits()), sessions)
    found = kept.find(token)
    changing.pop().join()
    assert found is not None
    assert (found.ended, kept.find(token), still_open(session)) == (True, None, [])


def test_a_role_whose_password_changes_while_it_is_judged_is_not_let_in(sessions: Pool, session: Session) -> None:
    """The database is asked again once the session is there, so that the change or the sign-in sees the other."""
    password, asked = PASSWORD, 0
    entrance: Entrance

    def change(_present: str, wanted: str) -> None:
        nonlocal password
        password = wanted

    def is_right(given: str) -> bool:
        nonlocal asked
        asked += 1
        found = given == password
        if asked == 2:
            assert isinstance(inside, Entered)
            entrance.change_password(inside.live, PASSWORD, OTHER)
        return found

    entrance = Entrance(sessions, Sessions(sessions, Limits()), {"us_pos": DatabaseAccount(is_right, change)})
    asked = 10
    inside = entrance.enter("us_pos", PASSWORD, "192.0.2.1")
    assert isinstance(inside, Entered)
    asked = 1
    assert entrance.enter("us_pos", PASSWORD, "192.0.2.2") == Refused()
    assert still_open(session) == ["us_pos"]
    assert not inside.live.ended
    assert isinstance(entrance.enter("us_pos", OTHER, "192.0.2.2"), Entered)


def test_neighbours_in_one_ipv6_network_count_as_one() -> None:
    """A household has more addresses than anybody could count."""
    one, two, other = (throttle.attempt("a", f"2001:db8:{n}::{m}", known=True) for n, m in ((1, 1), (1, 2), (2, 1)))
    assert one.address == two.address != other.address


def opened(kept: Sessions, sessions: Pool) -> tuple[str, Live]:
    """A session of somebody."""
    with sessions.connection() as session:
        return kept.open(session, WHO, "192.0.2.1")


def test_a_session_ends_unused_or_in_time(sessions: Pool, time: Time) -> None:
    """Half an hour unused, or twelve hours at most; and survives the process that opened it."""
    kept = Sessions(sessions, Limits(hours=12, idle_minutes=30))
    token, live = opened(kept, sessions)
    for _ in range(23):
        time.turn(minutes=29)
        assert kept.find(token) is live
        live.seen_at = time.at
        kept.sweep()
    restarted = Sessions(sessions, Limits(hours=12, idle_minutes=30))
    found = restarted.find(token)
    assert found is not None
    assert found.who == WHO
    time.turn(minutes=58)
    assert restarted.find(token) is None
    idle, _ = opened(kept, sessions)
    time.turn(minutes=31)
    kept.sweep()
    assert kept.find(idle) is None


def test_a_command_ends_what_the_console_holds(sessions: Pool, session: Session) -> None:
    """An account that is disabled elsewhere is out at the next sweep, and whoever waits is told."""
    kept = Sessions(sessions, Limits())
    accounts.add(session, "somebody", Role.OPERATOR, PASSWORD, actor="test")
    token, live = opened(kept, sessions)
    told: list[str] = []
    live.on_end(lambda: told.append("ended"))
    forget = live.on_end(lambda: told.append("never"))
    forget()
    accounts.set_enabled(session, "somebody", enabled=False, actor="test")
    kept.sweep()
    assert (kept.find(token), told, live.ended) == (None, ["ended"], True)
    live.on_end(lambda: told.append("late"))
    assert told == ["ended", "late"]


@pytest.mark.parametrize("token", ["", "x" * 65, "ü", "a b", "' OR 1=1"])
def test_a_token_of_nobody_finds_nothing(sessions: Pool, token: str) -> None:
    """Whatever stands in the cookie."""
    try:
        assert Sessions(sessions, Limits()).find(token) is None
    except Error:
        pytest.fail("it reached the database as it was")
