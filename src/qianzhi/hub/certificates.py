"""
The certificate of connection (接入证明): a signed record, and a file that one institution fetches.

The signature is Ed25519 over the record; the file's digest stands in the record of a file that was given, and the whole
record stands in the file that is made here.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from qianzhi.errors import ConfigurationError, OperatorError
from qianzhi.hub import publications
from qianzhi.hub.publications import Draft, PublicationKind
from qianzhi.regulators import regulator
from qianzhi.runtime import clock, papers, printing
from qianzhi.runtime.files import write_durably
from qianzhi.runtime.papers import Objection
from qianzhi.specs.paperwork import Kind

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from qianzhi.db.server import Session
    from qianzhi.hub.onboarding import Institution
    from qianzhi.hub.publications import Publication
    from qianzhi.ledger.blobs import Blobs

KEY_FILE: Final = "certificate-signing.pem"
_NUMBER_BYTES: Final = 4
_CHECKED_BYTES_MAX: Final = 2**20
_MARK: Final = b"qianzhi-certificate:"
_MARKED: Final = re.compile(_MARK + rb"([A-Za-z0-9_=-]{1,8192}):([A-Za-z0-9_=-]{1,256})")


@dataclass(frozen=True, slots=True)
class Seal:
    """Signs certificates, and tells whether it signed one."""

    key: Ed25519PrivateKey

    def sign(self, record: bytes) -> bytes:
        """Return the signature of a record."""
        return self.key.sign(record)

    def proves(self, record: bytes, signature: bytes) -> bool:
        """Tell whether a signature is ours and of this record."""
        try:
            self.key.public_key().verify(signature, record)
        except InvalidSignature:
            return False
        return True


def open_seal(folder: Path) -> Seal:
    """Return the hub's seal, made when there is none. OperatorError: its file holds something else."""
    file = folder / KEY_FILE
    if not file.exists():
        fresh = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        write_durably(file, fresh)
    try:
        key = serialization.load_pem_private_key(file.read_bytes(), password=None)
    except ValueError:
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise OperatorError(f"{file} holds no signing key.", remedy="Restore it from a backup.")
    return Seal(key)


def issue(
    session: Session,
    files: Blobs,
    seal: Seal,
    institution: Institution,
    *,
    given: bytes | None,
    actor: str,
    now: datetime,
) -> Publication:
    """
    Issue the certificate of an institution, for it alone.

    `given` is a PDF that the operator made (with a stamp, say); without it a printable page is made here.
    ConfigurationError: that is no PDF that may be kept.
    """
    number = f"{clock.local(now):%Y%m%d}-{secrets.token_hex(_NUMBER_BYTES)}".upper()
    if given is not None:
        found = papers.examine(given, (Kind.PDF,))
        if isinstance(found, Objection):
            raise ConfigurationError(found.sentence, remedy=found.advice)
    unmarked = given if given is not None else _page(number, institution, now)
    record = _record(number, institution, unmarked, now)
    signature = seal.sign(record)
    content = given if given is not None else _with_marks(unmarked, record, signature)
    suffix = "pdf" if given is not None else "html"
    name = f"{regulator(institution.regulator).name.zh}数据接入证明"
    draft = Draft(PublicationKind.CERTIFICATE, name, f"{name}-{number}.{suffix}", content)
    made = publications.publish(session, files, institution.regulator, draft, [institution], actor, now)
    publications.certify(session, made.publication_id, number, record, signature)
    return made


def read(session: Session, content: bytes, seal: Seal) -> dict[str, Any] | None:
    """Return the record of a certificate that this hub issued, or None when it is not one, or was changed."""
    whole = publications.certified(session, hashlib.sha256(content).digest())
    found, unmarked = (whole, None) if whole is not None else _marked(content) or (None, None)
    if found is None or not seal.proves(*found):
        return None
    told: dict[str, Any] = json.loads(found[0])
    is_same = unmarked is None or hashlib.sha256(unmarked).hexdigest() == told["file_sha256"]
    return told if is_same else None


def _marked(content: bytes) -> tuple[tuple[bytes, bytes], bytes] | None:
    """Return record and signature that a page made here carries, and the page without them."""
    at = content[:_CHECKED_BYTES_MAX].rfind(_MARK)  # a name may hold what looks like it; ours come last
    marked = _MARKED.match(content, at) if at >= 0 else None
    if marked is None:
        return None
    try:
        return (_decoded(marked[1]), _decoded(marked[2])), content[: marked.start(1)] + content[marked.end() :]
    except binascii.Error:
        return None


def _with_marks(page: bytes, record: bytes, signature: bytes) -> bytes:
    at = page.rindex(_MARK) + len(_MARK)
    return page[:at] + b":".join(map(base64.urlsafe_b64encode, (record, signature))) + page[at:]


def _decoded(part: bytes) -> bytes:
    return base64.urlsafe_b64decode(part)


def _record(number: str, institution: Institution, unmarked: bytes, now: datetime) -> bytes:
    said = {
        "number": number,
        "regulator": institution.regulator,
        "institution": institution.code,
        "name": institution.name,
        "issued_at": now.isoformat(),
        "file_sha256": hashlib.sha256(unmarked).hexdigest(),
    }
    return json.dumps(said, ensure_ascii=False, sort_keys=True).encode()


def _page(number: str, institution: Institution, now: datetime) -> bytes:
    known = regulator(institution.regulator)
    page = printing.Page(
        heading=f"{known.name.zh}数据接入证明",
        sentences=(f"{institution.name}已按接口规范（{known.edition}）完成数据接入，特此证明。",),
        lines=(
            ("证明编号", number),
            ("机构名称", institution.name),
            ("机构标识", institution.code),
            ("签发时间", f"{clock.local(now):%Y-%m-%d %H:%M}"),
        ),
        stamp="监管平台",
        day=f"{clock.local(now):%Y年%m月%d日}",
        small=(f"校验码（由签发平台验证）：{_MARK.decode()}",),
    )
    return printing.html(page)
