"""The intake's other doors over HTTPS: JSON, images, the validation log, health."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
import pytest
from tests.hub.samples import CODE, GUANGDONG, OTHER_CODE, picture, row, sealed
from tests.hub.server import Hub, answering, person, problem, put

from qianzhi.regulators import regulator
from qianzhi.runtime import clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from qianzhi.db.embedded import Cluster


@pytest.fixture(scope="module")
def hub(postgres: Cluster, free_port: Callable[[], int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A hub that answers."""
    with answering(postgres, tmp_path_factory.mktemp("hub"), free_port()) as answers:
        yield answers


@pytest.fixture
def client(hub: Hub) -> Iterator[httpx.Client]:
    """The client of the institution."""
    with hub.client() as opened:
        yield opened


def said(**changes: Any) -> dict[str, Any]:
    """Return a batch as JSON."""
    held = regulator(GUANGDONG)
    known = {
        "dataset": "person",
        "edition": held.edition,
        "ruleset": held.digest,
        "as_of": clock.local_now().isoformat(),
        "institution": CODE,
        "rows": [person()],
    }
    return known | changes


def test_a_batch_may_be_json(client: httpx.Client) -> None:
    """Any HTTP client can send rows; fields that are left out are empty."""
    rows = [person(row_id=1), {"row_id": 2, "JGDM": CODE}]
    response = client.put(f"/batches/{uuid4()}", json=said(rows=rows))
    assert response.status_code == HTTPStatus.OK
    assert (response.json()["accepted"], response.json()["rejected"]) == (1, [2])


@pytest.mark.parametrize(
    "body",
    [
        said(rows=[]),
        said(rows=[person() | {"XX": "1"}]),
        said(rows=[person() | {"XM": 5}]),
        said(rows=[person() | {"row_id": "1"}]),
        said(rows=[person() | {"row_id": 1.5}]),
        said(rows=[person() | {"row_id": 2**70}]),
        said(rows=[{"JGDM": CODE}]),
        said(rows={"row_id": 1}),
        said(rows=[["a"]]),
        said(dataset="nothing"),
        said(as_of="yesterday"),
        said(edition=3),
        said(more=1),
        [],
        "text",
    ],
)
def test_json_that_is_no_batch_is_refused(client: httpx.Client, body: object) -> None:
    """Unknown keys, unknown fields, other types: 422 with what to send."""
    response = client.put(f"/batches/{uuid4()}", json=body)
    assert (response.status_code, problem(response)) == (HTTPStatus.UNPROCESSABLE_ENTITY, "unprocessable")


def test_json_with_nul_rejects_its_row(client: httpx.Client) -> None:
    """An escaped U+0000 is like one in a sealed batch: its row is rejected, and the rest is taken."""
    rows = [person(row_id=1), person(row_id=2, XM="a\x00b")]
    assert client.put(f"/batches/{uuid4()}", json=said(rows=rows)).json()["rejected"] == [2]


def test_an_instant_with_a_zone_is_that_instant(client: httpx.Client) -> None:
    """What lies ahead in local time does so in any zone."""
    ahead = clock.now() + timedelta(hours=25)
    for moment in (clock.local(ahead), ahead):
        response = client.put(f"/batches/{uuid4()}", json=said(as_of=moment.isoformat()))
        assert problem(response) == "as-of-ahead"


def test_deep_json_is_refused(client: httpx.Client) -> None:
    """A hundred thousand brackets exhaust nobody's stack."""
    response = client.put(f"/batches/{uuid4()}", content=b"[" * 100_000, headers={"Content-Type": "application/json"})
    assert problem(response) == "unprocessable"


def test_an_image_comes_before_its_row(client: httpx.Client) -> None:
    """A blob that was put is held, and a row that names it is accepted."""
    content = picture(3)
    name = hashlib.sha256(content).hexdigest()
    assert client.head(f"/blobs/{name}").status_code == HTTPStatus.NOT_FOUND
    for _ in range(2):
        stored = client.put(f"/blobs/{name}", content=content, headers={"Content-Type": "image/png"})
        assert stored.status_code == HTTPStatus.NO_CONTENT
    assert client.head(f"/blobs/{name}").status_code == HTTPStatus.OK
    photo = row("staff", YHRYGH=uuid4().hex[:20], GRZPCFDZ="/1.png") | {"GRZPCFDZ#blob": name}
    assert put(client, sealed("staff", photo)).json()["accepted"] == 1


def test_a_blob_of_one_institution_is_not_anothers(hub: Hub, client: httpx.Client) -> None:
    """Who did not send an image does not learn that it is held."""
    content = picture(4)
    path = f"/blobs/{hashlib.sha256(content).hexdigest()}"
    client.put(path, content=content, headers={"Content-Type": "image/png"})
    with hub.client(hub.issue(OTHER_CODE)) as other:
        assert other.head(path).status_code == HTTPStatus.NOT_FOUND


def test_what_is_no_image_is_no_blob(client: httpx.Client) -> None:
    """Other bytes, another digest, another type: refused, and nothing is held."""
    image, text = picture(5), b"no image"
    for content, named, kind, code in (
        (text, text, "image/png", "not-an-image"),
        (image, text, "image/png", "digest-mismatch"),
        (image, image, "image/jpeg", "media-type"),
    ):
        path = f"/blobs/{hashlib.sha256(named).hexdigest()}"
        assert problem(client.put(path, content=content, headers={"Content-Type": kind})) == code
        assert client.head(path).status_code == HTTPStatus.NOT_FOUND


def test_the_validation_log_shows_what_failed(client: httpx.Client) -> None:
    """Date, time, dataset, counts; and each failed record with its content and reasons."""
    batch = sealed("person", person(row_id=1), person(row_id=2, XM=None))
    put(client, batch)
    today = clock.local_now().date().isoformat()
    lines = client.get("/log", params={"from": today, "to": today, "dataset": "person"}).json()
    (line,) = [each for each in lines if each["batch_id"] == str(batch[0])]
    assert (line["submitted"], line["succeeded"], line["failed"], line["received_on"]) == (2, 1, 1, today)
    assert client.get("/log", params={"to": "2020-01-01"}).json() == []
    (failed,) = client.get(f"/log/{batch[0]}/failed").json()
    assert (failed["row_id"], failed["content"]["XBMC"], failed["content"]["XM"]) == (2, "男", None)
    assert ("V01", "XM") in {(each["code"], each["field"]) for each in failed["findings"] if each["reason"]}
    assert client.get(f"/log/{batch[0]}/failed", params={"after": 2}).json() == []
    assert problem(client.get(f"/log/{uuid4()}/failed")) == "batch-unknown"


def test_health_and_description_need_no_credential(hub: Hub) -> None:
    """/healthz says that all is well; the description of the doors is there, and no page that loads from elsewhere."""
    with httpx.Client(base_url=f"https://127.0.0.1:{hub.port}", verify=hub.tls, trust_env=False, timeout=60) as anybody:
        said = anybody.get("/healthz").json()
        assert said["status"] == "ok"
        assert set(said["editions"]) == set(said["regulators"]) == {"guangdong"}
        assert set(said["editions"]["guangdong"]) == {"edition", "ruleset"}
        assert "/v1/{regulator}/batches/{batch_id}" in anybody.get("/openapi.json").json()["paths"]
        assert anybody.get("/docs").status_code == anybody.get("/redoc").status_code == HTTPStatus.NOT_FOUND


def test_logs_name_nobody(hub: Hub, client: httpx.Client) -> None:
    """Neither a query string nor a value of a record stands in a log."""
    client.get("/log", params={"dataset": "secret-in-query"})
    put(client, sealed("person", person(XM="保密", DZYJ="secret-in-row", CSRQ="secret-date")))
    written = "".join(file.read_text(encoding="utf-8") for file in (hub.home.path / "hub" / "log").iterdir())
    assert "intake:request:answered" in written
    assert not [word for word in ("secret", "保密", "dataset=") if word in written]
