"""Which regulator asks for evidence, and how: its module, by the capability of that name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from qianzhi import regulators
from qianzhi.errors import ConfigurationError
from qianzhi.gateway.evidence.pledges import Pledges

if TYPE_CHECKING:
    from qianzhi.regulators.protocols import Evidence
    from qianzhi.runtime.settings import Settings

CAPABILITY: Final = "evidence"


def regulator_key(settings: Settings) -> str:
    """Return the regulator that asks: the one of the settings, else the only one of the destinations that does."""
    chosen = settings.gateway.evidence.regulator
    known = {each.regulator for each in settings.gateway.destinations.values()} if chosen is None else {chosen}
    asking = sorted(key for key in known if CAPABILITY in regulators.regulator(key).capabilities)
    if len(asking) != 1:
        raise ConfigurationError(
            "It is not clear which regulator asks for evidence.",
            remedy="Set [gateway.evidence] regulator to one that does, such as guangdong.",
        )
    return asking[0]


def adapter(key: str) -> Evidence:
    """Return how a regulator asks."""
    found: Evidence = regulators.adapter(key, CAPABILITY)
    return found


def pledges(settings: Settings) -> Pledges | None:
    """Return what compares rows with the files there are; None while evidence is not answered."""
    if not settings.gateway.evidence.enabled:
        return None
    key = regulator_key(settings)
    return Pledges(key, adapter(key).ASKED)
