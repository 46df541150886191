"""The pages of the gateway's console, in the order of its navigation: one module a page, each registered here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qianzhi.gateway.pages import (
    accounts,
    doctor,
    documents,
    evidence,
    files,
    forms,
    resources,
    results,
    services,
    whitelist,
)

if TYPE_CHECKING:
    from qianzhi.console.pages import Page
    from qianzhi.runtime.home import Home
    from qianzhi.runtime.settings import Settings


def pages(home: Home, settings: Settings) -> tuple[Page, ...]:
    """Return every page."""
    official = (results.page(home, settings),) if results.machines(settings) else ()
    return (
        resources.page(home, settings),
        documents.page(home, settings),
        files.page(home, settings),
        forms.page(home, settings),
        *official,
        evidence.page(home, settings),
        doctor.page(home, settings),
        services.page(home, settings),
        whitelist.page(home, settings),
        accounts.page(home, settings),
    )
