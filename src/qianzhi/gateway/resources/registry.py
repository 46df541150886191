"""The resources of one institution towards one destination: looked at, checked, changed, by form and by workbook."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from qianzhi.db import locks
from qianzhi.db.server import connect, translated
from qianzhi.errors import ConfigurationError, QianzhiError, SenderError
from qianzhi.gateway import assembly, images, report
from qianzhi.gateway.images import PathMap
from qianzhi.gateway.resources import plan as plan_of
from qianzhi.gateway.resources import records, saving, template, upload
from qianzhi.gateway.resources.form import forms
from qianzhi.gateway.resources.pictures import thumbnail
from qianzhi.gateway.resources.plan import Action, Line, Plan
from qianzhi.gateway.resources.records import State
from qianzhi.gateway.resources.remarks import Place, remark
from qianzhi.gateway.resources.upload import Stored
from qianzhi.ledger import audit
from qianzhi.runtime import clock
from qianzhi.runtime.home import End

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from qianzhi.db.server import Session
    from qianzhi.gateway.destination import Destination
    from qianzhi.gateway.resources.attachments import Attachments
    from qianzhi.gateway.resources.form import Form
    from qianzhi.gateway.resources.pictures import Picture
    from qianzhi.gateway.resources.records import Record
    from qianzhi.runtime.home import Home
    from qianzhi.runtime.settings import Settings


class Registry:
    """
    What people keep of an institution.

    Reading is done as the gateway, saving as the sender's account; each call opens its own session.
    """

    def __init__(self, home: Home, settings: Settings, destination: Destination) -> None:
        if not destination.institution:
            raise ConfigurationError(
                "The institution's code is not set.",
                remedy="Run `qianzhi gateway init --institution <code>` with the code that the platform gave.",
            )
        self.home = home
        self.destination = destination
        self.forms: Mapping[str, Form] = forms(destination.regulator)
        self.album = assembly.album(home, settings)
        self._dsn = assembly.owner_dsn(home, settings)
        self._sender_dsn = assembly.role_dsn(home, settings, destination.regulator.sender)
        self._paths = assembly.path_map(home, settings)
        self._folders = [folder.resolve() for folder in self._paths.prefixes.values()]

    def records(self, dataset: str) -> list[Record]:
        """Return the current records of a dataset, in the order in which they were said."""
        with self._session() as session:
            return records.current(session, self.destination, self.forms[dataset].dataset)

    def findings(self, dataset: str, found: Collection[Record], language: str = "zh") -> list[dict[str, Any]]:
        """Return what is on record about records, in words."""
        with self._session() as session:
            row_ids = [record.row_id for record in found]
            listed = records.findings_of(session, self.destination, self.forms[dataset].dataset, row_ids)
        return report.explained(listed, self.destination, language)

    def template(self, datasets: Sequence[str], *, filled: bool) -> bytes:
        """Return the workbook to be filled in, or one that is filled with the current records."""
        held = {name: self.records(name) for name in datasets} if filled else {}
        return template.template([self.forms[name] for name in datasets], held)

    def plan(self, content: bytes, attachments: Attachments) -> Plan:
        """Return what a workbook would change and what is wrong with it; nothing is saved. Raises SenderError."""
        stored = {name: Stored.of(form, self.records(name)) for name, form in self.forms.items()}
        return self._judged(upload.planned(content, self.forms, stored, attachments, self.album))

    def form_plan(
        self, dataset: str, values: Mapping[str, str | None], *, row_id: int | None, pictures: Collection[Picture] = ()
    ) -> Plan:
        """
        Return what a form would change and what is wrong with it; nothing is saved.

        `row_id` is the newest row of the record that was opened, None for a new one; `pictures` are those whose paths
        stand among the values.
        """
        form, held = self.forms[dataset], self._stored(dataset)
        said = {each.name: each.meant(values.get(each.name) or "") for each in form.inputs}
        record = held.find(tuple(said[name] or "" for name in form.key))
        made = Plan(pictures={each.path: each for each in pictures}, seen={dataset: held.newest_id})
        blamed = form.key[-1] if form.key else form.dataset.institution
        if record is not None and row_id is None and template.is_kept(record):
            made.remarks.append(remark("record-exists", Place(), field=blamed))
        elif row_id is not None and (record is None or record.row_id != row_id):
            made.remarks.append(remark("record-changed", Place(), field=blamed))
        made.lines[dataset] = [Line(Place(), _action(record, said), said)]
        return self._judged(made)

    def revocation(self, dataset: str, row_id: int) -> Plan:
        """Return what it means to revoke the record whose newest row this is."""
        form, held = self.forms[dataset], self._stored(dataset)
        made = Plan(seen={dataset: held.newest_id})
        record = next((each for each in held.records.values() if each.row_id == row_id), None)
        if record is None:
            made.remarks.append(remark("record-changed", Place()))
        elif not record.exists:
            made.remarks.append(remark("nothing-to-revoke", Place()))
        else:
            values = {each.name: record.values.get(each.name) for each in form.inputs}
            made.lines[dataset] = [Line(Place(), Action.REVOKE, values)]
        return self._judged(made)

    def thumbnail(self, path: str, picture: Picture | None = None) -> bytes | None:
        """
        Return a small JPEG of the picture at a record's path, or of one that is not kept yet; None where there is none.

        Only folders that hold pictures are looked into, whatever path somebody put into a record.
        """
        try:
            if picture is not None:
                return thumbnail(picture.content)
            file = self._paths.resolve(path).resolve()
            if not path or not any(file.is_relative_to(folder) for folder in self._folders):
                return None
            content = images.content_of(str(file), PathMap({}, self.album))
            return thumbnail(content) if isinstance(content, bytes) else None
        except (QianzhiError, OSError, ValueError):
            return None

    def save(self, plan: Plan, *, actor: str) -> dict[str, dict[str, int]]:
        """
        Insert what changes, all of it or nothing, and return the counts by dataset; the audit names the `actor`.

        Raises SenderError where a remark forbids it, or where somebody saved in between.
        """
        if plan.errors:
            raise SenderError(f"{plan.errors} findings forbid saving.", remedy="Correct what they name, and try again.")
        with (
            translated("The records were not saved"),
            connect(self._dsn, application="qianzhi resources") as guard,
        ):
            # Of two people who saw the same, one saves: the other one is to see that first.
            locks.hold(guard, f"resources {self.destination.regulator.key}")
            return self._saved(plan, actor)

    def _saved(self, plan: Plan, actor: str) -> dict[str, dict[str, int]]:
        for name, seen in plan.seen.items():
            if plan.lines.get(name) and self._stored(name).newest_id != seen:
                raise SenderError("Records were changed meanwhile.", remedy="Look at the preview again, then save.")
        at = clock.local_now()
        rows = [
            (form.dataset, raw)
            for form, _, raw in plan_of.frames(plan, self.forms, self.destination.institution, at=at)
        ]
        if rows:
            for picture in plan.pictures.values():
                self.album.keep(picture)
            saving.insert(self._sender_dsn, self.destination.regulator.key, rows)
            self._note(plan, actor)
        return plan.counts()

    def _note(self, plan: Plan, actor: str) -> None:
        with self._session() as session:
            for name, counts in plan.counts().items():
                audit.note(session, actor=actor, event="resources:records:saved", subject=name, detail=counts)

    def _stored(self, dataset: str) -> Stored:
        return Stored.of(self.forms[dataset], self.records(dataset))

    def _judged(self, made: Plan) -> Plan:
        made.add(plan_of.judged(made, self.forms, self.destination, self._paths, at=clock.local_now()))
        return made

    @contextmanager
    def _session(self) -> Iterator[Session]:
        with connect(self._dsn, application="qianzhi resources", autocommit=True) as session:
            yield session


def _action(record: Record | None, said: Mapping[str, str | None]) -> Action:
    if record is None or not record.exists:
        return Action.NEW
    # What was refused is tried again as it is: a picture may have come to its place meanwhile.
    is_same = all((value or "") == record.values.get(name, "").strip() for name, value in said.items())
    return Action.UNCHANGED if is_same and record.state is not State.REJECTED else Action.MODIFY


def registry(home: Home, settings: Settings, destination: str | None = None) -> Registry:
    """Return the registry of a destination, or of the only one. Raises ConfigurationError where that is not clear."""
    home.existing(End.GATEWAY)
    return Registry(home, settings, assembly.destination(home, settings, destination))
