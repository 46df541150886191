"""The hub's verdict on one batch: what the shared checks found, and what only the hub knows. Asks, but never writes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Protocol

import polars as pl

from qianzhi.checks import findings as findings_of
from qianzhi.checks import state
from qianzhi.checks.keys import is_complete, key_check, key_hash
from qianzhi.specs.model import RuleKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from qianzhi.specs.model import Dataset, Reference, Regulator, Rule

SENDER_FORM: Final = "institution_is_sender()"
_DIGEST_FORM: Final = r"^[0-9a-f]{64}$"
_IMAGE_FORM: Final = re.compile(r"image_readable\(\s*(\w+)\s*\)")
_CONSISTENT_FORM: Final = re.compile(r"consistent\(\s*'([\w\s,]+)'\s*,\s*'([\w\s,]+)'\s*\)")
FACT: Final = pl.Schema({"key_hash": pl.Int64, "key_check": pl.Int64, "says": pl.Int64, "said_by": pl.Int64})


class Holdings(Protocol):
    """What the hub holds of one institution."""

    def states(self, dataset: str, hashes: pl.Series) -> pl.DataFrame:
        """Return the states (`state.STATE`) of a dataset's keys by first hash."""

    def parents(self, dataset: str, hashes: pl.Series) -> pl.DataFrame:
        """Return key_hash, key_check, live and shared of a dataset's keys by first hash."""

    def facts(self, dataset: str, code: str, hashes: pl.Series) -> pl.DataFrame:
        """Return what accepted rows said (`FACT`) under a rule, by first hash."""

    def lacking_blobs(self, digests: pl.Series) -> pl.Series:
        """Return those of the SHA-256 texts that the hub does not hold of the institution."""


@dataclass(frozen=True, slots=True)
class Submission:
    """One batch after the rules that both ends share."""

    raw: pl.DataFrame
    texts: pl.DataFrame  # of parse.said
    typed: pl.DataFrame
    applies: Callable[[Reference], pl.Series]  # whether a row's reference counts, by its `unless`
    blobs: pl.DataFrame  # row_id and, named by its image field, the SHA-256 (hex) of each image
    findings: pl.DataFrame
    images_follow: bool = False  # the sender promises the images that its rows name

    def promised(self, rejected: pl.Series) -> pl.Series:
        """Return the digests (hexadecimal) of the images that the rows which are not rejected promise."""
        if not self.images_follow:
            return pl.Series(dtype=pl.String)
        kept = self.blobs.filter(~pl.col("row_id").is_in(rejected.implode())).drop("row_id")
        named = [kept[name].str.to_lowercase() for name in kept.columns]
        every = pl.concat([pl.Series(dtype=pl.String), *(each.alias("") for each in named)]).drop_nulls().unique()
        return every.filter(every.str.contains(_DIGEST_FORM))

    def with_findings(self, more: pl.DataFrame) -> Submission:
        """Return the same batch with more findings."""
        return replace(self, findings=findings_of.concat([self.findings, more]))


@dataclass(frozen=True, slots=True)
class Facts:
    """What accepted rows say under one rule: `said` replaces whatever was held of the keys in `settled`."""

    code: str
    settled: pl.DataFrame  # key_hash, key_check
    said: pl.DataFrame  # FACT


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a batch."""

    findings: pl.DataFrame
    rejected: pl.Series  # row_id
    states: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=state.STATE))  # of keys accepted now
    facts: tuple[Facts, ...] = ()


def sender_findings(submission: Submission, dataset: Dataset, institution: str, holdings: Holdings) -> pl.DataFrame:
    """Return what is wrong with who sends and with the images that come along."""
    found = []
    for rule in dataset.rules:
        if rule.kind is not RuleKind.SENDER:
            continue
        if rule.check == SENDER_FORM:
            found.append(_foreign(submission.raw, rule, dataset.institution, institution))
        elif match := _IMAGE_FORM.fullmatch(rule.check):
            found.append(_without_image(submission, rule, match[1], holdings))
    return findings_of.concat(found)


def reference_findings(
    submission: Submission, dataset: Dataset, regulator: Regulator, holdings: Holdings
) -> pl.DataFrame:
    """
    Return what is wrong with the rows that a batch refers to.

    They belong to other datasets or to earlier batches, so that no lock is needed to look.
    """
    found = []
    for reference in dataset.references:
        parent = regulator.dataset(reference.to)
        applies = submission.applies(reference)
        keys = state.reference_keys(submission.raw, submission.texts, reference, parent, applies)
        if not keys.is_empty():
            parents = holdings.parents(reference.to, keys["key_hash"].unique())
            found.append(state.reference_findings(state.unmet(keys, parents), reference))
            found.append(state.repeat_findings(keys, parents, reference))
    return findings_of.concat(found)


def stateless(submission: Submission) -> Verdict:
    """Return the verdict of a hub that looks at nothing it holds."""
    return Verdict(submission.findings, findings_of.rejecting(submission.findings))


def judge(submission: Submission, rows: pl.DataFrame, dataset: Dataset, holdings: Holdings) -> Verdict:
    """
    Judge a batch by the keys it changes, on top of all other findings: the change chain, then facts.

    `rows` comes from `state.rows_of`. What is held of these keys must not change until the verdict is written.
    """
    held = holdings.states(dataset.name, rows["key_hash"].unique())
    chained = state.chain(rows, held, dataset, findings_of.rejecting(submission.findings))
    found, facts = [submission.findings, chained.findings], []
    for rule, key, says in _consistent_rules(dataset):
        asserted = _asserted(submission, rows, chained.refused, value=rule.field, key=key, says=says)
        before = holdings.facts(dataset.name, rule.code, asserted["key_hash"].unique())
        broken, said = _facts(asserted, before, rule, is_own_key=set(key) >= set(dataset.key))
        found.append(broken)
        facts.append(said)
    return Verdict(findings_of.concat(found), chained.refused.sort(), chained.states, tuple(facts))


def _foreign(raw: pl.DataFrame, rule: Rule, field: str, institution: str) -> pl.DataFrame:
    said = pl.col(field).str.strip_chars()
    return _of_rule(raw.filter((said != institution) & (said != "")), rule, value=pl.col(field))


def _without_image(submission: Submission, rule: Rule, field: str, holdings: Holdings) -> pl.DataFrame:
    named = submission.raw.select("row_id", field).with_columns(digest=submission.blobs[field].str.to_lowercase())
    named = named.filter(pl.col(field).str.strip_chars() != "")
    named_digests = named["digest"].drop_nulls().unique()
    lacking = _unsound(named_digests) if submission.images_follow else holdings.lacking_blobs(named_digests)
    missing = named.filter(pl.col("digest").is_null() | pl.col("digest").is_in(lacking.implode()))
    return _of_rule(missing, rule, value=pl.col(field))


def _unsound(digests: pl.Series) -> pl.Series:
    return digests.filter(~digests.str.contains(_DIGEST_FORM))


def _consistent_rules(dataset: Dataset) -> Iterator[tuple[Rule, list[str], list[str]]]:
    for rule in dataset.rules:
        if rule.kind is RuleKind.STATE and (match := _CONSISTENT_FORM.fullmatch(rule.check)):
            yield rule, _names(match[1]), _names(match[2])


def _names(listed: str) -> list[str]:
    return [name.strip() for name in listed.split(",")]


def _asserted(
    submission: Submission, rows: pl.DataFrame, refused: pl.Series, *, value: str, key: list[str], says: list[str]
) -> pl.DataFrame:
    """Return what each row says of which key, by which record, in the order of the change chain."""
    return (
        submission.texts.with_columns(submission.raw[value].alias("value"))
        .filter(is_complete([*key, *says]))
        .select(
            "row_id",
            key_hash(key).alias("key_hash"),
            key_check(key).alias("key_check"),
            key_hash(says).alias("says"),
            "value",
        )
        .join(rows.select("row_id", "occurred_at", "operation", record="key_hash"), on="row_id")
        .with_columns(accepted=~pl.col("row_id").is_in(refused.implode()) & pl.col("operation").is_not_null())
        .sort("occurred_at", "row_id", nulls_last=True)
    )


def _facts(asserted: pl.DataFrame, before: pl.DataFrame, rule: Rule, *, is_own_key: bool) -> tuple[pl.DataFrame, Facts]:
    """Return the rows that contradict what another record said of the same key, and what is to be held from now on."""
    accepted = asserted.filter("accepted").join(before, on=state.KEY, how="anti")
    first = accepted.unique(state.KEY, keep="first", maintain_order=True)
    base = pl.concat([before, first.select(*state.KEY, "says", said_by="record")])
    compared = asserted.join(base, on=state.KEY, suffix="_before", maintain_order="left")
    # A rule over the record's own key compares the record with itself; any other lets a record correct itself.
    by_another = pl.lit(is_own_key) | (pl.col("record") != pl.col("said_by"))
    broken = compared.filter((pl.col("says") != pl.col("says_before")) & by_another)
    settled = compared.filter(pl.col("accepted") & (pl.col("record") == pl.col("said_by"))).unique(
        state.KEY, keep="last", maintain_order=True
    )
    said = settled.filter(pl.col("operation") != state.REVOKE).select(FACT.names())
    return _of_rule(broken, rule, value=pl.col("value")), Facts(rule.code, settled.select(*state.KEY), said)


def _of_rule(rows: pl.DataFrame, rule: Rule, value: pl.Expr) -> pl.DataFrame:
    return rows.select(
        "row_id",
        code=pl.lit(rule.code),
        **{"class": pl.lit(rule.error_class.value)},
        field=pl.lit(rule.field),
        value=value.str.slice(0, findings_of.VALUE_CHARACTERS_MAX),
        detail=pl.lit(None, pl.String),
        severity=pl.lit(rule.severity.value),
    )
