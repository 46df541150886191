"""What people may do in the console."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from qianzhi.console.text import mark


class Role(StrEnum):
    """A role; `qianzhi.console_role` holds the same words."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMINISTRATOR = "administrator"

    @property
    def sees_patients(self) -> bool:
        """Whether pages with values of records open for this role."""
        return self is not Role.VIEWER

    @property
    def label(self) -> str:
        """Its name for people, to be translated."""
        return _TITLES[self]


EVERYBODY: Final = frozenset(Role)
WITH_PATIENTS: Final = frozenset(role for role in Role if role.sees_patients)
ADMINISTRATORS: Final = frozenset({Role.ADMINISTRATOR})

_TITLES: Final = {
    Role.VIEWER: mark("查看者"),
    Role.OPERATOR: mark("操作员"),
    Role.ADMINISTRATOR: mark("管理员"),
}
