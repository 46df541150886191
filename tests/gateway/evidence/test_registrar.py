"""POST /v1/media: systems of the hospital register what they recorded."""

from __future__ import annotations

import shutil
from typing import Any

import httpx
import pytest
from tests.gateway.evidence.conftest import SAMPLES, Site

from qianzhi.gateway.evidence import assembly, links
from qianzhi.gateway.evidence.registrar import BODY_BYTES_MAX


def tell(site: Site, said: Any, credential: str | None = None, **headers: str) -> httpx.Response:
    """Tell of a file."""
    shown = links.ensure_credential(assembly.credential_file(site.home)) if credential is None else credential
    named = {"Authorization": f"Bearer {shown}", **{key.replace("_", "-"): value for key, value in headers.items()}}
    return site.client.post(f"https://127.0.0.1:{site.port}/v1/media", json=said, headers=named)


def test_a_file_that_is_told_is_served_at_once(site: Site, record: str) -> None:
    """201 with what it is."""
    file = site.folder / f"{record}.webm"
    shutil.copyfile(SAMPLES / "modern.webm", file)

    answer = tell(site, {"record": record, "kind": "patient_video", "source": str(file)})

    assert answer.status_code == 201
    assert answer.json().keys() == {"media_id", "media_type", "codecs", "unusual"}
    assert answer.json()["unusual"] == ["VP9", "Opus"]
    assert site.ask("GetPatientVedio", record).status_code == 200


@pytest.mark.parametrize(
    "said",
    [
        {},
        [],
        {"record": "1", "kind": "audio"},
        {"record": 1, "kind": "audio", "source": "/a"},
        {"record": "1", "kind": "audio", "source": "/a", "more": 1},
        {"record": "1", "kind": "audio", "source": "/a", "number": -1},
        {"record": "1", "kind": "audio", "source": "/etc/passwd"},
        {"record": "1", "kind": "audio", "source": "../../etc/passwd"},
        {"record": "1", "kind": "audio", "source": "https://127.0.0.1/a.mp3"},
        {"record": "1\0", "kind": "audio", "source": "/a"},
        {"record": "1", "kind": "audio", "source": "x" * BODY_BYTES_MAX},
    ],
)
def test_what_must_not_be_registered_is_refused_with_a_remedy(site: Site, said: Any) -> None:
    """422, whatever it is; nothing of it is repeated."""
    answer = tell(site, said)

    assert answer.status_code == 422
    assert answer.json().keys() == {"what", "remedy"}
    assert "passwd" not in answer.text


def test_nobody_else_registers(site: Site) -> None:
    """401 without the credential; from another network there is nothing at all."""
    said = {"record": "1", "kind": "audio", "source": "/a"}

    assert tell(site, said, "wrong").status_code == 401
    assert tell(site, said, site.key).status_code == 401
    assert tell(site, said, X_Forwarded_For="203.0.113.77").status_code == 405
    assert site.get("/v1/media", X_Forwarded_For="203.0.113.77").status_code == 404
    assert site.get("/v1/media").status_code == 405
