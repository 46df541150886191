"""Images that a resource record names by path: read, looked into, and kept so that what is sent cannot change."""

from __future__ import annotations

import errno
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import polars as pl

from qianzhi.checks import findings as findings_of
from qianzhi.checks import images
from qianzhi.errors import SenderError
from qianzhi.sealing.envelopes import blob_column
from qianzhi.sealing.images import IMAGE_BYTES_MAX, media_type
from qianzhi.specs.model import RuleKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qianzhi.ledger.blobs import Blobs
    from qianzhi.specs.model import Dataset, Field, Rule

_WINDOWS = re.compile(r"[A-Za-z]:|\\\\")  # a drive, or a share


class Kept(Protocol):
    """A folder of ours, in which images may lie encrypted."""

    folder: Path

    def read(self, file: Path) -> bytes:
        """Return the image in a file. Raises OSError where it cannot be read, OperatorError without the key."""


@dataclass(frozen=True, slots=True)
class PathMap:
    r"""
    Where the hospital's folders lie on this machine, e.g. `D:\photos` under a mounted one.

    The first prefix that fits counts. Slashes go either way; a Windows prefix fits in upper and lower case.
    """

    prefixes: Mapping[str, Path]
    kept: Kept | None = None

    def resolve(self, text: str) -> Path:
        """Return the file that a record's path means here."""
        steps = _steps(text)
        for prefix, folder in self.prefixes.items():
            wanted = _steps(prefix)
            begun, rest = steps[: len(wanted)], steps[len(wanted) :]
            if begun == wanted or (_WINDOWS.match(prefix) and _folded(begun) == _folded(wanted)):
                return folder.joinpath(*rest)
        return Path(text)


def _steps(text: str) -> list[str]:
    return text.replace("\\", "/").rstrip("/").split("/")


def _leads_back(step: str) -> bool:
    """Tell whether a step is `..`, also as Windows reads it: with blanks and points behind it."""
    return step.count(".") > 1 and not step.strip(" .")


def _folded(steps: list[str]) -> list[str]:
    return [step.casefold() for step in steps]


def inspect(raw: pl.DataFrame, dataset: Dataset, paths: PathMap) -> pl.DataFrame:
    """Return what `carry` would find, and keep nothing."""
    found = []
    for field in dataset.image_fields:
        named = raw[field.name].str.strip_chars()
        seen = {path: content_of(path, paths) for path in named.drop_nulls().unique().to_list() if path}
        reasons = {path: why for path, why in seen.items() if isinstance(why, str)}
        found.append(_findings(raw, named, reasons, field, dataset))
    return findings_of.concat(found)


def carry(raw: pl.DataFrame, dataset: Dataset, blobs: Blobs, paths: PathMap) -> tuple[pl.DataFrame, pl.DataFrame]:
    """
    Read the images of a chunk.

    Returns the frame with one blob column an image field (hexadecimal SHA-256 or null), and a finding for each
    image that is missing, unreadable or no image. Each path is read once. Raises OSError when the disk is full.
    """
    found: list[pl.DataFrame] = []
    for field in dataset.image_fields:
        named = raw[field.name].str.strip_chars()
        seen = {path: _carried(path, blobs, paths) for path in named.drop_nulls().unique().to_list() if path}
        digests = {path: told for path, (told, why) in seen.items() if told}
        reasons = {path: why for path, (_, why) in seen.items() if why}
        raw = raw.with_columns(
            named.replace_strict(digests, default=None, return_dtype=pl.String).alias(blob_column(field.name))
        )
        found.append(_findings(raw, named, reasons, field, dataset))
    return raw, findings_of.concat(found)


def _carried(text: str, blobs: Blobs, paths: PathMap) -> tuple[str | None, str | None]:
    """Keep one image: its digest, or why there is none."""
    content = content_of(text, paths)
    return (None, content) if isinstance(content, str) else (blobs.put(content).hex(), None)


def content_of(text: str, paths: PathMap) -> bytes | str:
    """
    Return the bytes of the image that a record's path means, or why there is none.

    Raises OperatorError where the key of an encrypted one is away: that is none of the record's faults.
    """
    if any(map(_leads_back, _steps(text))):
        return images.LEADS_BACK  # out of the folder that the hospital named for it
    path = paths.resolve(text)
    if path.drive.startswith("\\\\"):
        return images.ELSEWHERE  # opening it would make this one call there, with its credentials
    if not path.is_absolute():
        return images.NOT_FULL
    try:
        content = _read(path, paths.kept)
    except FileNotFoundError:
        return images.ABSENT
    except (OSError, ValueError):
        return images.UNREADABLE
    return _misfit(content) or content


def _misfit(content: bytes) -> str | None:
    """Return why bytes are not an image that can be carried, or None."""
    if len(content) > IMAGE_BYTES_MAX:
        return images.TOO_LARGE
    try:
        media_type(content)
    except SenderError:
        return images.NO_IMAGE
    return None


def _read(path: Path, kept: Kept | None) -> bytes:
    """Read a file no further than one byte beyond what an image may have."""
    # Opening a pipe would keep us waiting, and a device might never end.
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "not a file")
    if kept is not None and path.parent.resolve() == kept.folder.resolve():
        return kept.read(path)
    with path.open("rb") as file:
        return file.read(IMAGE_BYTES_MAX + 1)


def _findings(
    raw: pl.DataFrame, named: pl.Series, reasons: Mapping[str, str], field: Field, dataset: Dataset
) -> pl.DataFrame:
    rule = _rule(dataset.rules, field)
    if rule is None or not reasons:
        return findings_of.empty()
    return (
        raw.select("row_id", value=named, detail=named.replace_strict(reasons, default=None, return_dtype=pl.String))
        .filter(pl.col("detail").is_not_null())
        .select(
            "row_id",
            code=pl.lit(rule.code),
            **{"class": pl.lit(rule.error_class.value)},
            field=pl.lit(field.name),
            value=pl.col("value").str.slice(0, findings_of.VALUE_CHARACTERS_MAX),
            detail="detail",
            severity=pl.lit(rule.severity.value),
        )
    )


def _rule(rules: Sequence[Rule], field: Field) -> Rule | None:
    wanted = f"image_readable({field.name})"
    return next((rule for rule in rules if rule.kind is RuleKind.SENDER and rule.check == wanted), None)
