"""`qianzhi hub …` on an embedded PostgreSQL, as an operator types it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.hub.samples import CODE
from typer.testing import CliRunner

from qianzhi.cli.hub import app
from qianzhi.errors import ConfigurationError
from qianzhi.hub import assembly
from qianzhi.runtime.home import Home

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from typer.testing import Result


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]) -> Iterator[Path]:
    """A hub that was set up and does not run."""
    from qianzhi.hub.assembly import cluster
    from qianzhi.runtime.home import Home
    from qianzhi.runtime.sources import load_settings

    folder = tmp_path_factory.mktemp("cli") / "home"
    made = call(folder, "init", "--port", str(free_port()), "--database-port", str(free_port()))
    assert made.exit_code == 0, made.output
    embedded = cluster(Home(folder), load_settings(Home(folder)))
    assert embedded is not None
    embedded.stop()
    yield folder
    embedded.stop()


def call(home: Path, *words: str) -> Result:
    """Type a command."""
    return CliRunner().invoke(app, [*words, "--home", str(home)])


def ask(home: Path, *words: str) -> Any:
    """Type a reporting command and read its JSON."""
    result = call(home, *words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


def test_an_institution_from_registration_to_suspension(home: Path, tmp_path: Path) -> None:
    """Add, show, rotate, revoke, suspend, resume: each says what is true afterwards."""
    file = tmp_path / "credential"
    added = call(home, "institutions", "add", CODE, "测试医院", "--credential-file", str(file))
    assert added.exit_code == 0, added.output
    credential = file.read_text(encoding="utf-8")
    assert file.stat().st_mode & 0o077 == 0
    assert credential.partition(".")[2] not in added.output
    (listed,) = ask(home, "institutions", "list")
    assert (listed["code"], listed["name"], listed["credential_count"]) == (CODE, "测试医院", 1)
    rotated = call(home, "institutions", "rotate", CODE).output.strip()
    assert rotated.count(".") == 1
    assert call(home, "institutions", "revoke", credential.partition(".")[0]).exit_code == 0
    shown = ask(home, "institutions", "show", CODE)
    assert [each["valid"] for each in shown["credentials"]] == [True, False]
    assert "suspended" in call(home, "institutions", "suspend", CODE).output
    assert ask(home, "institutions", "show", CODE)["state"] == "suspended"
    call(home, "institutions", "resume", CODE, "--production")
    assert ask(home, "institutions", "show", CODE)["state"] == "production"


def test_documents_and_publications_at_an_empty_hub(home: Path, tmp_path: Path) -> None:
    """Nothing was handed in; what is published is listed and can be withdrawn; nobody is no audience."""
    assert ask(home, "documents", "list") == []
    assert isinstance(call(home, "documents", "accept", "7").exception, ConfigurationError)
    assert isinstance(call(home, "documents", "return", "7", "--reason", "x").exception, ConfigurationError)
    file = tmp_path / "规范.txt"
    file.write_text("text", encoding="utf-8")
    published = ask(home, "publish", str(file), "--title", "接口规范")
    (listed,) = ask(home, "publications", "list")
    assert (listed["publication_id"], listed["for_all"]) == (published["publication_id"], True)
    assert call(home, "publications", "withdraw", published["publication_id"]).exit_code == 0
    assert isinstance(
        call(home, "publish", str(file), "--title", "a", "--audience", "nobody").exception, ConfigurationError
    )


def test_a_certificate_proves_itself(home: Path, tmp_path: Path) -> None:
    """What was issued is known again; what was changed is not."""
    call(home, "institutions", "add", "certified", "测试医院")
    issued = ask(home, "certificate", "issue", "certified")
    content = assembly.blobs(Home(home)).get(bytes.fromhex(issued["digest"]))
    file = tmp_path / "certificate.html"
    file.write_bytes(content)
    told = call(home, "certificate", "check", str(file))
    assert (told.exit_code, json.loads(told.output)["institution"]) == (0, "certified")
    file.write_bytes(content.replace("测试医院".encode(), "别的医院".encode()).replace(b"qianzhi-certificate:e", b"x"))
    assert call(home, "certificate", "check", str(file)).exit_code == 1
    assert ask(home, "publications", "list")[0]["kind"] == "certificate"


def test_reports_of_an_empty_hub_are_empty(home: Path) -> None:
    """Status, log and findings answer before anything was received."""
    status = ask(home, "status")
    assert (status["parts"], status["counts"]["batches"], status["datasets"], status["silent"]) == ({}, 0, [], [])
    assert ask(home, "log") == ask(home, "findings") == []
    assert "0 findings" in call(home, "findings").output


def test_init_is_safe_to_repeat(home: Path) -> None:
    """A second init changes neither certificate nor credentials."""
    first, second = (call(home, "init").output for _ in range(2))
    assert first == second


def test_what_cannot_be_done_is_an_error_with_a_remedy(home: Path, tmp_path: Path) -> None:
    """Unknown institutions and homes are errors of ours; unknown options are usage errors (2)."""
    assert isinstance(call(home, "institutions", "show", "nobody").exception, ConfigurationError)
    assert isinstance(call(tmp_path / "nowhere", "status").exception, ConfigurationError)
    assert call(home, "status", "--colour").exit_code == 2


@pytest.mark.parametrize(
    ("words", "known"),
    [
        (("findings", "--language", "fr"), "zh"),
        (("findings", "--dataset", "nonsense"), "treatment_referral"),
        (("log", "--dataset", "nonsense"), "treatment_referral"),
        (("findings", "--institution", "nope"), "none"),
        (("log", "--institution", "nope"), "none"),
        (("institutions", "list", "--regulator", "x"), "guangdong"),
        (("institutions", "show", CODE, "--regulator", "x"), "guangdong"),
        (("init", "--regulator", "x"), "guangdong"),
    ],
)
def test_an_unknown_name_is_a_mistake_that_names_the_known(home: Path, words: tuple[str, ...], known: str) -> None:
    """Exit code 2, and no empty report that looks as if all were well."""
    result = call(home, *words)
    assert result.exit_code == 2
    assert repr(words[-1]) in result.output
    if known != "none":
        assert known in result.output
