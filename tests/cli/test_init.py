"""`qianzhi gateway init` and `qianzhi hub init`; in a module of its own, for a home made anew changes the roles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest
from tests.cli.conftest import call, site_dsn

from qianzhi.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

    from qianzhi.db.embedded import Cluster


@pytest.mark.parametrize("end", ["gateway", "hub"])
def test_init_sets_up_what_run_will_find(
    postgres: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """Where a variable goes over the file, it does so for both; an option that it goes over is refused."""
    variable, home = f"QIANZHI_{end.upper()}__DATABASE__DSN", tmp_path / "home"
    dsn = site_dsn(postgres, tmp_path)
    monkeypatch.setenv(variable, dsn)
    made = call(home, end, "init")
    assert made.exit_code == 0, made.output
    with psycopg.connect(dsn) as session:
        assert session.execute("SELECT count(*) > 0 FROM pg_tables WHERE schemaname = 'qianzhi'").fetchone() == (True,)
    assert list((home / end / "pg").iterdir()) == []
    refused = call(home, end, "init", "--dsn", "host=127.0.0.1 port=9")
    assert isinstance(refused.exception, ConfigurationError)
    assert variable in str(refused.exception)
