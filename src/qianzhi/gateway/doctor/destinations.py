"""Destinations: reachable, trusted, of the same time and edition, and what waits for another attempt."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

import httpx
import orjson

from qianzhi.gateway.diagnosis import Diagnosis, both, ill, note, well
from qianzhi.gateway.doctor.versions import Edition
from qianzhi.runtime import clock
from qianzhi.specs.model import Text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from typing import Any

    from qianzhi.ledger.promises import Left

CLOCK_SECONDS_MAX: Final = 300.0  # that two clocks may be apart
ANSWER_BYTES_MAX: Final = 2**16
HEALTH_PATH: Final = "/healthz"
_MINUTE: Final = 60.0


@dataclass(frozen=True, slots=True)
class Reached:
    """What a destination said of itself."""

    asked_at: datetime
    answered_at: datetime
    told_at: datetime | None  # by its own clock
    seconds: float  # of one question with its answer, connecting included
    said: dict[str, Any]  # what /healthz says; empty where it says nothing that is known here

    def edition(self, regulator: str) -> Edition | None:
        """Return the rules by which it judges; None where it does not say."""
        try:
            told = self.said["editions"][regulator]
            return Edition(str(told["edition"]), str(told["ruleset"]))
        except (KeyError, TypeError):
            return None


def ask(url: str, context: ssl.SSLContext, *, timeout_seconds: float) -> Reached | httpx.HTTPError:
    """Ask a destination how it is; no row is sent."""
    asked_at, begun = clock.now(), clock.monotonic()
    body = bytearray()
    try:
        with httpx.stream("GET", url + HEALTH_PATH, verify=context, timeout=timeout_seconds, trust_env=False) as answer:
            seconds = clock.monotonic() - begun
            for part in answer.iter_bytes():
                body += part
                if len(body) > ANSWER_BYTES_MAX:
                    break
    except httpx.HTTPError as error:
        return error
    return Reached(asked_at, clock.now(), _instant(answer.headers.get("date", "")), seconds, _object(bytes(body)))


def reached(title: str, found: Reached | httpx.HTTPError) -> Diagnosis:
    """Return whether it answers. Pure."""
    if isinstance(found, httpx.HTTPError):
        return _unreached(title, found)
    if found.said.get("status", "ok") != "ok":
        return note(
            title,
            Text("可以连接，但对方自称不正常。", "It can be reached, but says that it is not well."),
            Text(
                "请联系对方运维；记录会等待，不会丢失。", "Tell its operator; rows wait meanwhile and nothing is lost."
            ),
        )
    return well(title, "可以连接。", "It can be reached.")


def timing(name: str, found: Reached) -> Iterator[Diagnosis]:
    """Yield how far our clock, which may have gone on while it answered, is from the destination's. Pure."""
    if found.told_at is None:
        return
    behind, ahead = (
        (found.told_at - found.answered_at).total_seconds(),
        (found.asked_at - found.told_at).total_seconds(),
    )
    apart = max(behind, ahead, 0.0)
    title = f"clock of {name}"
    if apart <= CLOCK_SECONDS_MAX:
        zh, en = (
            f"本机与对方时钟相差 {apart:.0f} 秒。",
            f"This machine's clock and its own are {apart:.0f} seconds apart.",
        )
        yield well(title, zh, en)
        return
    yield ill(
        title,
        Text(
            f"本机时钟比对方{'快' if ahead > behind else '慢'} {apart / _MINUTE:.0f} 分钟。",
            f"This clock is {apart / _MINUTE:.0f} minutes {'ahead of' if ahead > behind else 'behind'} its own.",
        ),
        Text(
            "让两端都与时间服务器（NTP）同步；像来自未来的批次会被拒收。",
            "Let both follow a time server (NTP); a batch that seems to come from the future is refused.",
        ),
    )


def deliveries(name: str, troubles: list[dict[str, Any]]) -> Diagnosis:
    """Return what waits for another attempt. Pure."""
    title = f"deliveries to {name}"
    if not troubles:
        return well(title, "没有批次在等待重试。", "No batch waits for another attempt.")
    outcome = both(troubles[0]["outcome"])
    return ill(
        title,
        Text(
            f"{len(troubles)} 个批次在等待；最早的原因：{outcome.zh}",
            f"{len(troubles)} batches wait; the oldest because of: {outcome.en}",
        ),
        Text(
            "排除该原因；它们会自动重试，也可用 `qianzhi gateway cycle` 立即重试。",
            "Put that right; they go by themselves, and at once with `qianzhi gateway cycle`.",
        ),
    )


def images(name: str, left: Left, trouble: str) -> Diagnosis:
    """Return which images of accepted rows are still to be sent, and what is in the way of the oldest. Pure."""
    title = f"images for {name}"
    if not left.troubled_count:
        return well(
            title,
            f"{left.image_count} 张图片待上传，线路空闲时自动进行。",
            f"{left.image_count} images are still to be sent; they go by themselves while no row waits.",
        )
    return ill(
        title,
        Text(
            f"{left.image_count} 张图片待上传，其中 {left.troubled_count} 张失败；最早的原因：{both(trouble).zh}",
            f"{left.image_count} images are still to be sent, {left.troubled_count} failed; the oldest because of: "
            f"{trouble}",
        ),
        Text(
            "排除该原因；它们会自动重试。记录本身已接收，不受影响。",
            "Put that right; they go by themselves. The rows themselves are accepted.",
        ),
    )


def _unreached(title: str, error: httpx.HTTPError) -> Diagnosis:
    if any(isinstance(each, ssl.SSLCertVerificationError) for each in _causes(error)):
        return ill(
            title,
            Text(
                "对方出示的证书不受信任，或名称、时间不符。",
                "It answers with a certificate that is not trusted here, or is of another name or time.",
            ),
            Text(
                "检查 url 中的主机名、ca_file 和本机时钟。",
                "Check the host name in url, ca_file, and this machine's clock.",
            ),
        )
    return ill(
        title,
        Text(f"无法连接（{type(error).__name__}）。", f"It cannot be reached ({type(error).__name__})."),
        Text(
            "检查地址、VPN 和防火墙；记录会等待，不会丢失。",
            "Check its address, the VPN and the firewall; rows wait meanwhile and nothing is lost.",
        ),
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _instant(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def _object(body: bytes) -> dict[str, Any]:
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return said if isinstance(said, dict) else {}
