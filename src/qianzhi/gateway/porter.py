"""The porter: sends promised images in pieces while no row waits for the line, and goes on where it was cut."""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING

import structlog

from qianzhi.db.server import connect
from qianzhi.errors import OperatorError, RetryableError, SenderError
from qianzhi.ledger import batches, promises
from qianzhi.runtime import clock
from qianzhi.sealing.images import media_type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from qianzhi.db.server import Session
    from qianzhi.gateway.destination import Destination, Workplace
    from qianzhi.regulators.protocols import Door

log = structlog.stdlib.get_logger()

YIELD_LOOK_SECONDS = 0.5
YIELD_SECONDS_MAX = 600.0  # rows go first, but a batch that never gets through must not keep every image waiting
REFUSED_HOURS = 24.0  # what was refused as such is tried again only in case somebody put it right


@dataclass(frozen=True, slots=True)
class Carried:
    """What one call did: images sent, and whether it ended because the destination cannot be reached."""

    sent_count: int
    is_cut: bool


class Porter:
    """Sends the promised images of one destination over a door and a session of its own. Not for several threads."""

    def __init__(self, session: Session, workplace: Workplace, destination: Destination, door: Door) -> None:
        self._session = session
        self._workplace = workplace
        self._destination = destination
        self._door = door
        self._random = Random()  # noqa: S311  (jitter, not a secret)

    def carry(self, goes_on: Callable[[], bool]) -> Carried:
        """
        Send every image that is due, as long as `goes_on`, which is asked before each piece.

        Each image is recorded as soon as the destination has it. A line that is cut ends the call; an image that
        cannot be sent is left for later and does not keep the others waiting.
        """
        sent_count = 0
        while goes_on() and (due := promises.due(self._session, self._destination.name, now=clock.now())):
            self._session.commit()
            for promise in due:
                if not goes_on():
                    break
                try:
                    if self._send(promise, goes_on):
                        sent_count += 1
                except RetryableError as error:
                    log.warning("gateway:image:not_sent", destination=self._destination.name, what=error.what)
                    return Carried(sent_count, is_cut=True)
        self._session.rollback()
        return Carried(sent_count, is_cut=False)

    def rows_wait(self) -> bool:
        """Tell whether a batch is on its way, so that images must wait."""
        now, pause = clock.now(), self._destination.backoff.max_seconds
        waits = batches.has_due(self._session, self._destination.name, now=now, pause_seconds_max=pause)
        self._session.rollback()
        return waits

    def _send(self, promise: promises.Promise, goes_on: Callable[[], bool]) -> bool:
        try:
            content = self._workplace.blobs.get(promise.digest)
            if not self._door.offer(promise.digest, media_type(content), content, goes_on=goes_on):
                return False
        except (SenderError, OperatorError) as error:
            self._put_off(promise, error)
            return False
        promises.keep(self._session, self._destination.name, promise.digest, now=clock.now())
        self._session.commit()
        return True

    def _put_off(self, promise: promises.Promise, error: SenderError | OperatorError) -> None:
        pause = self._destination.backoff.pause_seconds(promise.attempt_count + 1, self._random)
        later = timedelta(hours=REFUSED_HOURS) if isinstance(error, SenderError) else timedelta(seconds=pause)
        name, trouble = self._destination.name, f"{type(error).__name__}: {error.what}"
        promises.fail(self._session, name, promise.digest, trouble, next_attempt_at=clock.now() + later)
        self._session.commit()
        log.warning("gateway:image:not_sent", destination=name, what=error.what, remedy=error.remedy)


@contextmanager
def opened_porter(workplace: Workplace, destination: Destination) -> Iterator[Porter]:
    """Open a session and a door for a porter, and close them."""
    with (
        connect(workplace.dsn, application="qianzhi porter") as session,
        closing(destination.open_door()) as door,
    ):
        yield Porter(session, workplace, destination, door)


class Courtesy:
    """Lets rows go first: asked before each piece, it waits while a batch is on its way, though not for ever."""

    def __init__(self, porter: Porter, is_stopping: Callable[[], bool]) -> None:
        self._porter = porter
        self._is_stopping = is_stopping
        self._waited_seconds = 0.0

    def __call__(self) -> bool:
        """Return whether to go on, after rows had their turn."""
        while not self._is_stopping() and self._waited_seconds < YIELD_SECONDS_MAX and self._porter.rows_wait():
            clock.sleep(YIELD_LOOK_SECONDS)
            self._waited_seconds += YIELD_LOOK_SECONDS
        return not self._is_stopping()
