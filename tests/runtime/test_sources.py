from __future__ import annotations

from datetime import time
from pathlib import Path

import pytest

from qianzhi.errors import ConfigurationError
from qianzhi.runtime.home import Home
from qianzhi.runtime.sources import load_settings, write_settings

FILE = """
# the gateway of a clinic
[gateway]
institution = "4401000123"
whitelist = ["192.0.2.7/24"]    # the ward's network

[gateway.cycle]
at = 03:30:00
cut_off = "02:15"

[gateway.destinations.province]
regulator = "guangdong"
url = "https://hub.example:8443/"
ca_file = "ca.pem"
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home whose settings file is `FILE`."""
    (tmp_path / "qianzhi.toml").write_text(FILE, encoding="utf-8")
    return Home(tmp_path)


def test_without_a_file_every_setting_has_its_default(tmp_path: Path) -> None:
    """A home without settings works as the reference page says."""
    settings = load_settings(Home(tmp_path), {})

    assert settings.gateway.database.port == 5432
    assert settings.hub.database.port == 5433
    assert settings.gateway.database.listen == "127.0.0.1"
    assert settings.gateway.cycle.cut_off is None


def test_a_file_is_read_with_its_types(home: Home) -> None:
    """Networks, times, addresses and paths arrive as what they are, relative paths from the home."""
    gateway = load_settings(home, {}).gateway

    assert gateway.institution == "4401000123"
    assert gateway.whitelist == ("192.0.2.0/24",)
    assert (gateway.cycle.cut_off, gateway.cycle.at) == (time(2, 15), time(3, 30))
    assert gateway.destinations["province"].url == "https://hub.example:8443"
    assert gateway.destinations["province"].ca_file == home.path / "ca.pem"


def test_a_file_with_the_mark_of_windows_editors_is_read(home: Home) -> None:
    """The mark before the text that some editors write is no part of the settings."""
    home.settings.write_bytes(b"\xef\xbb\xbf" + FILE.encode())

    assert load_settings(home, {}).gateway.institution == "4401000123"


def test_the_environment_goes_before_the_file(home: Home) -> None:
    """A variable replaces what the file says, in the type of the setting; an empty one says nothing."""
    settings = load_settings(
        home,
        {
            "QIANZHI_HOME": "/elsewhere",
            "QIANZHI_GATEWAY__INSTITUTION": "",
            "QIANZHI_GATEWAY__CYCLE__CHUNK_ROWS": "500",
            "QIANZHI_GATEWAY__WHITELIST": "192.0.2.1, 198.51.100.0/24",
            "QIANZHI_GATEWAY__DESTINATIONS__PROVINCE__ENABLED": "false",
            "QIANZHI_GATEWAY__DESTINATIONS__PROVINCE__SUBMIT": "all",
            "QIANZHI_GATEWAY__DESTINATIONS__PROVINCE__REALTIME": "treatment_record,person",
        },
    )

    assert settings.gateway.institution == "4401000123"
    assert settings.gateway.cycle.chunk_rows == 500
    assert settings.gateway.whitelist == ("192.0.2.1/32", "198.51.100.0/24")
    province = settings.gateway.destinations["province"]
    assert (province.enabled, province.submit, province.realtime) == (False, "all", ("treatment_record", "person"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[gateway]\nwhitlist = []", ["gateway.whitlist in", "qianzhi.toml", "did you mean whitelist?"]),
        ("[gatway]\n", ["gatway in", "did you mean gateway?"]),
        ("[hub.intake]\nx = 1", ["hub.intake.x", "known here are listen, port"]),
        ("[gateway.database]\nport = 70000", ["gateway.database.port", "65535"]),
        ("[gateway.destinations.p]\nregulator = 'x'", ["gateway.destinations.p in", "url is required"]),
        ("[gateway.destinations.p]\nregulator = 'x'\nkind = 'front-machine'", ["machine.dsn is required"]),
        (
            "[gateway.destinations.p]\nregulator = 'x'\nurl='https://x'\nmachine.images_prefix='D:/'",
            ["machine.images_folder and", "together"],
        ),
        (
            "[gateway.destinations.p]\nregulator = 'x'\nurl='https://x'\nmachine.table='{table}'",
            ["gateway.destinations.p.machine.table", "{dataset}"],
        ),
        ("[gateway.destinations.BAD]\nregulator='x'\nurl='https://x'", ["gateway.destinations.BAD", "small letters"]),
        ("[gateway.destinations.p]\nregulator='x'\nurl='http://x'", ["gateway.destinations.p.url", "https://"]),
        ("hub = 3", ["hub in", "a section"]),
        ("[gateway]\nwhitelist = '10'", ["gateway.whitelist", "a list"]),
        ("[gateway.retry]\nfirst_seconds = 9\nmax_seconds = 3", ["gateway.retry", "greater"]),
        ("[hub.tls]\nkey = 'k.pem'", ["hub.tls", "together"]),
        ("[hub]\nx = \n", ["not TOML", "line 2"]),
    ],
)
def test_a_wrong_file_names_the_key_and_what_would_be_right(tmp_path: Path, text: str, said: list[str]) -> None:
    """Every refusal names the key, the file and what is wanted."""
    home = Home(tmp_path)
    home.settings.write_text(text, encoding="utf-8")

    with pytest.raises(ConfigurationError) as refused:
        load_settings(home, {})

    assert [part for part in said if part not in str(refused.value)] == []


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        ("QIANZHI_GATEWAY__DATABASE__PROT", "did you mean port?"),
        ("QIANZHI_HUB_INTAKE_PORT", "two"),
        ("QIANZHI_GATEWAY__INSTITUTION__NAME", "not a section"),
    ],
)
def test_a_wrong_variable_is_named(home: Home, variable: str, said: str) -> None:
    """A misspelt variable is refused instead of being passed over."""
    with pytest.raises(ConfigurationError, match=variable) as refused:
        load_settings(home, {variable: "1"})

    assert said in str(refused.value)


def test_variables_of_others_are_let_alone(home: Home) -> None:
    """A variable that begins alike but belongs to no section is none of ours."""
    load_settings(home, {"QIANZHI_SUPERVISOR_PID": "1", "QIANZHIX__Y": "1"})


@pytest.mark.parametrize(
    "text",
    [
        "[gateway.database]\ndsn = 'host=db password=Geheim1'",
        "[gateway.database]\ndsn = 'postgresql://us_pos:Geheim1@db/x'",
        "[gateway.destinations.p]\nregulator='x'\nurl='https://user:Geheim1@hub.example'",
        "[gateway.destinations.p]\nregulator='x'\nurl='https://hub.example'\nsubmit=['a', {secret='Geheim1'}]",
        "[gateway]\nwhitelist = ['Geheim1']",
    ],
)
def test_a_refusal_never_shows_a_value(tmp_path: Path, text: str) -> None:
    """A secret in the wrong place is refused without being repeated, also in what a traceback would print."""
    home = Home(tmp_path)
    home.settings.write_text(text, encoding="utf-8")

    with pytest.raises(ConfigurationError) as refused:
        load_settings(home, {})

    assert "Geheim1" not in str(refused.value)
    assert refused.value.__context__ is None


def test_a_dsn_that_names_a_password_file_is_taken(tmp_path: Path) -> None:
    """The password of a database stands in a file of its own."""
    home = Home(tmp_path)
    home.settings.write_text("[hub.database]\ndsn = 'host=db user=hub passfile=/etc/qianzhi/pgpass'", encoding="utf-8")

    assert load_settings(home, {}).hub.database.dsn == "host=db user=hub passfile=/etc/qianzhi/pgpass"


def test_writing_keeps_comments_and_the_rest(home: Home) -> None:
    """A changed setting stands where it stood; comments and other settings are kept; None removes one."""
    write_settings(
        home,
        {
            "gateway.institution": "4401000999",
            "gateway.database.port": 15432,
            "gateway.cycle.at": None,
            "gateway.cycle.cut_off": time(1, 5),
            "gateway.destinations.second.regulator": "guangdong",
            "gateway.destinations.second.url": "https://other.example",
            "gateway.destinations.second.credential_file": Path("second.key"),
            "gateway.destinations.second.realtime": ("person",),
        },
    )

    text = home.settings.read_text(encoding="utf-8")
    settings = load_settings(home, {})
    assert "# the gateway of a clinic" in text
    assert "# the ward's network" in text
    assert settings.gateway.institution == "4401000999"
    assert settings.gateway.whitelist == ("192.0.2.0/24",)
    assert settings.gateway.database.port == 15432
    assert (settings.gateway.cycle.at, settings.gateway.cycle.cut_off) == (None, time(1, 5))
    assert list(settings.gateway.destinations) == ["province", "second"]
    assert settings.gateway.destinations["second"].realtime == ("person",)
    assert settings.gateway.destinations["second"].credential_file == home.path / "second.key"


def test_writing_what_would_be_refused_writes_nothing(home: Home) -> None:
    """A wrong change leaves the file as it was."""
    with pytest.raises(ConfigurationError, match="did you mean port"):
        write_settings(home, {"gateway.database.prot": 1})

    assert home.settings.read_text(encoding="utf-8") == FILE


def test_writing_starts_a_file_where_there_is_none(tmp_path: Path) -> None:
    """`init` writes the first settings of a home."""
    home = Home(tmp_path)

    written = write_settings(home, {"hub.regulators": ("guangdong",)})

    assert written.hub.regulators == ("guangdong",)
    assert load_settings(home, {}) == written


def test_what_is_returned_after_writing_is_what_counts(home: Home) -> None:
    """Who goes on with it after `init` does what `run` will do."""
    variable = {"QIANZHI_GATEWAY__DATABASE__PORT": "15432"}

    written = write_settings(home, {"gateway.institution": "4401000999"}, variable)

    assert (written.gateway.institution, written.gateway.database.port) == ("4401000999", 15432)
    assert written == load_settings(home, variable)


def test_writing_what_a_variable_goes_over_is_refused(home: Home) -> None:
    """It would seem changed and not count; the value that the variable says may be written."""
    variable = "QIANZHI_GATEWAY__DESTINATIONS__PROVINCE__URL"
    environment = {variable: "https://a.example"}

    with pytest.raises(ConfigurationError, match=variable) as refused:
        write_settings(home, {"gateway.destinations.province.url": "https://b.example"}, environment)

    assert "b.example" not in str(refused.value)
    assert home.settings.read_text(encoding="utf-8") == FILE
    write_settings(home, {"gateway.destinations.province.url": "https://a.example"}, environment)
    assert load_settings(home, {}).gateway.destinations["province"].url == "https://a.example"
