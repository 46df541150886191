"""From settings to dossiers."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from qianzhi import regulators
from qianzhi.errors import ConfigurationError
from qianzhi.gateway import assembly
from qianzhi.gateway.documents.dossier import Dossier
from qianzhi.runtime.settings import DestinationKind

if TYPE_CHECKING:
    from qianzhi.runtime.home import Home
    from qianzhi.runtime.settings import Destination, Settings

_OVER_A_LINE: Final = frozenset({DestinationKind.HUB})
"""The kinds of destinations that take documents by themselves."""


def dossiers(home: Home, settings: Settings) -> dict[str, Dossier]:
    """Return a dossier for each enabled destination whose regulator wants documents, by the destination's name."""
    return {
        name: Dossier(
            destination=name,
            dsn=assembly.owner_dsn(home, settings),
            blobs=assembly.papers(home, settings),
            paperwork=regulators.paperwork(said.regulator),
            open_cabinet=partial(assembly.open_cabinet, said, name) if said.kind in _OVER_A_LINE else None,
        )
        for name, said in settings.gateway.destinations.items()
        if said.enabled and wants_documents(said)
    }


def dossier(home: Home, settings: Settings, name: str | None) -> Dossier:
    """Return the dossier of a destination, or the only one. ConfigurationError where that is not clear."""
    every = dossiers(home, settings)
    if name is None and len(every) == 1:
        return next(iter(every.values()))
    if name is None or name not in every:
        raise ConfigurationError(
            f"The destination {name!r} takes no documents." if name else "It is not clear which destination is meant.",
            remedy=f"Name one of: {', '.join(every) or 'none; set one up in qianzhi.toml'}.",
        )
    return every[name]


def wants_documents(said: Destination) -> bool:
    """Tell whether the regulator of a destination wants documents."""
    return regulators.PAPERWORK in regulators.regulator(said.regulator).capabilities
