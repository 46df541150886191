"""What a destination's settings become."""

from __future__ import annotations

from datetime import datetime, time
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from qianzhi.errors import ConfigurationError, OperatorError, RetryableError
from qianzhi.gateway import assembly
from qianzhi.runtime.home import Home
from qianzhi.runtime.sources import write_settings
from qianzhi.sealing.envelopes import Manifest

if TYPE_CHECKING:
    from qianzhi.runtime.settings import Settings

NOWHERE = "https://127.0.0.1:9"  # nobody listens on the port of discard
MANIFEST = Manifest(UUID(int=1), "guangdong", "person", "1", "ab" * 32, "44", datetime(2026, 11, 20, 2, 0))


@pytest.fixture
def settings(home: Home) -> Settings:
    """The settings of a destination whose credential lies in a file."""
    (home.path / "credential").write_text("id.secret\n", encoding="utf-8")
    at = "gateway.destinations.hub"
    known = {f"{at}.regulator": "guangdong", f"{at}.url": NOWHERE, f"{at}.credential_file": "credential"}
    return write_settings(home, known)


@pytest.mark.parametrize("content", [None, b"", b" \n", "密".encode("gbk")])
def test_a_credential_that_cannot_be_used_is_told_at_once(
    home: Home, settings: Settings, content: bytes | None
) -> None:
    """A file that is absent, empty or no text is a matter of installing."""
    file = home.path / "credential"
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigurationError, match="credential of the destination hub"):
        assembly.destination(home, settings, "hub")


def test_a_credential_that_is_gone_later_stops_a_batch_and_nothing_else(home: Home, settings: Settings) -> None:
    """While it is away an operator is told, and with its return the same door goes on."""
    file = home.path / "credential"
    door = assembly.destination(home, settings, "hub").open_door()
    away = file.rename(home.path / "away")
    try:
        with pytest.raises(OperatorError, match="credential of the destination hub"):
            door.send(MANIFEST, b"sealed")
        away.rename(file)
        with pytest.raises(RetryableError, match="no answer"):
            door.send(MANIFEST, b"sealed")
    finally:
        door.close()


@pytest.mark.parametrize(("said", "wanted"), [({}, time(1, 30)), ({"at": "00:45"}, time(0, 45))])
def test_rows_reach_an_official_machine_before_pushing_ends(home: Home, said: dict[str, str], wanted: time) -> None:
    """The regulator's cut-off is the last minute there; the settings of the cycle are those of a hub."""
    at = "gateway.destinations.official"
    more = {f"{at}.machine.{name}": value for name, value in said.items()}
    known = {f"{at}.regulator": "guangdong", f"{at}.kind": "front-machine", f"{at}.machine.dsn": "host=127.0.0.1"}
    settings = write_settings(home, {**known, **more, "gateway.cycle.at": "04:00"})
    schedule = assembly.destination(home, settings, "official").schedule
    assert (schedule.cut_off, schedule.cycle) == (wanted, wanted)
