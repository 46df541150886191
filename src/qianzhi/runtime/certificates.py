"""The certificate that a server shows: one of the site's own, or one signed by an authority made at `init`."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from qianzhi.errors import ConfigurationError
from qianzhi.runtime.files import write_durably

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes

AUTHORITY_DAYS = 3650
SERVER_DAYS = 398  # the longest that browsers accept
RENEWAL_DAYS = 30  # before its end
ANSWER_SECONDS = 5.0
CLOCK_SKEW = timedelta(hours=1)  # a client's clock may be behind ours
ALWAYS_NAMED = ("localhost", "127.0.0.1")
_COMMON_NAME_CHARACTERS_MAX = 64


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate chain with its key, as files; `authority` is what clients must trust (None: a public one)."""

    certificate: Path
    key: Path
    authority: Path | None
    expires_at: datetime
    fingerprint: str  # SHA-256 of the certificate, as colon-separated pairs


def own_identity(folder: Path, names: Sequence[str], *, now: datetime) -> Identity:
    """
    Return a certificate of our own authority for localhost and `names`, made or renewed if need be.

    The authority is made once and lasts ten years; a server certificate is renewed before its end and when the
    names change, with a new key. Safe to repeat.
    """
    wanted = list(dict.fromkeys([*ALWAYS_NAMED, *names]))
    authority = _authority(folder, now)
    certificate, key = folder / "server.pem", folder / "server.key"
    if not _is_good(certificate, key, wanted, authority, now):
        _write(_issue(authority, wanted, now), certificate, key)
    return _identity(certificate, key, folder / "ca.pem")


def read_identity(certificate: Path, key: Path, *, section: str) -> Identity:
    """Return the identity that a site set in a section; ConfigurationError when its files do not belong together."""
    if _public(_read_key(key).public_key()) != _public(_read_certificate(certificate).public_key()):
        raise ConfigurationError(
            f"The key {key} is not that of the certificate {certificate}.",
            remedy=f"Set certificate and key in [{section}] to files that were made together.",
        )
    return _identity(certificate, key, None)


def is_renewal_due(identity: Identity, *, now: datetime) -> bool:
    """Tell whether a certificate ends soon: ours is then to be made anew, the site's own to be replaced by people."""
    return identity.expires_at - now < timedelta(days=RENEWAL_DAYS)


def shown_fingerprint(host: str, port: int) -> str | None:
    """Return the fingerprint of the certificate that a server shows now, whoever signed it; None without answer."""
    try:
        shown = ssl.get_server_certificate((host, port), timeout=ANSWER_SECONDS)
    except OSError:
        return None
    return _fingerprint(x509.load_pem_x509_certificate(shown.encode()))


def _identity(certificate: Path, key: Path, authority: Path | None) -> Identity:
    leaf = _read_certificate(certificate)
    return Identity(certificate, key, authority, leaf.not_valid_after_utc, _fingerprint(leaf))


@dataclass(frozen=True, slots=True)
class _Pair:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def _authority(folder: Path, now: datetime) -> _Pair:
    certificate, key = folder / "ca.pem", folder / "ca.key"
    if certificate.exists():
        found = _read_key(key)
        if not isinstance(found, ec.EllipticCurvePrivateKey):
            raise _unreadable(key)
        return _Pair(_read_certificate(certificate), found)
    # Its number tells the authorities of several installations apart where one client trusts them all.
    name = _name(organization="qianzhi", common=f"qianzhi authority {x509.random_serial_number():x}")
    made = _make(subject=name, issuer=None, now=now, until=now + timedelta(days=AUTHORITY_DAYS), extra=[])
    _write(made, certificate, key)
    return made


def _issue(authority: _Pair, names: Sequence[str], now: datetime) -> _Pair:
    until = min(now + timedelta(days=SERVER_DAYS), authority.certificate.not_valid_after_utc)
    extra = [
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
        x509.SubjectAlternativeName([_general_name(name) for name in names]),
    ]
    return _make(subject=_name(common=names[0]), issuer=authority, now=now, until=until, extra=extra)


def _make(
    *, subject: x509.Name, issuer: _Pair | None, now: datetime, until: datetime, extra: Sequence[x509.ExtensionType]
) -> _Pair:
    """Make a key and its certificate, signed by the issuer, or by itself when there is none."""
    key = ec.generate_private_key(ec.SECP256R1())
    issuer_name, issuer_key = (issuer.certificate.subject, issuer.key) if issuer else (subject, key)
    is_authority = issuer is None
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer_name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(until - CLOCK_SKEW)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=0 if is_authority else None), critical=True)
        .add_extension(_usage(is_authority=is_authority), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    for extension in extra:
        builder = builder.add_extension(extension, critical=False)
    return _Pair(builder.sign(issuer_key, hashes.SHA256()), key)


def _is_good(certificate: Path, key: Path, names: Sequence[str], authority: _Pair, now: datetime) -> bool:
    """Tell whether what is there serves these names until the next renewal."""
    if not (certificate.exists() and key.exists()):
        return False
    leaf = _read_certificate(certificate)
    named = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    ends = min(leaf.not_valid_after_utc, authority.certificate.not_valid_after_utc)
    return (
        leaf.issuer == authority.certificate.subject
        and list(named) == [_general_name(name) for name in names]
        and leaf.not_valid_before_utc <= now < ends - timedelta(days=RENEWAL_DAYS)
        and _public(_read_key(key).public_key()) == _public(leaf.public_key())
    )


def _write(made: _Pair, certificate: Path, key: Path) -> None:
    # A crash between the two leaves a pair that does not fit, which is noticed; an authority without its key would not.
    write_durably(key, made.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    write_durably(certificate, made.certificate.public_bytes(Encoding.PEM))


def _read_certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())[0]  # the first of a chain is the server's own
    except (OSError, ValueError) as error:
        raise _unreadable(path) from error


def _read_key(path: Path) -> PrivateKeyTypes:
    try:
        return load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:  # TypeError: it is locked by a password
        raise _unreadable(path) from error


def _unreadable(path: Path) -> ConfigurationError:
    return ConfigurationError(
        f"{path} does not hold what it should.",
        remedy="It must be readable PEM: a certificate chain, or its private key without a password.",
    )


def _public(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _fingerprint(certificate: x509.Certificate) -> str:
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def _name(*, common: str, organization: str | None = None) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)] if organization else []
    return x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, common[:_COMMON_NAME_CHARACTERS_MAX])])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _usage(*, is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_authority,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
