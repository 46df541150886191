from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from qianzhi.gateway.evidence.links import ID_CHARACTERS, Pass, Signer, ensure_secret, fingerprint
from qianzhi.ledger.evidence import Media

MEDIA = Media(7, "audio", "2019", "file", "/media/2019.audio.mp3", "audio/mpeg", 100, 5)
SIGNER = Signer(b"s" * 32)


def test_an_id_proves_its_file_until_its_time_ends() -> None:
    """And not a second longer."""
    told = SIGNER.sign(MEDIA, ends=1000)

    assert len(told) == ID_CHARACTERS
    assert SIGNER.open(told, now=1000) == Pass(7, fingerprint(MEDIA))
    assert SIGNER.open(told, now=1001) is None
    assert Signer(b"t" * 32).open(told, now=0) is None


def test_a_file_that_changed_has_another_fingerprint() -> None:
    """Size, time of writing, place: each counts."""
    changed = [replace(MEDIA, byte_count=101), replace(MEDIA, modified_ns=6), replace(MEDIA, location="/media/x")]

    assert fingerprint(MEDIA) not in {fingerprint(each) for each in changed}


@given(st.text(max_size=80))
def test_nothing_else_proves_anything(text: str) -> None:
    """Whatever a client writes."""
    assert SIGNER.open(text, now=0) is None


@given(st.integers(0, ID_CHARACTERS - 1), st.characters(codec="ascii"))
def test_an_id_with_one_character_changed_proves_nothing(at: int, character: str) -> None:
    """Each of its characters is guarded."""
    told = SIGNER.sign(MEDIA, ends=1000)
    changed = told[:at] + character + told[at + 1 :]

    assert changed == told or SIGNER.open(changed, now=0) is None


def test_digests_tell_equal_from_different_and_nothing_else(tmp_path: Path) -> None:
    """They are keyed: without the secret no number of a record can be tried out."""
    secret = ensure_secret(tmp_path / "secret")

    assert ensure_secret(tmp_path / "secret") == secret
    assert Signer(secret).digest("2019") == Signer(secret).digest("2019")
    assert Signer(secret).digest("2019") != SIGNER.digest("2019")
