"""A gateway set up in a database of its own, and good values for every dataset that people keep."""

from __future__ import annotations

import io
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import polars as pl
import psycopg
import pytest
from PIL import Image
from psycopg import sql

from qianzhi import regulators
from qianzhi.gateway.install import install
from qianzhi.gateway.resources.registry import Registry, registry
from qianzhi.runtime.home import End, Home
from qianzhi.runtime.sources import load_settings, write_settings
from qianzhi.synthetic import Plan, play

if TYPE_CHECKING:
    from qianzhi.db.embedded import Cluster

INSTITUTION = "440000000000000001"
REGULATOR = regulators.regulator("guangdong")
GOOD = "good"
NEW = "1"


@pytest.fixture(scope="session")
def samples() -> dict[str, dict[str, str | None]]:
    """Of every dataset the values of a good record, as a synthetic hospital has them; pictures are left out."""
    plan = Plan(people=10, days=1, seed=3, last_on=date(2026, 11, 1), institution=INSTITUTION, images=Path("/nowhere"))
    (day,) = play(plan, REGULATOR).days
    found: dict[str, dict[str, str | None]] = {}
    for dataset in REGULATOR.datasets:
        if dataset.resource is None:
            continue
        faulty = {each.position for each in day.expected if each.dataset == dataset.name}
        rows = day.frames[dataset.name].with_row_index()
        row = rows.filter(pl.col("CXBZ") == NEW, ~pl.col("index").is_in(faulty)).drop("index").row(0, named=True)
        found[dataset.name] = {field.name: row[field.name] for field in dataset.fields if not field.image}
    return found


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, postgres: Cluster) -> Registry:
    """The registry of a gateway that `gateway init` set up in a PostgreSQL of the site; nothing is delivered."""
    folder = tmp_path_factory.mktemp("resources")
    name, passfile = f"test_{uuid4().hex}", folder / "passfile"
    with psycopg.connect(postgres.dsn(), autocommit=True) as session:
        session.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        passfile.write_text(f"127.0.0.1:{postgres.port}:*:postgres:{session.info.password}\n", encoding="utf-8")
    passfile.chmod(0o600)
    credential = folder / "credential"
    credential.write_text("id.secret", encoding="utf-8")
    home = Home(folder / "home")
    home.create(End.GATEWAY)
    at = "gateway.destinations.hub"
    settings = write_settings(
        home,
        {
            "gateway.institution": INSTITUTION,
            "gateway.database.dsn": f"postgresql://postgres@127.0.0.1:{postgres.port}/{name}?passfile={passfile}",
            f"{at}.regulator": REGULATOR.key,
            f"{at}.url": "https://127.0.0.1:9",
            f"{at}.credential_file": credential,
        },
    )
    install(home, settings)
    return registry(home, load_settings(home))


def drawn(kind: str = "JPEG", colour: str = "teal", size: tuple[int, int] = (60, 84)) -> bytes:
    """Return a picture."""
    content = io.BytesIO()
    Image.new("RGB", size, colour).save(content, kind)
    return content.getvalue()
