"""What a page gives to be called: functions and coroutine functions alike."""

from __future__ import annotations

from inspect import isawaitable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable

_Result = TypeVar("_Result")


async def finished(given: Awaitable[_Result] | _Result) -> _Result:
    """Return what a call gave, once it is there."""
    return await given if isawaitable(given) else given
