"""What a synthetic hospital shall be: how many people, which days, which seed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from qianzhi.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

PEOPLE_COUNT_MAX = 1_000_000
DAYS_COUNT_MAX = 366
INSTITUTION_LENGTH_MAX = 30
FAULT_RATE_MAX = 0.5
IMAGES_LENGTH_MAX = 110  # an image's full path fits into 150 characters with its file name


@dataclass(frozen=True, slots=True)
class Plan:
    """
    One hospital, from its first day to `last_on`.

    `fault_rate`: rows with a planted fault for every good row. `rows_per_dataset`: what every dataset gets each day,
    as far as the number of people allows it. Raises ConfigurationError for values out of bounds.
    """

    people: int
    days: int
    seed: int
    last_on: date
    institution: str
    images: Path
    fault_rate: float = 0.0
    rows_per_dataset: int = 10

    def __post_init__(self) -> None:
        """Refuse what no hospital could be."""
        _within("people", self.people, 1, PEOPLE_COUNT_MAX)
        _within("days", self.days, 1, DAYS_COUNT_MAX)
        _within("fault rate", self.fault_rate, 0, FAULT_RATE_MAX)
        if not self.institution.isascii() or not self.institution.isdigit():
            raise ConfigurationError("The institution code is not a number.", remedy="Give digits only.")
        _within("length of the institution code", len(self.institution), 1, INSTITUTION_LENGTH_MAX)
        if not self.images.is_absolute():
            raise ConfigurationError("The image folder is not a full path.", remedy="Give the full path of a folder.")
        _within("length of the image folder's path", len(str(self.images)), 1, IMAGES_LENGTH_MAX)

    @property
    def dates(self) -> tuple[date, ...]:
        """The days played, in order."""
        return tuple(self.last_on - timedelta(days=back) for back in reversed(range(self.days)))


def _within(what: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise ConfigurationError(
            f"The {what} is {value}, outside {least} to {most}.",
            remedy="Choose a value inside.",
        )
