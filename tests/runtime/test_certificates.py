from __future__ import annotations

import hashlib
import shutil
import socket
import ssl
import subprocess
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from qianzhi.errors import ConfigurationError
from qianzhi.runtime.certificates import Identity, is_renewal_due, own_identity, read_identity

NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
NAMES = ["hub.example", "192.0.2.7"]


def test_a_server_certificate_lasts_398_days_and_the_authority_ten_years(tmp_path: Path) -> None:
    """The ends are counted from an hour before it was made, for clients whose clock is behind."""
    identity = own_identity(tmp_path, NAMES, now=NOW)
    authority = read_identity(tmp_path / "ca.pem", tmp_path / "ca.key", section="hub.tls")

    assert identity.expires_at == NOW + timedelta(days=398, hours=-1)
    assert authority.expires_at == NOW + timedelta(days=3650, hours=-1)


def test_it_is_made_once_and_kept(tmp_path: Path) -> None:
    """A second start shows the same certificate."""
    first = own_identity(tmp_path, NAMES, now=NOW)

    assert own_identity(tmp_path, NAMES, now=NOW + timedelta(days=300)) == first


def test_it_is_renewed_before_its_end_by_the_same_authority(tmp_path: Path) -> None:
    """With less than thirty days left the server gets a new certificate; clients need not trust another authority."""
    first = own_identity(tmp_path, NAMES, now=NOW)
    authority = (tmp_path / "ca.pem").read_bytes()
    almost, late = NOW + timedelta(days=367), NOW + timedelta(days=369)

    assert not is_renewal_due(first, now=almost)
    assert own_identity(tmp_path, NAMES, now=almost) == first
    assert is_renewal_due(first, now=late)
    renewed = own_identity(tmp_path, NAMES, now=late)

    assert renewed.expires_at == late + timedelta(days=398, hours=-1)
    assert renewed.fingerprint != first.fingerprint
    assert (tmp_path / "ca.pem").read_bytes() == authority


def test_other_names_need_another_certificate(tmp_path: Path) -> None:
    """A name that is added to the settings is in the certificate after the next start."""
    first = own_identity(tmp_path, NAMES, now=NOW)

    assert own_identity(tmp_path, [*NAMES, "second.example"], now=NOW).fingerprint != first.fingerprint


def test_a_pair_that_a_crash_left_apart_is_made_anew(tmp_path: Path) -> None:
    """A new key beside an old certificate is noticed."""
    first = own_identity(tmp_path, NAMES, now=NOW)
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(own_identity(other, NAMES, now=NOW).key, first.key)

    assert own_identity(tmp_path, NAMES, now=NOW).fingerprint != first.fingerprint


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", *NAMES])
def test_a_client_that_trusts_the_authority_accepts_each_name(tmp_path: Path, name: str) -> None:
    """A TLS handshake under every name, by the strict rules of newer Pythons, ends well."""
    identity = own_identity(tmp_path, NAMES, now=datetime.now(UTC))  # noqa: TID251 - OpenSSL reads the clock

    assert _handshake(identity, name) == identity.fingerprint


def test_a_client_refuses_a_name_that_is_not_in_it(tmp_path: Path) -> None:
    """Another host name fails the handshake."""
    identity = own_identity(tmp_path, NAMES, now=datetime.now(UTC))  # noqa: TID251 - OpenSSL reads the clock

    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        _handshake(identity, "other.example")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl program")
def test_openssl_finds_nothing_wrong(tmp_path: Path) -> None:
    """The chain passes the strict checks of another implementation."""
    identity = own_identity(tmp_path, NAMES, now=datetime.now(UTC))  # noqa: TID251 - OpenSSL reads the clock
    command = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", str(identity.authority)]

    verified = subprocess.run([*command, str(identity.certificate)], capture_output=True, text=True, check=False)

    assert (verified.returncode, verified.stderr) == (0, "")


def test_a_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    """The site's own certificate with the wrong key is the installer's to correct."""
    ours = own_identity(tmp_path, [], now=NOW)

    with pytest.raises(ConfigurationError, match="is not that of") as refused:
        read_identity(ours.certificate, tmp_path / "ca.key", section="gateway.console.tls")

    assert "[gateway.console.tls]" in refused.value.remedy


@pytest.mark.parametrize("content", [None, b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_a_file_that_is_no_key_is_refused(tmp_path: Path, content: bytes | None) -> None:
    """A missing or broken file is named, without its content."""
    ours = own_identity(tmp_path, [], now=NOW)
    key = tmp_path / "own.key"
    if content is not None:
        key.write_bytes(content)

    with pytest.raises(ConfigurationError, match=r"own\.key does not hold"):
        read_identity(ours.certificate, key, section="hub.tls")


def _handshake(identity: Identity, name: str) -> str:
    """Connect under a name, and return the fingerprint of what the server showed."""
    context = ssl.create_default_context(cafile=identity.authority)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(identity.certificate, identity.key)
    ours, theirs = socket.socketpair()

    def answer() -> None:
        try:
            with serving.wrap_socket(theirs, server_side=True) as session:
                session.recv(1)
        except (ssl.SSLError, ConnectionError):
            return

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        with context.wrap_socket(ours, server_hostname=name) as session:
            shown = session.getpeercert(binary_form=True)
            session.sendall(b".")
    finally:
        ours.close()
        thread.join()
        theirs.close()
    assert shown is not None
    return ":".join(f"{byte:02X}" for byte in hashlib.sha256(shown).digest())
