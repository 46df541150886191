"""The questions for evidence as SEED-000 describes them; vectors computed apart (specs/internet-hospital.md 5)."""

from __future__ import annotations

from urllib.parse import quote, urlencode

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qianzhi import regulators
from qianzhi.errors import SenderError
from qianzhi.regulators.protocols import Evidence, Outcome, Question

GUANGDONG: Evidence = regulators.adapter("guangdong", "evidence")
KEY = "0123456789abcdef" * 4
OTHER_KEY = "fedcba9876543210" * 4
NOW = 1551821313
WINDOW = 300
DEFAULT = {name: values[0] for name, values in GUANGDONG.CHOICES.items()}
RECORD = "2019031782837361728"
VECTORS = {
    ("1T2", "hex"): "17ecddaf668939232aec2c9fc1ee49044c096ba8e770fb9810f5a1303615f0bf",
    ("1T2", "raw"): "f2dc19bd84b4f54a0d7bbc368b8df052512877e260cab3e02cc2e9755363d94e",
    ("2T1", "hex"): "844800346270a1465caa04180129495963072437b349ec34e9f0f2780f81cc9c",
    ("2T1", "raw"): "5c2e74b1a166f3bcd1aea9c8f4ad936e53ca4e5d403588868304f247458a2c80",
    ("T12", "hex"): "f2614ae8e28d8338a9a1e4e2b5d18289bbf0ab3e57f1e20565bda653a89e9625",
    ("T12", "raw"): "8ed41cd1903d4c2016fa3abd0738465a5b355ceea6f0740e069203de6dfd2f22",
    ("12T", "hex"): "c3c566660a7dd50f6ecc73734c15e5e612e15c8384d9f0ae0ee1803ec268068b",
    ("12T", "raw"): "bfd7f31b3763428eccd678f7b57d7ad7b995d3066539f4103ef013a4682eb458",
}


def judged(query: str, *keys: str, now: int = NOW) -> Question | Outcome:
    """The verdict on a query under the default choices."""
    return GUANGDONG.judge(query, keys or (KEY,), DEFAULT, now=now, window_seconds=WINDOW)


def asking(**changes: str) -> str:
    """A sound query with some parameters changed."""
    return urlencode({**GUANGDONG.ask(KEY, RECORD, DEFAULT, now=NOW), **changes})


@pytest.mark.parametrize(("choice", "token"), VECTORS.items())
def test_each_reading_of_the_figures_gives_its_token(choice: tuple[str, str], token: str) -> None:
    """Every order and both ways of hashing again agree with vectors that were computed by hand."""
    choices = {**DEFAULT, "order": choice[0], "rehash": choice[1]}

    assert GUANGDONG.ask(KEY, RECORD, choices, now=NOW) == {"Token": token, "Time": str(NOW), "RecordNo": RECORD}


def test_a_sound_question_is_understood() -> None:
    """Token, Time and RecordNo prove the regulator and name the record."""
    assert judged(asking()) == Question(RECORD, VECTORS["1T2", "hex"])


def test_names_of_parameters_are_taken_in_any_case() -> None:
    """The summary writes token and time, the tables Token and Time."""
    assert isinstance(judged(asking().replace("Token", "token").replace("Time", "time")), Question)


def test_a_token_in_capitals_is_the_same_token() -> None:
    """Hexadecimal digits mean the same in either case."""
    assert isinstance(judged(asking(Token=VECTORS["1T2", "hex"].upper())), Question)


def test_any_valid_key_proves_the_regulator() -> None:
    """While keys overlap, both are taken."""
    assert isinstance(judged(asking(), OTHER_KEY, KEY), Question)
    assert judged(asking(), OTHER_KEY) is Outcome.UNPROVEN
    assert GUANGDONG.judge(asking(), (), DEFAULT, now=NOW, window_seconds=WINDOW) is Outcome.UNPROVEN


@pytest.mark.parametrize(("late", "is_taken"), [(-301, False), (-300, True), (300, True), (301, False)])
def test_a_token_counts_within_its_window_alone(late: int, is_taken: bool) -> None:
    """Outside the window, in the past or the future, it proves nothing."""
    verdict = judged(asking(), now=NOW + late)

    assert isinstance(verdict, Question) if is_taken else verdict is Outcome.UNPROVEN


@pytest.mark.parametrize(
    "time",
    [f"{NOW}000", "", "-1551821313", "1551821313.0", "0x5c7ee", "１５５１８２１３１３", " 1551821313", "9" * 99],
)
def test_a_time_that_is_not_in_seconds_is_a_wrong_parameter(time: str) -> None:
    """Milliseconds, signs, fractions, full-width digits and nonsense are 202, whatever the token is."""
    assert judged(asking(Time=time)) is Outcome.MALFORMED


@pytest.mark.parametrize("name", ["Token", "Time", "RecordNo"])
def test_a_parameter_that_is_missing_or_comes_twice_is_wrong(name: str) -> None:
    """Two readers must not take different values of it."""
    assert judged(asking(**{name: ""})) is Outcome.MALFORMED
    assert judged(f"{asking()}&{name.lower()}=1") is Outcome.MALFORMED
    assert judged("&".join(part for part in asking().split("&") if not part.startswith(name))) is Outcome.MALFORMED


@pytest.mark.parametrize("record", ["a\0b", "a\r\nb", "\x85", "x" * 65])
def test_a_record_number_that_is_no_number_is_wrong(record: str) -> None:
    """Control characters and endless texts name no record."""
    assert judged(asking(RecordNo=record)) is Outcome.MALFORMED


def test_bytes_that_are_no_text_are_wrong() -> None:
    """An address may hold any bytes."""
    assert judged(asking().replace(RECORD, "%ff%fe")) is Outcome.MALFORMED
    assert judged("&".join(f"a{number}=1" for number in range(100))) is Outcome.MALFORMED


@given(st.text())
@example("Token=%00&Time=1&RecordNo=%ed%a0%80")
def test_nonsense_never_proves_anything(query: str) -> None:
    """No query raises, and none but the regulator's is a question."""
    assert judged(query) in {Outcome.MALFORMED, Outcome.UNPROVEN}
    assert judged(quote(query)) in {Outcome.MALFORMED, Outcome.UNPROVEN}


@given(st.text(alphabet="0123456789abcdef", min_size=64, max_size=64), st.integers(0, 10**10 - 1))
def test_a_guessed_token_proves_nothing(token: str, now: int) -> None:
    """A token of another key or time is refused."""
    assert judged(urlencode({"Token": token, "Time": now, "RecordNo": RECORD}), now=now) is Outcome.UNPROVEN


def test_a_prescription_is_answered_by_two_arrays() -> None:
    """{"imgURL": [...], "pdfURL": [...]}, of which one may be empty."""
    links = [("image/png", "https://a.example/PicUri?id=1"), ("application/pdf", "https://a.example/PdfUri?id=2")]
    reply = GUANGDONG.answer(GUANGDONG.ASKED[0], links, DEFAULT)

    assert reply.media_type == "application/json"
    assert orjson.loads(reply.content) == {
        "imgURL": ["https://a.example/PicUri?id=1"],
        "pdfURL": ["https://a.example/PdfUri?id=2"],
    }
    assert GUANGDONG.read(GUANGDONG.ASKED[0], reply.content) == [url for _, url in links]


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_recording_is_answered_by_its_address(form: str) -> None:
    """A JSON text by default; bare where the platform wants it so. Both are read."""
    asked = GUANGDONG.ASKED[1]
    reply = GUANGDONG.answer(asked, [("video/mp4", "https://a.example/VedioUri?id=1")], {**DEFAULT, "reply": form})

    assert reply.content.strip(b'"') == b"https://a.example/VedioUri?id=1"
    assert GUANGDONG.read(asked, reply.content) == ["https://a.example/VedioUri?id=1"]
    assert GUANGDONG.read(asked, b'{"url": "https://a.example/1"}') == ["https://a.example/1"]


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"{}", b"1", b"\xff", b'"ftp://a.example/1"'])
def test_what_names_no_address_is_no_answer(content: bytes) -> None:
    """The self-test says so instead of failing."""
    for asked in GUANGDONG.ASKED:
        with pytest.raises(SenderError):
            GUANGDONG.read(asked, content)


def test_the_document_knows_five_statuses() -> None:
    """SEED-000 App. 3 二."""
    assert {outcome.value: status.value for outcome, status in GUANGDONG.STATUSES.items()} == {
        "served": 200,
        "malformed": 202,
        "unproven": 401,
        "unknown": 404,
        "failed": 500,
    }
    assert orjson.loads(GUANGDONG.refuse(Outcome.UNKNOWN).content) == {"code": 404, "message": "查无记录"}


def test_the_four_methods_are_spelt_as_the_document_spells_them() -> None:
    """`Vedio` is the document's own spelling."""
    assert [(asked.method, asked.obliged) for asked in GUANGDONG.ASKED] == [
        ("GetPrescription", True),
        ("GetDoctorVedio", True),
        ("GetPatientVedio", True),
        ("GetConversationalAudio", False),
    ]
    fields = {field.name for field in regulators.regulator("guangdong").dataset("treatment_record").fields}
    assert {name for asked in GUANGDONG.ASKED for name in (asked.record, asked.promised)} <= fields


def test_the_form_says_key_addresses_and_what_can_be_provided() -> None:
    """App. 3: 服务配置 with key and path, then the addresses with 能否提供."""
    service, _, addresses = GUANGDONG.form(KEY, "https://a.example/qz", {"prescription", "audio"})

    assert service.rows == (("互联网医院提供的私钥", KEY), ("域名路径", "https://a.example/qz"))
    assert addresses.columns == ("名称", "地址", "能否提供")
    assert addresses.rows == (
        ("处方文件", "https://a.example/qz/GetPrescription", "能"),
        ("医生端视频", "https://a.example/qz/GetDoctorVedio", "否"),
        ("患者端视频", "https://a.example/qz/GetPatientVedio", "否"),
        ("交流音频", "https://a.example/qz/GetConversationalAudio", "能"),
    )
