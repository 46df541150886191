"""Ports: which of those that the gateway, or the official software beside it, needs is taken, and by whom."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import psutil

from qianzhi.gateway.diagnosis import Diagnosis, ill, note, well
from qianzhi.specs.model import Text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

LOOPBACK: Final = "127.0.0.1"
CONNECT_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Taker:
    """Who listens on a port; pid and program are unknown where this account may not know."""

    pid: int | None = None
    program: str = ""

    @property
    def shown(self) -> Text:
        """The words for a person."""
        zh, en = self.program or "未知程序", self.program or "an unknown program"
        return Text(f"{zh}（进程 {self.pid}）", f"{en} (pid {self.pid})") if self.pid else Text(zh, en)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A port that should be ours (`is_ours`), or that the official software takes where it stands beside us."""

    port: int
    is_ours: bool
    by: Text
    setting: str = ""
    is_up: bool = False  # whether ours should listen now


@dataclass(frozen=True, slots=True)
class Ports:
    """The facts: who listens where, and which processes are the gateway's own."""

    taken: Mapping[int, Taker] = field(default_factory=dict)
    own: frozenset[int] = frozenset()  # process ids


def look(wanted: Collection[int], own: frozenset[int]) -> Ports:
    """Return who listens on ports. Where the system does not say, knocking does."""
    try:
        listening = {
            each.laddr.port: Taker(each.pid, _program(each.pid))
            for each in psutil.net_connections(kind="tcp")
            if each.status == psutil.CONN_LISTEN and each.laddr and each.laddr.port in wanted
        }
    except psutil.AccessDenied:  # macOS, without rights
        listening = {port: Taker() for port in wanted if is_taken(port)}
    return Ports(listening, own)


def is_taken(port: int) -> bool:
    """Tell whether something on this machine answers at a port."""
    try:
        socket.create_connection((LOOPBACK, port), timeout=CONNECT_SECONDS).close()
    except OSError:
        return False
    return True


def family(pids: Collection[int]) -> frozenset[int]:
    """Return processes and all that they started."""
    found = set(pids)
    for pid in pids:
        try:
            found.update(child.pid for child in psutil.Process(pid).children(recursive=True))
        except psutil.Error:
            continue
    return frozenset(found)


def diagnose(facts: Ports, wanted: Collection[Wanted]) -> Iterator[Diagnosis]:
    """Yield one diagnosis a port. Pure."""
    for each in wanted:
        taker = facts.taken.get(each.port)
        yield _ours(each, taker, facts) if each.is_ours else _theirs(each, taker, facts)


def _ours(wanted: Wanted, taker: Taker | None, facts: Ports) -> Diagnosis:
    name = f"port {wanted.port}"
    if taker is None and not wanted.is_up:
        return note(
            name,
            Text(f"{wanted.by.zh}的端口 {wanted.port} 空闲：前置机没有运行。", f"Free: {wanted.by.en} does not run."),
            Text("运行 `qianzhi gateway run`，或启动其服务。", "Run `qianzhi gateway run`, or start its service."),
        )
    if taker is None:
        return ill(
            name,
            Text(f"{wanted.by.zh}应监听而没有监听。", f"{_begun(wanted.by.en)} should listen and does not."),
            Text("查看 gateway/log 下的日志，然后重启该部件。", "Look into gateway/log, then restart that part."),
        )
    if taker.pid in facts.own:
        return well(name, f"由本前置机的{wanted.by.zh}使用。", f"{_begun(wanted.by.en)} of this gateway has it.")
    if wanted.is_up and taker.pid is None:
        return well(name, f"有程序监听，应为{wanted.by.zh}。", f"Something listens; it should be {wanted.by.en}.")
    return ill(
        name,
        Text(
            f"{wanted.by.zh}需要的端口被其他程序占用：{taker.shown.zh}。",
            f"Something else has the port of {wanted.by.en}: {taker.shown.en}.",
        ),
        Text(
            f"停止该程序，或在 qianzhi.toml 中更换端口（{wanted.setting}）。",
            f"Stop that program, or choose another port in qianzhi.toml ({wanted.setting}).",
        ),
    )


def _theirs(wanted: Wanted, taker: Taker | None, facts: Ports) -> Diagnosis:
    name = f"port {wanted.port}"
    if taker is None:
        return well(name, f"空闲，可供{wanted.by.zh}使用。", f"Free for {wanted.by.en}.")
    if taker.pid is not None and taker.pid in facts.own:
        return well(name, "由本前置机使用。", "This gateway has it.")
    return note(
        name,
        Text(f"已被占用：{taker.shown.zh}。", f"Taken: {taker.shown.en}."),
        Text(
            f"如果它不是{wanted.by.zh}，而这台机器要安装官方前置机，请先释放。",
            f"If that is not {wanted.by.en}, and the official software is to stand here, free it first.",
        ),
    )


def _begun(words: str) -> str:
    return words[:1].upper() + words[1:]


def _program(pid: int | None) -> str:
    try:
        return psutil.Process(pid).name() if pid else ""
    except psutil.Error:
        return ""
