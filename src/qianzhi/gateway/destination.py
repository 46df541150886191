"""A destination as the cycle sees it: whose rules, whose identity, which door, and how patiently."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from qianzhi.gateway.backoff import Backoff
from qianzhi.specs.model import RuleKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from qianzhi.codes.mapping import CodeMap
    from qianzhi.gateway.evidence.pledges import Pledges
    from qianzhi.gateway.images import PathMap
    from qianzhi.gateway.spool import Spool
    from qianzhi.ledger.blobs import Blobs
    from qianzhi.regulators.protocols import Door
    from qianzhi.specs.model import Regulator, Schedule

ALL_KINDS = frozenset(RuleKind)


@dataclass(frozen=True, slots=True)
class Destination:
    """Where rows of one regulator's datasets go."""

    name: str
    regulator: Regulator
    institution: str
    open_door: Callable[[], Door]
    schedule: Schedule
    maps: Mapping[tuple[str, str], CodeMap] = field(default_factory=dict)  # by dataset and field
    kinds: frozenset[RuleKind] = ALL_KINDS  # fewer for rehearsals and benchmarks only
    withholds_errors: bool = False  # rows that our checks reject stay here, instead of being sent for their verdict
    backoff: Backoff = field(default_factory=Backoff)


@dataclass(frozen=True, slots=True)
class Workplace:
    """What the gateway's own machine lends to every cycle."""

    dsn: str
    spool: Spool
    blobs: Blobs
    paths: PathMap
    chunk_rows: int = 20_000
    pipeline_depth: int = 3
    pledges: Pledges | None = None  # of evidence; none while it is not answered
