"""Setting a gateway up, or bringing it to a new edition: database, ledger, staging tables, roles. Safe to repeat."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import structlog

from qianzhi import regulators
from qianzhi.db import differ, migrate, roles
from qianzhi.db.server import connect
from qianzhi.gateway import assembly
from qianzhi.ledger import arrivals, lanes, views
from qianzhi.ledger.lanes import Mode
from qianzhi.runtime.files import write_durably
from qianzhi.runtime.home import End
from qianzhi.specs.ddl import column_comment

if TYPE_CHECKING:
    from qianzhi.db.embedded import Cluster
    from qianzhi.db.server import Session
    from qianzhi.runtime.home import Home
    from qianzhi.runtime.settings import Destination, Settings
    from qianzhi.specs.model import Dataset, Regulator

log = structlog.stdlib.get_logger()

PASSWORD_BYTES = 24


def install(home: Home, settings: Settings) -> None:
    """
    Create or bring up to date all that the gateway keeps in PostgreSQL.

    Starts the embedded server and leaves it running. Raises ConfigurationError where the site's own server does
    not give the rights that this takes.
    """
    home.create(End.GATEWAY)
    embedded = assembly.cluster(home, settings)
    if embedded is not None:
        embedded.start()
        _create_database(home, embedded)
    dsn = assembly.owner_dsn(home, settings)
    migrate.upgrade(dsn, "qianzhi.ledger", End.GATEWAY.value)
    with connect(dsn, application="qianzhi install") as connection:
        for name, destination in settings.gateway.destinations.items():
            regulator = regulators.regulator(destination.regulator)
            create_staging(connection, regulator)
            views.install(connection, regulator)
            lanes.register(connection, name, regulator, _modes(regulator, destination))
        connection.commit()
    for key in assembly.served(settings):
        _create_sender(home, dsn, embedded, regulators.regulator(key))


def create_staging(connection: Session, regulator: Regulator) -> None:
    """Bring a regulator's staging tables up to its edition, each with the trigger that notes what arrives."""
    tables = [_table(regulator, dataset) for dataset in regulator.datasets]
    for change in differ.apply(connection, tables):
        if change.statement is None:
            log.warning("gateway:staging:left", table=change.table, name=change.column, kind=change.kind.value)
    for dataset in regulator.datasets:
        arrivals.install_notice(connection, regulator.key, dataset)


def _create_database(home: Home, cluster: Cluster) -> None:
    with connect(cluster.dsn(), application="qianzhi install", autocommit=True) as connection:
        roles.ensure_owner(connection, assembly.OWNER, _new_password(home, assembly.OWNER))
        roles.ensure_database(connection, assembly.DATABASE, assembly.OWNER)


def _table(regulator: Regulator, dataset: Dataset) -> differ.Table:
    """Return the staging table: it takes everything, so that a bad value is a finding and no INSERT error."""
    columns = [differ.Column(field.name.lower(), "text", column_comment(field)) for field in dataset.fields]
    columns.append(differ.Column("id", "bigint", constraint="GENERATED ALWAYS AS IDENTITY PRIMARY KEY"))
    return differ.Table(regulator.key, dataset.name, tuple(columns), dataset.title)


def _create_sender(home: Home, dsn: str, cluster: Cluster | None, regulator: Regulator) -> None:
    password = _new_password(home, regulator.sender)
    tables = [dataset.name for dataset in regulator.datasets]
    # Some of a sender's limits are a superuser's to set; on a site's own server whoever the DSN names must do.
    address = cluster.dsn(assembly.DATABASE) if cluster is not None else dsn
    with connect(address, application="qianzhi install") as connection:
        refused = roles.ensure_sender(
            connection, regulator.sender, password, schema=regulator.key, tables=tables, views=views.VIEWS
        )
        connection.commit()
    if refused:
        log.warning("gateway:role:not_limited", role=regulator.sender, names=refused)


def _new_password(home: Home, role: str) -> str | None:
    """Return a fresh password for a role that has none on file, else None: a known one stays as its users know it."""
    file = assembly.password_file(home, role)
    if file.exists():
        return None
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    write_durably(file, password.encode())
    return password


def _modes(regulator: Regulator, destination: Destination) -> dict[str, Mode]:
    wanted = destination.submit
    return {
        dataset.name: Mode.OFF
        if wanted != "all" and dataset.name not in wanted
        else Mode.REALTIME
        if dataset.name in destination.realtime
        else Mode.NIGHTLY
        for dataset in regulator.datasets
    }
