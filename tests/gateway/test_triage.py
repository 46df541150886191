from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.checks.tiny import PERSON, VISIT, make_dataset, make_raw, make_rule

from qianzhi.checks import state
from qianzhi.checks.keys import key_check, key_hash
from qianzhi.checks.parse import parse, said
from qianzhi.gateway.triage import WAITING, Parents, Surroundings, Triage, triage
from qianzhi.specs.model import ErrorClass, Reference, RuleKind, Severity, Status, Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qianzhi.specs.model import Dataset

LANE, PARENT_LANE, OTHER_LANE = 7, 3, 4
CODES = {"new": "1", "modify": "2", "revoke": "3"}
HELD_RULE = make_rule(
    "V22", "key_is_held()", "CXBZ", RuleKind.STATE, severity=Severity.ERROR, error_class=ErrorClass.INTEGRITY
)


def reference(code: str, to: str, **more: object) -> Reference:
    """Return a reference from a visit's ZJHM to the ZJHM of another dataset."""
    facts: dict[str, object] = {
        "on": {"JGDM": "JGDM", "ZJHM": "ZJHM"},
        "title": "须先上传",
        "severity": Severity.ERROR,
        "status": Status.FOUND,
        "source": "made up",
        "remedy": Text("先上传", "Send it first."),
    }
    return Reference(code, to, **(facts | more))  # type: ignore[arg-type]


PARENT = replace(PERSON, key=("JGDM", "ZJHM"))
CARD = replace(PARENT, name="card")
WARNS = reference("V33", "staff", severity=Severity.WARNING)
DATASET = make_dataset(
    VISIT.fields[4:], (HELD_RULE,), references=(reference("V30", "person"), reference("V31", "card"), WARNS)
)


@dataclass(frozen=True)
class Row:
    """One row of a chunk."""

    row_id: int
    key: str
    operation: str
    minute: int = 0
    parent: str | None = None


@dataclass(frozen=True)
class World:
    """What the ledger knows: by key, whether it is live; the held row_ids; the keys in flight; parents alike."""

    live: dict[str, bool] = field(default_factory=dict)
    held: Sequence[tuple[str, int]] = ()
    in_flight: Sequence[str] = ()
    persons: dict[str, bool] = field(default_factory=dict)
    cards: dict[str, bool] | None = None


def keyed(keys: Sequence[str]) -> pl.DataFrame:
    """Return key_hash and key_check of keys of the institution 1."""
    frame = pl.DataFrame({"JGDM": ["1"] * len(keys), "KEY": keys}, schema={"JGDM": pl.String, "KEY": pl.String})
    names = ["JGDM", "KEY"]
    return frame.select(key_hash(names).alias("key_hash"), key_check(names).alias("key_check"))


def states(live: dict[str, bool]) -> pl.DataFrame:
    """Return states of keys."""
    lives = pl.Series("live", [*live.values()], dtype=pl.Boolean)
    return (
        keyed([*live])
        .with_columns(
            lives,
            row_id=pl.lit(0, pl.Int64),
            occurred_at=pl.lit(None, pl.Datetime("us")),
            content=pl.lit(0, pl.Int64),
            shared=pl.lit(None, pl.List(pl.Int64)),
        )
        .select(state.STATE.names())
    )


def texts_of(raw: pl.DataFrame, dataset: Dataset = DATASET) -> pl.DataFrame:
    """Return what rows say."""
    return said(raw, parse(raw, dataset).typed)


def seen_of(raw: pl.DataFrame, dataset: Dataset) -> pl.DataFrame:
    """Return rows as the triage sees them."""
    return state.rows_of(raw, texts_of(raw, dataset), parse(raw, dataset).typed, dataset)


def decided(
    rows: Sequence[Row],
    world: World = World(),
    rejected: Sequence[int] = (),
    *,
    withholds: bool = False,
    dataset: Dataset = DATASET,
) -> Triage:
    """Decide about rows."""
    raw = make_raw(
        DATASET,
        [
            {
                "JGDM": "1",
                "MZH": row.key,
                "CXBZ": CODES.get(row.operation, row.operation),
                "SJSCSJ": f"2026-11-19 10:{row.minute:02}:00",
                "ZJHM": row.parent,
            }
            for row in rows
        ],
    ).with_columns(row_id=pl.Series([row.row_id for row in rows], dtype=pl.Int64))
    always = pl.repeat(value=True, n=len(rows), dtype=pl.Boolean, eager=True)
    parents = [
        Parents(
            DATASET.references[0],
            PARENT_LANE,
            state.reference_keys(raw, texts_of(raw), DATASET.references[0], PARENT, always),
            states(world.persons),
        )
    ]
    if world.cards is not None:
        keys = state.reference_keys(raw, texts_of(raw), DATASET.references[1], CARD, always)
        parents.append(Parents(DATASET.references[1], OTHER_LANE, keys, states(world.cards)))
    held = keyed([key for key, _ in world.held]).with_columns(
        row_id=pl.Series([row_id for _, row_id in world.held], dtype=pl.Int64)
    )
    around = Surroundings(LANE, states(world.live), held, keyed(world.in_flight), parents)
    seen = seen_of(raw, DATASET)
    return triage(seen, pl.Series("row_id", list(rejected), dtype=pl.Int64), around, dataset, withholds=withholds)


def places(of: Triage) -> dict[str, list[int]]:
    """Return the row_ids of every place that has some."""
    found = {
        "go": of.go,
        "waiting": of.waiting["row_id"],
        "ended": of.nothing_to_revoke,
        "deferred": of.deferred,
        "withheld": of.withheld,
    }
    return {place: sorted(row_ids.to_list()) for place, row_ids in found.items() if row_ids.len()}


keys = st.sampled_from(["A", "B", "C", ""])
parents_named = st.sampled_from([None, "P", "Q"])
chunks = st.lists(
    st.builds(
        Row,
        row_id=st.integers(1, 30),
        key=keys,
        operation=st.sampled_from([*CODES, "9"]),
        minute=st.integers(0, 2),
        parent=parents_named,
    ),
    unique_by=lambda row: row.row_id,
    max_size=10,
)
worlds = st.builds(
    World,
    live=st.dictionaries(keys, st.booleans()),
    held=st.lists(st.tuples(keys, st.integers(31, 40) | st.integers(-9, 0)), max_size=5, unique_by=lambda row: row[1]),
    in_flight=st.lists(keys, max_size=3),
    persons=st.dictionaries(st.sampled_from(["P", "Q"]), st.booleans()),
    cards=st.none() | st.dictionaries(st.sampled_from(["P", "Q"]), st.booleans()),
)


@settings(max_examples=150, deadline=None)
@given(chunks, worlds, st.sets(st.integers(1, 30)), st.booleans())
def test_every_row_has_exactly_one_place(rows: list[Row], world: World, rejected: set[int], withholds: bool) -> None:
    """None is lost and none is taken twice, whatever the ledger knows."""
    outcome = decided(rows, world, sorted(rejected), withholds=withholds)
    placed = [row_id for row_ids in places(outcome).values() for row_id in row_ids]
    assert sorted(placed) == sorted(row.row_id for row in rows)
    assert set(outcome.promoted) <= set(outcome.go)
    assert outcome.waiting.schema == WAITING
    assert set(outcome.superseded) <= {row_id for _, row_id in world.held}
    assert sorted(outcome.findings["row_id"]) == sorted([*outcome.promoted, *outcome.nothing_to_revoke])


@settings(max_examples=100, deadline=None)
@given(chunks, worlds, st.sets(st.integers(1, 30)))
def test_a_batch_holds_no_record_twice(rows: list[Row], world: World, rejected: set[int]) -> None:
    """Of the rows that go, no two concern one record, and none a record that is under way."""
    going = set(decided(rows, world, sorted(rejected)).go)
    concerned = [row.key for row in rows if row.row_id in going and row.key and row.operation in CODES]
    assert len(set(concerned)) == len(concerned)
    assert not set(concerned) & set(world.in_flight)


@settings(max_examples=100, deadline=None)
@given(chunks, worlds)
def test_the_earliest_row_of_a_record_comes_first(rows: list[Row], world: World) -> None:
    """Whatever is deferred comes behind a row of its record that is not, by time and then by id, or one under way."""
    deferred = set(decided(rows, world).deferred)
    first = {row.key: row for row in sorted(rows, key=lambda row: (-row.minute, -row.row_id)) if row.operation in CODES}
    for row in rows:
        if not row.key or row.operation not in CODES:
            assert row.row_id not in deferred
        else:
            assert (row.row_id in deferred) == (first[row.key] != row or row.key in world.in_flight)


def test_a_new_row_goes() -> None:
    """Without anything in its way."""
    outcome = decided([Row(1, "A", "new")])
    assert places(outcome) == {"go": [1]}
    assert outcome.promoted.is_empty()
    assert outcome.findings.is_empty()


def test_an_empty_chunk_has_no_places() -> None:
    """Nothing in, nothing out."""
    assert places(decided([])) == {}


def test_a_rejected_row_goes_as_it_is() -> None:
    """Neither its operation nor its parent is judged, so that the regulator's verdict names every error at once."""
    rows = [Row(1, "A", "new", parent="P"), Row(2, "B", "modify"), Row(3, "C", "revoke")]
    outcome = decided(rows, World(held=[("B", -1)]), rejected=[1, 2, 3])
    assert places(outcome) == {"go": [1, 2, 3]}
    assert outcome.promoted.is_empty()
    assert outcome.superseded.is_empty()
    assert outcome.findings.is_empty()


def test_a_rejected_row_ends_here_where_only_sound_ones_are_taken() -> None:
    """It takes no place of a held row, and its neighbours go; its turn comes as ever."""
    rows = [Row(1, "A", "new"), Row(2, "B", "new"), Row(3, "C", "new")]
    outcome = decided(rows, World(held=[("A", -1)], in_flight=["C"]), rejected=[1, 3], withholds=True)
    assert places(outcome) == {"withheld": [1], "go": [2], "deferred": [3]}
    assert outcome.superseded.is_empty()
    assert outcome.findings.is_empty()


def test_a_row_of_no_known_operation_goes_as_it_is() -> None:
    """Its verdict is that its operation is none; several of one key need not come one by one."""
    assert places(decided([Row(1, "A", "9"), Row(2, "A", "9"), Row(3, "A", "new")])) == {"go": [1, 2, 3]}


def test_rows_without_a_whole_key_go_all_at_once() -> None:
    """A system that leaves the key out gets every verdict tonight, and not one row a pass."""
    rows = [Row(number, "", "new", parent="P") for number in range(1, 6)]
    assert places(decided(rows, World(in_flight=[""]), rejected=[1, 2, 3, 4, 5])) == {"go": [1, 2, 3, 4, 5]}


def test_an_accepted_record_is_modified_and_revoked() -> None:
    """What the destination holds is changed as the row says."""
    outcome = decided([Row(1, "A", "modify"), Row(2, "B", "revoke")], World(live={"A": True, "B": True}))
    assert places(outcome) == {"go": [1, 2]}
    assert outcome.promoted.is_empty()


def test_the_modification_of_what_was_never_accepted_goes_as_new() -> None:
    """With a warning by the number of the rule that it would break; a revoked record counts as never accepted."""
    outcome = decided([Row(1, "A", "modify"), Row(2, "B", "modify")], World(live={"B": False}))
    assert places(outcome) == {"go": [1, 2]}
    assert sorted(outcome.promoted) == [1, 2]
    assert outcome.findings.rows() == [
        (row_id, "V22", "E06", "CXBZ", None, "JGDM, MZH", "warning") for row_id in (1, 2)
    ]


def test_a_regulator_without_that_rule_gets_no_finding_of_it() -> None:
    """What becomes of a row is the same; one behind a held row names what that one waits for."""
    silent = replace(DATASET, rules=())
    rows = [Row(1, "A", "modify"), Row(2, "B", "modify"), Row(3, "C", "revoke")]
    outcome = decided(rows, World(held=[("B", -1)]), dataset=silent)
    assert places(outcome) == {"go": [1], "waiting": [2], "ended": [3]}
    assert outcome.promoted.to_list() == [1]
    assert outcome.findings.is_empty()
    assert outcome.waiting["code"].to_list() == ["V30"]


def test_the_revocation_of_what_was_never_accepted_ends_here() -> None:
    """Nothing is sent, and a warning says why."""
    outcome = decided([Row(1, "A", "revoke"), Row(2, "B", "revoke")], World(live={"B": False}))
    assert places(outcome) == {"ended": [1, 2]}
    assert outcome.findings.select("row_id", "code", "severity").rows() == [
        (1, "V22", "warning"),
        (2, "V22", "warning"),
    ]


def test_the_child_of_a_missing_parent_waits_and_names_it() -> None:
    """It says which lane and key it waits for, in numbers for the ledger and in words for people."""
    outcome = decided([Row(1, "A", "new", parent="P"), Row(2, "B", "modify", parent="P")])
    assert places(outcome) == {"waiting": [1, 2]}
    waiting = outcome.waiting.sort("row_id").row(0, named=True)
    wanted, own = keyed(["P"]).row(0), keyed(["A"]).row(0)
    assert waiting == {
        "row_id": 1,
        "key_hash": own[0],
        "key_check": own[1],
        "code": "V30",
        "field": "ZJHM",
        "value": "P",
        "wants_lane_id": PARENT_LANE,
        "wants_key_hash": wanted[0],
        "wants_key_check": wanted[1],
        "wants": "person(JGDM=1, ZJHM=P)",
    }
    assert outcome.findings.is_empty()
    assert outcome.promoted.is_empty()


def test_a_revoked_parent_is_missing_and_an_accepted_one_is_not() -> None:
    """A parent must be live."""
    rows = [Row(1, "A", "new", parent="P"), Row(2, "B", "new", parent="Q"), Row(3, "C", "new")]
    assert places(decided(rows, World(persons={"P": True, "Q": False}))) == {"go": [1, 3], "waiting": [2]}


def test_the_child_of_two_missing_parents_waits_for_the_first() -> None:
    """For the one whose reference stands first; when that is there, for the other."""
    rows = [Row(1, "A", "new", parent="P")]
    assert decided(rows, World(cards={})).waiting["code"].to_list() == ["V30"]
    assert decided(rows, World(cards={}, persons={"P": True})).waiting["code"].to_list() == ["V31"]
    assert places(decided(rows, World(cards={"P": True}, persons={"P": True}))) == {"go": [1]}


def test_a_parent_that_only_warns_is_not_waited_for() -> None:
    """A reference whose severity is a warning holds nothing back."""
    raw = make_raw(DATASET, [{"JGDM": "1", "MZH": "A", "CXBZ": "1", "ZJHM": "P"}])
    parents = Parents(
        WARNS,
        PARENT_LANE,
        state.reference_keys(raw, texts_of(raw), WARNS, PARENT, pl.Series([True])),
        states({}),
    )
    nothing_held = states({}).select(*state.KEY, "row_id")
    around = Surroundings(LANE, states({}), nothing_held, keyed([]), (parents,))
    seen = seen_of(raw, DATASET)
    assert places(triage(seen, pl.Series("row_id", [], dtype=pl.Int64), around, DATASET)) == {"go": [1]}


def test_a_revocation_never_waits_for_a_parent() -> None:
    """What goes away needs nothing to belong to."""
    outcome = decided([Row(1, "A", "revoke", parent="P"), Row(2, "B", "revoke", parent="P")], World(live={"A": True}))
    assert places(outcome) == {"go": [1], "ended": [2]}


def test_of_several_rows_of_a_record_the_earliest_goes() -> None:
    """By the time it happened, then by its id; the others come again."""
    rows = [Row(5, "A", "new", 1), Row(4, "A", "modify", 2), Row(6, "A", "modify", 1), Row(7, "B", "new", 2)]
    assert places(decided(rows)) == {"go": [5, 7], "deferred": [4, 6]}


def test_what_is_deferred_is_judged_when_its_turn_has_come() -> None:
    """Nothing is found about it yet: what its record will be by then is not known."""
    outcome = decided([Row(1, "A", "new"), Row(2, "A", "revoke", 1)])
    assert places(outcome) == {"go": [1], "deferred": [2]}
    assert outcome.findings.is_empty()


def test_a_row_whose_record_is_under_way_is_deferred() -> None:
    """Until the receipt says what became of the row before it; a rejected one is no exception."""
    rows = [Row(1, "A", "modify"), Row(2, "B", "new"), Row(3, "A", "revoke", 1)]
    assert places(decided(rows, World(in_flight=["A", "A"]))) == {"deferred": [1, 3], "go": [2]}
    assert places(decided(rows[:1], World(in_flight=["A"]), rejected=[1])) == {"deferred": [1]}


def test_a_row_behind_a_held_one_waits_for_its_own_record() -> None:
    """A change waits until what it changes is settled."""
    world = World(held=[("A", -2), ("A", -1)])
    outcome = decided([Row(1, "A", "modify")], world)
    assert places(outcome) == {"waiting": [1]}
    assert outcome.superseded.is_empty()
    waiting = outcome.waiting.filter(row_id=1).row(0, named=True)
    assert (waiting["wants_lane_id"], waiting["wants"], waiting["code"]) == (LANE, "visit", "V22")
    assert (waiting["wants_key_hash"], waiting["wants_key_check"]) == keyed(["A"]).row(0)
    assert (waiting["key_hash"], waiting["key_check"]) == keyed(["A"]).row(0)


def test_a_withdrawal_ends_what_was_held() -> None:
    """What was never accepted ends here with its withdrawal; of an accepted record only the withdrawal still goes."""
    unaccepted = decided([Row(1, "A", "revoke")], World(held=[("A", -2), ("A", -1)]))
    assert places(unaccepted) == {"ended": [1]}
    assert sorted(unaccepted.superseded) == [-2, -1]
    accepted = decided([Row(1, "A", "revoke")], World(held=[("A", -1)], live={"A": True}))
    assert places(accepted) == {"go": [1]}
    assert list(accepted.superseded) == [-1]


def test_a_record_staged_anew_supersedes_its_held_copies() -> None:
    """Its place is taken whether the new copy goes or has to wait for the same parent again."""
    world = World(held=[("A", -3), ("A", -2), ("B", -1)], persons={"P": True})
    assert sorted(decided([Row(1, "A", "new", parent="P")], world).superseded) == [-3, -2]
    again = decided([Row(1, "A", "new", parent="Q")], world)
    assert places(again) == {"waiting": [1]}
    assert sorted(again.superseded) == [-3, -2]


def test_a_released_row_does_not_supersede_what_waits_behind_it() -> None:
    """A record that waited for its parent goes, and its later change still follows it."""
    world = World(held=[("A", 31)], persons={"P": True})
    outcome = decided([Row(1, "A", "new", parent="P")], world)
    assert places(outcome) == {"go": [1]}
    assert outcome.superseded.is_empty()


def test_a_released_change_does_not_wait_behind_what_waits_for_it() -> None:
    """Otherwise the two would wait for each other for ever."""
    world = World(held=[("A", 31)], persons={"P": True})
    outcome = decided([Row(1, "A", "modify", parent="P")], world)
    assert places(outcome) == {"go": [1]}
    assert outcome.promoted.to_list() == [1]


def test_states_that_name_a_record_twice_do_not_multiply_its_rows() -> None:
    """A rehearsal without states takes every change as accepted, record by record or not."""
    rows = [Row(1, "A", "modify"), Row(2, "A", "modify", 1)]
    raw = make_raw(DATASET, [{"JGDM": "1", "MZH": row.key, "CXBZ": "2", "SJSCSJ": None} for row in rows])
    seen = seen_of(raw, DATASET)
    around = Surroundings(
        LANE, seen.select(*state.KEY, live=pl.lit(value=True)), seen.select(*state.KEY, "row_id").clear(), keyed([]), ()
    )
    outcome = triage(seen, pl.Series("row_id", [], dtype=pl.Int64), around, DATASET)
    assert places(outcome) == {"go": [1], "deferred": [2]}
