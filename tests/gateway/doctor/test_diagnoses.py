"""What the doctor says of facts, each a table of facts and verdicts; nothing is looked at."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path, PureWindowsPath

import pytest

from qianzhi.errors import ConfigurationError
from qianzhi.gateway.diagnosis import Diagnosis, Health, guarded
from qianzhi.gateway.doctor import (
    access,
    destinations,
    evidence,
    expiry,
    folders,
    hardware,
    link,
    ports,
    storage,
    versions,
)
from qianzhi.gateway.doctor.access import Access
from qianzhi.gateway.doctor.folders import Scanners
from qianzhi.gateway.doctor.hardware import GIB, Growth, Hardware
from qianzhi.gateway.doctor.ports import Ports, Taker, Wanted
from qianzhi.gateway.evidence.keys import Key
from qianzhi.gateway.forecast import Forecast
from qianzhi.ledger.promises import Left
from qianzhi.regulators.guangdong.machine import MACHINE
from qianzhi.runtime.keyfile import KeyFile
from qianzhi.specs.model import Text

WELL, NOTE, ILL = Health.WELL, Health.NOTE, Health.ILL
LOOPBACK, LAN = "127.0.0.1", "192.0.2.9"
NOW = datetime(2026, 11, 19, 4, tzinfo=UTC)
OURS = Wanted(5432, is_ours=True, by=Text("数据库", "the database"), setting="gateway.database.port", is_up=True)
THEIRS = Wanted(8080, is_ours=False, by=Text("官方", "the official software"))


def verdict(found: Diagnosis) -> Health:
    """The health; whatever is not well says what to do, in both languages."""
    assert (found.health is WELL) == (not found.as_json("zh")["remedy"]) == (not found.as_json("en")["remedy"])
    assert found.as_json("zh")["what"]
    assert found.as_json("en")["what"]
    return found.health


def test_the_document_asks_for_this_machine() -> None:
    """SEED-000 ch. 1 一: 4 cores, 8 GB, a month of data, 2 Mb/s; 二: ports 8080, 8877 and 28888."""
    assert (MACHINE.cores, MACHINE.memory_bytes, MACHINE.disk_days) == (4, 8 * 1024**3, 30)
    assert MACHINE.uplink_bits_per_second == 2 * 10**6
    assert set(MACHINE.ports) == {8080, 8877, 28888}


@pytest.mark.parametrize(
    ("wanted", "taken", "health"),
    [
        (OURS, {5432: Taker(7, "postgres")}, WELL),
        (OURS, {5432: Taker(8, "java")}, ILL),
        (OURS, {5432: Taker()}, WELL),  # the system does not say who, and ours is up
        (replace(OURS, is_up=False), {5432: Taker()}, ILL),
        (OURS, {}, ILL),
        (replace(OURS, is_up=False), {}, NOTE),
        (THEIRS, {}, WELL),
        (THEIRS, {8080: Taker(7, "python")}, WELL),
        (THEIRS, {8080: Taker(8, "java")}, NOTE),
        (THEIRS, {8080: Taker()}, NOTE),
    ],
)
def test_ports(wanted: Wanted, taken: dict[int, Taker], health: Health) -> None:
    """Ours must be ours, those of the official software may be anybody's; who has one is named."""
    (found,) = ports.diagnose(Ports(taken, frozenset({7})), [wanted])
    assert verdict(found) is health
    if taken.get(wanted.port, Taker()).pid == 8:
        assert "java（进程 8）" in found.as_json("zh")["what"]
        assert "java (pid 8)" in found.as_json("en")["what"]


@pytest.mark.parametrize(
    ("facts", "processors", "memory"),
    [
        (Hardware(4, 8 * GIB, 4 * GIB), WELL, WELL),
        (Hardware(4, int(7.6 * GIB), 4 * GIB), WELL, WELL),  # 8 GB less what the firmware keeps
        (Hardware(2, 4 * GIB, 2 * GIB), NOTE, NOTE),
        (Hardware(8, 16 * GIB, GIB // 4), WELL, ILL),
    ],
)
def test_the_machine_against_the_document(facts: Hardware, processors: Health, memory: Health) -> None:
    """Less than asked for works; memory that is all taken does not."""
    assert [verdict(each) for each in hardware.diagnose(facts, MACHINE)] == [processors, memory]
    assert next(verdict(each) for each in hardware.diagnose(facts, None)) is WELL


@pytest.mark.parametrize(
    ("free_gib", "day_gib", "health"),
    [
        (200, 1.0, WELL),
        (35, 1.0, WELL),  # thirty days, and what is always kept free
        (34, 1.0, NOTE),
        (11, 1.0, ILL),
        (11, None, WELL),
        (200, 0.0, WELL),
    ],
)
def test_the_disk_for_a_month(free_gib: int, day_gib: float | None, health: Health) -> None:
    """At the measured volume; less than a week is urgent."""
    growth = Growth(free_gib * GIB, None if day_gib is None else day_gib * GIB)
    assert verdict(hardware.month(growth, 30)) is health


@pytest.mark.parametrize(
    ("listen", "networks", "as_said", "listener", "whitelist"),
    [
        (LOOPBACK, (), True, WELL, WELL),
        (LAN, ("192.0.2.0/24",), True, NOTE, WELL),
        (LAN, ("192.0.2.0/24",), None, NOTE, WELL),
        (LAN, ("192.0.2.0/24",), False, NOTE, ILL),
        (LAN, ("192.168.0.0/15",), True, NOTE, NOTE),
        (LAN, ("2001:db8::/32",), True, NOTE, NOTE),
        (LAN, (), True, NOTE, NOTE),
        (LOOPBACK, ("192.0.2.0/24",), True, WELL, NOTE),
    ],
)
def test_the_way_in(
    listen: str, networks: tuple[str, ...], as_said: bool | None, listener: Health, whitelist: Health
) -> None:
    """Nobody beyond this machine without a narrow list; what PostgreSQL reads must be what settings say."""
    facts = Access(is_ours=True, listen=listen, port=5432, whitelist=networks, is_as_said=as_said)
    assert [verdict(each) for each in access.diagnose(facts)] == [listener, whitelist]
    assert [verdict(each) for each in access.diagnose(replace(facts, is_ours=False))] == [WELL, WELL]


@pytest.mark.parametrize(
    ("facts", "health"),
    [
        (Scanners((), None), WELL),
        (Scanners(("msmpeng.exe",), (r"c:\PROGRAMDATA\qianzhi",)), WELL),
        (Scanners(("msmpeng.exe",), (r"C:\ProgramData\qianzhi\gateway\pg",)), NOTE),
        (Scanners(("msmpeng.exe",), None), NOTE),
        (Scanners(("360sd.exe", "msmpeng.exe"), (r"C:\ProgramData",)), NOTE),
        (Scanners(("clamonacc",), None), NOTE),
    ],
)
def test_scanners_of_viruses(facts: Scanners, health: Health) -> None:
    """Where what Defender leaves alone is known, what it does not is named; of others it is all advised."""
    root = PureWindowsPath(r"C:\ProgramData\qianzhi\gateway")
    found = folders.scanners(facts, [str(root / "pg"), str(root / "spool")])
    assert verdict(found) is health
    if health is NOTE:
        assert str(root / "spool") in found.as_json("en")["remedy"]


@pytest.mark.parametrize(
    ("answer", "excluded"),
    [
        (json.dumps([r"C:\a", r"D:\b"]), (r"C:\a", r"D:\b")),
        ("[null]", ()),
        ("[]", ()),
        (json.dumps(["N/A: Must be an administrator to view exclusions"]), None),
        ("Get-MpPreference : access denied", None),
        ("", None),
        ("{}", None),
    ],
)
def test_what_defender_answers(answer: str, excluded: tuple[str, ...] | None) -> None:
    """To who is no administrator it does not tell."""
    assert folders.parsed(answer) == excluded


def test_a_day_is_that_of_the_calendar_on_the_wall() -> None:
    """What ends in the first eight hours of a day in China does not end on the day before."""
    ends_at = datetime(2026, 12, 4, 17, tzinfo=UTC)  # 01:00 on the 5th
    ending = expiry.certificate("certificate", ends_at, Text("换", "Renew it."), now=NOW)
    changed = evidence.key(
        [Key("a", NOW - timedelta(days=9), ends_at), Key("b", ends_at - timedelta(days=30))], now=NOW
    )
    assert "2026-12-05" in ending.as_json("en")["what"]
    assert "2026-12-05" in changed.as_json("zh")["what"]
    assert "2026-11-05" in changed.as_json("zh")["what"]


@pytest.mark.parametrize(("days", "health"), [(0, WELL), (180, WELL), (181, NOTE)])
def test_passwords_grow_old(days: int, health: Health) -> None:
    """Half a year is long for a password that vendors hold."""
    assert verdict(expiry.password("us_pos", NOW - timedelta(days=days), now=NOW)) is health
    assert verdict(expiry.password("us_pos", None, now=NOW)) is WELL


def told(begins: str, seconds: float, bits: float = 2e6, *, is_measured: bool = False) -> Forecast:
    """A run that begins at a local hour of the next day."""
    begins_at = datetime.fromisoformat(f"2026-11-20T{begins}+08:00")
    ends_at = begins_at + timedelta(seconds=seconds)
    return Forecast(begins_at, begins_at, ends_at, 0, 0, bits, is_measured)


@pytest.mark.parametrize(
    ("forecast", "health"),
    [
        (told("03:00", 2 * 3600), WELL),
        (told("03:00", 6 * 3600), NOTE),  # into the morning
        (told("14:00", 6 * 3600), WELL),  # somebody let it go by day
        (told("22:00", 6 * 3600), NOTE),
        (told("03:00", 25 * 3600), ILL),  # the next one would begin before
        (told("03:00", 60, 9e5, is_measured=True), NOTE),
        (told("03:00", 60, 9e5), WELL),
    ],
)
def test_the_line(forecast: Forecast, health: Health) -> None:
    """A run should be over when the hospital opens, and must be before the next."""
    assert verdict(link.diagnose("hub", forecast, 2_000_000)) is health


@pytest.mark.parametrize(("version", "health"), [(140_010, WELL), (180_001, WELL), (190_000, NOTE)])
def test_postgresql(version: int, health: Health) -> None:
    """A release that nobody tested is told."""
    assert verdict(versions.postgresql(version)) is health


def test_deliveries_that_wait_name_their_reason() -> None:
    """The oldest one's."""
    assert verdict(destinations.deliveries("hub", [])) is WELL
    outcome = "OperatorError: The hub answered 401 (unauthenticated)."
    found = destinations.deliveries("hub", [{"outcome": outcome}, {"outcome": "other"}])
    assert verdict(found) is ILL
    assert "监管端答复 401（unauthenticated：凭据无效）。" in found.as_json("zh")["what"]
    assert outcome in found.as_json("en")["what"]


def test_images_that_cannot_be_sent_name_their_reason() -> None:
    """What is on its way is well; what failed is told with why."""
    assert verdict(destinations.images("hub", Left(3, 10, 0), "")) is WELL
    found = destinations.images("hub", Left(3, 10, 1), "OperatorError: The blob 3f8a… is missing.")
    assert (verdict(found), found.title("zh")) == (ILL, "图片上传 hub")
    assert "附件文件 3f8a… 缺失。" in found.as_json("zh")["what"]


def test_what_cannot_be_looked_at_is_told_in_both_languages() -> None:
    """An error of ours is what is ill, with its remedy."""

    def look() -> Diagnosis:
        raise ConfigurationError("The destination hub has no credential.", remedy="Repeat `qianzhi gateway init`.")

    (found,) = guarded("destination hub", look)
    assert verdict(found) is ILL
    told = [(each["what"], each["remedy"]) for each in (found.as_json("zh"), found.as_json("en"))]
    assert told == [
        ("无法检查：上报目标 hub 没有凭据。", "请重新运行 `qianzhi gateway init`。"),
        ("The destination hub has no credential.", "Repeat `qianzhi gateway init`."),
    ]


def test_a_key_file_that_cannot_be_used_is_told_in_both_languages(tmp_path: Path) -> None:
    """With what is wrong with it."""
    found = storage.key_file(KeyFile(tmp_path / "key"))
    assert verdict(found) is ILL
    assert (
        found.as_json("zh")["what"] == f"无法使用，上传已停止：无法读取密钥文件 {tmp_path / 'key'}：文件或目录不存在。"
    )
    assert "cannot be read: No such file or directory." in found.as_json("en")["what"]


def test_both_languages_are_public() -> None:
    """A form for programs in either, of the same shape."""
    found = access.role("us_pos", "lo_create(oid)")
    zh, en = found.as_json("zh"), found.as_json("en")
    assert list(zh) == list(en) == ["name", "health", "what", "remedy"]
    assert (zh["name"], zh["health"]) == (en["name"], en["health"])
    assert zh["what"] != en["what"]


def test_names_are_told_in_chinese_to_people() -> None:
    """Each begins with a known word; programs are told the same name in both languages."""
    names = ["version", "processors", "disk", "disk for 30 days", "port 5432", "role us_pos", "uplink to hub"]
    told = [replace(versions.product("1", "3"), name=name).title("zh") for name in names]
    assert told == ["版本", "处理器", "磁盘", "磁盘够用 30 天", "端口 5432", "数据库账号 us_pos", "上行线路 hub"]


def test_one_text_may_do_for_both_languages() -> None:
    """Where somebody else's words are repeated."""
    found = Diagnosis("destination x", ILL, "As it was said.", "Do it.")
    assert found.as_json("zh") == found.as_json("en")
    assert found.as_json()["what"] == "As it was said."


def test_a_regulator_that_is_told_an_address_of_this_machine_is_noticed() -> None:
    """Without a public address every answer leads to loopback; it works here, and nowhere else."""
    told = evidence.address(None, "https://127.0.0.1:8444")
    assert told.health is NOTE
    assert "public_base_url" in told.as_json("en")["remedy"]
    assert evidence.address("https://hospital.example/x", "https://hospital.example/x").health is WELL
