"""What an authority asks of the machine in a hospital, and what its own software takes there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from qianzhi import regulators
from qianzhi.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qianzhi.specs.model import Text

ADAPTER = "machine"


@dataclass(frozen=True, slots=True)
class Machine:
    """A module `machine` of a regulator's folder says it as MACHINE."""

    cores: int
    memory_bytes: int
    disk_days: int  # whose data it must be able to keep
    uplink_bits_per_second: int
    ports: Mapping[int, Text] = field(default_factory=dict)  # that the official software listens on, and what does
    untouchable: tuple[str, ...] = ()  # its folders and files that no scanner of viruses may look into


def machine_of(key: str) -> Machine | None:
    """Return what a regulator asks for; None where it asks for nothing."""
    try:
        module = regulators.adapter(key, ADAPTER)
    except ConfigurationError:
        return None
    return cast("Machine", module.MACHINE)
