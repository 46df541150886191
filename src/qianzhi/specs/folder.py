"""Which files of a regulator's folder are its rule set, and the digest over them."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final

from qianzhi.specs.entry import refused

if TYPE_CHECKING:
    from collections.abc import Mapping

REGULATOR_FILE: Final = "regulator.toml"
REPLIES_FILE: Final = "replies.toml"
SYSTEMS_FILE: Final = "codes/systems.toml"
FILE_BYTES_MAX: Final = 32 * 1024 * 1024

_RULE_SET = re.compile(r"regulator\.toml|replies\.toml|datasets/[^/]+\.toml|codes/systems\.toml|codes/[^/]+\.csv")


def belongs(path: str) -> bool:
    """Return whether the file at `path` (inside the folder, with "/") is part of the rule set."""
    return _RULE_SET.fullmatch(path) is not None


def rule_set(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the files of the rule set by path, sorted. SpecError for a file beyond `FILE_BYTES_MAX`."""
    kept = {path: files[path] for path in sorted(files) if belongs(path)}
    for path, content in kept.items():
        if len(content) > FILE_BYTES_MAX:
            raise refused(path, "", f"it is larger than {FILE_BYTES_MAX} bytes", "Split it, or use a check.")
    return kept


def digest(files: Mapping[str, bytes]) -> str:
    """
    Return the SHA-256 over every file of the rule set.

    Hashed is the listing that `sha256sum` prints for these files in the order of their paths.
    """
    lines = [f"{hashlib.sha256(content).hexdigest()}  {path}\n" for path, content in rule_set(files).items()]
    return hashlib.sha256("".join(lines).encode("utf-8")).hexdigest()
