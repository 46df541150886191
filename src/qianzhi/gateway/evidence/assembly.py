"""From settings to the values that evidence is answered with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from qianzhi.db.account import make_private
from qianzhi.errors import ConfigurationError
from qianzhi.gateway.evidence.desk import Terms
from qianzhi.gateway.evidence.reach import Reach
from qianzhi.gateway.evidence.remote import Bounds, Remote
from qianzhi.gateway.evidence.shelf import Shelf
from qianzhi.runtime.certificates import own_identity, read_identity
from qianzhi.runtime.home import End
from qianzhi.runtime.server import LOOPBACK, Listener, host_here

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from qianzhi.regulators.protocols import Evidence
    from qianzhi.runtime.certificates import Identity
    from qianzhi.runtime.home import Home
    from qianzhi.runtime.settings import Settings

_SECTION: Final = "[gateway.evidence]"


def keys_file(home: Home, key: str) -> Path:
    """Return where the keys of a regulator lie."""
    return home.end(End.GATEWAY).credentials / f"evidence-{key}.json"


def secret_file(home: Home) -> Path:
    """Return where the secret lies that addresses of files are signed by."""
    return home.end(End.GATEWAY).credentials / "evidence-links"


def credential_file(home: Home) -> Path:
    """Return where the credential lies that systems of the hospital register files with."""
    return home.end(End.GATEWAY).credentials / "evidence-registrar"


def choices(settings: Settings, evidence: Evidence) -> Mapping[str, str]:
    """Return what the regulator's document is taken to mean; ConfigurationError for a choice that there is not."""
    chosen = {name: values[0] for name, values in evidence.CHOICES.items()}
    for text in settings.gateway.evidence.choices:
        name, _, value = (part.strip() for part in text.partition("="))
        if value not in evidence.CHOICES.get(name, ()):
            known = "; ".join(f"{each}={'|'.join(values)}" for each, values in evidence.CHOICES.items())
            raise ConfigurationError(f"{_SECTION} choices has one that there is not.", remedy=f"Write: {known}.")
        chosen[name] = value
    return chosen


def base_url(settings: Settings) -> str:
    """Return the address that the regulator was told; on this machine alone where none is set."""
    said = settings.gateway.evidence
    return said.public_base_url or f"https://{LOOPBACK}:{said.port}"


def local_url(settings: Settings) -> str:
    """Return the address by which this machine reaches the service itself."""
    said = settings.gateway.evidence
    host = host_here(said.listen)
    return f"https://{f'[{host}]' if ':' in host else host}:{said.port}"


def terms(settings: Settings, evidence: Evidence) -> Terms:
    """Return on which terms the regulator is answered."""
    said = settings.gateway.evidence
    return Terms(base_url(settings), choices(settings, evidence), said.window_seconds, said.link_seconds)


def shelf(settings: Settings) -> Shelf:
    """Return the folders that files may be shown from."""
    return Shelf({name: each.folder for name, each in settings.gateway.evidence.folders.items()})


def remote(settings: Settings) -> Remote:
    """Return what asks other machines."""
    said = settings.gateway.evidence.remote
    return Remote(Reach(said.origins, said.networks), Bounds(said.bytes_max, said.seconds_max), said.ca_file)


def identity(home: Home, settings: Settings, now: datetime) -> Identity:
    """Return the certificate that is shown: the site's own, else one of an authority of ours, made or renewed."""
    tls = settings.gateway.evidence.tls
    if tls.certificate is not None and tls.key is not None:
        return read_identity(tls.certificate, tls.key, section="gateway.evidence.tls")
    folder = home.existing(End.GATEWAY).tls / "evidence"
    make_private(folder)
    host = urlsplit(base_url(settings)).hostname or LOOPBACK
    return own_identity(folder, [*tls.names, host], now=now)


def listener(home: Home, settings: Settings, now: datetime) -> Listener:
    """Return where evidence is answered, and with which certificate."""
    shown, said = identity(home, settings, now), settings.gateway.evidence
    return Listener(
        address=said.listen,
        port=said.port,
        workers=said.workers,
        connections_max=said.connections_max,
        certificate=shown.certificate,
        key=shown.key,
    )
