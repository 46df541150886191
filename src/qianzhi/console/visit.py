"""One visitor on one page: who it is, in which language, and how a page asks without making others wait."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeVar

import structlog
from anyio import CapacityLimiter, to_thread

from qianzhi.console import notices
from qianzhi.console.calls import finished
from qianzhi.console.text import Language, speak
from qianzhi.db.server import translated
from qianzhi.errors import QianzhiError
from qianzhi.ledger import audit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from qianzhi.console.base import Base
    from qianzhi.console.pages import Page
    from qianzhi.console.roles import Role
    from qianzhi.console.sessions import Live, Sessions
    from qianzhi.db.pool import Pool
    from qianzhi.db.server import Session

SESSIONS_MAX: Final = 8  # of the database, hence threads that ask it
_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")

log = structlog.stdlib.get_logger()


@dataclass(frozen=True, slots=True)
class Desk:
    """What every page of a process shares."""

    pool: Pool
    sessions: Sessions
    base: Base
    threads: CapacityLimiter


@dataclass(frozen=True, slots=True)
class Visit:
    """What a page is given; `query` are the parameters of its address."""

    desk: Desk
    live: Live
    page: Page
    language: Language
    is_dark: bool
    query: Mapping[str, str]
    here: str  # the address, parameters and all

    @property
    def role(self) -> Role:
        """What the visitor may do."""
        return self.live.who.role

    def link(self, path: str) -> str:
        """Return the address of another page."""
        return self.desk.base.link(path)

    async def ask(
        self,
        read: Callable[Concatenate[Session, _Given], _Result],
        *given: _Given.args,
        **named: _Given.kwargs,
    ) -> _Result:
        """Call a function with a session of the database, in a thread; its transaction ends with it."""

        def within() -> _Result:
            with translated("The page was not read"), self.desk.pool.connection() as session:
                return read(session, *given, **named)

        return await to_thread.run_sync(within, limiter=self.desk.threads)

    async def work(self, do: Callable[_Given, _Result], *given: _Given.args, **named: _Given.kwargs) -> _Result:
        """Call a function that waits or calculates, in a thread."""
        return await to_thread.run_sync(partial(do, *given, **named), limiter=self.desk.threads)

    def looked(self, session: Session, filters: Mapping[str, str], count: int) -> None:
        """Note that the visitor was shown records of patients; filters that hold a patient's value say only "set"."""
        said = ", ".join(f"{name}={value}" for name, value in sorted(filters.items()))
        self.note(session, "console:page:viewed", self.page.path, {"filters": said, "count": count})

    def note(
        self, session: Session, event: str, subject: str, detail: Mapping[str, str | int | bool] | None = None
    ) -> None:
        """Put on record what the visitor did (`event` is area:subject:action), in the transaction of the session."""
        audit.note(session, actor=self.live.who.actor, event=event, subject=subject, detail=detail)

    def handler(self, act: Callable[..., object]) -> Callable[..., Awaitable[None]]:
        """Wrap what an event calls: in the visitor's language, while the session lives, errors told with remedy."""
        if inspect.signature(act).parameters:

            async def handle(event: Any) -> None:  # noqa: ANN401 - an event of any component
                await self._act(lambda: act(event))

            return handle

        async def handle_nothing() -> None:
            await self._act(act)

        return handle_nothing

    async def _act(self, act: Callable[[], object]) -> None:
        if self.live.ended:
            return
        speak(self.language)
        try:
            await finished(act())
        except QianzhiError as error:
            notices.tell(error)
        except Exception:
            log.exception("console:event:failed", route=self.page.path)
            notices.tell_unexpected()
