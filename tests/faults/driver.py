"""
Processes of the product that fail where a test says.

A point is a function of the product, wrapped. When the fuse is armed for a point, whoever comes there next kills a
process (itself, or the one that the fuse names) or fails with an error, before or after the function's own work.
"""

from __future__ import annotations

import errno
import functools
import importlib
import inspect
import json
import multiprocessing
import os
import signal
import sys
import threading
import time
from dataclasses import asdict, dataclass
from datetime import timedelta
from enum import Enum
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from qianzhi.runtime.stopping import SUPERVISOR_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DEAD_SECONDS = 60.0  # a signal is on its way to us: nothing more must happen here
_LOCK = threading.Lock()
_ABOVE: list[int] = []  # who would at once replace a process of ours that dies, and so dies with it


class When(Enum):
    """On which side of a function a point lies."""

    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True, slots=True)
class Point:
    """A place in the product's work."""

    module: str
    name: str
    when: When


BEFORE, AFTER = When.BEFORE, When.AFTER

GATEWAY_POINTS: Mapping[str, Point] = {
    "cycle opened, not committed": Point("qianzhi.ledger.batches", "open_cycle", AFTER),
    "rows taken": Point("qianzhi.ledger.arrivals", "take", AFTER),
    "before an image is kept": Point("qianzhi.ledger.blobs", "Blobs.put", BEFORE),
    "image kept": Point("qianzhi.ledger.blobs", "Blobs.put", AFTER),
    "rows held, not committed": Point("qianzhi.ledger.held", "hold", AFTER),
    "before the spool is written": Point("qianzhi.gateway.spool", "Spool.write", BEFORE),
    "spool file half written": Point("qianzhi.runtime.files", "os.fsync", BEFORE),
    "spool written, batch not entered": Point("qianzhi.gateway.spool", "Spool.write", AFTER),
    "batch entered, not committed": Point("qianzhi.ledger.batches", "seal", AFTER),
    "before the seal is committed": Point("qianzhi.gateway.seal", "Sealer._record", AFTER),
    "seal committed": Point("qianzhi.gateway.seal", "Sealer.seal_next", AFTER),
    "image sent, not recorded": Point("qianzhi.regulators.guangdong.deliver", "HubDoor.offer", AFTER),
    "before the batch is sent": Point("qianzhi.regulators.guangdong.deliver", "HubDoor.send", BEFORE),
    "receipt come, attempt not noted": Point("qianzhi.regulators.guangdong.deliver", "HubDoor.send", AFTER),
    "attempt noted, not settled": Point("qianzhi.ledger.batches", "note_attempt", AFTER),
    "receipt kept, not committed": Point("qianzhi.ledger.batches", "settle", AFTER),
    "held rows released, not committed": Point("qianzhi.ledger.keys", "settle_states", AFTER),
    "settled": Point("qianzhi.gateway.deliver", "settle", AFTER),
    "before the spool is cleared": Point("qianzhi.gateway.spool", "Spool.remove", BEFORE),
    "spool cleared": Point("qianzhi.gateway.spool", "Spool.remove", AFTER),
    "before the cycle is closed": Point("qianzhi.ledger.batches", "finish_cycle", BEFORE),
}
HUB_POINTS: Mapping[str, Point] = {
    "sender admitted": Point("qianzhi.hub.identity", "Doorkeeper.admit", AFTER),
    "body read": Point("qianzhi.hub.bodies", "read", AFTER),
    "turn come": Point("qianzhi.hub.archive", "lock", AFTER),
    "batch entered": Point("qianzhi.hub.archive", "add", AFTER),
    "rows written": Point("qianzhi.hub.archive", "Rows.keep", AFTER),
    "everything written, not committed": Point("qianzhi.hub.holdings", "Held.settle", AFTER),
    "stored, not answered": Point("qianzhi.hub.reception", "Reception.receive", AFTER),
    "blob half written": Point("qianzhi.runtime.files", "os.fsync", BEFORE),
    "blob on disk, not in the ledger": Point("qianzhi.ledger.blobs", "Blobs.put", AFTER),
    "blob entered, not committed": Point("qianzhi.hub.blobs", "store", AFTER),
}

ERRORS: Mapping[str, Callable[[], Exception]] = {
    "disk full": lambda: OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
    "lock timeout": lambda: psycopg.errors.LockNotAvailable("canceling statement due to lock timeout"),
    "server disk full": lambda: psycopg.errors.DiskFull("could not extend file"),
    "bad row": lambda: psycopg.errors.DataException("a value that the ledger cannot hold"),
}


@dataclass(frozen=True, slots=True)
class Charge:
    """What the fuse does, and at whose how-manieth coming."""

    point: str
    nth: int = 1
    times: int = 1
    victim: int | None = None  # None: whoever comes there
    error: str | None = None  # of ERRORS; None: SIGKILL


class Fuse:
    """A file that arms one point; it is used up when it has gone off."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def is_armed(self) -> bool:
        """Whether it has not gone off yet."""
        return self.path.exists()

    def arm(self, charge: Charge) -> None:
        """Let it go off at a point."""
        unfinished = self.path.with_suffix(".unfinished")
        unfinished.write_text(json.dumps(asdict(charge)), encoding="utf-8")
        unfinished.replace(self.path)

    def disarm(self) -> None:
        """Let nothing happen."""
        self.path.unlink(missing_ok=True)

    def reach(self, point: str) -> None:
        """Come to a point."""
        with _LOCK:
            try:
                charge = Charge(**json.loads(self.path.read_text(encoding="utf-8")))
            except FileNotFoundError:
                return
            if charge.point != point:
                return
            self._burn(charge)
            if charge.nth > 1:
                return
        _go_off(charge)

    def _burn(self, charge: Charge) -> None:
        told = asdict(charge)
        if charge.nth > 1:
            self.arm(Charge(**{**told, "nth": charge.nth - 1}))
        elif charge.times > 1:
            self.arm(Charge(**{**told, "times": charge.times - 1}))
        else:
            self.disarm()


def _go_off(charge: Charge) -> None:
    if charge.error is not None:
        error = ERRORS[charge.error]()
        raise error
    for victim in [charge.victim] if charge.victim is not None else [*_ABOVE, os.getpid()]:
        os.kill(victim, signal.SIGKILL)
    if charge.victim is None:
        time.sleep(DEAD_SECONDS)


def wire(fuse: Fuse, points: Mapping[str, Point]) -> None:
    """Wrap every point's function; AttributeError where the product has no such function any more."""
    sides: dict[tuple[str, str], dict[When, str]] = {}
    for name, point in points.items():
        sides.setdefault((point.module, point.name), {})[point.when] = name
    for (module, path), named in sides.items():
        *owners, attribute = path.split(".")
        owner: Any = importlib.import_module(module)
        for each in owners:
            owner = getattr(owner, each)
        setattr(owner, attribute, _wrapped(getattr(owner, attribute), named, fuse))


def _wrapped(function: Callable[..., Any], named: Mapping[When, str], fuse: Fuse) -> Callable[..., Any]:
    def pass_by(when: When) -> None:
        if when in named:
            fuse.reach(named[when])

    if inspect.iscoroutinefunction(function):

        async def waiting(*arguments: Any, **named_arguments: Any) -> Any:
            pass_by(BEFORE)
            result = await function(*arguments, **named_arguments)
            pass_by(AFTER)
            return result

        return functools.wraps(function)(waiting)

    def calling(*arguments: Any, **named_arguments: Any) -> Any:
        pass_by(BEFORE)
        result = function(*arguments, **named_arguments)
        pass_by(AFTER)
        return result

    return functools.wraps(function)(calling)


@dataclass(frozen=True, slots=True)
class Order:
    """A process of the product to be: a command line, and what is peculiar about its surroundings."""

    arguments: tuple[str, ...]
    output: Path  # where its words go: with the ending .out and .err
    fuse: Path
    supervisor: int  # the process whose end ends this one, too
    clock_shifts_seconds: tuple[float, ...] = (0.0,)  # one after the other, again and again, at each look at the clock
    answer_seconds: float | None = None  # how long it waits for an answer of the hub


def run(order: Order) -> None:
    """Be a process of the product; exits as the command line does."""
    os.environ[SUPERVISOR_VARIABLE] = str(order.supervisor)
    for number, ending in ((1, ".out"), (2, ".err")):
        os.dup2(os.open(order.output.with_suffix(ending), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
    if order.arguments[0] == "hub":
        _ABOVE.append(os.getpid())
        multiprocessing.set_start_method("fork", force=True)  # its workers inherit the wrapped functions
        wire(Fuse(order.fuse), HUB_POINTS)
    else:
        wire(Fuse(order.fuse), GATEWAY_POINTS)
    _shift_clock(order.clock_shifts_seconds)
    if order.answer_seconds is not None:
        _wait_less(order.answer_seconds)
    if order.arguments == ("nightly",):
        _nightly(order)
    else:
        _command_line(order.arguments)


def _command_line(arguments: tuple[str, ...]) -> None:
    from qianzhi.cli import main

    sys.argv = ["qianzhi", *arguments]
    main()


def _nightly(order: Order) -> None:
    """Do what the worker does at a tick of its clock."""
    from qianzhi.gateway import assembly
    from qianzhi.gateway.worker import Worker
    from qianzhi.runtime.home import Home
    from qianzhi.runtime.sources import load_settings

    home = Home(order.output.parent.parent)
    settings = load_settings(home)
    destinations = assembly.destinations(home, settings)
    worker = Worker(assembly.workplace(home, settings), destinations)
    for destination in destinations:
        worker.nightly(destination)


def _shift_clock(shifts_seconds: tuple[float, ...]) -> None:
    from qianzhi.runtime import clock

    real, shifts = clock.now, cycle(shifts_seconds)
    clock.now = lambda: real() + timedelta(seconds=next(shifts))


def _wait_less(seconds: float) -> None:
    from qianzhi.regulators.guangdong import deliver

    deliver.HubDoor.__init__ = functools.partialmethod(  # type: ignore[method-assign,assignment]
        deliver.HubDoor.__init__, answer_seconds=seconds
    )
