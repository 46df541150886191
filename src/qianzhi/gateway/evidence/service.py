"""The part `evidence` of `qianzhi gateway run`: the process that answers, and what it does now and then."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from qianzhi.db.locks import try_hold
from qianzhi.db.server import connect
from qianzhi.errors import QianzhiError
from qianzhi.gateway import assembly as gateway_assembly
from qianzhi.gateway.evidence import asking, assembly, keys, links
from qianzhi.gateway.evidence.scan import scan
from qianzhi.ledger import evidence
from qianzhi.runtime import clock, memory
from qianzhi.runtime.certificates import is_renewal_due, shown_fingerprint
from qianzhi.runtime.home import End, Home
from qianzhi.runtime.logs import configure_logs
from qianzhi.runtime.server import host_here, serve
from qianzhi.runtime.sources import load_settings
from qianzhi.runtime.stopping import follow_supervisor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qianzhi.db.server import Session
    from qianzhi.gateway.evidence.door import Door
    from qianzhi.gateway.evidence.sessions import Sessions
    from qianzhi.ledger.evidence import Media
    from qianzhi.runtime.server import Application
    from qianzhi.runtime.settings import Settings

PART: Final = "evidence"
QUESTION_DAYS: Final = 400
"""How long it is known who asked: a year, and what a yearly inspection takes."""

_SCAN_LOCK: Final = "qianzhi evidence scan"
log = structlog.stdlib.get_logger()


def answer(home: Home, settings: Settings) -> None:
    """Be the process that the workers belong to which answer."""
    follow_supervisor()
    configure_logs(PART, home.existing(End.GATEWAY).log, settings.log)
    key = asking.regulator_key(settings)
    found = asking.adapter(key)
    assembly.choices(settings, found)
    keys.ensure_key(assembly.keys_file(home, key), found.KEY_CHARACTERS, clock.now())
    links.ensure_secret(assembly.secret_file(home))
    links.ensure_credential(assembly.credential_file(home))
    serve(partial(open_door, str(home.path)), assembly.listener(home, settings, clock.now()))


def open_door(home: str) -> Application:
    """Open the door within one worker process."""
    memory.share_heaps()
    place = Home(Path(home))
    settings = load_settings(place)
    configure_logs(PART, place.existing(End.GATEWAY).log, settings.log)
    door = _opened(place, settings)
    threading.Thread(target=_look_now_and_then, args=(place, settings), name="look", daemon=True).start()
    memory.calm_collector()
    return door


def _opened(home: Home, settings: Settings) -> Door:
    # The process that the workers belong to needs none of what they load.
    from qianzhi.gateway.evidence.desk import Desk
    from qianzhi.gateway.evidence.diary import Diary
    from qianzhi.gateway.evidence.door import Door
    from qianzhi.gateway.evidence.gathering import Gathering
    from qianzhi.gateway.evidence.guard import Clients
    from qianzhi.gateway.evidence.registrar import Registrar
    from qianzhi.gateway.evidence.sessions import Sessions

    key = asking.regulator_key(settings)
    found = asking.adapter(key)
    sessions = Sessions(gateway_assembly.owner_dsn(home, settings))
    records = Gathering(partial(_records, sessions, key))
    files = Gathering(partial(_files, sessions))
    desk = Desk(
        evidence=found,
        terms=assembly.terms(settings, found),
        keys=keys.KeyRing(assembly.keys_file(home, key)),
        signer=links.Signer(links.ensure_secret(assembly.secret_file(home))),
        clients=Clients(settings.gateway.evidence.proxies),
        shelf=assembly.shelf(settings),
        remote=assembly.remote(settings),
        records=records,
        files=files,
        diary=Diary(partial(_note, sessions)),
    )

    def close() -> None:
        records.close()
        files.close()
        sessions.close()

    said = settings.gateway.evidence
    credential = links.ensure_credential(assembly.credential_file(home))
    registrar = Registrar(settings, sessions, desk.clients, said.registrars, credential)
    return Door(desk, registrar, partial(_is_well, sessions), close)


def _records(sessions: Sessions, key: str, wanted: Sequence[tuple[str, str]]) -> dict[tuple[str, str], list[Media]]:
    with sessions.lend() as session:
        found = evidence.of_records(session, key, wanted)
    told: dict[tuple[str, str], list[Media]] = {}
    for media in found:
        told.setdefault((media.kind, media.record), []).append(media)
    return told


def _files(sessions: Sessions, wanted: Sequence[int]) -> dict[int, Media]:
    with sessions.lend() as session:
        return {media.media_id: media for media in evidence.of_ids(session, wanted)}


def _note(sessions: Sessions, questions: Sequence[evidence.Noted]) -> None:
    with sessions.lend() as session:
        evidence.note(session, questions)


async def _is_well(sessions: Sessions) -> bool:
    def ask() -> bool:
        try:
            with sessions.lend() as session:
                session.execute("SELECT 1")
        except QianzhiError:
            return False
        return True

    return await asyncio.to_thread(ask)


def _look_now_and_then(home: Home, settings: Settings) -> None:
    """Look through the folders and at the certificate, for as long as the process lives."""
    while True:
        try:
            look(home, settings)
        except QianzhiError:
            log.exception("evidence:look:failed")
        except Exception:  # the next look may do better, and answers must not end with it
            log.exception("evidence:look:broken")
        clock.sleep(settings.gateway.evidence.scan_seconds)


def look(home: Home, settings: Settings) -> None:
    """Register what lies in the folders, forget old questions, renew the certificate; one process at a time does."""
    dsn = gateway_assembly.owner_dsn(home, settings)
    with connect(dsn, application="qianzhi evidence") as turn, connect(dsn, application="qianzhi evidence") as session:
        if not try_hold(turn, _SCAN_LOCK):
            return
        _scan_all(session, settings)
        evidence.forget(session, before=clock.now() - timedelta(days=QUESTION_DAYS))
        session.commit()
        _let_workers_show(home, settings)


def _scan_all(session: Session, settings: Settings) -> None:
    key, shelf = asking.regulator_key(settings), assembly.shelf(settings)
    asked = asking.adapter(key).ASKED
    for name in (name for name, folder in settings.gateway.evidence.folders.items() if folder.scan):
        try:
            said = scan(session, key, asked, shelf, name)
        except QianzhiError:
            session.rollback()
            log.exception("evidence:folder:failed", name=name)
            continue
        if said.added_count or said.removed_count or said.refused_count:
            log.info(
                "evidence:folder:scanned",
                name=name,
                accepted=said.added_count,
                rejected=said.refused_count,
                missing=said.removed_count,
            )


def _let_workers_show(home: Home, settings: Settings) -> None:
    """Let the workers be replaced one by one when another certificate is shown than the files hold (not on Windows)."""
    wanted, said = assembly.identity(home, settings, clock.now()), settings.gateway.evidence
    if is_renewal_due(wanted, now=clock.now()):
        log.warning("evidence:certificate:ending", due_at=wanted.expires_at)
    shown = shown_fingerprint(host_here(said.listen), said.port)
    if sys.platform != "win32" and shown not in {None, wanted.fingerprint}:
        log.info("evidence:certificate:changed", pid=os.getppid())
        os.kill(os.getppid(), signal.SIGHUP)
