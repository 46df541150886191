"""Showing the files that answers name: only to whoever has an address of ours, and only as they were."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

import httpx
import structlog

from qianzhi.errors import QianzhiError
from qianzhi.gateway.evidence.links import fingerprint
from qianzhi.gateway.evidence.questions import LINK_PARAMETER, QUERY_BYTES_MAX
from qianzhi.gateway.evidence.relay import relay
from qianzhi.gateway.evidence.sending import Sender
from qianzhi.ledger.evidence import REMOTE
from qianzhi.regulators.protocols import Outcome
from qianzhi.runtime import clock

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from starlette.types import Receive, Scope, Send

    from qianzhi.gateway.evidence.desk import Desk
    from qianzhi.ledger.evidence import Media

PARAMETERS_MAX: Final = 4

log = structlog.stdlib.get_logger()


class Files:
    """Sends files of this machine and passes on those of others."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._sender = Sender()

    def close(self) -> None:
        """End what reads files."""
        self._sender.close()

    async def show(self, scope: Scope, receive: Receive, send: Send, step: str) -> Outcome | None:
        """Send the file that an address proves, and return None; or return why there is none, having sent nothing."""
        media = await self._proven(scope["query_string"], step)
        if isinstance(media, Outcome):
            return media
        if media.place == REMOTE:
            return await self._relay(scope, send, media)
        opened = await asyncio.to_thread(self._desk.shelf.open, media)
        if opened is None:
            log.warning("evidence:file:changed", kind=media.kind)
            return Outcome.UNKNOWN
        with opened.file:
            etag = f'"{fingerprint(media).hex()}"'
            await self._sender.send_file(scope, receive, send, opened, media_type=media.media_type, etag=etag)
        return None

    async def _proven(self, query: bytes, step: str) -> Media | Outcome:
        """Return the file that an id names, if the id is ours, in time, and the file is what it was."""
        desk = self._desk
        passed = desk.signer.open(_link_id(query), now=int(clock.now().timestamp()))
        if passed is None:
            return Outcome.UNKNOWN
        try:
            media = await desk.files.ask(passed.media_id)
        except Exception:
            log.exception("evidence:file:failed")
            return Outcome.FAILED
        if media is None or fingerprint(media) != passed.fingerprint:
            return Outcome.UNKNOWN
        links = next((each.links for each in desk.evidence.ASKED if each.name == media.kind), {})
        return media if links.get(media.media_type) == step else Outcome.UNKNOWN

    async def _relay(self, scope: Scope, send: Send, media: Media) -> Outcome | None:
        started = False

        async def watched(message: MutableMapping[str, Any]) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await relay(scope, watched, self._desk.remote, media)
        except (QianzhiError, httpx.HTTPError, TimeoutError) as error:
            log.warning("evidence:remote:failed", kind=media.kind, exc_info=error)
            return None if started else Outcome.FAILED
        return None


def _link_id(query: bytes) -> str:
    if len(query) > QUERY_BYTES_MAX:
        return ""
    try:
        pairs = parse_qsl(query.decode("latin-1"), max_num_fields=PARAMETERS_MAX, errors="strict")
    except ValueError:
        return ""
    ids = [value for name, value in pairs if name == LINK_PARAMETER]
    return ids[0] if len(ids) == 1 else ""
