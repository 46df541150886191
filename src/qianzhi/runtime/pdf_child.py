"""
The child process that opens a PDF of other people: `python -m qianzhi.runtime.pdf_child <task> <seconds> <bytes>`.

Standard input is a line of JSON with the length of each part, then the parts; standard output is the answer.
"""

from __future__ import annotations

import io
import json
import re
import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pypdf import PdfReader

PAGES_MAX: Final = 500
OBJECTS_MAX: Final = 50_000
VALUES_MAX: Final = 3_000_000
"""Names, numbers, entries of all objects together."""

FOLLOWED_MAX: Final = 100
"""Actions that follow one upon the other."""

MERGED_DPI: Final = 150

# What runs, calls, or carries another file within. Links to a page or an address only wait for a reader's click,
# unless they are what happens when the file or a page is opened.
_ACTIONS: Final = frozenset({
    "/JavaScript", "/Launch", "/SubmitForm", "/ImportData", "/GoToE", "/GoToR", "/Rendition", "/Movie", "/Sound",
    "/RichMediaExecute", "/Trans3D", "/GoTo3DView",
})  # fmt: skip
_ACTIVE_KEYS: Final = frozenset({"/JS", "/JavaScript", "/XFA", "/RichMedia", "/RichMediaContent"})
_AT_ONCE_KEYS: Final = frozenset({"/OpenAction", "/AA"})
_CARRYING_KEYS: Final = frozenset({"/EmbeddedFiles", "/EmbeddedFile", "/EF", "/AF"})
_CARRYING_TYPES: Final = frozenset({"/EmbeddedFile", "/FileAttachment"})
# Found in the bytes themselves, wherever another reader may come upon them. A short name would turn up by chance.
_RAW_ACTIVE: Final = re.compile(rb"/(?:JavaScript|Launch|SubmitForm|ImportData|RichMedia)")
_RAW_CARRYING: Final = re.compile(rb"/(?:EmbeddedFile|FileAttachment)")
_ESCAPED: Final = re.compile(rb"#([0-9A-Fa-f]{2})")


class Trouble(Exception):  # noqa: N818 - a word for the parent, and no error of ours
    """Why a file is not kept: `damaged`, `encrypted`, `active`, `carrying`, `heavy`, `empty`."""


def look(content: bytes) -> int:
    """Return the number of pages; Trouble for a file that must not be kept."""
    plain = _ESCAPED.sub(lambda found: bytes([int(found[1], 16)]), content)
    if _RAW_ACTIVE.search(plain):
        raise Trouble("active")
    if _RAW_CARRYING.search(plain):
        raise Trouble("carrying")
    reader = _opened(content)
    numbers = _numbers(reader)
    if len(numbers) > OBJECTS_MAX:
        raise Trouble("heavy")
    _search(reader, numbers)
    count = len(reader.pages)
    if not count:
        raise Trouble("empty")
    if count > PAGES_MAX:
        raise Trouble("heavy")
    return count


def merge(parts: Iterable[bytes]) -> bytes:
    """Return one PDF of all pages; nothing but pages is taken over."""
    from pypdf import PdfWriter

    writer = PdfWriter()
    for part in parts:
        for page in _opened(part if part.startswith(b"%PDF") else _page_of(part)).pages:
            if len(writer.pages) >= PAGES_MAX:
                raise Trouble("heavy")
            writer.add_page(page)
    made = io.BytesIO()
    writer.write(made)
    return made.getvalue()


def _opened(content: bytes) -> PdfReader:
    from pypdf import PdfReader

    reader = PdfReader(io.BytesIO(content), strict=False)
    if reader.is_encrypted:
        raise Trouble("encrypted")
    return reader


def _numbers(reader: PdfReader) -> list[tuple[int, int]]:
    """Return number and generation of every object, those within streams of objects too."""
    plain = {(number, generation) for generation, places in reader.xref.items() for number in places}
    return sorted(plain | {(number, 0) for number in reader.xref_objStm})


def _search(reader: PdfReader, numbers: Iterable[tuple[int, int]]) -> None:
    """Look at every value of every object, reachable from a page or not."""
    from pypdf.generic import IndirectObject

    left = VALUES_MAX
    roots = (reader.get_object(IndirectObject(*each, reader)) for each in numbers)
    for value in _values([reader.trailer]):
        left -= 1
        _judge(value)
    for root in roots:
        for value in _values([root]):
            left -= 1
            if left < 0:
                raise Trouble("heavy")
            _judge(value)


def _values(waiting: list[Any]) -> Iterator[dict[Any, Any]]:
    """Yield every dictionary within, without going to other objects."""
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield value
            waiting += dict.values(value)  # not the library's, which goes to the object that is named
        elif isinstance(value, list):
            yield {}  # counts
            waiting += list.__iter__(value)


def _judge(value: dict[Any, Any]) -> None:
    keys = {str(key) for key in dict.keys(value)}
    action = str(dict.get(value, "/S"))
    types = {str(dict.get(value, "/Type")), str(dict.get(value, "/Subtype"))}
    if action in _ACTIONS or keys & _ACTIVE_KEYS or (keys & _AT_ONCE_KEYS and _calls(value)):
        raise Trouble("active")
    if keys & _CARRYING_KEYS or types & _CARRYING_TYPES:
        raise Trouble("carrying")


def _calls(value: dict[Any, Any]) -> bool:
    """Tell whether what happens at once, or what follows upon it, opens an address."""
    at_any_time = _met(dict.get(value, "/AA"))
    waiting = [dict.get(value, "/OpenAction"), *(dict.values(at_any_time) if isinstance(at_any_time, dict) else ())]
    for _ in range(FOLLOWED_MAX):
        if not waiting:
            return False
        action = _met(waiting.pop())
        if isinstance(action, list):
            waiting += [each for each in list.__iter__(action) if "/S" in _entries(each)]
        elif str(_entries(action).get("/S")) == "/URI":
            return True
        else:
            waiting.append(_entries(action).get("/Next"))
            waiting = [each for each in waiting if each is not None]
    return True


def _entries(value: Any) -> dict[Any, Any]:  # noqa: ANN401 - whatever a file has there
    """Return the entries of a dictionary, each as the object that it names; none of anything else."""
    met = _met(value)
    return {str(key): _met(each) for key, each in dict.items(met)} if isinstance(met, dict) else {}


def _met(value: Any) -> Any:  # noqa: ANN401 - likewise
    """Return a value, or the object that it names."""
    return value.get_object() if hasattr(value, "get_object") else value


def _page_of(image: bytes) -> bytes:
    from PIL import Image, ImageOps

    from qianzhi.sealing.images import IMAGE_PIXELS_MAX

    with Image.open(io.BytesIO(image), formats=("PNG", "JPEG")) as opened:
        if opened.width * opened.height > IMAGE_PIXELS_MAX:
            raise Trouble("heavy")
        made = io.BytesIO()
        ImageOps.exif_transpose(opened).convert("RGB").save(made, "PDF", resolution=MERGED_DPI)
    return made.getvalue()


def _bound(seconds: int, memory: int) -> None:
    """
    Let the kernel end this process at its bounds.

    On Windows the parent's patience does, and the library, which unpacks no stream beyond 75 MB.
    """
    if sys.platform == "win32":
        return
    import resource

    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _parts() -> list[bytes]:
    lengths = json.loads(sys.stdin.buffer.readline())
    return [sys.stdin.buffer.read(length) for length in lengths]


def _told(content: bytes) -> dict[str, object]:
    try:
        return {"page_count": look(content), "trouble": ""}
    except Trouble as trouble:
        return {"page_count": 0, "trouble": str(trouble)}
    except (MemoryError, RecursionError):
        return {"page_count": 0, "trouble": "heavy"}
    except Exception:  # noqa: BLE001 - whatever a damaged file makes of the library
        return {"page_count": 0, "trouble": "damaged"}


def main() -> None:
    """Do one task."""
    task, seconds, memory = sys.argv[1:4]
    parts = _parts()
    _bound(int(seconds), int(memory))
    if task == "look":
        sys.stdout.write(json.dumps(_told(parts[0])))
    else:
        sys.stdout.buffer.write(merge(parts))


if __name__ == "__main__":
    main()
