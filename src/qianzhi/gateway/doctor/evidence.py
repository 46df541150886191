"""Evidence: the folders that files are shown from, the certificate that is shown, and the key that regulators have."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from qianzhi.gateway.diagnosis import Diagnosis, ill, note, well
from qianzhi.gateway.doctor import expiry
from qianzhi.gateway.evidence import asking, assembly
from qianzhi.gateway.evidence.keys import read_keys
from qianzhi.runtime import clock
from qianzhi.specs.model import Text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from qianzhi.gateway.evidence.keys import Key
    from qianzhi.runtime.home import Home
    from qianzhi.runtime.settings import Settings

_RENEW = Text(
    "申请新证书，替换 [gateway.evidence.tls] 指定的文件，然后重启前置机。",
    "Have a new one issued, replace the files that [gateway.evidence.tls] names, and restart the gateway.",
)


def examine(home: Home, settings: Settings, *, now: datetime) -> Iterator[Diagnosis]:
    """Yield how everything is that a regulator's question needs; nothing where none is answered."""
    said = settings.gateway.evidence
    if not said.enabled:
        return
    yield address(said.public_base_url, assembly.base_url(settings))
    for name, each in said.folders.items():
        yield folder(name, each.folder)
    if said.tls.certificate is not None:  # ours is renewed by itself
        yield expiry.held("certificate of evidence", said.tls.certificate, _RENEW, now=now)
    yield key(read_keys(assembly.keys_file(home, asking.regulator_key(settings))), now=now)


def address(public_base_url: str | None, told: str) -> Diagnosis:
    """Return whether a regulator can reach the address that it is told. Pure."""
    name = "evidence address"
    if public_base_url is not None:
        return well(name, f"平台收到的地址以 {told} 开头。", f"The regulator is told addresses that begin with {told}.")
    return note(
        name,
        Text(
            f"未设置对外地址，平台会收到 {told}，它访问不到。",
            f"None is set: the regulator is told {told}, which it cannot reach.",
        ),
        Text(
            "在 qianzhi.toml 的 [gateway.evidence] 中设置 public_base_url，并重启前置机。",
            "Set public_base_url in [gateway.evidence] of qianzhi.toml, and restart the gateway.",
        ),
    )


def folder(name: str, path: Path) -> Diagnosis:
    """Return whether files of a folder can be shown."""
    title = f"evidence folder {name}"
    if path.is_dir() and os.access(path, os.R_OK | os.X_OK):
        return well(title, f"{path} 可读。", f"{path} can be read.")
    return ill(
        title,
        Text(f"{path} 不是本账户可读的目录。", f"{path} is no folder that this account can read."),
        Text(
            "挂载它、授予本账户读取权限，或在 qianzhi.toml 中更正；此前调阅回答 404。",
            "Mount it, give this account the right to read it, or correct it in qianzhi.toml; until then the answer "
            "is 404.",
        ),
    )


def key(keys: Sequence[Key], *, now: datetime) -> Diagnosis:
    """Return whether there is a key, and until when the regulator must have been told a new one. Pure."""
    name = "evidence key"
    valid = [each for each in keys if each.is_valid(now)]
    if not valid:
        return ill(
            name,
            Text("没有密钥，任何调阅都会被拒绝。", "There is none: every question is refused."),
            Text(
                "运行 `qianzhi gateway evidence key`，并将密钥告知平台。",
                "Run `qianzhi gateway evidence key`, and tell the regulator.",
            ),
        )
    made_on = f"{clock.local(valid[-1].made_at):%Y-%m-%d}"
    if ends := [each.ends_at for each in valid if each.ends_at is not None]:
        day = f"{clock.local(min(ends)):%Y-%m-%d}"
        return note(
            name,
            Text(
                f"{made_on} 更换；旧密钥 {day} 失效。",
                f"A new one was made on {made_on}; the one before it ends on {day}.",
            ),
            Text(
                "在此之前将新密钥告知平台（`qianzhi gateway evidence export`）。",
                "Tell the regulator the new one before that day (`qianzhi gateway evidence export`).",
            ),
        )
    return well(name, f"{made_on} 生成，有效。", f"It was made on {made_on} and counts.")
