"""The small contracts that a regulator's folder may fulfil, one a capability."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    import polars as pl

    from qianzhi.sealing.envelopes import Envelope, Manifest
    from qianzhi.sealing.notes import DeliveryNote
    from qianzhi.sealing.receipts import Receipt
    from qianzhi.specs.model import Regulator


class Door(Protocol):
    """
    A destination's door for rows.

    One instance serves one destination and one thread at a time.
    """

    images_follow: bool
    """Whether rows may be sent before the images that they name: the sender holds these and promises them."""

    def encode(self, manifest: Manifest, rows: pl.DataFrame) -> bytes:
        """Return the bytes that are committed before the first attempt and sent unchanged ever after. Pure."""

    def send(self, manifest: Manifest, sealed: bytes) -> tuple[Receipt, bytes] | DeliveryNote:
        """
        Deliver one batch and return the receipt, read and as it came; a note where the destination gives no receipt.

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
