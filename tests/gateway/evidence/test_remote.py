"""Files of other machines: which of them are asked, and what is taken of what they answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from ipaddress import IPv4Address, IPv4Network, ip_address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.gateway.evidence.conftest import SAMPLES, Site, answering
from tests.gateway.evidence.machine import Answer, Machine, machine

from qianzhi.db.embedded import Cluster
from qianzhi.errors import RetryableError, SenderError
from qianzhi.gateway.evidence import remote as remote_module
from qianzhi.gateway.evidence.formats import Format
from qianzhi.gateway.evidence.reach import Reach
from qianzhi.gateway.evidence.remote import Bounds, Remote

LOOPBACK = ("127.0.0.0/8", "::1/128")
# Written as numbers: no address of a real machine stands in this tree.
PUBLIC = str(IPv4Address(0x5DB80001))
METADATA = str(IPv4Address(0xA9FEA9FE))
MP3 = (SAMPLES / "talk.mp3").read_bytes()
MP4 = (SAMPLES / "fragmented.mp4").read_bytes()


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine with files."""
    with machine(tmp_path_factory.mktemp("machine")) as told:
        yield told


def resolving(*addresses: str) -> Callable[[str, int], Awaitable[list[str]]]:
    """A name service that gives the same addresses for every name."""

    async def resolve(_host: str, _port: int) -> list[str]:
        return list(addresses)

    return resolve


def asked(reach: Reach, url: str) -> str:
    """The address that would be connected to."""
    return asyncio.run(reach.target(url)).address


def looked(other: Machine, url: str, bounds: Bounds | None = None, **more: Any) -> tuple[Format, int]:
    """What a look at a remote file gives, with loopback allowed."""
    reach = more.pop("reach", None) or Reach([other.origin, *more.pop("origins", ())], LOOPBACK, **more)

    async def look() -> tuple[Format, int]:
        found = Remote(reach, bounds or Bounds(10**9, 20.0), other.authority)
        try:
            return await found.look(url)
        finally:
            await found.close()

    return asyncio.run(look())


def test_a_public_address_of_a_named_origin_is_asked() -> None:
    """Scheme, host and port must agree; a default port may be written or not."""
    reach = Reach(["https://media.example", "http://media.example:8080"], resolve=resolving(PUBLIC))

    assert asked(reach, "https://media.example/a.mp4?b=c") == PUBLIC
    assert asked(reach, "https://MEDIA.example:443/a.mp4") == PUBLIC
    assert asked(reach, "http://media.example:8080/a.mp4") == PUBLIC


@pytest.mark.parametrize(
    "url",
    [
        "https://media.example.evil.test/a",
        "https://evil.test/?https://media.example/a",
        "https://media.example@evil.test/a",
        "https://user:secret@media.example/a",
        "https://media.example:8443/a",
        "http://media.example/a",
        "ftp://media.example/a",
        "file:///etc/passwd",
        "//media.example/a",
        "https:///a",
        "https://media.example\\@evil.test/a",
        "https://media.example/a\r\nHost: evil.test",
        "https://media.example:99999999/a",
        "https://[::1/a",
        "https://media.example/a".replace("x", "\u0445"),  # a Cyrillic letter
        "https://media.example/" + "a" * 3000,
        "",
    ],
)
def test_no_other_origin_is_asked(url: str) -> None:
    """However an address is written; its name is not even looked up."""
    called = []

    async def resolve(host: str, _port: int) -> list[str]:
        called.append(host)
        return [PUBLIC]

    with pytest.raises(SenderError):
        asked(Reach(["https://media.example"], resolve=resolve), url)
    assert called == []


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        str(IPv4Address(0x0A000001)),
        "192.168.1.1",
        METADATA,
        str(IPv4Address(0x64400001)),  # shared by a provider's clients
        "0.0.0.0",  # noqa: S104 - a value
        str(IPv4Address(0xE0000001)),  # multicast
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1%eth0",
        "fd00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:7f00:1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "2001:0:7f00:1::",
        "not an address",
    ],
)
def test_a_name_that_resolves_to_a_private_address_is_not_asked(address: str) -> None:
    """Loopback, private, link-local and shared networks, also wrapped into IPv6; one such address is too many."""
    for addresses in ((address,), (PUBLIC, address)):
        with pytest.raises(SenderError):
            asked(Reach(["https://media.example"], resolve=resolving(*addresses)), "https://media.example/a")


def test_a_network_of_the_settings_may_be_asked_although_it_is_private() -> None:
    """Most hospitals keep their recordings inside; what else is private stays closed."""
    reach = Reach(["https://pacs.example"], ["192.168.7.0/24"], resolve=resolving("192.168.7.9"))

    assert asked(reach, "https://pacs.example/a") == "192.168.7.9"
    assert reach.is_allowed("::ffff:192.168.7.9")
    assert not reach.is_allowed("192.168.8.9")


@given(st.ip_addresses())
def test_what_may_be_asked_is_public(address: Any) -> None:
    """An independent reading of the special networks of IPv4, also where IPv6 wraps them."""
    special = [(0, 8), (0x0A000000, 8), (0x64400000, 10), (0x7F000000, 8), (0xA9FE0000, 16), (0xAC100000, 12)]
    special += [(0xC0A80000, 16), (0xE0000000, 4), (0xF0000000, 4)]
    if Reach([]).is_allowed(str(address)):
        inner = getattr(ip_address(str(address)), "ipv4_mapped", None) or address
        assert not any(inner.version == 4 and inner in IPv4Network(each) for each in special)


def test_a_name_without_an_address_is_not_asked() -> None:
    """Nor one with more than a machine has."""
    for addresses in ((), tuple(str(IPv4Address(0x5DB80000 + n)) for n in range(100))):
        with pytest.raises(SenderError):
            asked(Reach(["https://media.example"], resolve=resolving(*addresses)), "https://media.example/a")


def test_a_remote_file_is_looked_into(other: Machine) -> None:
    """Its first bytes are asked for, by its own name and under its own certificate."""
    other.answers["/talk.mp3"] = Answer(MP3)

    assert looked(other, f"{other.origin}/talk.mp3") == (Format("audio/mpeg", ("MP3",)), len(MP3))
    assert other.asked[-1] == ("/talk.mp3", f"localhost:{other.port}", "bytes=0-2097151")


def test_a_machine_that_gives_no_parts_is_understood(other: Machine) -> None:
    """It answers with the whole file."""
    other.answers["/visit.mp4"] = Answer(MP4, ignores_range=True)

    assert looked(other, f"{other.origin}/visit.mp4") == (Format("video/mp4", ("H.264",)), len(MP4))


def test_a_connection_goes_to_the_address_that_was_checked(other: Machine) -> None:
    """A name that would resolve elsewhere the second time is connected to where it was looked at."""
    other.answers["/talk.mp3"] = Answer(MP3)
    calls = []

    async def resolve(host: str, _port: int) -> list[str]:
        calls.append(host)
        return ["127.0.0.1"] if len(calls) == 1 else ["127.0.0.9"]

    looked(other, f"{other.origin}/talk.mp3", resolve=resolve)
    assert calls == ["localhost"]


def test_a_certificate_of_another_name_is_not_trusted(other: Machine) -> None:
    """The name of the address counts, not the number that is connected to."""
    origin = f"https://media.example:{other.port}"

    with pytest.raises(RetryableError):
        looked(other, f"{origin}/talk.mp3", origins=[origin], resolve=resolving("127.0.0.1"))


@pytest.mark.parametrize(
    "location",
    [
        "https://127.0.0.1:{port}/inner",  # another name of the same machine
        "https://localhost:1/inner",
        "http://localhost:{port}/inner",
        "https://metadata.example/latest",
        "file:///etc/passwd",
        "//evil.test/inner",
    ],
)
def test_a_redirection_to_another_origin_is_not_followed(other: Machine, location: str) -> None:
    """Nothing is asked there."""
    other.answers["/away"] = Answer(status=302, headers={"Location": location.format(port=other.port)})
    other.answers["/inner"] = Answer(MP3)
    other.asked.clear()

    with pytest.raises(SenderError):
        looked(other, f"{other.origin}/away")
    assert [path for path, _, _ in other.asked] == ["/away"]


def test_a_redirection_within_an_origin_is_checked_anew(other: Machine) -> None:
    """It is followed while its address may be asked, and not when its name leads elsewhere meanwhile."""
    other.answers["/away"] = Answer(status=307, headers={"Location": "/inner"})
    other.answers["/inner"] = Answer(MP3)
    calls = []

    async def resolve(host: str, _port: int) -> list[str]:
        calls.append(host)
        return ["127.0.0.1"] if len(calls) == 1 else [METADATA]

    assert looked(other, f"{other.origin}/away")[0].media_type == "audio/mpeg"
    with pytest.raises(SenderError):
        looked(other, f"{other.origin}/away", resolve=resolve)


def test_redirections_end(other: Machine) -> None:
    """A circle is left after a few steps."""
    other.answers["/circle"] = Answer(status=302, headers={"Location": "/circle"})
    other.asked.clear()

    with pytest.raises(SenderError):
        looked(other, f"{other.origin}/circle")
    assert len(other.asked) == remote_module.HOPS_MAX


@pytest.mark.parametrize(
    "answer",
    [
        Answer(status=404),
        Answer(status=500),
        Answer(b"<html>please sign in</html>"),
        Answer(MP3, headers={"Content-Encoding": "gzip"}),
        Answer(MP3, headers={"Content-Length": "999999999999"}, ignores_range=True),
        Answer(MP3, headers={"Content-Range": "bytes 0-1/*"}, status=206),
        Answer(b""),
    ],
)
def test_what_is_no_evidence_is_not_registered(other: Machine, answer: Answer) -> None:
    """Errors, pages to sign in at, codings, sizes beyond the bound or untold."""
    other.answers["/odd"] = answer

    with pytest.raises(SenderError):
        looked(other, f"{other.origin}/odd")


def test_a_machine_that_does_not_answer_in_time_is_left(other: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever registers a file does not wait for ever."""
    monkeypatch.setattr(remote_module, "LOOK_SECONDS_MAX", 0.2)
    other.answers["/slow"] = Answer(MP3, pause_seconds=1.0)

    with pytest.raises(RetryableError):
        looked(other, f"{other.origin}/slow")


@pytest.fixture(scope="module")
def relaying(
    postgres: Cluster,
    tmp_path_factory: pytest.TempPathFactory,
    free_port: Callable[[], int],
    other: Machine,
) -> Iterator[Site]:
    """A gateway that passes on the files of the other machine."""
    more = {
        "remote.origins": (other.origin,),
        "remote.networks": LOOPBACK,
        "remote.ca_file": str(other.authority),
        "remote.bytes_max": 5_000_000,
    }
    folder: Path = tmp_path_factory.mktemp("relay")
    with answering(postgres, folder, free_port(), **more) as site:
        yield site


def test_a_remote_file_is_passed_on_whole_and_in_part(relaying: Site, other: Machine, record: str) -> None:
    """The regulator sees our address only, and gets the bytes of the other machine."""
    other.answers["/talk.mp3"] = Answer(MP3)
    relaying.register(record, "audio", f"{other.origin}/talk.mp3")
    path = relaying.link("GetConversationalAudio", record)

    whole, part = relaying.get(path), relaying.get(path, Range="bytes=10-19")

    assert (whole.status_code, whole.content, whole.headers["content-type"]) == (200, MP3, "audio/mpeg")
    assert (part.status_code, part.content) == (206, MP3[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(MP3)}"
    assert relaying.get(path, Range=f"bytes={len(MP3)}-").status_code == 416
    assert relaying.get(path, Range="bytes=0-1,3-4").content == MP3


def test_a_remote_file_that_leads_away_later_is_not_passed_on(relaying: Site, other: Machine, record: str) -> None:
    """The look at its registration does not count for ever: 500, and nothing is asked elsewhere."""
    other.answers["/later"] = Answer(MP3)
    relaying.register(record, "audio", f"{other.origin}/later")
    path = relaying.link("GetConversationalAudio", record)
    other.answers["/later"] = Answer(status=302, headers={"Location": f"https://127.0.0.1:{other.port}/talk.mp3"})

    assert relaying.get(path).status_code == 500
    other.answers["/later"] = Answer(bytes(5_000_001))
    assert relaying.get(path).status_code == 500
    assert "evidence:remote:failed" in relaying.log()
    assert "/later" not in relaying.log()
