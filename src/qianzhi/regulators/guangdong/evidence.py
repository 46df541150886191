"""
How the platform of Guangdong asks for evidence: four addresses, a token, five status codes (SEED-000 ch. 5, App. 2, 3).

The figures of App. 2 are missing from the public document. What they alone would say is a choice with a default:
`order` of the two parts of the key (1, 2) and of the time (T), `rehash` of the hexadecimal text or of the raw bytes,
and `reply`, the form of the answers for which the document names no key (specs/internet-hospital.md 2.13 and 5).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

import orjson

from qianzhi.errors import SenderError
from qianzhi.regulators.protocols import Asked, Outcome, Part, Question, Reply, Trial
from qianzhi.specs.model import Text

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

KEY_CHARACTERS: Final = 64
FIRST_PART_CHARACTERS: Final = 31
HASH_COUNT: Final = 3
PARAMETERS_MAX: Final = 16
RECORD_CHARACTERS_MAX: Final = 64
"""A MZH has 32 at most; what is longer is no number of a record."""

CHOICES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({
    "order": ("1T2", "2T1", "T12", "12T"),
    "rehash": ("hex", "raw"),
    "reply": ("json", "text"),
})  # fmt: skip

STATUSES: Final[Mapping[Outcome, HTTPStatus]] = MappingProxyType({
    Outcome.SERVED: HTTPStatus.OK,
    Outcome.MALFORMED: HTTPStatus.ACCEPTED,
    Outcome.UNPROVEN: HTTPStatus.UNAUTHORIZED,
    Outcome.UNKNOWN: HTTPStatus.NOT_FOUND,
    Outcome.FAILED: HTTPStatus.INTERNAL_SERVER_ERROR,
})  # fmt: skip

_MEANINGS: Final = {
    Outcome.SERVED: "正常",
    Outcome.MALFORMED: "参数错误",
    Outcome.UNPROVEN: "鉴权失败",
    Outcome.UNKNOWN: "查无记录",
    Outcome.FAILED: "服务端错误",
}
_VIDEOS: Final = ("video/mp4", "video/webm", "video/ogg")
_AUDIOS: Final = ("audio/mpeg", "audio/wav", "audio/ogg")
_DATASET: Final = "treatment_record"
_RECORD: Final = "MZH"


PRESCRIPTION: Final = Asked(
    name="prescription",
    method="GetPrescription",
    title=Text("处方文件", "prescription"),
    dataset=_DATASET,
    record=_RECORD,
    promised="DZCFWJCFDZ",
    links=MappingProxyType({"image/png": "PicUri", "application/pdf": "PdfUri"}),
    many=True,
)
ASKED: Final = (
    PRESCRIPTION,
    Asked(
        name="doctor_video",
        method="GetDoctorVedio",
        title=Text("医生端视频", "video of the doctor's side"),
        dataset=_DATASET,
        record=_RECORD,
        promised="YSDSPWJCFDZ",
        links=MappingProxyType(dict.fromkeys(_VIDEOS, "VedioUri")),
    ),
    Asked(
        name="patient_video",
        method="GetPatientVedio",
        title=Text("患者端视频", "video of the patient's side"),
        dataset=_DATASET,
        record=_RECORD,
        promised="HZDSPWJCFDZ",
        links=MappingProxyType(dict.fromkeys(_VIDEOS, "VedioUri")),
    ),
    Asked(
        name="audio",
        method="GetConversationalAudio",
        title=Text("交流音频", "audio of the conversation"),
        dataset=_DATASET,
        record=_RECORD,
        promised="JLYPCFDZ",
        links=MappingProxyType(dict.fromkeys(_AUDIOS, "AudioUri")),
        obliged=False,
    ),
)

_TRIAL_SECONDS: Final = 60
_NO_RECORD: Final = "../0"  # no hospital numbers a visit so, and no folder may be left by it
_SECONDS: Final = re.compile(r"[0-9]{1,10}")  # thirteen digits are milliseconds, which the document does not know
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_REPLIES: Final = {"json": "application/json", "text": "text/plain; charset=utf-8"}
_IMAGES, _DOCUMENTS = "imgURL", "pdfURL"
_REMEDY: Final = "Compare the answer with SEED-000 ch. 5 二."


def token(key: str, time: str, choices: Mapping[str, str]) -> str:
    """Return the token of a key of 64 characters and of a Unix time in seconds, in lower-case hexadecimal (App. 2)."""
    parts = {"1": key[:FIRST_PART_CHARACTERS], "2": key[FIRST_PART_CHARACTERS:], "T": time}
    joined = "".join(parts[part] for part in choices["order"])
    hashed = (joined[::2] + joined[1::2]).encode()  # positions count from 1: the odd ones come first
    for _ in range(HASH_COUNT - 1):
        digest = hashlib.sha256(hashed)
        hashed = digest.hexdigest().encode() if choices["rehash"] == "hex" else digest.digest()
    return hashlib.sha256(hashed).hexdigest()


def judge(
    query: str, keys: Sequence[str], choices: Mapping[str, str], *, now: int, window_seconds: int
) -> Question | Outcome:
    """
    Return the question that a query asks, or why it is none.

    The chapters write Token and token: names are taken in any case. A parameter that comes twice is malformed, since
    two readers could take different ones of it.
    """
    told = _parameters(query)
    if told is None:
        return Outcome.MALFORMED
    given, time, record = (told.get(name, "") for name in ("token", "time", "recordno"))
    if not given or _SECONDS.fullmatch(time) is None or not _is_record(record):
        return Outcome.MALFORMED
    shown = given.lower().encode(errors="replace")
    proven = False
    for key in keys:
        proven |= hmac.compare_digest(token(key, time, choices).encode(), shown)
    if not proven or abs(now - int(time)) > window_seconds:
        return Outcome.UNPROVEN
    return Question(record, given.lower())


def answer(asked: Asked, links: Sequence[tuple[str, str]], choices: Mapping[str, str]) -> Reply:
    """Return the arrays of a prescription, or the one address of a recording; no link at all is no answer."""
    if asked.name == PRESCRIPTION.name:
        images = [url for media_type, url in links if media_type == "image/png"]
        documents = [url for media_type, url in links if media_type == "application/pdf"]
        return Reply(orjson.dumps({_IMAGES: images, _DOCUMENTS: documents}), _REPLIES["json"])
    url, form = links[0][1], choices["reply"]
    return Reply(orjson.dumps(url) if form == "json" else url.encode(), _REPLIES[form])


def refuse(outcome: Outcome) -> Reply:
    """Return the meaning of a status; the document asks for the status alone."""
    return Reply(orjson.dumps({"code": STATUSES[outcome].value, "message": _MEANINGS[outcome]}), "application/json")


def ask(key: str, record: str, choices: Mapping[str, str], *, now: int) -> Mapping[str, str]:
    """Return the three parameters of a question."""
    return {"Token": token(key, str(now), choices), "Time": str(now), "RecordNo": record}


def trials(key: str, record: str, choices: Mapping[str, str], *, now: int, window_seconds: int) -> Sequence[Trial]:
    """Return questions of which each must be refused in its own way."""
    sound = ask(key, record, choices, now=now)
    late = window_seconds + _TRIAL_SECONDS
    without = {name: value for name, value in sound.items() if name != "RecordNo"}
    return (
        Trial(Text("错误的Token", "wrong token"), {**sound, "Token": "0" * len(sound["Token"])}, Outcome.UNPROVEN),
        Trial(Text("过期的时间", "time of the past"), ask(key, record, choices, now=now - late), Outcome.UNPROVEN),
        Trial(Text("超前的时间", "time of the future"), ask(key, record, choices, now=now + late), Outcome.UNPROVEN),
        Trial(Text("毫秒时间戳", "time in milliseconds"), {**sound, "Time": f"{now}000"}, Outcome.MALFORMED),
        Trial(Text("缺少门诊号", "no record number"), without, Outcome.MALFORMED),
        Trial(Text("不存在的门诊号", "unknown record"), ask(key, _NO_RECORD, choices, now=now), Outcome.UNKNOWN),
    )


def read(asked: Asked, content: bytes) -> list[str]:
    """Return the addresses of an answer; a recording's may be a JSON text, an object of one text, or bare."""
    try:
        said = orjson.loads(content)
    except orjson.JSONDecodeError:
        said = content.decode("utf-8", errors="replace").strip()
    if asked.name == PRESCRIPTION.name:
        lists = [said.get(name) or [] for name in (_IMAGES, _DOCUMENTS)] if isinstance(said, dict) else []
        urls = [url for each in lists if isinstance(each, list) for url in each]
    else:
        urls = list(said.values()) if isinstance(said, dict) else [said]
    if not urls or not all(isinstance(url, str) and url.startswith("https://") for url in urls):
        raise SenderError(f"{asked.method} does not answer with addresses.", remedy=_REMEDY)
    return urls


def form(key: str, base_url: str, served: Collection[str]) -> Sequence[Part]:
    """Return App. 3 filled in."""
    return (
        Part("服务配置", ("名称", "内容"), (("互联网医院提供的私钥", key), ("域名路径", base_url))),
        Part(
            "HTTP状态码",
            ("状态码", "说明"),
            tuple((str(STATUSES[outcome].value), meaning) for outcome, meaning in _MEANINGS.items()),
        ),
        Part(
            "医疗服务图片接口 接口地址列表",
            ("名称", "地址", "能否提供"),
            tuple(
                (asked.title.zh, f"{base_url}/{asked.method}", "能" if asked.name in served else "否")
                for asked in ASKED
            ),
        ),
    )


def _parameters(query: str) -> dict[str, str] | None:
    """Return the parameters by their names in lower case; None where they cannot be read or one comes twice."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=PARAMETERS_MAX)
    except ValueError:
        return None
    told = {name.lower(): value for name, value in pairs}
    return told if len(told) == len(pairs) else None


def _is_record(text: str) -> bool:
    return 0 < len(text) <= RECORD_CHARACTERS_MAX and _CONTROL.search(text) is None
