from __future__ import annotations

import contextlib
import subprocess
import sys
from datetime import datetime
from uuid import UUID

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.checks.tiny import VISIT

from qianzhi.errors import SenderError
from qianzhi.sealing import envelopes, stream
from qianzhi.sealing.envelopes import Envelope, Manifest, columns_of, open_envelope, seal

MANIFEST = Manifest(
    batch_id=UUID("0190f3a4-0000-4000-8000-000000000001"),
    regulator="tiny",
    dataset="visit",
    edition="1",
    ruleset="ab" * 32,
    institution="440000000000000001",
    as_of=datetime(2026, 11, 20, 2, 0),
)
SAID = {
    b"qianzhi.batch_id": b"0190f3a4-0000-4000-8000-000000000001",
    b"qianzhi.regulator": b"tiny",
    b"qianzhi.dataset": b"visit",
    b"qianzhi.edition": b"1",
    b"qianzhi.ruleset": b"ab" * 32,
    b"qianzhi.institution": b"440000000000000001",
    b"qianzhi.as_of": b"2026-11-20T02:00:00",
}
ROWS = pl.DataFrame({"row_id": [1, 2, 3], "XM": ["张三", None, ""], "GMS": [None, "x" * 1_000, "y"]})

texts = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
numbers = st.integers(-(2**63), 2**63 - 1)


def packed(content: bytes) -> bytes:
    """Return bytes as zstd packs them."""
    return bytes(pa.Codec("zstd").compress(content, asbytes=True))


def streamed(*batches: pa.RecordBatch, **options: object) -> bytes:
    """Return record batches as an Arrow stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batches[0].schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return bytes(sink.getvalue().to_pybytes())


def batch_of(columns: dict[str, pa.Array], metadata: dict[bytes, bytes] | None = None) -> pa.RecordBatch:
    """Return a record batch that says what a manifest says."""
    batch = pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))
    return batch.replace_schema_metadata(SAID if metadata is None else metadata)


def refused(sealed: bytes, *fields: str) -> str:
    """Open what must be refused and return why."""
    with pytest.raises(SenderError) as caught:
        open_envelope(sealed, fields or None)
    return caught.value.what


@settings(deadline=None)
@given(st.lists(st.tuples(numbers, texts, texts), min_size=1, max_size=20))
def test_rows_come_out_as_they_went_in(rows: list[tuple[int, str | None, str | None]]) -> None:
    """Any text comes through, NUL and newlines too, and an absent value stays apart from an empty one."""
    frame = pl.DataFrame(rows, schema={"row_id": pl.Int64, "XM": pl.String, "GMS": pl.String}, orient="row")
    opened = open_envelope(seal(MANIFEST, frame), ["XM", "GMS"])
    assert opened.manifest == MANIFEST
    assert opened.rows.equals(frame)
    assert opened.rows.schema == frame.schema


@given(
    st.builds(
        Manifest,
        batch_id=st.uuids(),
        regulator=st.text(st.characters(exclude_categories=["Cs"])),
        dataset=st.text(st.characters(exclude_categories=["Cs"])),
        edition=st.text(st.characters(exclude_categories=["Cs"])),
        ruleset=st.text(st.characters(exclude_categories=["Cs"])),
        institution=st.text(st.characters(exclude_categories=["Cs"])),
        as_of=st.datetimes(),
    )
)
def test_a_manifest_comes_out_as_it_went_in(manifest: Manifest) -> None:
    """Whatever an edition or an institution is called, and to the microsecond."""
    assert open_envelope(seal(manifest, ROWS)).manifest == manifest


def test_rows_in_several_pieces_make_one_batch() -> None:
    """A frame that was put together from others is sealed like any other."""
    pieces = pl.concat([ROWS, ROWS.with_columns(pl.col("row_id") + 10)], rechunk=False)
    assert pieces.n_chunks() == 2
    assert open_envelope(seal(MANIFEST, pieces)).rows.equals(pieces)


def test_the_same_rows_make_the_same_bytes() -> None:
    """What is sealed twice has one digest, of 32 bytes."""
    first, second = seal(MANIFEST, ROWS), seal(MANIFEST, ROWS)
    assert envelopes.digest(first) == envelopes.digest(second)
    assert len(envelopes.digest(first)) == 32
    assert envelopes.digest(first) != envelopes.digest(seal(MANIFEST, ROWS.reverse()))


def test_an_image_field_has_a_column_for_its_blob() -> None:
    """The fields of the dataset, in their order, then the digest of each image."""
    names = columns_of(VISIT)
    assert names[:4] == ["JGDM", "MZH", "SJSCSJ", "CXBZ"]
    assert names[-2:] == ["ZP", "ZP#blob"]
    assert len(names) == len(VISIT.fields) + 1


def test_a_stranger_may_write_the_stream_with_other_tools() -> None:
    """utf8 and large_utf8 columns, and keys of others in the metadata, are read alike."""
    columns = {"row_id": pa.array([1]), "XM": pa.array(["张三"]), "GMS": pa.array([None], pa.large_string())}
    opened = open_envelope(packed(streamed(batch_of(columns, SAID | {b"pandas": b"{}"}))))
    assert opened == Envelope(MANIFEST, opened.rows)
    assert opened.rows.rows() == [(1, "张三", None)]


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(seal(MANIFEST, ROWS)) - 1))
def test_a_cut_envelope_is_refused(length: int) -> None:
    """No beginning of an envelope is an envelope."""
    refused(seal(MANIFEST, ROWS)[:length])


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(streamed(batch_of({"row_id": pa.array([1])})))))
def test_a_cut_stream_is_refused_or_whole(length: int) -> None:
    """A stream that was cut before it was packed is refused, unless only its end mark is missing."""
    content = streamed(batch_of({"row_id": pa.array([1])}))
    try:
        opened = open_envelope(packed(content[:length]))
    except SenderError:
        return
    assert length >= len(content) - 8
    assert opened.rows.rows() == [(1,)]


@settings(max_examples=500, deadline=None)
@given(st.data())
def test_flipped_bits_are_refused_or_harmless(data: st.DataObject) -> None:
    """Altered bytes, packed or not, never raise anything but a SenderError."""
    inside = data.draw(st.booleans())
    columns = {"row_id": pa.array([1, 2]), "XM": pa.array(["张三", None])}
    content = bytearray(streamed(batch_of(columns)) if inside else seal(MANIFEST, ROWS))
    for at in data.draw(st.lists(st.integers(0, len(content) * 8 - 1), min_size=1, max_size=6)):
        content[at // 8] ^= 1 << at % 8
    with contextlib.suppress(SenderError):
        open_envelope(packed(bytes(content)) if inside else bytes(content))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.booleans())
def test_random_bytes_are_refused(content: bytes, inside: bool) -> None:
    """Neither a body nor a packed stream of nonsense is an envelope."""
    assert "not a sound batch" in refused(packed(content) if inside else content)


def test_a_bomb_is_refused_before_it_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few bytes that unpack beyond the bound are refused as soon as the bound is passed."""
    monkeypatch.setattr(envelopes, "DECODED_BYTES_MAX", 2**20)
    bomb = packed(bytes(64 * 2**20))
    assert len(bomb) < 2**14
    before = pa.total_allocated_bytes()
    assert "larger than 1048576 bytes" in refused(bomb)
    assert pa.total_allocated_bytes() - before < 8 * 2**20


def test_a_bomb_within_the_stream_is_refused() -> None:
    """Buffers that Arrow compresses once more are not taken: their size would have no bound."""
    columns = {"row_id": pa.array([1]), "XM": pa.array(["x" * 2**20])}
    for codec in ("zstd", "lz4"):
        assert "compressed once more" in refused(packed(streamed(batch_of(columns), compression=codec)))


def test_a_stream_that_declares_much_takes_little_memory() -> None:
    """Bodies and descriptions of declared, absent bytes are refused by a process that has no room for them."""
    lies = [
        b"\xff\xff\xff\xff" + (2**31 - 16).to_bytes(4, "little") + bytes(64),
        streamed(batch_of({"row_id": pa.array([1])})).replace((8).to_bytes(8, "little"), (2**62).to_bytes(8, "little")),
        streamed(batch_of({"row_id": pa.array([1])})).replace((1).to_bytes(8, "little"), (2**60).to_bytes(8, "little")),
    ]
    script = (
        "import sys\n"
        "from qianzhi.errors import SenderError\n"
        "from qianzhi.sealing.envelopes import open_envelope\n"
        "import polars, resource\n"
        "used = int(open('/proc/self/statm', encoding='ascii').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 2**29, used + 2**29))\n"
        "for line in sys.stdin:\n"
        "    try:\n"
        "        open_envelope(bytes.fromhex(line))\n"
        "    except SenderError:\n"
        "        print('refused')\n"
    )
    said = "".join(packed(lie).hex() + "\n" for lie in lies)
    done = subprocess.run([sys.executable, "-c", script], input=said, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["refused"] * len(lies), done.stderr


def test_columns_that_lie_over_each_other_are_counted_each() -> None:
    """Many columns that are one and the same piece of the stream are as large as they would be side by side."""
    batch = batch_of({"row_id": pa.array([1])} | dict.fromkeys(map(str, range(60)), pa.array(["x" * 2**20])))
    assert batch.get_total_buffer_size() < 2**21
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(envelopes, "DECODED_BYTES_MAX", 2**24)
        with pytest.raises(SenderError, match="larger than"):
            envelopes._require_size(batch)


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ({"row_id": pa.array([1]), "XM": pa.array(["a"]).dictionary_encode()}, "a dictionary stands where"),
        ({"row_id": pa.array([1]), "XM": pa.array([["a"]])}, "neither utf8 nor large_utf8"),
        ({"row_id": pa.array([1]), "XM": pa.array([{"a": "b"}])}, "neither utf8 nor large_utf8"),
        ({"row_id": pa.array([1]), "XM": pa.array([5])}, "neither utf8 nor large_utf8"),
        ({"row_id": pa.array([1]), "XM": pa.nulls(1)}, "neither utf8 nor large_utf8"),
        ({"row_id": pa.array([1]), "XM": pa.array([b"a"])}, "neither utf8 nor large_utf8"),
        ({"row_id": pa.array([1]), "XM": pa.array(["a"], pa.string_view())}, "neither utf8 nor large_utf8"),
        (
            {"row_id": pa.array([1]), "XM": pa.ExtensionArray.from_storage(pa.json_(), pa.array(["{}"]))},
            "neither utf8 nor large_utf8",
        ),
        ({"row_id": pa.array([1], pa.int32()), "XM": pa.array(["a"])}, "not row_id of int64"),
        ({"row_id": pa.array(["1"]), "XM": pa.array(["a"])}, "not row_id of int64"),
        ({"row_id": pa.array([1.0]), "XM": pa.array(["a"])}, "not row_id of int64"),
        ({"XM": pa.array(["a"]), "row_id": pa.array([1])}, "not row_id of int64"),
        ({"row_id": pa.array([1, None]), "XM": pa.array(["a", "b"])}, "has no row_id"),
    ],
    ids=lambda value: None if isinstance(value, str) else "-".join(str(column.type)[:24] for column in value.values()),
)
def test_wrong_types_are_refused(columns: dict[str, pa.Array], why: str) -> None:
    """Only whole numbers and plain text are rows; dictionaries, nested and extension types are not."""
    assert why in refused(packed(streamed(batch_of(columns))))


def test_a_dictionary_message_is_refused() -> None:
    """A stream may not bring dictionaries, which nothing in it may use."""
    content = streamed(batch_of({"row_id": pa.array([1]), "XM": pa.array(["a"]).dictionary_encode()}))
    plain = streamed(batch_of({"row_id": pa.array([1])}))
    parts = []
    for whole in (plain, content):
        reader = pa.ipc.MessageReader.open_stream(pa.py_buffer(whole))
        parts.append([reader.read_next_message() for _ in range(2)])
    mixed = parts[0][0].serialize().to_pybytes() + parts[1][1].serialize().to_pybytes()
    assert "a dictionary stands where a record batch belongs" in refused(packed(mixed))


def test_an_unknown_extension_of_text_is_text() -> None:
    """A column whose metadata names an extension that nobody knows is read as what it is made of."""
    field = pa.field("XM", pa.string(), metadata={b"ARROW:extension:name": b"polars.nonsense"})
    batch = pa.RecordBatch.from_arrays(
        [pa.array([1]), pa.array(["a"])], schema=pa.schema([pa.field("row_id", pa.int64()), field], metadata=SAID)
    )
    assert open_envelope(packed(streamed(batch))).rows.schema == {"row_id": pl.Int64, "XM": pl.String}


def test_text_that_is_no_utf8_is_refused() -> None:
    """Bytes of another encoding within a text column are the sender's to correct."""
    wrong = pa.Array.from_buffers(
        pa.string(), 1, [None, pa.array([0, 2], pa.int32()).buffers()[1], pa.py_buffer("张".encode("gbk"))]
    )
    assert "not a sound batch" in refused(packed(streamed(batch_of({"row_id": pa.array([1]), "XM": wrong}))))


def test_offsets_beyond_the_text_are_refused() -> None:
    """A text that would lie behind the end of its buffer is not read."""
    content = streamed(batch_of({"row_id": pa.array([1]), "XM": pa.array(["x" * 77])}))
    right, wrong = ((end << 32).to_bytes(8, "little") for end in (77, 2**30))
    assert "not a sound batch" in refused(packed(wrong.join(content.rsplit(right, 1))))


def test_two_columns_of_one_name_are_refused() -> None:
    """Nobody could say which of them the field is."""
    batch = pa.RecordBatch.from_arrays([pa.array([1]), pa.array(["a"]), pa.array(["b"])], names=["row_id", "XM", "XM"])
    assert "two columns have one name" in refused(packed(streamed(batch.replace_schema_metadata(SAID))))


@pytest.mark.parametrize("fields", [("XM",), ("GMS", "XM"), ("XM", "GMS", "MORE"), ("xm", "GMS")])
def test_other_columns_than_the_datasets_are_refused(fields: tuple[str, ...]) -> None:
    """Missing, swapped, surplus and misspelt fields do not fit the edition."""
    assert "not those of the dataset's edition" in refused(seal(MANIFEST, ROWS), *fields)


def test_no_rows_are_refused() -> None:
    """A batch without rows is none, whether it brings an empty record batch or nothing."""
    assert "has no rows" in refused(seal(MANIFEST, ROWS.clear()))
    empty = batch_of({"row_id": pa.array([], pa.int64())})
    assert "has no rows" in refused(packed(streamed(empty)))
    schema = pa.ipc.MessageReader.open_stream(streamed(empty)).read_next_message()
    assert "has no rows" in refused(packed(schema.serialize().to_pybytes()))


def test_too_many_rows_are_refused() -> None:
    """The bound itself is taken, one row more is not."""
    most = pl.DataFrame({"row_id": pl.int_range(envelopes.ROW_COUNT_MAX + 1, eager=True), "XM": "a"})
    assert open_envelope(seal(MANIFEST, most[:-1])).rows.height == envelopes.ROW_COUNT_MAX
    assert "has 100001 rows" in refused(seal(MANIFEST, most))


def test_several_record_batches_are_refused() -> None:
    """Millions of empty ones would fit into a small stream."""
    batch = batch_of({"row_id": pa.array([1])})
    assert "more than one record batch" in refused(packed(streamed(batch, batch)))


def test_a_schema_of_countless_columns_is_refused() -> None:
    """What describes the rows has a bound of its own, before it is turned into columns."""
    columns = {"row_id": pa.array([1])} | {f"F{number}": pa.nulls(1, pa.string()) for number in range(40_000)}
    content = streamed(batch_of(columns))
    assert len(content) > stream.METADATA_BYTES_MAX
    assert "description of its schema is larger" in refused(packed(content))


@pytest.mark.parametrize("name", [*SAID])
def test_a_manifest_must_be_whole(name: bytes) -> None:
    """Every one of its parts is needed, under its full name."""
    columns = {"row_id": pa.array([1])}
    less = {key: value for key, value in SAID.items() if key != name}
    assert "manifest is incomplete" in refused(packed(streamed(batch_of(columns, less))))
    other = less | {name.removeprefix(b"qianzhi."): SAID[name]}
    assert "manifest is incomplete" in refused(packed(streamed(batch_of(columns, other))))


def test_no_manifest_is_refused() -> None:
    """A stream of rows alone does not say whose they are."""
    assert "manifest is incomplete" in refused(packed(streamed(batch_of({"row_id": pa.array([1])}, {}))))


@pytest.mark.parametrize(
    ("name", "value"),
    [("batch_id", b"1"), ("batch_id", b""), ("as_of", b"yesterday"), ("as_of", b""), ("edition", b"\xff\xfe")],
)
def test_a_manifest_of_nonsense_is_refused(name: str, value: bytes) -> None:
    """An id that is none, a time that is none, bytes that are no text."""
    said = SAID | {f"qianzhi.{name}".encode(): value}
    assert "manifest is incomplete" in refused(packed(streamed(batch_of({"row_id": pa.array([1])}, said))))


def test_a_zone_in_as_of_is_refused_and_not_dropped() -> None:
    """as_of is local time; 02:00 of another zone read as local time would be hours off."""
    for zone in (b"+08:00", b"Z"):
        said = SAID | {b"qianzhi.as_of": b"2026-11-20T02:00:00" + zone}
        assert "as_of has a zone" in refused(packed(streamed(batch_of({"row_id": pa.array([1])}, said))))


def test_a_refusal_repeats_nothing_of_the_rows() -> None:
    """No text of a row stands in the exception."""
    columns = {"row_id": pa.array([1]), "XM": pa.array(["张三"]).dictionary_encode()}
    with pytest.raises(SenderError) as caught:
        open_envelope(packed(streamed(batch_of(columns))))
    assert "张三" not in f"{caught.value!r} {caught.value.__cause__!r}"
