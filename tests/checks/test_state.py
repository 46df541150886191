from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.checks.tiny import make_dataset, make_field, make_raw, make_rule

from qianzhi.checks import findings as findings_of
from qianzhi.checks import state
from qianzhi.checks.parse import parse, said
from qianzhi.specs.model import ErrorClass, Reference, Repeat, RuleKind, Severity, Status, Text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qianzhi.specs.model import Dataset

FORMS = {"V21": "key_is_new()", "V22": "key_is_held()", "V23": "in_order()", "V26": "not_repeated()"}
USUAL = {"V21": "error", "V22": "error", "V23": "warning", "V26": "warning"}
CODES = {"new": "1", "modify": "2", "revoke": "3"}
START = datetime(2026, 11, 19, 8, 0)
NOBODY = pl.Series("row_id", [], dtype=pl.Int64)


def visits(severities: Mapping[str, str] = USUAL, shared: tuple[tuple[str, ...], ...] = ()) -> Dataset:
    """Return a dataset of visits whose state rules have the given severities."""
    rules = [
        make_rule(
            code, FORMS[code], "MZH", RuleKind.STATE, severity=Severity(severity), error_class=ErrorClass.DUPLICATE
        )
        for code, severity in severities.items()
    ]
    return make_dataset([make_field("XM", "AN..20"), make_field("XBDM", "AN..2")], rules, shared=shared)


@dataclass(frozen=True)
class Row:
    """One row as a person would write it down."""

    row_id: int
    key: str
    operation: str
    minute: int | None
    name: str = "A"

    @property
    def raw(self) -> dict[str, str | None]:
        """The row as text."""
        at = None if self.minute is None else f"{START + timedelta(minutes=self.minute):%Y-%m-%d %H:%M:%S}"
        return {
            "JGDM": "1",
            "MZH": self.key,
            "SJSCSJ": at,
            "CXBZ": CODES.get(self.operation, self.operation),
            "XM": self.name,
        }


@dataclass(frozen=True)
class Standing:
    """What the naive model remembers of a key: its last accepted row, and whether the key is live."""

    row: Row
    live: bool


def read(rows: Sequence[Row], dataset: Dataset) -> pl.DataFrame:
    """Return the rows as the state rules see them."""
    raw = make_raw(dataset, [row.raw for row in rows])
    return read_raw(raw.with_columns(row_id=pl.Series([row.row_id for row in rows], dtype=pl.Int64)), dataset)


def read_raw(raw: pl.DataFrame, dataset: Dataset) -> pl.DataFrame:
    """Return raw rows as the state rules see them."""
    typed = parse(raw, dataset).typed
    return state.rows_of(raw, said(raw, typed), typed, dataset)


def frame_of(standings: Mapping[str, Standing], dataset: Dataset) -> pl.DataFrame:
    """Return what is held of keys as a state frame."""
    rows = read([standing.row for standing in standings.values()], dataset)
    live = pl.Series([standing.live for standing in standings.values()], dtype=pl.Boolean)
    return rows.with_columns(live=live).select(state.STATE.names())


def judged_naively(
    rows: Sequence[Row], held: Mapping[str, Standing], severities: Mapping[str, str], rejected: frozenset[int]
) -> tuple[set[tuple[int, str, str]], set[int], dict[str, Standing]]:
    """Judge row by row: the findings (row, code, severity), the rows refused, and what is held of every key then."""
    standing = dict(held)
    found: set[tuple[int, str, str]] = set()
    refused = set(rejected)
    for row in sorted(rows, key=lambda row: (row.minute is None, row.minute or 0, row.row_id)):
        if row.operation not in CODES:
            continue
        before = standing.get(row.key)
        live = before is not None and before.live
        broken = set()
        if row.operation == "new" and live:
            broken.add("V21")
        if row.operation != "new" and not live:
            broken.add("V22")
        if before and row.minute is not None and before.row.minute is not None and row.minute < before.row.minute:
            broken.add("V23")
        if (
            before
            and live
            and (row.operation, row.minute, row.name)
            == (
                before.row.operation,
                before.row.minute,
                before.row.name,
            )
        ):
            broken.add("V26")
        broken &= severities.keys()
        found |= {(row.row_id, code, severities[code]) for code in broken}
        if any(severities[code] == "error" for code in broken):
            refused.add(row.row_id)
        if row.row_id not in refused:
            standing[row.key] = Standing(row, row.operation != "revoke")
    return found, refused, standing


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Row], int, dict[str, str], frozenset[int]]:
    """Rows, how many of them came before, the rules in force, and the rows that other rules reject."""
    kinds = st.tuples(
        st.sampled_from(["A", "B", "C"]),
        st.sampled_from([*CODES, *CODES, "9"]),
        st.none() | st.integers(0, 3),
        st.sampled_from(["A", "B"]),
    )
    drawn = draw(st.lists(kinds, min_size=1, max_size=14))
    row_ids = draw(st.permutations(range(1, len(drawn) + 1)))
    rows = [Row(row_id, *kind) for row_id, kind in zip(row_ids, drawn, strict=True)]
    severities = draw(st.dictionaries(st.sampled_from([*FORMS]), st.sampled_from(["error", "warning"])))
    rejected = frozenset(draw(st.sets(st.sampled_from(row_ids))))
    return rows, draw(st.integers(0, len(rows))), severities, rejected


@settings(max_examples=200, deadline=None)
@given(histories())
def test_a_chain_is_judged_as_one_row_after_another(
    history: tuple[list[Row], int, dict[str, str], frozenset[int]],
) -> None:
    """Whatever comes in whatever order, findings, refusals and states are those of a naive model, row by row."""
    rows, before_count, severities, rejected = history
    dataset = visits(severities)
    earlier, batch = rows[:before_count], rows[before_count:]
    _, _, held = judged_naively(earlier, {}, severities, rejected)
    mine = frozenset(row.row_id for row in batch) & rejected
    found, refused, after = judged_naively(batch, held, severities, mine)

    verdict = state.chain(
        read(batch, dataset), frame_of(held, dataset), dataset, pl.Series("row_id", sorted(mine), dtype=pl.Int64)
    )

    assert set(verdict.findings.select("row_id", "code", "severity").rows()) == found
    assert verdict.findings.height == len(found)
    assert sorted(verdict.refused.to_list()) == sorted(refused)
    changed = {key: standing for key, standing in after.items() if held.get(key) != standing}
    assert verdict.states.schema == state.STATE
    assert sorted(verdict.states.rows()) == sorted(frame_of(changed, dataset).rows())


def test_the_life_of_a_record_passes() -> None:
    """New, changed, withdrawn and made anew in one batch: nothing is found, and the record is live."""
    dataset = visits()
    rows = [Row(1, "A", "new", 0), Row(2, "A", "modify", 1), Row(3, "A", "revoke", 2), Row(4, "A", "new", 3)]
    verdict = state.chain(read(rows, dataset), pl.DataFrame(schema=state.STATE), dataset, NOBODY)
    assert verdict.findings.is_empty()
    assert verdict.refused.is_empty()
    assert verdict.states.select("row_id", "live").rows() == [(4, True)]


def test_equal_times_are_ordered_by_row_id() -> None:
    """Of two rows made in the same second the one that was staged first comes first, wherever it stands."""
    dataset = visits()
    rows = [Row(8, "A", "modify", 0), Row(7, "A", "new", 0)]
    verdict = state.chain(read(rows, dataset), pl.DataFrame(schema=state.STATE), dataset, NOBODY)
    assert verdict.findings.is_empty()
    assert verdict.states["row_id"].to_list() == [8]


def test_a_rule_that_only_warns_lets_its_row_pass() -> None:
    """With V21 as a warning a second `new` is told, and becomes what is held."""
    dataset = visits(USUAL | {"V21": "warning"})
    rows = [Row(1, "A", "new", 0), Row(2, "A", "new", 1, "B")]
    verdict = state.chain(read(rows, dataset), pl.DataFrame(schema=state.STATE), dataset, NOBODY)
    assert verdict.findings.select("row_id", "code", "severity").rows() == [(2, "V21", "warning")]
    assert verdict.refused.is_empty()
    assert verdict.states["row_id"].to_list() == [2]


def test_a_finding_says_what_its_rule_says() -> None:
    """Class and field are the rule's; the detail names the fields of the key, and no value of the row is repeated."""
    dataset = visits()
    verdict = state.chain(read([Row(1, "A", "modify", 0)], dataset), pl.DataFrame(schema=state.STATE), dataset, NOBODY)
    assert verdict.findings.rows() == [(1, "V22", "E07", "MZH", None, "JGDM, MZH", "error")]


def test_a_row_without_a_whole_key_says_nothing_about_a_record() -> None:
    """Rows with an absent or blank key have no operation, so they are no second `new` of each other."""
    dataset = visits()
    rows = [Row(1, "", "new", 0), Row(2, " ", "new", 1), Row(3, "", "revoke", 2), Row(4, "A", "new", 0)]
    seen = read(rows, dataset)
    verdict = state.chain(seen, pl.DataFrame(schema=state.STATE), dataset, NOBODY)
    assert seen["operation"].to_list() == [None, None, None, "new"]
    assert verdict.findings.is_empty()
    assert verdict.states["row_id"].to_list() == [4]


def test_an_empty_batch_changes_nothing() -> None:
    """No rows, no findings, no states."""
    dataset = visits(shared=(("XM",),))
    verdict = state.chain(read([], dataset), pl.DataFrame(schema=state.STATE), dataset, NOBODY)
    assert (verdict.findings.height, verdict.refused.len(), verdict.states.height) == (0, 0, 0)


def test_a_key_that_fills_a_batch_takes_no_longer_than_many_keys() -> None:
    """A number that a broken system puts into every row must not keep others waiting."""
    dataset = visits()
    count = 30_000
    rows = read([Row(1, "A", "modify", 0)], dataset)
    rows = pl.concat([rows] * count).with_columns(row_id=pl.int_range(1, count + 1), content=pl.int_range(count))
    held = frame_of({"A": Standing(Row(0, "A", "new", 0), live=True)}, dataset)
    begun = time.process_time()
    verdict = state.chain(rows, held, dataset, NOBODY)
    assert time.process_time() - begun < 5
    assert verdict.states["row_id"].to_list() == [count]


def test_rows_carry_a_hash_for_each_shared_group() -> None:
    """Rows that share the facts of a group carry one number for it; a difference shows in that group alone."""
    dataset = visits(shared=(("XM", "XBDM"), ("SJSCSJ",)))
    rows = read([Row(1, "A", "new", 0), Row(2, "B", "new", 0), Row(3, "C", "new", 0, "B")], dataset)["shared"].to_list()
    assert rows[0] == rows[1]
    assert rows[0][1] == rows[2][1]
    assert rows[0][0] != rows[2][0]
    assert read([Row(1, "A", "new", 0)], visits())["shared"].to_list() == [None]


PERSON = make_dataset(
    [make_field("XM", "AN..20"), make_field("KH", "AN..20")], name="person", key=("JGDM", "KH"), shared=(("XM",),)
)
REPEAT = Repeat(
    code="V37",
    fields=("HZXM",),
    group=0,
    title="姓名与患者一致",
    error_class=ErrorClass.NAME,
    severity=Severity.WARNING,
    status=Status.PROPOSED,
    source="made up",
    remedy=Text("核对姓名", "Compare the names."),
)
REFERENCE = Reference(
    code="V30",
    to="person",
    on={"HZKH": "KH", "JGDM": "JGDM"},  # in another order than the parent's key, and under another name
    title="患者须先上传",
    severity=Severity.ERROR,
    status=Status.FOUND,
    source="made up",
    remedy=Text("先上传患者", "Send the person first."),
    repeats=(REPEAT,),
)
CHILD = make_dataset([make_field("HZKH", "AN..20"), make_field("HZXM", "AN..20")], references=(REFERENCE,))

cards = st.sampled_from([None, "", " ", "K1", "K2", " K2 ", "K3"])
names = st.sampled_from([None, "", "A", "B", " B "])
persons = st.dictionaries(st.sampled_from(["K1", "K2", "K3"]), st.tuples(st.booleans(), st.sampled_from(["A", "B"])))


def texts(raw: pl.DataFrame, dataset: Dataset) -> pl.DataFrame:
    """Return what rows say."""
    return said(raw, parse(raw, dataset).typed)


def held_persons(said: Mapping[str, tuple[bool, str]]) -> pl.DataFrame:
    """Return the states of persons: card to (live, name)."""
    raw = make_raw(PERSON, [{"JGDM": "1", "KH": card, "XM": name, "CXBZ": "1"} for card, (_, name) in said.items()])
    live = pl.Series([live for live, _ in said.values()], dtype=pl.Boolean)
    return read_raw(raw, PERSON).with_columns(live=live).select(*state.STATE.names())


@settings(deadline=None)
@given(st.lists(st.tuples(cards, names, st.booleans()), min_size=1, max_size=8), persons)
def test_references_and_repeats_are_judged_as_one_row_after_another(
    children: list[tuple[str | None, str | None, bool]], said: dict[str, tuple[bool, str]]
) -> None:
    """A row refers to nothing or to a live row; it repeats nothing, or what that one says."""
    raw = make_raw(CHILD, [{"JGDM": "1", "HZKH": card, "HZXM": name} for card, name, _ in children])
    missing, differing = set(), set()
    for row_id, (card, name, applies) in enumerate(children, start=1):
        wanted = (card or "").strip()
        if not wanted or not applies:
            continue
        live, true_name = said.get(wanted, (False, ""))
        if not live:
            missing.add(row_id)
        elif (name or "").strip() not in {"", true_name}:
            differing.add(row_id)

    keys = state.reference_keys(
        raw, texts(raw, CHILD), REFERENCE, PERSON, pl.Series([applies for *_, applies in children])
    )
    parents = held_persons(said)
    unmet = state.reference_findings(state.unmet(keys, parents), REFERENCE)
    repeats = state.repeat_findings(keys, parents, REFERENCE)

    assert set(unmet["row_id"]) == missing
    assert set(repeats["row_id"]) == differing
    assert unmet.height == len(missing)
    assert repeats.height == len(differing)
    assert unmet.schema == repeats.schema == findings_of.SCHEMA


def test_an_unmet_reference_names_the_row_that_is_missing() -> None:
    """Dataset and key stand in the detail, in the order of the parent's key; the blamed value stands as it came."""
    raw = make_raw(CHILD, [{"JGDM": " 1", "HZKH": " K1 "}])
    keys = state.reference_keys(raw, texts(raw, CHILD), REFERENCE, PERSON, pl.Series([True]))
    found = state.reference_findings(state.unmet(keys, held_persons({})), REFERENCE)
    assert found.rows() == [(1, "V30", "E06", "JGDM", " 1", "person(JGDM=1, KH=K1)", "error")]


def test_a_differing_repeat_says_what_its_rule_says() -> None:
    """Code, class, field and severity are those of the repeat, and neither name is repeated."""
    raw = make_raw(CHILD, [{"JGDM": "1", "HZKH": "K1", "HZXM": "张三"}])
    keys = state.reference_keys(raw, texts(raw, CHILD), REFERENCE, PERSON, pl.Series([True]))
    found = state.repeat_findings(keys, held_persons({"K1": (True, "李四")}), REFERENCE)
    assert found.rows() == [(1, "V37", "E12", "HZXM", None, "person(JGDM=1, KH=K1)", "warning")]


@pytest.mark.parametrize("column", ["value", "detail"])
def test_a_huge_key_makes_a_short_finding(column: str) -> None:
    """What a row calls its parent is cut: it may be megabytes, and it stands in ledgers and receipts."""
    raw = make_raw(CHILD, [{"JGDM": "1" * 100_000, "HZKH": "K" * 100_000}])
    keys = state.reference_keys(raw, texts(raw, CHILD), REFERENCE, PERSON, pl.Series([True]))
    found = state.reference_findings(state.unmet(keys, held_persons({})), REFERENCE)
    assert len(found[column].item()) < 3 * findings_of.VALUE_CHARACTERS_MAX
