"""A gateway whose files are encrypted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from tests.gateway.conftest import HUB, Answerer, stage
from tests.gateway.test_porter import stage_staff, submit

from qianzhi.errors import OperatorError
from qianzhi.gateway.destination import Destination, Workplace
from qianzhi.gateway.porter import opened_porter
from qianzhi.gateway.spool import Spool
from qianzhi.ledger import promises
from qianzhi.ledger.blobs import Blobs
from qianzhi.runtime import clock, keyfile
from qianzhi.runtime.keyfile import KeyFile
from qianzhi.runtime.vault import Vault

PNG = b"\x89PNG"


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """A key file."""
    keyfile.make(tmp_path / "key", now=clock.now())
    return tmp_path / "key"


@pytest.fixture
def locked(workplace: Workplace, key: Path, tmp_path: Path) -> Workplace:
    """The same gateway, encrypting."""
    vault = Vault(KeyFile(key))
    return replace(workplace, spool=Spool(tmp_path / "spool", vault), blobs=Blobs(tmp_path / "blobs", vault))


def files(folder: Path) -> list[bytes]:
    """Return what lies in a folder."""
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("follows", [True, False])
def test_rows_and_images_travel_in_the_clear_and_lie_encrypted(
    locked: Workplace,
    destination: Destination,
    answerer: Answerer,
    ask: psycopg.Connection,
    tmp_path: Path,
    follows: bool,
) -> None:
    """The destination gets them as they are, also after it could not be reached; on the disk nobody reads them."""
    answerer.answers, answerer.images_follow = False, follows
    stage_staff(ask, tmp_path, "red")
    submit(locked, destination)
    assert len(files(tmp_path / "spool")) == 1
    (image,) = files(tmp_path / "blobs")
    assert PNG not in image
    answerer.answers = True
    submit(locked, destination)
    if follows:
        assert promises.left(ask, HUB).byte_count == len((tmp_path / "red.png").read_bytes())
        with opened_porter(locked, destination) as porter:
            porter.carry(lambda: True)
    assert answerer.rows == {"staff": 1}
    assert len(answerer.blobs) == 1
    assert files(tmp_path / "spool") == []


def test_without_its_key_a_gateway_takes_no_row_and_loses_none(
    locked: Workplace, destination: Destination, answerer: Answerer, ask: psycopg.Connection, key: Path, tmp_path: Path
) -> None:
    """It says what is missing, writes nothing in the clear, and goes on when the key file is back."""
    answerer.answers = False
    stage_staff(ask, tmp_path, "red")
    submit(locked, destination)
    key.rename(tmp_path / "away")
    answerer.answers = True
    submit(locked, destination)
    assert answerer.rows == {}, "the batch cannot be read"
    stage(ask, "person")
    with pytest.raises(OperatorError, match="key file"):
        submit(locked, destination)
    assert answerer.rows == {}
    assert len(files(tmp_path / "spool")) == 1
    (tmp_path / "away").rename(key)
    submit(locked, destination)
    assert answerer.rows == {"staff": 1, "person": 1}


def test_what_was_plain_is_delivered_after_encryption_is_switched_on(
    workplace: Workplace,
    locked: Workplace,
    destination: Destination,
    answerer: Answerer,
    ask: psycopg.Connection,
    tmp_path: Path,
) -> None:
    """A batch and its image that were on their way, as they are or encrypted by `key apply`."""
    answerer.answers, answerer.images_follow = False, False
    stage_staff(ask, tmp_path, "red", "blue")
    submit(workplace, destination)
    assert any(PNG in each for each in files(tmp_path / "blobs"))
    assert (locked.spool.rewrite(), locked.blobs.rewrite()) == (1, 2)
    assert not any(PNG in each for each in files(tmp_path / "blobs"))
    answerer.answers = True
    submit(locked, destination)
    assert (answerer.rows, len(answerer.blobs)) == ({"staff": 2}, 2)
