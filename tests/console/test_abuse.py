"""What must fail: guessing, borrowed sessions, requests of other sites, other people's pages."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlencode

import httpx
import pytest
from tests.console.conftest import PASSWORD, Console
from tests.console.site import PASSWORD as DATABASE_PASSWORD
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

COOKIE = "qianzhi_console"
CLIENT = re.compile(r'"client_id": ?"([0-9a-f-]{36})"|client_id\W+([0-9a-f-]{36})')
SILENCE_SECONDS = 0.4


def sign_in(client: httpx.Client, name: str, password: str, **more: str) -> httpx.Response:
    """Send the form."""
    return client.post("/sign-in", data={"name": name, "password": password, **more})


def page_of(client: httpx.Client, path: str) -> str:
    """Open a page and return the id by which the toolkit knows it."""
    found = CLIENT.search(client.get(path).text)
    assert found is not None
    return found[1] or found[2]


@contextmanager
def socket(
    console: Console, client: httpx.Client, client_id: str, origin: str | None = None
) -> Iterator[ClientConnection]:
    """Open a socket as a browser would, for a page."""
    query = {"EIO": 4, "transport": "websocket", "client_id": client_id, "next_message_id": 0}
    query |= {"implicit_handshake": "true", "document_id": "d", "tab_id": "t"}
    address = f"{console.base.replace('http', 'ws')}/_nicegui_ws/socket.io/?{urlencode(query)}"
    cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    origin = origin or console.base
    with connect(address, additional_headers={"Cookie": cookies, "Origin": origin}, proxy=None) as opened:
        assert opened.recv(60)[:1] == "0"
        with suppress(ConnectionClosed):  # where nobody is signed in it ends at once
            opened.send("40")
        yield opened


def said(opened: ClientConnection, *, until: str = "") -> list[str]:
    """Return what comes in, until something comes or nothing does."""
    found: list[str] = []
    try:
        while not (until and any(until in text for text in found)):
            found.append(str(opened.recv(60 if until else SILENCE_SECONDS)))
    except (TimeoutError, ConnectionClosed):
        pass
    return found


def button(client: httpx.Client, path: str, title: str) -> tuple[str, int, str]:
    """Return the page, the element and the listener of a button on it."""
    text = client.get(path).text
    found = CLIENT.search(text)
    assert found is not None
    elements = json.loads(
        text[text.index("String.raw`") + 11 : text.index("`), {")].replace("&lt;", "<").replace("&gt;", ">")
    )
    number, element = next((n, e) for n, e in elements.items() if (e.get("props") or {}).get("label") == title)
    return found[1] or found[2], int(number), str(element["events"][0]["listener_id"])


def click(opened: ClientConnection, client_id: str, number: int, listener: str) -> None:
    """Click a button, as the toolkit's script does."""
    message = {"id": number, "client_id": client_id, "listener_id": listener, "args": ["{}"]}
    opened.send(f"42{json.dumps(['event', message])}")


def test_guessing_is_slowed_down_and_then_not_even_looked_at(console: Console) -> None:
    """After five wrong passwords a try waits, also one with the right password; others of the address may go on."""
    with console.client() as client:
        answers = [sign_in(client, "viewer", f"wrong {n}").status_code for n in range(6)]
        assert answers == [401] * 5 + [429]
        refused = sign_in(client, "viewer", PASSWORD)
        assert refused.status_code == 429
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert COOKIE not in client.cookies
        assert sign_in(client, "operator", PASSWORD).status_code == 303
    console.ask("DELETE FROM qianzhi.console_failures")


def test_nobody_learns_which_accounts_there_are(console: Console) -> None:
    """A wrong name and a wrong password are answered alike."""
    with console.client() as client:
        texts = {sign_in(client, name, "wrong").text for name in ("viewer", "nobody", "us_pos", "x' OR 1=1 --", "\x00")}
    assert len(texts) == 1
    console.ask("DELETE FROM qianzhi.console_failures")


def test_names_of_nobody_fill_no_table(console: Console) -> None:
    """Many invented names share a fixed number of rows, and are slowed down by their address."""
    with console.client() as client:
        answers = [sign_in(client, f"invented{n}", "wrong").status_code for n in range(22)]
    assert answers[-1] == 429
    assert console.ask("SELECT count(*) FROM qianzhi.console_failures WHERE subject LIKE '%invented%'") == [(0,)]
    console.ask("DELETE FROM qianzhi.console_failures")


def test_a_session_that_somebody_planted_is_worth_nothing(console: Console) -> None:
    """A token is made anew at each sign-in, and whatever the browser brought before ends."""
    with console.client() as client:
        client.cookies.set(COOKIE, "planted-by-somebody-else")
        sign_in(client, "operator", PASSWORD)
        mine = client.cookies.get(COOKIE, domain="127.0.0.1")
        assert mine != "planted-by-somebody-else"
    with console.client() as other:
        other.cookies.set(COOKIE, "planted-by-somebody-else")
        assert other.get("/").status_code == 303
    with console.client("operator") as client:
        first = client.cookies[COOKIE]
        sign_in(client, "operator", PASSWORD)
        client.cookies.clear()
        client.cookies.set(COOKIE, first)
        assert client.get("/").status_code == 303


def test_the_cookie_is_for_the_browser_alone(console: Console) -> None:
    """No script reads it and no other site sends it; the database has its digest only."""
    with console.client() as client:
        cookie = sign_in(client, "operator", PASSWORD).headers["set-cookie"]
        token = client.cookies[COOKIE]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert token not in str(console.ask("SELECT * FROM qianzhi.console_sessions"))


def test_signing_out_everywhere_ends_every_session(console: Console) -> None:
    """Also those of other browsers, at once."""
    with console.client("operator") as one, console.client("operator") as two:
        assert two.get("/").status_code == 200
        assert one.post("/sign-out", data={"everywhere": "1"}).status_code == 303
        assert [client.get("/").status_code for client in (one, two)] == [303, 303]


def test_the_database_account_signs_in_with_its_password(console: Console) -> None:
    """It is asked for by its own means, and may see patients but no accounts."""
    with console.client("us_pos", DATABASE_PASSWORD) as client:
        assert client.get("/patients").status_code == 200
        assert client.get("/administrators").status_code == 403


def test_requests_of_other_sites_are_refused(console: Console) -> None:
    """Whoever is signed in: a form or a socket of another site, or of none, does nothing."""
    with console.client("operator") as client:
        for origin in ("https://evil.example", "null", "", f"{console.base}.evil.example"):
            refused = client.post("/sign-out", headers={"origin": origin})
            assert refused.status_code == 403
        assert client.get("/").status_code == 200
        client_id = page_of(client, "/")
        with pytest.raises(InvalidStatus), socket(console, client, client_id, origin="https://evil.example"):
            pass
        polling = client.get("/_nicegui_ws/socket.io/", params={"EIO": 4, "transport": "polling"})
        assert polling.status_code == 403


def test_nothing_answers_without_a_session(console: Console) -> None:
    """Every page leads to the sign-in; what belongs to a page does not answer at all."""
    with console.client("operator") as client:
        client_id = page_of(client, "/tools")
    with console.client() as stranger:
        for path in ("/", "/patients", "/password", "/download/x", "/no-such-page", f"/_nicegui/client/{client_id}/x"):
            answer = stranger.get(path)
            assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (303, "/sign-in")
        assert stranger.post("/sign-out").status_code == 401
        with socket(console, stranger, client_id) as opened:
            assert any('"/sign-in"' in text for text in said(opened))


def test_another_browser_cannot_attach_to_a_page(console: Console) -> None:
    """Who knows the id of somebody's page gets no socket to it, and speaks through no socket of his own for it."""
    with console.client("administrator") as owner, console.client("viewer") as thief:
        theirs, number, listener = button(owner, "/tools", "save")
        with socket(console, thief, theirs) as opened:
            assert any("Implicit handshake failed" in text for text in said(opened, until="44"))
        mine = page_of(thief, "/tools")
        with socket(console, owner, theirs) as watched, socket(console, thief, mine) as opened:
            said(watched)
            click(opened, theirs, number, listener)
            assert said(watched) == []
            click(watched, theirs, number, listener)
            assert any("必填" in text for text in said(watched, until="必填"))


def test_a_socket_shakes_hands_with_its_own_session_only(console: Console) -> None:
    """A later handshake for somebody else's page is refused as the first one is."""
    with console.client("administrator") as owner, console.client("viewer") as thief:
        theirs, mine = page_of(owner, "/tools"), page_of(thief, "/tools")
        with socket(console, thief, mine) as opened:
            said(opened)
            opened.send(f"420{json.dumps(['handshake', {'client_id': theirs, 'tab_id': 't', 'document_id': 'e'}])}")
            assert "430[false]" in said(opened, until="430")


def test_files_are_handed_to_their_session_only(console: Console) -> None:
    """Neither the upload of a page nor a download answers to somebody else."""
    with console.client("administrator") as owner, console.client("operator") as thief:
        page, number, listener = button(owner, "/tools", "download")
        uploaded = thief.post(f"/_nicegui/client/{page}/upload/1", files={"file": b"x"})
        assert uploaded.status_code == 404
        with socket(console, owner, page) as opened:
            click(opened, page, number, listener)
            text = next(text for text in said(opened, until="/download/") if "/download/" in text)
        path = re.search(r"/download/[\w-]+", text)
        assert path is not None
        assert thief.get(path[0]).status_code == 404
        assert owner.get(path[0]).content == b"content"
        assert owner.get(path[0]).status_code == 404


@pytest.mark.parametrize(
    "to", ["//evil.example", "https://evil.example", "/\\evil.example", "/\r\nx: y", "evil", "/" * 900]
)
def test_signing_in_leads_to_this_console_only(console: Console, to: str) -> None:
    """Whatever the address says where to go, it is a page here."""
    with console.client() as client:
        assert sign_in(client, "operator", PASSWORD, next=to).headers["location"] == "/"
        page = client.get("/sign-in", params={"next": to})
        assert "evil" not in page.text


def test_the_address_puts_no_markup_into_a_page(console: Console) -> None:
    """Neither the sub-path that a header claims nor a parameter is written into a page as it is."""
    with console.client("operator") as client:
        hostile = '"><script>window.hurt=1</script>'
        page = client.get("/tools", headers={"x-forwarded-prefix": f"/evil{hostile}"}, params={"q": hostile}).text
        assert "evil" not in page
        assert hostile not in page
        assert hostile not in client.get("/sign-in", params={"next": f"/{hostile}"}).text


def test_every_answer_says_what_a_browser_may_do(console: Console) -> None:
    """Pages, files and refusals alike; scripts of a page need the nonce of this very answer."""
    with console.client("operator") as client:
        answers = [client.get(path) for path in ("/", "/", "/sign-in", "/no-such-page", "/broken")]
    for answer in answers:
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store"
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "'unsafe-inline'" not in policy.partition("script-src")[2]
    nonces = [re.findall(r"'nonce-([^']+)'", answer.headers["content-security-policy"]) for answer in answers[:2]]
    assert nonces[0] != nonces[1]
    assert len(re.findall(r"<script", answers[0].text)) == answers[0].text.count(f'nonce="{nonces[0][0]}"')


def test_what_is_too_large_is_not_read(console: Console) -> None:
    """A form has a bound, so has a file, and nothing comes without saying its length; other methods do not exist."""
    with console.client() as client:
        assert sign_in(client, "a" * 100_000, "b").status_code == 413
    with console.client() as client:
        assert client.post("/sign-in", content=iter([b"name=a"])).status_code == 413
    with console.client("operator") as client:
        for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
            assert client.request(method, "/").status_code == 405
        page = page_of(client, "/tools")
        with socket(console, client, page) as opened:
            opened.send("42" + "x" * 2_000_000)
            said(opened, until="never")
            with pytest.raises(ConnectionClosed):
                opened.recv(5)


def test_a_cookie_that_takes_long_to_read_is_not_read(console: Console) -> None:
    """Whoever sends it, signed in or not, keeps nobody waiting."""
    with console.client() as client:
        bomb = 'a="' + "\\\\" * 100_000 + '"'
        assert client.get("/sign-in", headers={"cookie": bomb}).status_code == 200
        assert client.get("/", headers={"cookie": bomb}).status_code == 303
        rebound = {"origin": "http://evil.example:1", "host": "evil.example:1"}
        assert client.post("/sign-in", headers=rebound).status_code == 403
        assert client.post("/sign-in", headers={"origin": "http://["}).status_code == 403


def test_each_look_at_patients_is_audited_without_their_values(console: Console) -> None:
    """Who, which page, which filters and how many; of a filter that may hold a name only that it was set."""
    with console.client("operator") as client:
        client.get("/patients", params={"name": "张三", "dataset": "person"})
        client.get("/tools")
    looked = console.ask("SELECT actor, subject, detail FROM qianzhi.audit WHERE event = 'console:page:viewed'")
    assert ("console:operator", "/patients", {"filters": "dataset=person, name=(set)", "count": 1}) in looked
    assert {subject for _, subject, _ in looked} == {"/patients"}
    assert "张三" not in str(looked)
