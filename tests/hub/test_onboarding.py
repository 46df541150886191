"""Institutions and their credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.hub.samples import CODE, GUANGDONG

from qianzhi.errors import ConfigurationError
from qianzhi.hub import onboarding
from qianzhi.hub.identity import Doorkeeper, Sender
from qianzhi.hub.onboarding import InstitutionState
from qianzhi.hub.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from qianzhi.hub.desk import Desk


def admitted(desk: Desk, credential: str, regulator: str = GUANGDONG) -> Sender | Problem:
    """Ask a doorkeeper who remembers nobody yet."""
    return Doorkeeper(desk.pool).admit(f"Bearer {credential}", regulator)


def test_a_secret_is_told_once(desk: Desk, register: Callable[[str], str]) -> None:
    """The hub keeps a digest and never the secret, which has 256 bits."""
    credential_id, _, secret = register(CODE).partition(".")
    assert len(secret) == 43  # 256 bits, six bits a sign
    with desk.pool.connection() as session:
        kept = session.execute("SELECT credentials::text, octet_length(secret_digest) FROM qianzhi.credentials")
        ((shown, length),) = kept.fetchall()
    assert credential_id in str(shown)
    assert secret not in str(shown)
    assert length == 32


def test_an_institution_is_registered_once(desk: Desk, register: Callable[[str], str]) -> None:
    """A code names one institution of a regulator."""
    register(CODE)
    with pytest.raises(ConfigurationError, match="already"):
        register(CODE)
    with desk.pool.connection() as session, pytest.raises(ConfigurationError, match="blanks"):
        onboarding.register(session, GUANGDONG, " ", "测试医院", actor="test")


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ä.ö", "Basic eDp5", "Bearer " + "x" * 300])
def test_what_is_no_credential_is_unknown(desk: Desk, header: str | None) -> None:
    """Whatever stands in the header, the answer is the same."""
    refused = desk.doorkeeper.admit(header, GUANGDONG)
    assert isinstance(refused, Problem)
    assert refused.code == "unauthenticated"


def test_a_credential_is_for_one_regulator(desk: Desk, register: Callable[[str], str]) -> None:
    """Another regulator's door stays closed."""
    refused = admitted(desk, register(CODE), "elsewhere")
    assert isinstance(refused, Problem)
    assert refused.code == "foreign-regulator"


def test_a_suspended_institution_is_refused_until_it_is_resumed(desk: Desk, register: Callable[[str], str]) -> None:
    """Suspension is a state and takes no credential away."""
    credential = register(CODE)
    with desk.pool.connection() as session:
        found = onboarding.find(session, GUANGDONG, CODE)
        onboarding.set_state(session, found, InstitutionState.SUSPENDED, actor="test")
    refused = admitted(desk, credential)
    assert isinstance(refused, Problem)
    assert refused.code == "suspended"
    with desk.pool.connection() as session:
        onboarding.set_state(session, found, InstitutionState.PRODUCTION, actor="test")
    assert isinstance(admitted(desk, credential), Sender)


def test_a_rotation_ends_only_those_before_it(desk: Desk, register: Callable[[str], str]) -> None:
    """The old credential gets an end, the new one has none; a second rotation does not prolong the first one's."""
    old = register(CODE)
    with desk.pool.connection() as session:
        found = onboarding.find(session, GUANGDONG, CODE)
        onboarding.rotate(session, found, overlap_hours=1, actor="test")
    with desk.pool.connection() as session:
        newest = onboarding.rotate(session, found, overlap_hours=24, actor="test")
        ends = {each.credential_id: each for each in onboarding.credentials(session, found)}
    first = ends[old.partition(".")[0]]
    assert first.expires_at is not None
    assert 3500 < (first.expires_at - first.created_at).total_seconds() < 3700
    assert ends[newest.partition(".")[0]].expires_at is None
    assert isinstance(admitted(desk, old), Sender)


def test_an_expired_credential_is_unknown(desk: Desk, register: Callable[[str], str]) -> None:
    """With no overlap, the credential before ends at once."""
    old = register(CODE)
    with desk.pool.connection() as session:
        onboarding.rotate(session, onboarding.find(session, GUANGDONG, CODE), overlap_hours=0, actor="test")
    assert isinstance(admitted(desk, old), Problem)


def test_a_credential_is_revoked_once(desk: Desk, register: Callable[[str], str]) -> None:
    """A revoked credential is unknown; revoking it again, or another, is told."""
    credential = register(CODE)
    credential_id = credential.partition(".")[0]
    with desk.pool.connection() as session:
        onboarding.revoke(session, credential_id, actor="test")
    assert isinstance(admitted(desk, credential), Problem)
    for unknown in (credential_id, "nobody"):
        with desk.pool.connection() as session, pytest.raises(ConfigurationError, match="can be revoked"):
            onboarding.revoke(session, unknown, actor="test")


def test_every_change_stands_in_the_audit(desk: Desk, register: Callable[[str], str]) -> None:
    """Who registered, issued, suspended and revoked is written down, without a secret."""
    credential = register(CODE)
    with desk.pool.connection() as session:
        found = onboarding.find(session, GUANGDONG, CODE)
        onboarding.set_state(session, found, InstitutionState.SUSPENDED, actor="warden")
        onboarding.revoke(session, credential.partition(".")[0], actor="warden")
        written = session.execute("SELECT actor, event FROM qianzhi.audit ORDER BY audit_id").fetchall()
    assert written == [
        ("test", "institutions:institution:registered"),
        ("test", "institutions:credential:issued"),
        ("warden", "institutions:institution:suspended"),
        ("warden", "institutions:credential:revoked"),
    ]


def test_the_list_counts_valid_credentials(desk: Desk, register: Callable[[str], str]) -> None:
    """Revoked ones do not count."""
    credential = register(CODE)
    with desk.pool.connection() as session:
        found = onboarding.find(session, GUANGDONG, CODE)
        onboarding.issue(session, found, actor="test")
        onboarding.revoke(session, credential.partition(".")[0], actor="test")
        (listed,) = onboarding.institutions(session, GUANGDONG)
        assert onboarding.institutions(session, "elsewhere") == []
    assert (listed.code, listed.credential_count, listed.last_batch_at) == (CODE, 1, None)
