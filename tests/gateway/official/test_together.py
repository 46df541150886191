"""Both destinations at once, while what they share is away."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from tests.faults import rows
from tests.gateway.conftest import HUB, Answerer
from tests.gateway.official.test_delivery import cycle, picture, stage, told

from qianzhi.errors import OperatorError
from qianzhi.gateway.porter import opened_porter
from qianzhi.gateway.retention import clear_blobs
from qianzhi.gateway.spool import Spool
from qianzhi.ledger import promises
from qianzhi.ledger.blobs import Blobs
from qianzhi.runtime import clock, keyfile
from qianzhi.runtime.keyfile import KeyFile
from qianzhi.runtime.vault import Vault

if TYPE_CHECKING:
    from pathlib import Path

    import psycopg
    from tests.gateway.official.machine import Official

    from qianzhi.gateway.destination import Destination, Workplace
    from qianzhi.synthetic import Played


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """A key file."""
    keyfile.make(tmp_path / "key", now=clock.now())
    return tmp_path / "key"


@pytest.fixture
def locked(small: Workplace, key: Path) -> Workplace:
    """The gateway, encrypting, in batches of three rows."""
    vault = Vault(KeyFile(key))
    return replace(small, spool=Spool(small.spool.folder, vault), blobs=Blobs(small.blobs.folder, vault))


def carried(workplace: Workplace, destination: Destination) -> int:
    """Let a porter carry what is due; return how many images went."""
    with opened_porter(workplace, destination) as porter:
        return porter.carry(lambda: True).sent_count


def test_a_key_file_that_goes_in_mid_cycle_loses_and_doubles_nothing(
    locked: Workplace,
    front: Destination,
    destination: Destination,
    answerer: Answerer,
    official: Official,
    ask: psycopg.Connection,
    key: Path,
    tmp_path: Path,
    played: Played,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Rows were on their way to both, an image was promised to one; all of it goes when the key is back."""
    away = tmp_path / "away"
    send = answerer.send

    def vanishing(*given: Any) -> Any:
        with suppress(FileNotFoundError):
            key.rename(away)
        return send(*given)

    stage(ask, "staff", played.days[0].frames["staff"].head(1).with_columns(picture(tmp_path)))
    stage(ask, "contacts", rows.contacts([f"office {n}" for n in range(7)]))
    with monkeypatch.context() as patched:
        patched.setattr(answerer, "send", vanishing)
        for each in (destination, front):
            with suppress(OperatorError):
                cycle(locked, each)
    assert not key.exists()
    carried(locked, destination)
    assert answerer.blobs == []
    with suppress(OperatorError):
        clear_blobs(locked, before=clock.now())
    away.rename(key)
    ask.execute("UPDATE qianzhi.promised_images SET next_attempt_at = now()")
    for each in (destination, front):
        assert cycle(locked, each) == frozenset()
    carried(locked, destination)
    assert promises.left(ask, HUB).image_count == 0
    assert len(answerer.blobs) == 1
    assert (answerer.rows["contacts"], official.count("contacts")) == (7, 7)
    assert (told(ask, destination).accepted, told(ask, front).delivered) == (7, 7)
    assert (answerer.rows["staff"], official.count("staff")) == (1, 1)
    assert len([each for each in official.images.rglob("*") if each.is_file()]) == 1
