"""Answering a question: who asks, whether it proves itself, and what there is; each question is remembered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from qianzhi.gateway.evidence.guard import Guard, Quota, Repeats
from qianzhi.ledger.evidence import Noted
from qianzhi.regulators.protocols import Outcome, Question
from qianzhi.runtime import clock

if TYPE_CHECKING:
    from datetime import datetime
    from http import HTTPStatus

    from starlette.types import Scope

    from qianzhi.gateway.evidence.desk import Desk
    from qianzhi.ledger.evidence import Media
    from qianzhi.regulators.protocols import Asked, Reply

QUERY_BYTES_MAX: Final = 4_096
LINK_PARAMETER: Final = "id"
REPEAT_SECONDS: Final = 1.0
"""Between two entries about repeats; the ledger has each of them."""

STRANGERS_NOTED_MAX: Final = 120
"""Refused questions that a process puts on record within STRANGERS_SECONDS: anybody may ask, and fill a disk so."""

STRANGERS_SECONDS: Final = 60.0

log = structlog.stdlib.get_logger()


@dataclass(frozen=True, slots=True)
class _Knock:
    """Who asks when."""

    client: str | None
    now: datetime
    tick: float  # monotonic


class Questions:
    """Answers what a regulator asks by record."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._guard = Guard()
        self._repeats = Repeats(2.0 * desk.terms.window_seconds)
        self._repeated_count, self._tell_again = 0, 0.0
        self._strangers = Quota(STRANGERS_NOTED_MAX, STRANGERS_SECONDS)
        self._unnoted_count, self._tell_unnoted = 0, 0.0

    async def answer(self, scope: Scope, asked: Asked) -> tuple[HTTPStatus, Reply]:
        """Return status and body for a question, and remember it."""
        evidence = self._desk.evidence
        knock = _Knock(self._desk.clients.of(scope), clock.now(), clock.monotonic())
        judged = self._judge(scope["query_string"], knock)
        if isinstance(judged, Question):
            outcome, reply = await self._found(asked, judged, knock.now)
            self._note(asked, knock, outcome, judged)
        else:
            outcome, reply = judged, evidence.refuse(judged)
            self._note(asked, knock, outcome, None)
        return evidence.STATUSES[outcome], reply

    def _judge(self, query: bytes, knock: _Knock) -> Question | Outcome:
        desk = self._desk
        if len(query) > QUERY_BYTES_MAX:
            return Outcome.MALFORMED
        if self._guard.is_shut(knock.client, knock.tick):
            return Outcome.UNPROVEN
        judged = desk.evidence.judge(
            query.decode("latin-1"),
            desk.keys.valid(knock.now),
            desk.terms.choices,
            now=int(knock.now.timestamp()),
            window_seconds=desk.terms.window_seconds,
        )
        if judged is Outcome.UNPROVEN:
            self._guard.note_failure(knock.client, knock.tick)
        return judged

    async def _found(self, asked: Asked, question: Question, now: datetime) -> tuple[Outcome, Reply]:
        desk = self._desk
        try:
            found = await desk.records.ask((asked.name, question.record))
        except Exception:
            log.exception("evidence:record:failed", method=asked.method)
            return Outcome.FAILED, desk.evidence.refuse(Outcome.FAILED)
        media = [each for each in found or () if each.media_type in asked.links]
        if not media:
            return Outcome.UNKNOWN, desk.evidence.refuse(Outcome.UNKNOWN)
        ends = int(now.timestamp()) + desk.terms.link_seconds
        shown = media if asked.many else media[-1:]
        links = [(each.media_type, self._link(asked, each, ends)) for each in shown]
        return Outcome.SERVED, desk.evidence.answer(asked, links, desk.terms.choices)

    def _link(self, asked: Asked, media: Media, ends: int) -> str:
        step = asked.links[media.media_type]
        return f"{self._desk.terms.base_url}/{step}?{LINK_PARAMETER}={self._desk.signer.sign(media, ends=ends)}"

    def _note(self, asked: Asked, knock: _Knock, outcome: Outcome, question: Question | None) -> None:
        record, token, earlier = None, None, 0
        if question is not None:
            record, token = self._desk.signer.digest(question.record), self._desk.signer.digest(question.token)
            earlier = self._repeats.earlier(f"{record}{token}{asked.method}", knock.tick)
            if earlier:
                self._tell_repeat(asked, record, knock.tick)
        elif not self._strangers.take(knock.tick):
            self._leave_out(asked, knock.tick)
            return
        noted = Noted(knock.now, asked.method, outcome.value, knock.client, record, token, earlier)
        self._desk.diary.note(noted)

    def _leave_out(self, asked: Asked, tick: float) -> None:
        """Count a refused question that is not put on record, and log how many there were."""
        self._unnoted_count += 1
        if tick >= self._tell_unnoted:
            count, self._unnoted_count, self._tell_unnoted = self._unnoted_count, 0, tick + STRANGERS_SECONDS
            log.warning("evidence:question:unnoted", method=asked.method, count=count)

    def _tell_repeat(self, asked: Asked, record: str, tick: float) -> None:
        """Log the repeats since the last time that any was logged: a log must not drown in them."""
        self._repeated_count += 1
        if tick >= self._tell_again:
            count, self._repeated_count, self._tell_again = self._repeated_count, 0, tick + REPEAT_SECONDS
            log.warning("evidence:question:repeated", method=asked.method, digest=record, count=count)
