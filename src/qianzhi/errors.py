"""
Every exception of the product, under four bases that say who must act.

Data problems are findings (`qianzhi.checks.findings`), never exceptions.
No message, attribute or `repr` may hold a personal value.
"""

from __future__ import annotations


class QianzhiError(Exception):
    """
    Something the product cannot settle by itself.

    `what` names the thing, `remedy` says what its reader should do.
    """

    def __init__(self, what: str, *, remedy: str) -> None:
        super().__init__(f"{what} {remedy}")
        self.what = what
        self.remedy = remedy


class ConfigurationError(QianzhiError):
    """Whoever installed the product must change a setting, a folder or a machine."""


class SpecError(QianzhiError):
    """Whoever wrote a regulator's folder must correct a file of it."""


class SenderError(QianzhiError):
    """The sender of a request must correct it; sending it again unchanged is of no use."""


class RetryableError(QianzhiError):
    """Nobody must act: the same step is taken again later."""


class OperatorError(QianzhiError):
    """An operator must look: the product stopped rather than guess."""
