from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path

import polars as pl
import pytest
from PIL import Image
from tests.checks.tiny import make_dataset, make_field, make_raw, make_rule

from qianzhi.checks import findings
from qianzhi.gateway.images import PathMap, carry, inspect
from qianzhi.ledger.blobs import Blobs
from qianzhi.sealing.images import IMAGE_BYTES_MAX
from qianzhi.specs.model import ErrorClass, RuleKind, Severity

RULE = make_rule(
    "V41", "image_readable(ZP)", "ZP", RuleKind.SENDER, severity=Severity.ERROR, error_class=ErrorClass.FILE
)
DATASET = make_dataset([make_field("ZP", "AN..200", image=True), make_field("QM", "AN..200", image=True)], [RULE])
HERE = PathMap({})


def picture(shade: int = 0) -> bytes:
    """Return a small PNG."""
    file = io.BytesIO()
    Image.new("L", (8, 8), shade).save(file, "PNG")
    return file.getvalue()


def blobs_in(folder: Path) -> Blobs:
    """Return an empty store of blobs."""
    kept = folder / "blobs"
    kept.mkdir()
    return Blobs(kept)


def naming(*paths: str | None) -> pl.DataFrame:
    """Return raw rows whose image fields name these files."""
    return make_raw(DATASET, [{"JGDM": "1", "MZH": str(number), "ZP": path} for number, path in enumerate(paths)])


def why(path: str | Path, paths: PathMap = HERE) -> str | None:
    """Return what is found about one image, or None."""
    found = inspect(naming(str(path)), DATASET, paths)
    assert found.height <= 1
    return found["detail"].item() if found.height else None


def test_an_image_is_kept_and_named_by_its_digest(tmp_path: Path) -> None:
    """The row carries the SHA-256 of what was read, and the blob is there before anything is sent."""
    file = tmp_path / "照片 1.png"
    file.write_bytes(picture())
    blobs = blobs_in(tmp_path)
    carried, found = carry(naming(str(file)), DATASET, blobs, HERE)
    digest = hashlib.sha256(picture()).digest()
    assert carried["ZP#blob"].to_list() == [digest.hex()]
    assert carried["QM#blob"].to_list() == [None]
    assert carried.columns[-2:] == ["ZP#blob", "QM#blob"]
    assert blobs.get(digest) == picture()
    assert found.is_empty()
    assert found.schema == findings.SCHEMA


def test_what_is_sent_does_not_change_with_the_file(tmp_path: Path) -> None:
    """An image that is overwritten later leaves the one that was read."""
    file = tmp_path / "1.png"
    file.write_bytes(picture(0))
    blobs = blobs_in(tmp_path)
    carried, _ = carry(naming(str(file)), DATASET, blobs, HERE)
    file.write_bytes(picture(9))
    assert blobs.get(bytes.fromhex(carried["ZP#blob"].item())) == picture(0)


def test_rows_that_name_no_image_have_none(tmp_path: Path) -> None:
    """Absent and blank paths are the business of other rules."""
    carried, found = carry(naming(None, "", "  "), DATASET, blobs_in(tmp_path), HERE)
    assert carried["ZP#blob"].to_list() == [None] * 3
    assert found.is_empty()


def test_blanks_around_a_path_are_not_held_against_it(tmp_path: Path) -> None:
    """As with every other value."""
    (tmp_path / "1.png").write_bytes(picture())
    assert why(f" {tmp_path}/1.png ") is None


def test_an_image_that_many_rows_name_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And every one of them carries its digest."""
    (tmp_path / "1.png").write_bytes(picture())
    opened: list[Path] = []
    whole = Path.open

    def counting(self: Path, *arguments: str) -> object:
        opened.append(self)
        return whole(self, *arguments)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", counting)
    carried, _ = carry(naming(*[f"{tmp_path}/1.png"] * 50), DATASET, blobs_in(tmp_path), HERE)
    assert carried["ZP#blob"].n_unique() == 1
    assert opened.count(tmp_path / "1.png") == 1


def test_a_finding_names_row_rule_path_and_reason(tmp_path: Path) -> None:
    """Of the rows with a bad image, and of no other."""
    (tmp_path / "1.png").write_bytes(picture())
    raw = naming(f"{tmp_path}/1.png", f"{tmp_path}/2.png")
    carried, found = carry(raw, DATASET, blobs_in(tmp_path), HERE)
    assert found.rows() == [(2, "V41", "E08", "ZP", f"{tmp_path}/2.png", "no such file", "error")]
    assert inspect(raw, DATASET, HERE).equals(found)
    assert carried["ZP#blob"].is_null().to_list() == [False, True]


def test_a_field_without_a_rule_is_carried_and_not_judged(tmp_path: Path) -> None:
    """The regulator asks for the image, and nobody said that it must be readable."""
    raw = naming(None).with_columns(QM=pl.lit("/no/such.png"))
    carried, found = carry(raw, DATASET, blobs_in(tmp_path), HERE)
    assert carried["QM#blob"].to_list() == [None]
    assert found.is_empty()


def test_what_is_no_image_is_found(tmp_path: Path) -> None:
    """Missing files, folders, texts, empty files, pieces of an image and bombs."""
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "text.png").write_text("no image", encoding="utf-8")
    (tmp_path / "empty.png").touch()
    (tmp_path / "piece.png").write_bytes(picture()[:30])
    bomb = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(bomb, "PNG")
    (tmp_path / "bomb.png").write_bytes(bomb.getvalue())
    assert len(bomb.getvalue()) < 100_000
    assert why(tmp_path / "missing.png") == "no such file"
    assert why(tmp_path / "text.png" / "beneath.png") in {"no such file", "cannot be read"}
    assert why(tmp_path / "folder.png") == "cannot be read"
    assert why(tmp_path / "text.png") == "not an image"
    assert why(tmp_path / "empty.png") == "not an image"
    assert why(tmp_path / "piece.png") == "not an image"
    assert why(tmp_path / "bomb.png") == "not an image"


def test_a_path_that_no_file_can_have_is_found() -> None:
    """Too long, with a NUL, without a name."""
    assert why("/" + "x" * 5_000) in {"cannot be read", "no such file"}
    assert why("/a\x00b") in {"cannot be read", "no such file"}
    assert why("/") == "cannot be read"


def test_a_relative_path_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would mean another file with every folder that the gateway is started in."""
    (tmp_path / "1.png").write_bytes(picture())
    monkeypatch.chdir(tmp_path)
    assert why("1.png") == "not a full path"
    assert why("./1.png") == "not a full path"


@pytest.mark.skipif(os.name == "nt", reason="a drive is a full path there")
@pytest.mark.parametrize(
    "way", ["../secret.png", r"..\secret.png", "a/../../secret.png", ".. /secret.png", "..../secret.png"]
)
def test_a_path_never_leads_out_of_its_folder(way: str, tmp_path: Path) -> None:
    """Whether the folder is mapped or not: no other picture of this machine is sent as somebody's photo."""
    (tmp_path / "photos" / "a").mkdir(parents=True)
    (tmp_path / "secret.png").write_bytes(picture())

    assert why(rf"D:\photos\{way}", PathMap({r"D:\photos": tmp_path / "photos"})) == "a path that leads back"
    assert why(f"{tmp_path}/photos/{way}") == "a path that leads back"


def test_a_windows_path_means_nothing_without_a_map() -> None:
    """Not even the file of that odd name in the current folder."""
    assert why("D:\\photos\\1.png") == "not a full path"


def test_a_file_that_is_too_large_is_not_read_whole(tmp_path: Path) -> None:
    """The bound is on what is read, also where the file system says nothing of the size."""
    with (tmp_path / "large.png").open("wb") as file:
        file.write(picture())
        file.truncate(2**34)
    assert why(tmp_path / "large.png") == f"larger than {IMAGE_BYTES_MAX // 2**20} MiB"


@pytest.mark.skipif(os.name == "nt", reason="there are no such files")
def test_a_device_or_a_pipe_is_no_image(tmp_path: Path) -> None:
    """The one would never end, the other keep the gateway waiting."""
    os.mkfifo(tmp_path / "pipe.png")
    assert why("/dev/zero") == "cannot be read"
    assert why(tmp_path / "pipe.png") == "cannot be read"


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("D:\\photos\\2026\\1.png", "2026/1.png"),
        ("D:/photos/2026/1.png", "2026/1.png"),
        ("d:\\Photos\\2026\\1.PNG", "2026/1.PNG"),
        ("D:\\photos\\\\1.png", "1.png"),
        ("D:\\photos", ""),
        ("\\\\nas\\share\\a\\1.png", "share/a/1.png"),
        ("//NAS/Share/a/1.png", "share/a/1.png"),
        ("/data/pictures/a/1.png", "pictures/a/1.png"),
    ],
)
def test_a_mapped_prefix_is_replaced(text: str, rest: str, tmp_path: Path) -> None:
    """Backslashes and slashes are one, and Windows knows no difference between upper and lower case."""
    paths = PathMap(
        {
            "D:\\photos\\": tmp_path,
            "\\\\nas\\share": tmp_path / "share",
            "/data/pictures": tmp_path / "pictures",
        }
    )
    assert paths.resolve(text) == tmp_path / rest


@pytest.mark.parametrize(
    "text", ["D:\\photos2\\1.png", "D:\\photo", "E:\\photos\\1.png", "/data/Pictures/1.png", "/data/pictures-old/1.png"]
)
def test_another_folder_that_begins_alike_is_not_mapped(text: str, tmp_path: Path) -> None:
    """A prefix ends where a name ends, and names of other systems keep their case."""
    paths = PathMap({"D:\\photos": tmp_path, "/data/pictures": tmp_path})
    assert paths.resolve(text) == Path(text)


def test_the_first_prefix_that_fits_counts(tmp_path: Path) -> None:
    """So the site says the narrower one first."""
    paths = PathMap({"D:\\a\\b": tmp_path / "narrow", "D:\\a": tmp_path / "wide"})
    assert paths.resolve("D:\\a\\b\\1.png") == tmp_path / "narrow" / "1.png"
    assert paths.resolve("D:\\a\\c\\1.png") == tmp_path / "wide" / "c" / "1.png"


def test_an_image_on_a_mapped_drive_is_carried(tmp_path: Path) -> None:
    """As if it lay here; the record keeps the hospital's own path."""
    (tmp_path / "2026").mkdir()
    (tmp_path / "2026" / "1.png").write_bytes(picture())
    raw = naming("D:\\photos\\2026\\1.png", "D:\\photos\\2026\\2.png")
    carried, found = carry(raw, DATASET, blobs_in(tmp_path), PathMap({"D:\\photos": tmp_path}))
    assert carried["ZP#blob"].to_list() == [hashlib.sha256(picture()).hexdigest(), None]
    assert carried["ZP"].to_list() == raw["ZP"].to_list()
    assert found["value"].to_list() == ["D:\\photos\\2026\\2.png"]
