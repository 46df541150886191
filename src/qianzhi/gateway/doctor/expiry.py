"""What comes to an end: certificates on both sides, and passwords that were given out long ago."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from cryptography import x509

from qianzhi.gateway.diagnosis import Diagnosis, ill, note, well
from qianzhi.runtime import clock
from qianzhi.specs.model import Text

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

EXPIRY_DAYS: Final = 30  # before the end of a certificate somebody should know
PASSWORD_DAYS_MAX: Final = 180
HTTPS_PORT: Final = 443
_DAY: Final = timedelta(days=1)


def authority(destination: str, file: Path, *, now: datetime) -> Diagnosis:
    """Return when the first of the certificates in ca_file ends."""
    remedy = Text(
        "向对方运维索取新证书，并填为 ca_file。",
        "Ask the destination's operator for the new one, and name it as ca_file.",
    )
    return held(f"authority of {destination}", file, remedy, now=now)


def held(title: str, file: Path, remedy: Text, *, now: datetime) -> Diagnosis:
    """Return when the first of the certificates in a file ends."""
    try:
        found = x509.load_pem_x509_certificates(file.read_bytes())
    except (OSError, ValueError):
        return ill(title, Text(f"{file} 中没有证书。", f"{file} holds no certificate."), remedy)
    return certificate(title, min(each.not_valid_after_utc for each in found), remedy, now=now)


def certificate(title: str, ends_at: datetime, remedy: Text, *, now: datetime) -> Diagnosis:
    """Return how long a certificate lasts. Pure."""
    day = f"{clock.local(ends_at):%Y-%m-%d}"
    if ends_at <= now:
        return ill(title, Text(f"已于 {day} 到期。", f"It ended on {day}."), remedy)
    if ends_at - now < EXPIRY_DAYS * _DAY:
        return note(title, Text(f"将于 {day} 到期。", f"It ends on {day}."), remedy)
    return well(title, f"有效期至 {day}。", f"It is valid until {day}.")


def shown_end(url: str, context: ssl.SSLContext, *, timeout_seconds: float) -> datetime | None:
    """Return when the certificate ends that a server shows; None where it cannot be seen."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        with (
            socket.create_connection((host, parts.port or HTTPS_PORT), timeout=timeout_seconds) as line,
            context.wrap_socket(line, server_hostname=host) as secured,
        ):
            shown = secured.getpeercert(binary_form=True)
    except OSError:
        return None
    return x509.load_der_x509_certificate(shown).not_valid_after_utc if shown else None


def password(role: str, set_at: datetime | None, *, now: datetime) -> Diagnosis:
    """Return how old a password is that hospital systems hold. Pure."""
    title = f"password of {role}"
    if set_at is None:
        return well(title, "没有记录设置时间。", "It is not on record when it was set.")
    days = (now - set_at) // _DAY
    if days <= PASSWORD_DAYS_MAX:
        return well(title, f"{max(days, 0)} 天前设置。", f"It was set {max(days, 0)} days ago.")
    return note(
        title,
        Text(f"已使用 {days} 天。", f"It is {days} days old."),
        Text(
            "更换它并通知各系统厂商：见“运行前置机”一文。",
            "Change it and tell the vendors: see the page about running a gateway.",
        ),
    )


def file_set_at(file: Path) -> datetime | None:
    """Return when the file of a password was written, in UTC; None where there is none."""
    try:
        return datetime.fromtimestamp(file.stat().st_mtime, UTC)
    except OSError:
        return None
