"""The pages of the gateway's console, in the order of its navigation: one module a page, each registered here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qianzhi.gateway.pages import (
    accounts,
    audit,
    check,
    doctor,
    documents,
    evidence,
    failed,
    files,
    forms,
    held,
    log,
    record,
    resources,
    results,
    services,
    today,
    uploads,
    whitelist,
)

if TYPE_CHECKING:
    from qianzhi.console.pages import Page
    from qianzhi.runtime.home import Home
    from qianzhi.runtime.settings import Settings


def pages(home: Home, settings: Settings) -> tuple[Page, ...]:
    """Return every page; those of one section stand together."""
    official = (results.page(home, settings),) if results.machines(settings) else ()
    named = (
        today.page(home, settings),
        failed.page(home, settings),
        held.page(home, settings),
        check.page(home, settings),
        uploads.page(home, settings),
        *official,
        resources.page(home, settings),
        documents.page(home, settings),
        files.page(home, settings),
        forms.page(home, settings),
        evidence.page(home, settings),
        doctor.page(home, settings),
        log.page(home, settings),
        services.page(home, settings),
        whitelist.page(home, settings),
        accounts.page(home, settings),
    )
    linked = (record.page(home, settings), uploads.batches_page(home, settings))
    return (*named, audit.page({each.path: each.title for each in (*named, *linked)}), *linked)
