"""What the hub holds of an institution's keys, facts and blobs: read for a verdict, written after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl
from psycopg import sql

from qianzhi.checks.state import KEY, STATE
from qianzhi.db import arrow, numbers
from qianzhi.db.queries import load
from qianzhi.hub import blobs, promises

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from typing import LiteralString

    from qianzhi.db.server import Session
    from qianzhi.hub.verdict import Facts, Verdict
    from qianzhi.specs.model import Regulator

_QUERIES = load("qianzhi.hub", "holdings.sql")
_STATE: Final = ("key_hash", "key_check", "row_id", "live", "occurred_us", "content")
_PARENT: Final = ("key_hash", "key_check", "live")
_FACT: Final = ("key_hash", "key_check", "says", "said_by")
_STATES_TABLE: Final = "qianzhi.key_states"
_STATES_PARTS: Final = 8
_FACTS_TABLE: Final = "qianzhi.facts"
_DIGEST_CHARACTERS: Final = 64


class Held:
    """
    The holdings of one institution at one regulator, seen through one transaction.

    `short` has the short number of each of its datasets.
    """

    def __init__(self, session: Session, institution_id: int, regulator: Regulator, short: Mapping[str, int]) -> None:
        self._session = session
        self._institution_id = institution_id
        self._regulator = regulator
        self._short = short
        self._known: dict[str, pl.DataFrame] = {}

    def states(self, dataset: str, hashes: pl.Series) -> pl.DataFrame:
        """Return the states (`STATE`) of a dataset's keys by first hash."""
        found = self._keyed(_QUERIES.key_states, _STATE, dataset, hashes)
        self._known[dataset] = found.select(*KEY)
        return found.select(
            *STATE.names()[:3],
            pl.col("live") == 1,
            pl.col("occurred_us").cast(pl.Datetime("us")).alias("occurred_at"),
            "content",
            "shared",
        )

    def parents(self, dataset: str, hashes: pl.Series) -> pl.DataFrame:
        """Return key_hash, key_check, live and shared of a dataset's keys by first hash."""
        return self._keyed(_QUERIES.parents, _PARENT, dataset, hashes).with_columns(pl.col("live") == 1)

    def facts(self, dataset: str, code: str, hashes: pl.Series) -> pl.DataFrame:
        """Return what accepted rows said under a rule, by first hash."""
        return numbers.columns(
            self._session, sql.SQL(_QUERIES.facts), _FACT, self._asked(dataset, hashes) | {"code": code}
        )

    def lacking_blobs(self, digests: pl.Series) -> pl.Series:
        """Return those of the SHA-256 texts that are not held."""
        sound = digests.filter(digests.str.contains(rf"^[0-9a-f]{{{_DIGEST_CHARACTERS}}}$"))
        held = blobs.held_of(self._session, self._institution_id, [bytes.fromhex(each) for each in sound])
        return digests.filter(~digests.is_in([each.hex() for each in held]))

    def promise(self, batch_seq: int, digests: pl.Series, *, now: datetime) -> None:
        """Write down those of the images named by a batch, SHA-256 texts, that are not held."""
        if not digests.is_empty():
            lacking = self.lacking_blobs(digests)
            promises.note(self._session, self._institution_id, batch_seq, map(bytes.fromhex, lacking), now=now)

    def settle(self, dataset: str, batch_seq: int, verdict: Verdict) -> None:
        """Write the states and facts that follow from a verdict that was given on what this object told."""
        self._settle_states(dataset, batch_seq, verdict.states)
        for facts in verdict.facts:
            self._say(dataset, facts)

    def _settle_states(self, dataset: str, batch_seq: int, states: pl.DataFrame) -> None:
        scope = {"institution_id": self._institution_id, "dataset_number": self._short[dataset]}
        changed = states.select(*KEY).join(self._known[dataset], on=KEY, how="semi")
        if not changed.is_empty():
            self._session.execute(_QUERIES.forget_states, scope | _keys(changed))
        # Ordered by the index they go into: neighbours land on one page.
        rows = states.sort("key_hash").select(
            *(pl.lit(value, pl.Int64).alias(name) for name, value in scope.items()),
            *KEY,
            pl.lit(batch_seq, pl.Int64).alias("batch_seq"),
            "row_id",
            pl.col("live").cast(pl.Int64).cast(pl.String),
            pl.col("occurred_at").dt.epoch("us").alias("occurred_us"),
            "content",
            shared=pl.concat_str(pl.lit("{"), pl.col("shared").cast(pl.List(pl.String)).list.join(","), pl.lit("}")),
        )
        arrow.write(self._session, self._states_table(), rows)

    def _states_table(self) -> str:
        """Return the partition that holds the institution's states; sent there, a row need not be routed."""
        parameters = {"institution_id": self._institution_id, "modulus": _STATES_PARTS}
        row = self._session.execute(_QUERIES.part_of_states, parameters).fetchone()
        return f"{_STATES_TABLE}_{row[0]}" if row else _STATES_TABLE

    def _say(self, dataset: str, facts: Facts) -> None:
        scope = {"institution_id": self._institution_id, "dataset_number": self._short[dataset]}
        if not facts.settled.is_empty():
            self._session.execute(_QUERIES.forget_facts, scope | {"code": facts.code} | _keys(facts.settled))
        rows = facts.said.sort("key_hash").select(
            *(pl.lit(value, pl.Int64).alias(name) for name, value in scope.items()),
            pl.lit(facts.code).alias("code"),
            *facts.said.columns,
        )
        arrow.write(self._session, _FACTS_TABLE, rows)

    def _keyed(self, query: LiteralString, names: Sequence[str], dataset: str, hashes: pl.Series) -> pl.DataFrame:
        """Return numbers of a dataset's keys, and `shared` as the list of its groups."""
        absent = sql.Literal(numbers.ABSENT)
        groups = [f"shared {group}" for group in range(len(self._regulator.dataset(dataset).shared))]
        one = sql.SQL(_QUERIES.shared)
        shared = [one.format(position=sql.Literal(at), absent=absent) for at in range(1, len(groups) + 1)]
        statement = sql.SQL(query).format(shared=sql.SQL(" ").join(shared), absent=absent)
        found = numbers.columns(self._session, statement, (*names, *groups), self._asked(dataset, hashes))
        listed = pl.concat_list(groups) if groups else pl.lit(None, pl.List(pl.Int64))
        return found.select(*names, shared=listed)

    def _asked(self, dataset: str, hashes: pl.Series) -> dict[str, object]:
        return {
            "institution_id": self._institution_id,
            "dataset_number": self._short[dataset],
            "hashes": numbers.array_text(hashes),
        }


def _keys(frame: pl.DataFrame) -> dict[str, object]:
    return {"hashes": numbers.array_text(frame["key_hash"]), "checks": numbers.array_text(frame["key_check"])}
