"""Sessions of the official PostgreSQL, and whom its errors concern."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from qianzhi.db.server import connect, translate
from qianzhi.errors import ConfigurationError, OperatorError, QianzhiError, SenderError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qianzhi.db.server import Session

STATEMENT_SECONDS: Final = 300.0
# A transaction whose client is gone without a word ends by itself, so that we come to know what became of it.
IDLE_SECONDS: Final = 60.0
APPLICATION: Final = "qianzhi"

_OF_THE_ROWS: Final = ("22", "23")  # data exceptions, constraints: other rows may do better
_OF_THE_TABLE: Final = ("42",)
_TABLE_REMEDY: Final = (
    "Compare the official table with the edition: `qianzhi gateway doctor` names what differs. "
    "Ask the official machine's operator to bring it up to date, or correct machine in qianzhi.toml."
)
_SIGN_IN_REMEDY: Final = (
    "Correct the password in the passfile, or host, port, database and user in machine.dsn; "
    "the official machine's white-list must name this machine."
)
_RIGHTS_REMEDY: Final = "Ask the official machine's operator to give the account SELECT and INSERT on the tables."


def open_session(dsn: str, *, wait_seconds: float = 0.0) -> Session:
    """
    Open a session in autocommit; tried once unless it is to be waited for, since a courier comes again by itself.

    Raises RetryableError when nobody answers, OperatorError when it does not let us in.
    """
    given = str(conninfo_to_dict(dsn).get("options") or "")
    bounded = f"{given} -c idle_in_transaction_session_timeout={IDLE_SECONDS * 1000:.0f}".strip()
    try:
        return connect(
            make_conninfo(dsn, options=bounded),
            application=APPLICATION,
            autocommit=True,
            statement_timeout_seconds=STATEMENT_SECONDS,
            wait_seconds=wait_seconds,
            is_ours=False,
        )
    except ConfigurationError as error:
        raise OperatorError(f"The official machine: {error.what}", remedy=_SIGN_IN_REMEDY) from error


@contextmanager
def judged(what: str) -> Iterator[None]:
    """Raise errors of the official server as our own: of these rows (SenderError), of an operator, or of the moment."""
    try:
        yield
    except psycopg.Error as error:
        raise _judge(error, what) from None


def _judge(error: psycopg.Error, what: str) -> QianzhiError:
    state = error.sqlstate or ""
    told = translate(error, what)
    if state.startswith(_OF_THE_ROWS):
        return SenderError(told.what, remedy="Correct what the official table does not take.")
    if state == "42501":
        return OperatorError(told.what, remedy=_RIGHTS_REMEDY)
    if state.startswith(_OF_THE_TABLE):
        return OperatorError(told.what, remedy=_TABLE_REMEDY)
    if isinstance(told, ConfigurationError):
        return OperatorError(told.what, remedy=_SIGN_IN_REMEDY)
    return told
