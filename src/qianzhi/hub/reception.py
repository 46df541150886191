"""One batch from its bytes to its receipt: opened, checked, judged and stored in one transaction."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import polars as pl
import structlog
from psycopg.errors import CharacterNotInRepertoire, UniqueViolation

from qianzhi.checks import findings as findings_of
from qianzhi.checks.checker import LOCAL_KINDS, checker
from qianzhi.checks.parse import said
from qianzhi.checks.state import rows_of
from qianzhi.db.server import translated
from qianzhi.errors import SenderError
from qianzhi.hub import archive, feedback
from qianzhi.hub.holdings import Held
from qianzhi.hub.problems import Problem
from qianzhi.hub.verdict import Submission, Verdict, judge, reference_findings, sender_findings, stateless
from qianzhi.runtime import clock
from qianzhi.sealing import receipts
from qianzhi.sealing.envelopes import blob_column
from qianzhi.specs.model import ErrorClass, RuleKind, Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from uuid import UUID

    from psycopg_pool import ConnectionPool

    from qianzhi.checks.catalogue import Catalogue
    from qianzhi.db.server import Session
    from qianzhi.hub.bodies import Body
    from qianzhi.hub.identity import Sender
    from qianzhi.regulators.protocols import Intake
    from qianzhi.sealing.envelopes import Envelope, Manifest
    from qianzhi.specs.model import Dataset, Regulator

AHEAD_HOURS_MAX: Final = 24
"""How far a sender's clock may be ahead: a wrong time zone explains that much; more is a clock that jumped."""

AS_OF_MIN: Final = datetime(2000, 1, 1)
"""Before this no record was sent to anybody: a clock that lost its battery."""

NUL: Final = "\x00"
NUL_SHOWN: Final = "\ufffd"
NUL_CODE: Final = "V02"

_LOG = structlog.stdlib.get_logger()
_NOT_STORED: Final = "The batch was not stored."
_CONFLICT: Final = Problem(
    HTTPStatus.CONFLICT,
    "batch-conflict",
    "This batch id came before with other content.",
    "Send other content under an id of its own.",
)


@dataclass(frozen=True, slots=True)
class Served:
    """A regulator as this hub serves it."""

    regulator: Regulator
    intake: Intake
    numbers: Mapping[str, int]  # the short number of each dataset
    catalogue: Catalogue


@dataclass(frozen=True, slots=True)
class Answer:
    """The receipt of a batch, byte for byte as it was stored."""

    receipt: bytes
    repeated: bool


@dataclass(frozen=True, slots=True)
class _Case:
    """One batch on its way to a verdict."""

    act: archive.Act
    sender: Sender
    manifest: Manifest
    dataset: Dataset
    submission: Submission
    rows: pl.DataFrame | None = None  # of `rows_of`, where state is judged


class Reception:
    """Receives batches for every regulator that the hub serves; safe to use from many threads."""

    def __init__(
        self,
        pool: ConnectionPool[Session],
        served: Mapping[str, Served],
        *,
        kinds: frozenset[RuleKind] = frozenset(RuleKind),
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self._pool = pool
        self._served = served
        self._kinds = kinds
        self._now = now
        self._rows = archive.Rows()

    def receive(self, sender: Sender, batch_id: UUID, body: Body, media_type: str) -> Answer | Problem:
        """Take a batch and return its receipt, or why it was not taken. A repeat gets the first receipt."""
        if (known := self._known(sender, batch_id, body)) is not None:
            return known
        served = self._served[sender.regulator]
        envelope = served.intake.open_batch(body.content, media_type, batch_id, served.regulator)
        now = self._now()
        problem = _misfit(envelope.manifest, batch_id, sender, served.regulator, clock.local(now))
        if problem is not None:
            return problem
        if envelope.rows["row_id"].is_duplicated().any():
            raise SenderError("A row_id stands twice in the batch.", remedy="Give each row its own row_id.")
        act = archive.Act(sender.institution_id, batch_id, body.digest, len(body.content), now)
        with translated(_NOT_STORED):
            try:
                return self._take(act, sender, envelope)
            except CharacterNotInRepertoire:
                # Somewhere is a NUL. To look for one in every batch would cost more than to begin anew in this one.
                return self._take(act, sender, envelope, shows_nul=True)
            except UniqueViolation:
                pass  # The same id came twice at once, under two datasets' locks; the other one is stored.
        return self._known(sender, batch_id, body) or _CONFLICT

    def receipt(self, sender: Sender, batch_id: UUID) -> bytes | None:
        """Return the stored receipt of a sender's batch, if there is one."""
        with translated("The receipt was not read."), self._pool.connection() as session:
            kept = archive.find(session, sender.institution_id, batch_id)
        return None if kept is None else kept.receipt

    def _known(self, sender: Sender, batch_id: UUID, body: Body) -> Answer | Problem | None:
        with translated(_NOT_STORED), self._pool.connection() as session:
            kept = archive.find(session, sender.institution_id, batch_id)
        return None if kept is None else _again(kept, body.digest)

    def _take(
        self, act: archive.Act, sender: Sender, envelope: Envelope, *, shows_nul: bool = False
    ) -> Answer | Problem:
        """Check, judge and store a batch. CharacterNotInRepertoire: it has a NUL, and `shows_nul` must deal with it."""
        served = self._served[sender.regulator]
        dataset = served.regulator.dataset(envelope.manifest.dataset)
        rows, found = _without_nul(envelope.rows, dataset) if shows_nul else (envelope.rows, findings_of.empty())
        submission = self._check(replace(envelope, rows=rows), dataset, served).with_findings(found)
        case = _Case(act, sender, envelope.manifest, dataset, submission)
        if RuleKind.STATE in self._kinds:
            case = replace(case, rows=rows_of(submission.raw, submission.texts, submission.typed, dataset))
        case = self._look_around(case)
        with self._pool.connection() as session:
            self._rows.open(session, sender.regulator, dataset.name, act.received_at)
            return self._settle(session, case)

    def _check(self, envelope: Envelope, dataset: Dataset, served: Served) -> Submission:
        """Return a batch with what the rules that both ends share find in it."""
        shared, as_of = checker(served.regulator, dataset), envelope.manifest.as_of
        raw = envelope.rows.select("row_id", *(field.name for field in dataset.fields))
        checked = shared.check(raw, as_of=as_of, kinds=self._kinds & LOCAL_KINDS)
        images = {blob_column(field.name): field.name for field in dataset.image_fields}
        return Submission(
            raw=checked.raw,
            texts=said(checked.raw, checked.typed),
            typed=checked.typed,
            applies=lambda reference: shared.applies(checked, reference, as_of=as_of),
            blobs=envelope.rows.select("row_id", *images).rename(images),
            findings=checked.findings,
            images_follow=envelope.manifest.images_follow,
        )

    def _look_around(self, case: _Case) -> _Case:
        """Return a batch with what is found beyond itself, except of the keys it changes: that needs its turn."""
        served, submission = self._served[case.sender.regulator], case.submission
        with self._pool.connection() as session:
            held = Held(session, case.sender.institution_id, served.regulator, served.numbers)
            if RuleKind.SENDER in self._kinds:
                found = sender_findings(submission, case.dataset, case.sender.code, held)
                submission = submission.with_findings(found)
            if RuleKind.STATE in self._kinds:
                found = reference_findings(submission, case.dataset, served.regulator, held)
                submission = submission.with_findings(found)
        return replace(case, submission=submission)

    def _settle(self, session: Session, case: _Case) -> Answer | Problem:
        """Judge a batch in its turn and write everything that follows, in the session's transaction."""
        act, manifest, raw = case.act, case.manifest, case.submission.raw
        served = self._served[manifest.regulator]
        archive.lock(session, act.institution_id, manifest)
        kept = archive.find(session, act.institution_id, act.batch_id)
        if kept is not None:
            return _again(kept, act.digest)
        held = Held(session, act.institution_id, served.regulator, served.numbers)
        verdict = _verdict(case, held)
        receipt = _receipt(case, verdict, served.catalogue)
        rejected_count = verdict.rejected.len()
        batch_seq = archive.add(
            session, act, manifest, row_count=raw.height, rejected_count=rejected_count, receipt=receipt
        )
        self._rows.keep(session, act, manifest, batch_seq, raw=raw, rejected=verdict.rejected)
        archive.keep_findings(session, act, manifest.dataset, batch_seq, verdict.findings)
        if case.rows is not None:
            held.settle(manifest.dataset, batch_seq, verdict)
        held.promise(batch_seq, case.submission.promised(verdict.rejected), now=act.received_at)
        _LOG.info(
            "reception:batch:judged",
            institution=case.sender.code,
            batch=act.batch_id,
            dataset=manifest.dataset,
            submitted=raw.height,
            rejected=rejected_count,
        )
        return Answer(receipt, repeated=False)


def _verdict(case: _Case, held: Held) -> Verdict:
    if case.rows is None:
        return stateless(case.submission)
    return judge(case.submission, case.rows, case.dataset, held)


def _again(kept: archive.Kept, digest: bytes) -> Answer | Problem:
    return Answer(kept.receipt, repeated=True) if kept.digest == digest else _CONFLICT


def _misfit(
    manifest: Manifest, batch_id: UUID, sender: Sender, regulator: Regulator, local_now: datetime
) -> Problem | None:
    """Return why a batch cannot be judged here, or None."""
    if manifest.institution != sender.code:
        return Problem(
            HTTPStatus.FORBIDDEN,
            "foreign-institution",
            "The batch names another institution than the credential's.",
            "Send it with that institution's credential.",
        )
    if manifest.batch_id != batch_id or manifest.regulator != regulator.key:
        return Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "address-mismatch",
            "The batch says another batch id or regulator than the address.",
            "Send it to the address that its own manifest says.",
        )
    return _other_rules(manifest, regulator) or _other_time(manifest.as_of, local_now)


def _other_rules(manifest: Manifest, regulator: Regulator) -> Problem | None:
    if manifest.edition != regulator.edition:
        return _apart(
            "edition-unknown",
            f"The hub holds edition {regulator.edition} of {regulator.key}.",
            "Import that edition, or ask the hub's operator to import yours.",
        )
    if manifest.ruleset != regulator.digest:
        return _apart(
            "ruleset-unknown",
            f"The hub holds the rule set {regulator.digest} of edition {regulator.edition}.",
            "Import the same files at both ends, or update the older one.",
        )
    return None


def _other_time(as_of: datetime, local_now: datetime) -> Problem | None:
    remedy = "Set the clock of the sending machine right."
    if as_of > local_now + timedelta(hours=AHEAD_HOURS_MAX):
        return _apart("as-of-ahead", f"as_of is more than {AHEAD_HOURS_MAX} hours ahead of the hub's clock.", remedy)
    if as_of < AS_OF_MIN:
        return _apart("as-of-early", f"as_of is before {AS_OF_MIN:%Y}.", remedy)
    return None


def _apart(code: str, detail: str, remedy: str) -> Problem:
    # Not 422: nothing is wrong with these rows, so smaller batches of them would fare no better.
    return Problem(HTTPStatus.CONFLICT, code, detail, remedy)


def _without_nul(rows: pl.DataFrame, dataset: Dataset) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows with U+FFFD for each NUL, which PostgreSQL cannot hold, and the findings that reject them."""
    shown = rows.with_columns(pl.col(pl.String).str.replace_all(NUL, NUL_SHOWN, literal=True))
    found = [
        findings_of.blamed(
            shown,
            findings_of.Blame(NUL_CODE, ErrorClass.FORMAT, field.name, Severity.ERROR),
            rows[field.name].str.contains(NUL, literal=True).fill_null(value=False).arg_true(),
        )
        for field in dataset.fields
    ]
    return shown, findings_of.concat(found)


def _receipt(case: _Case, verdict: Verdict, catalogue: Catalogue) -> bytes:
    row_count = case.submission.raw.height
    return receipts.encode(
        receipts.Receipt(
            batch_id=case.act.batch_id,
            digest=case.act.digest,
            received_at=case.act.received_at,
            submitted_count=row_count,
            accepted_count=row_count - verdict.rejected.len(),
            rejected=verdict.rejected,
            findings=feedback.explained(verdict.findings, catalogue, case.dataset.name),
        )
    )
