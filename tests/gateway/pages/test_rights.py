"""Who may open which page, by address as well as by navigation; and that an answer for one role holds nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from tests.gateway.pages.conftest import PASSWORD, Gateway

from qianzhi.console.roles import Role
from qianzhi.gateway.pages import pages

EVERYBODY = {"/", "/uploads", "/batches", "/documents", "/files", "/evidence", "/log"}
WITH_PATIENTS = {"/failed", "/held", "/check", "/record", "/resources", "/forms", "/doctor"}
ADMINISTRATORS = {"/services", "/whitelist", "/accounts", "/audit"}
OPEN = {
    "viewer": EVERYBODY,
    "operator": EVERYBODY | WITH_PATIENTS,
    "administrator": EVERYBODY | WITH_PATIENTS | ADMINISTRATORS,
    "us_pos": EVERYBODY | WITH_PATIENTS,
}


@contextmanager
def client(gateway: Gateway, name: str) -> Iterator[httpx.Client]:
    """Sign somebody in."""
    password = gateway.database_password if name == "us_pos" else PASSWORD
    with httpx.Client(base_url=gateway.base, headers={"origin": gateway.base}, trust_env=False, timeout=60) as made:
        assert made.post("/sign-in", data={"name": name, "password": password}).status_code == 303
        yield made


def paths(gateway: Gateway) -> set[str]:
    """Every page of the gateway."""
    return {page.path for page in pages(gateway.home, gateway.settings)}


def test_it_is_decided_of_each_page_who_may_open_it(gateway: Gateway) -> None:
    """A new page is found here first."""
    assert paths(gateway) == EVERYBODY | WITH_PATIENTS | ADMINISTRATORS


@pytest.mark.parametrize("name", [*(role.value for role in Role), "us_pos"])
def test_a_page_opens_to_its_roles_alone(gateway: Gateway, name: str) -> None:
    """Whoever types its address, with parameters or without."""
    with client(gateway, name) as visitor:
        opened = {path for path in paths(gateway) if visitor.get(path).status_code == 200}
        assert opened == OPEN[name]
        closed = {
            visitor.get(path, params={"dataset": "person", "x": "1"}).status_code for path in paths(gateway) - opened
        }
        assert closed <= {403}


def test_no_answer_to_a_viewer_holds_a_value_of_a_record(gateway: Gateway) -> None:
    """Neither what was found wrong nor what a held record waits for: on no page, opened or closed."""
    values = gateway.ask(
        "SELECT value FROM qianzhi.findings WHERE length(value) > 5 UNION SELECT value FROM qianzhi.held UNION "
        "SELECT wants FROM qianzhi.held"
    )
    assert values
    with client(gateway, "viewer") as visitor:
        said = {path: visitor.get(path).text for path in paths(gateway)}
    assert not [(path, value) for path, text in said.items() for (value,) in values if value and value in text]
