"""Who may sign in from where: the listener, the white-list as it is against the settings, and the senders' rights."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_network
from typing import TYPE_CHECKING, Final

from qianzhi.gateway.diagnosis import Diagnosis, both, ill, note, well
from qianzhi.specs.model import Text

if TYPE_CHECKING:
    from collections.abc import Iterator

LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
HOSTS_MAX: Final = 65_536  # of one network; a wider one is hardly a list
_IPV6_PREFIX_MIN: Final = 48
_IPV6: Final = 6


@dataclass(frozen=True, slots=True)
class Access:
    """The facts: what settings say, and whether pg_hba.conf says the same (None: there is none that is ours)."""

    is_ours: bool
    listen: str
    port: int
    whitelist: tuple[str, ...]
    is_as_said: bool | None


def diagnose(facts: Access) -> Iterator[Diagnosis]:
    """Yield how the network may come in. Pure."""
    yield _listener(facts)
    yield _whitelist(facts)


def role(name: str, open_functions: str, deviations: str = "", powers: str = "") -> Diagnosis:
    """Return whether a sender has its rights and no more, and cannot fill the disk past every limit. Pure."""
    title = f"role {name}"
    if deviations or powers:
        wrong = both(deviations or powers)
        return ill(
            title,
            Text(f"权限与应有的不同：{wrong.zh}", f"Its rights are not what they should be: {wrong.en}"),
            Text(
                "重新运行 `qianzhi gateway init`；它会收回多余的权限，或说明由谁收回。",
                "Repeat `qianzhi gateway init`: it takes back what is too much, or says who must.",
            ),
        )
    if not open_functions:
        return well(title, "只能写入中间表。", "It may fill the staging tables and nothing else.")
    statement = f"REVOKE EXECUTE ON FUNCTION {open_functions} FROM PUBLIC;"
    return note(
        title,
        Text("可以创建大对象，从而占满数据库磁盘。", "It may make large objects, and so fill the database's disk."),
        Text(
            f"重新运行 `qianzhi gateway init`；仍未解决时，请超级用户在前置机数据库中执行：{statement}",
            "Repeat `qianzhi gateway init`; where that does not help, let a superuser run in the gateway's database: "
            + statement,
        ),
    )


def _listener(facts: Access) -> Diagnosis:
    if not facts.is_ours:
        return well("listener", "使用本单位自己的数据库。", "The database is the site's own.")
    if facts.listen in LOOPBACK:
        return well(
            "listener",
            f"PostgreSQL 只在本机监听，端口 {facts.port}。",
            f"PostgreSQL listens on loopback only, port {facts.port}.",
        )
    return note(
        "listener",
        Text("PostgreSQL 在本机以外监听，且没有 TLS。", "PostgreSQL listens beyond this machine, without TLS."),
        Text(
            "白名单应尽量窄；或通过 database.dsn 使用带 TLS 的 PostgreSQL。",
            "Keep the white-list narrow, or use a packaged PostgreSQL with TLS by database.dsn.",
        ),
    )


def _whitelist(facts: Access) -> Diagnosis:
    name = "white-list"
    if not facts.is_ours:
        return well(name, "由本单位的数据库管理员维护。", "It is the site's database administrator's.")
    if facts.is_as_said is False:
        return ill(
            name,
            Text("pg_hba.conf 与设置不一致。", "pg_hba.conf is not what the settings say."),
            Text(
                "运行 `qianzhi gateway service restart`；不要手工修改 pg_hba.conf，用 `qianzhi gateway whitelist`。",
                "Run `qianzhi gateway service restart`; change it by `qianzhi gateway whitelist` and not by hand.",
            ),
        )
    wide = [network for network in facts.whitelist if _is_wide(network)]
    if wide:
        return note(
            name,
            Text(f"范围过宽：{'、'.join(wide)}。", f"Very wide: {', '.join(wide)}."),
            Text("只列出需要写入的系统所在网段。", "Name only the networks of the systems that write here."),
        )
    return _fits_listener(facts)


def _fits_listener(facts: Access) -> Diagnosis:
    name, is_local = "white-list", facts.listen in LOOPBACK
    if facts.whitelist and is_local:
        return note(
            name,
            Text(
                "有白名单，但 PostgreSQL 只在本机监听。",
                "Networks are let in, but it listens on loopback only.",
            ),
            Text(
                "在 qianzhi.toml 设置 gateway.database.listen，然后重启。",
                "Set gateway.database.listen in qianzhi.toml, then restart.",
            ),
        )
    if not facts.whitelist and not is_local:
        return note(
            name,
            Text("白名单为空：其他机器都不能写入。", "It is empty: no other machine can write."),
            Text("运行 `qianzhi gateway whitelist add <网段>`。", "Run `qianzhi gateway whitelist add <network>`."),
        )
    return well(
        name,
        f"与 pg_hba.conf 一致：{'、'.join(facts.whitelist) or '仅本机'}。",
        f"As in pg_hba.conf: {', '.join(facts.whitelist) or 'this machine only'}.",
    )


def _is_wide(text: str) -> bool:
    network = ip_network(text)
    if network.version == _IPV6:
        return network.prefixlen < _IPV6_PREFIX_MIN
    return network.num_addresses > HOSTS_MAX
