"""A regulator's folder, given as bytes, to a Regulator."""

from __future__ import annotations

from datetime import time
from typing import TYPE_CHECKING, Final

from qianzhi.specs.codelist import parse_systems
from qianzhi.specs.entry import Entry, parse_toml, refused
from qianzhi.specs.folder import REGULATOR_FILE, REPLIES_FILE, digest, rule_set
from qianzhi.specs.integrity import refuse_misfits
from qianzhi.specs.model import Criteria, Dataset, Regulator, Schedule
from qianzhi.specs.table import parse_dataset, proper_name

if TYPE_CHECKING:
    from collections.abc import Mapping

CAPABILITIES: Final = frozenset({"rows", "documents", "evidence", "probe", "onboarding", "relay", "pull"})


def parse_regulator(files: Mapping[str, bytes]) -> Regulator:
    """
    Parse a regulator's folder; `files` are its files by path inside the folder, with "/".

    Files that are no part of the rule set (README, adapters, examples) are left out, of the digest too.
    SpecError names file, place and remedy of the first thing that is wrong. Rule expressions are kept as they are:
    whether they hold to the rule language is for `qianzhi.checks` to say.
    """
    kept = rule_set(files)
    if REGULATOR_FILE not in kept:
        raise refused(REGULATOR_FILE, "", "it is missing", "Add it: a folder without it is no regulator.")
    systems = parse_systems(kept)
    with parse_toml(kept[REGULATOR_FILE], REGULATOR_FILE) as root:
        regulator = Regulator(
            key=_key(root),
            name=root.sentence("name"),
            edition=root.text("edition"),
            sources=root.texts("sources"),
            sender=proper_name(root, root.text("sender")),
            schedule=_schedule(root.table("schedule")),
            criteria=_criteria(root.table("criteria")),
            capabilities=_capabilities(root),
            datasets=_datasets(root, kept),
            codes=systems,
            replies=_replies(kept),
            digest=digest(kept),
        )
    refuse_misfits(regulator.datasets, systems)
    return regulator


def _key(root: Entry) -> str:
    key = proper_name(root, root.text("key"))
    if key != key.lower():
        raise root.refused(f"the key {key!r} has capital letters", "Write it in lower case: it names a schema.")
    return key


def _schedule(entry: Entry) -> Schedule:
    with entry:
        return Schedule(cut_off=_time(entry, "cut_off"), cycle=_time(entry, "cycle"))


def _time(entry: Entry, key: str) -> time:
    value = entry.text(key)
    try:
        moment = time.fromisoformat(value)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is not None or moment.isoformat("minutes") != value:
        raise entry.refused(f"{key!r} is {value!r}", "Write the local time as HH:MM.")
    return moment


def _criteria(entry: Entry) -> Criteria:
    with entry:
        return Criteria(
            days=entry.whole("days", least=1),
            rows_per_dataset=entry.whole("rows_per_dataset", least=0),
            accepted_share=entry.share("accepted_share"),
        )


def _capabilities(root: Entry) -> frozenset[str]:
    capabilities = frozenset(root.texts("capabilities"))
    if unknown := sorted(capabilities - CAPABILITIES):
        known = ", ".join(sorted(CAPABILITIES))
        raise root.refused(f"the capability {unknown[0]!r} is unknown", f"Write one of {known}.")
    return capabilities


def _datasets(root: Entry, files: Mapping[str, bytes]) -> tuple[Dataset, ...]:
    names = root.texts("datasets")
    listed = {f"datasets/{name}.toml" for name in names}
    if stray := sorted(path for path in files if path.startswith("datasets/") and path not in listed):
        raise refused(stray[0], "", f"{REGULATOR_FILE} does not list this dataset", "List it, or remove the file.")
    if missing := sorted(listed - files.keys()):
        raise root.refused(f"the file {missing[0]} is missing", "Add it, or take the dataset from the list.")
    if len({name.lower() for name in names}) < len(names):
        raise root.refused("two datasets differ in capital letters only", "Rename one: tables know no case.")
    return tuple(parse_dataset(files[f"datasets/{name}.toml"], f"datasets/{name}.toml") for name in names)


def _replies(files: Mapping[str, bytes]) -> dict[str, str]:
    """Return reply code → verdict; what happens next is for people who read the file."""
    verdicts: dict[str, str] = {}
    if REPLIES_FILE not in files:
        return verdicts
    with parse_toml(files[REPLIES_FILE], REPLIES_FILE) as root:
        for entry in root.tables("replies", called="code"):
            with entry:
                code, verdict = entry.text("code"), entry.text("verdict")
                entry.sentence("next")
            if code in verdicts:
                raise entry.refused("its code comes twice", "Keep one reply of this code.")
            verdicts[code] = verdict
    return verdicts
