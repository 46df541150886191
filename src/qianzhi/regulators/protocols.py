"""The small contracts that a regulator's folder may fulfil, one a capability."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import date, datetime
    from http import HTTPStatus
    from uuid import UUID

    import polars as pl

    from qianzhi.sealing.envelopes import Envelope, Manifest
    from qianzhi.sealing.notes import DeliveryNote, PartlyThere
    from qianzhi.sealing.receipts import Receipt
    from qianzhi.specs.model import Regulator, Text


class Door(Protocol):
    """
    A destination's door for rows.

    One instance serves one destination and one thread at a time.
    """

    images_follow: bool
    """Whether rows may be sent before the images that they name: the sender holds these and promises them."""

    def encode(self, manifest: Manifest, rows: pl.DataFrame) -> bytes:
        """Return the bytes that are committed before the first attempt and sent unchanged ever after. Pure."""

    def send(self, manifest: Manifest, sealed: bytes) -> tuple[Receipt, bytes] | DeliveryNote | PartlyThere:
        """
        Deliver one batch and return the receipt, read and as it came; a note where the destination gives no receipt.

        Where some of its rows stand there already, nothing is delivered: they are to be told apart from the others.
        May block up to the destination's timeout. Safe to repeat: the batch id is the idempotency key.
        Raises RetryableError when no answer was read, SenderError when the destination refuses this batch as
        such, OperatorError when it refuses this gateway (credential, edition) or talks nonsense.
        """

    def offer(
        self, digest: bytes, media_type: str, content: bytes, *, goes_on: Callable[[], bool] = lambda: True
    ) -> bool:
        """
        Deliver one blob unless the destination holds it already; tell whether it has all of it now.

        A blob that was begun is gone on with. `goes_on` is asked before each piece. Raises as `send` does.
        """

    def holds(self, manifest: Manifest) -> bool:
        """Tell whether the destination has taken a batch, by its own word. Raises as `send` does."""

    def close(self) -> None:
        """Release connections."""


class Intake(Protocol):
    """How rows come in at a regulator's hub; a module `intake` of the regulator's folder fulfils it. Pure."""

    MEDIA_TYPES: tuple[str, ...]

    def open_batch(self, body: bytes, media_type: str, batch_id: UUID, regulator: Regulator) -> Envelope:
        """
        Decode a body; the rows have row_id and `envelopes.columns_of(dataset)`.

        `batch_id` is what the address said, for bodies that say none. Raises SenderError for no sound batch.
        """


class Outcome(StrEnum):
    """What becomes of a regulator's question for evidence."""

    SERVED = "served"
    MALFORMED = "malformed"  # a parameter is missing or cannot be read
    UNPROVEN = "unproven"  # whoever asks does not prove to be the regulator
    UNKNOWN = "unknown"  # there is no such evidence
    FAILED = "failed"  # the gateway could not look


@dataclass(frozen=True, slots=True)
class Asked:
    """One kind of evidence that a regulator may ask for, by the number of a record."""

    name: str  # ours; stands in the names of files
    method: str  # the last step of the address that the regulator asks at
    title: Text
    dataset: str
    record: str  # the field of the dataset that the regulator asks by
    promised: str  # the field that says whether there is such evidence
    links: Mapping[str, str]  # media type to the last step of the address of a file
    obliged: bool = True
    many: bool = False  # several files belong to one record; else the last registered one counts


@dataclass(frozen=True, slots=True)
class Question:
    """A question that proved to be the regulator's."""

    record: str
    token: str


@dataclass(frozen=True, slots=True)
class Reply:
    """The body of an answer."""

    content: bytes
    media_type: str


@dataclass(frozen=True, slots=True)
class Trial:
    """A question by which a hospital tries its own service, and what must become of it."""

    title: Text
    parameters: Mapping[str, str]
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a printed form: a heading over a table."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


class Evidence(Protocol):
    """How a regulator asks a hospital for evidence; a module `evidence` of the regulator's folder fulfils it. Pure."""

    KEY_CHARACTERS: int
    ASKED: tuple[Asked, ...]
    STATUSES: Mapping[Outcome, HTTPStatus]
    CHOICES: Mapping[str, tuple[str, ...]]  # what the document leaves open; the first is what we take it to mean

    def judge(
        self, query: str, keys: Sequence[str], choices: Mapping[str, str], *, now: int, window_seconds: int
    ) -> Question | Outcome:
        """
        Return the question that the query of an address asks, or why it is none.

        `keys` are all that are valid; `now` is in seconds since 1970. Takes the same time whichever key does not fit.
        """

    def answer(self, asked: Asked, links: Sequence[tuple[str, str]], choices: Mapping[str, str]) -> Reply:
        """Return what is answered where there are files: each link as media type and address; at least one."""

    def refuse(self, outcome: Outcome) -> Reply:
        """Return what goes with a status that is not that of an answer."""

    def ask(self, key: str, record: str, choices: Mapping[str, str], *, now: int) -> Mapping[str, str]:
        """Return the parameters by which the regulator asks."""

    def trials(
        self, key: str, record: str, choices: Mapping[str, str], *, now: int, window_seconds: int
    ) -> Sequence[Trial]:
        """Return questions of which each must be refused in its own way; `record` is known, `key` is valid."""

    def read(self, asked: Asked, content: bytes) -> list[str]:
        """Return the addresses that an answer names. Raises SenderError for anything else."""

    def form(self, key: str, base_url: str, served: Collection[str]) -> Sequence[Part]:
        """Return the form by which a hospital tells key and addresses; `served` names the kinds that it has."""


@dataclass(frozen=True, slots=True)
class Review:
    """What a destination says of one version of a document; `state` is submitted, reviewed or returned."""

    document: str
    digest: bytes
    dated_on: date
    state: str
    reason: str
    received_at: datetime
    reviewed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Publication:
    """A file that a destination has for this institution."""

    publication_id: UUID
    kind: str  # file, notice or certificate
    title: str
    file_name: str
    media_type: str
    digest: bytes
    byte_count: int
    published_at: datetime


class Cabinet(Protocol):
    """
    A destination's place for documents; a module `documents` of the regulator's folder opens it by `open_cabinet`.

    Every method raises as `Door.send` does.
    """

    def hand_in(self, document: str, dated_on: date, digest: bytes, media_type: str, content: bytes) -> Review:
        """Hand in one version of a document; safe to repeat. SenderError: it is refused as such."""

    def reviews(self) -> list[Review]:
        """Return what became of every version, the newest first."""

    def publications(self) -> list[Publication]:
        """Return what is addressed to this institution now."""

    def fetch(self, publication_id: UUID, *, bytes_max: int) -> bytes:
        """Return the content of a publication."""

    def close(self) -> None:
        """Release connections."""
