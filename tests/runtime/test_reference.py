from __future__ import annotations

import tomllib
from pathlib import Path

from qianzhi.runtime.home import Home
from qianzhi.runtime.reference import every_setting
from qianzhi.runtime.settings import Destination, Settings
from qianzhi.runtime.sources import load_settings


def test_every_setting_is_described() -> None:
    """Each has a type and a sentence that ends in a full stop, and numbers that measure something have a unit."""
    for entry in every_setting():
        assert entry.type
        assert entry.sentence.endswith("."), entry.name
        assert entry.unit or entry.type not in {"number", "whole number"}, entry.name


def test_the_names_follow_the_file_and_the_environment() -> None:
    """A setting is named as in the file, a free name in angle brackets, and its variable is made from that."""
    variables = {entry.name: entry.variable for entry in every_setting()}

    assert variables["gateway.database.port"] == "QIANZHI_GATEWAY__DATABASE__PORT"
    assert variables["gateway.destinations.<name>.url"] == "QIANZHI_GATEWAY__DESTINATIONS__<NAME>__URL"


def test_the_listed_defaults_are_those_that_apply() -> None:
    """A file made of all listed defaults gives the settings of no file at all."""
    wanted = {
        "regulator": '"guangdong"',
        "url": '"https://hub.example"',
        "prefix": '"D:/photos"',
        "folder": '"/mnt/photos"',
    }
    lines = [
        f"{entry.name.replace('<name>', 'p')} = {entry.default or wanted[entry.name.rpartition('.')[2]]}"
        for entry in every_setting()
        if entry.default != "" or entry.name.endswith(".url")
    ]
    written = Settings.model_validate(tomllib.loads("\n".join(lines)))

    assert written.gateway.destinations["p"] == Destination(regulator="guangdong", url="https://hub.example")
    evidence = written.gateway.evidence.model_copy(update={"folders": {}})
    named = {"destinations": {}, "images": {}, "evidence": evidence}
    rest = written.model_copy(update={"gateway": written.gateway.model_copy(update=named)})
    assert rest == Settings()


def test_every_listed_variable_is_understood(tmp_path: Path) -> None:
    """A variable set to the default of its setting changes nothing."""
    variables = {
        entry.variable: entry.default.strip("[]").replace('"', "")
        for entry in every_setting()
        if entry.default and "<" not in entry.name
    }

    assert load_settings(Home(tmp_path), variables) == Settings()
