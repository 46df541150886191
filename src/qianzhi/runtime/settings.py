"""Every setting, declared once: name, type, default, unit and a sentence. `runtime.sources` fills them in."""

from __future__ import annotations

import re
from datetime import time
from enum import StrEnum
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    model_validator,
)

MIB = 1024 * 1024
_NAME_PATTERN = r"[a-z][a-z0-9]*(_[a-z0-9]+)*"  # without "__", which separates the parts of an environment variable
_PASSWORD_IN_DSN = re.compile(r"\bpassword\s*=|://[^/@?#]*:[^/@?#]*@", re.IGNORECASE)


def setting(
    default: object,
    sentence: str,
    *,
    unit: str = "",
    gt: float | None = None,
    ge: float | None = None,
    le: float | None = None,
) -> Any:  # noqa: ANN401 - a field of any type
    """Declare a setting; `...` for one without default."""
    return Field(default, description=sentence, json_schema_extra={"unit": unit}, gt=gt, ge=ge, le=le)


def section(kind: type[BaseModel], sentence: str) -> Any:  # noqa: ANN401 - a field of any type
    """Declare a section whose settings all have defaults."""
    return Field(default_factory=kind, description=sentence)


def _within_home(path: Path, info: ValidationInfo) -> Path:
    return Path(info.context["home"]) / path.expanduser() if info.context else path


def _network(text: str) -> str:
    try:
        return str(ip_network(text, strict=False))
    except ValueError:
        message = "a network is written 192.0.2.0/24, a single machine 192.0.2.7"
    raise ValueError(message)  # not the library's text, which repeats what it was given


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme != "https" or not parts.hostname or "@" in parts.netloc:
        raise ValueError("an address has the form https://host:port/path, without a user name")
    return text.rstrip("/")


def _dsn_without_password(text: str) -> str:
    if _PASSWORD_IN_DSN.search(text):
        raise ValueError("a password must not stand here; name a file that holds it by passfile=")
    return text


def _origin(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"https", "http"} or not parts.hostname or f"{parts.scheme}://{parts.netloc}" != text:
        raise ValueError("an origin has the form https://host or https://host:port, without a path or user name")
    if "@" in parts.netloc:
        raise ValueError("an origin has no user name")
    return text.lower()


HomePath = Annotated[Path, AfterValidator(_within_home)]  # relative paths start at the home
Network = Annotated[str, AfterValidator(_network)]
Url = Annotated[str, AfterValidator(_url)]
Origin = Annotated[str, AfterValidator(_origin)]
Dsn = Annotated[str, AfterValidator(_dsn_without_password)]
Name = Annotated[str, StringConstraints(pattern=rf"^{_NAME_PATTERN}$")]


class Section(BaseModel):
    """A table of the settings file; an unknown key in it is refused, and no value appears in an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, str_strip_whitespace=True)


def _all(value: object) -> object:
    return "all" if value in (["all"], ("all",)) else value  # an environment variable gives a list


Submitted = Annotated[Literal["all"] | tuple[str, ...], BeforeValidator(_all)]


class DestinationKind(StrEnum):
    """What stands at the other end of a delivery."""

    HUB = "hub"
    FRONT_MACHINE = "front-machine"  # an official one: its PostgreSQL and its image folder


class GatewayDatabase(Section):
    """[gateway.database]."""

    dsn: Dsn | None = setting(None, "A PostgreSQL of the site instead of the embedded one; its password by passfile=.")
    port: int = setting(5432, "Where the embedded PostgreSQL listens.", unit="TCP port", ge=1, le=65535)
    listen: str = setting("127.0.0.1", "The address of this machine that the embedded PostgreSQL listens on.")


class HubDatabase(GatewayDatabase):
    """[hub.database]."""

    port: int = setting(5433, "Where the embedded PostgreSQL listens.", unit="TCP port", ge=1, le=65535)


def _table_name(text: str) -> str:
    if set("{}") & set(text.replace("{dataset}", "")):
        raise ValueError("only {dataset} may stand in braces")
    return text


class FrontMachine(Section):
    """[gateway.destinations.<name>.machine]."""

    dsn: Dsn | None = setting(None, "The official PostgreSQL: host, port, database, user; its password by passfile=.")
    table_schema: str = setting("public", "The schema in which the official tables stand.")
    table: Annotated[str, AfterValidator(_table_name)] = setting(
        "{dataset}", "How the official tables are named; {dataset} stands for the dataset's name."
    )
    images_folder: HomePath | None = setting(None, "The agreed image folder, as this machine sees it.")
    images_prefix: str | None = setting(None, "The same folder, as the official machine sees it.")
    at: time | None = setting(
        None, "When a night's rows are delivered; half an hour before pushing must end when not set.", unit="HH:MM"
    )
    results_profile: HomePath | None = setting(
        None, "Headings of the official console's exports, instead of those that come with the regulator."
    )
    shared: tuple[str, ...] = setting((), "Datasets whose official tables other systems fill as well.")


class Destination(Section):
    """[gateway.destinations.<name>]."""

    regulator: str = setting(..., "The key of the regulator whose datasets go there.")
    kind: DestinationKind = setting(DestinationKind.HUB, "What stands at the other end.")
    url: Url | None = setting(None, "The address of a hub, beginning with https://.")
    institution: str | None = setting(None, "The institution's code there, when it is not that of [gateway].")
    credential_file: HomePath | None = setting(None, "The file that holds the secret to sign in with.")
    ca_file: HomePath | None = setting(None, "The certificate authority to trust there, besides the machine's own.")
    submit: Submitted = setting("all", 'The datasets that are submitted: "all" or their names.')
    realtime: tuple[str, ...] = setting((), "The datasets that are submitted as they arrive, not only in the cycle.")
    enabled: bool = setting(True, "Whether anything is submitted there.")  # noqa: FBT003 - its default
    machine: FrontMachine = section(FrontMachine, "The official front machine, where kind says so.")

    @model_validator(mode="after")
    def _addressed(self) -> Destination:
        if self.kind is DestinationKind.HUB and self.url is None:
            raise ValueError("url is required for a hub")
        if self.kind is DestinationKind.FRONT_MACHINE and self.machine.dsn is None:
            raise ValueError("machine.dsn is required for a front machine")
        if (self.machine.images_folder is None) != (self.machine.images_prefix is None):
            raise ValueError("machine.images_folder and machine.images_prefix are set together")
        return self


class ImageFolder(Section):
    """[gateway.images.<name>]."""

    prefix: str = setting(..., "How paths in records begin, as the hospital's machines see the folder.")
    folder: HomePath = setting(..., "Where that folder lies on this machine.")


class Cycle(Section):
    """[gateway.cycle]."""

    cut_off: time | None = setting(
        None, "When a cycle stops taking rows; the regulator's time when not set.", unit="HH:MM"
    )
    at: time | None = setting(None, "When the cycle begins; the regulator's time when not set.", unit="HH:MM")
    chunk_rows: int = setting(20_000, "How many rows a batch holds at most.", unit="rows", ge=1, le=200_000)
    pipeline_depth: int = setting(3, "How many batches are on their way at once.", unit="batches", ge=1, le=16)


class Retry(Section):
    """[gateway.retry]."""

    first_seconds: float = setting(5.0, "How long to wait after a first failed attempt.", unit="seconds", gt=0)
    max_seconds: float = setting(900.0, "How long to wait at most; each wait is twice the last.", unit="seconds", gt=0)

    @model_validator(mode="after")
    def _ordered(self) -> Retry:
        if self.first_seconds > self.max_seconds:
            raise ValueError("first_seconds must not be greater than max_seconds")
        return self


class Health(Section):
    """[gateway.health]."""

    listen: str = setting("127.0.0.1", "The address of this machine that /healthz and /metrics are served on.")
    port: int = setting(8481, "The port that /healthz and /metrics are served on.", unit="TCP port", ge=1, le=65535)


class Tls(Section):
    """[hub.tls]."""

    certificate: HomePath | None = setting(None, "A certificate chain (PEM) instead of the one made by `hub init`.")
    key: HomePath | None = setting(None, "The private key (PEM) of that certificate.")
    names: tuple[str, ...] = setting((), "Host names and addresses, besides localhost, that our certificate is for.")

    @model_validator(mode="after")
    def _both_or_none(self) -> Tls:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key are set together")
        return self


class ConsoleTls(Tls):
    """[gateway.console.tls]."""

    certificate: HomePath | None = setting(None, "A certificate chain (PEM) instead of one that the gateway makes.")


class Console(Section):
    """[gateway.console]."""

    enabled: bool = setting(True, "Whether the console is served.")  # noqa: FBT003 - its default
    listen: str = setting("127.0.0.1", "The address of this machine that browsers reach; by HTTPS beyond loopback.")
    port: int = setting(28888, "The port that browsers reach.", unit="TCP port", ge=1, le=65535)
    public_base_url: Url | None = setting(
        None, "What people type where a reverse proxy stands before it, path and all."
    )
    session_hours: float = setting(12.0, "How long somebody stays signed in at most.", unit="hours", gt=0, le=168)
    idle_minutes: float = setting(30.0, "How long an unused session lasts.", unit="minutes", gt=0, le=1440)
    tls: ConsoleTls = section(ConsoleTls, "What the console shows beyond loopback to prove who it is.")


class Link(Section):
    """[gateway.link]."""

    bits_per_second: int = setting(
        2_000_000, "How much the line lets out; what was measured goes over it.", unit="bit/s", ge=1000
    )


class Reminder(Section):
    """[gateway.reminder]."""

    at: tuple[time, ...] = setting(
        (time(20), time(1)), "When the rows that wait are checked ahead of the cycle.", unit="HH:MM"
    )
    notify_command: tuple[str, ...] = setting(
        (), "A program, with its arguments, that is told of errors: JSON on its standard input, counts only."
    )


class Retention(Section):
    """[gateway.retention]."""

    archive: bool = setting(True, "Whether old settled rows leave the staging tables for archives.")  # noqa: FBT003 - its default
    staging_days: int = setting(
        400,
        "How old settled rows become in the staging tables at least; they leave by whole months.",
        unit="days",
        ge=31,
    )
    blob_days: int = setting(400, "How long images stay that no batch on its way names.", unit="days", ge=31)
    spool_days: int = setting(0, "How long the bytes of settled batches stay.", unit="days", ge=0)
    log_days: int = setting(200, "How long log files stay that were set aside.", unit="days", ge=31)
    begin: time = setting(time(4, 0), "When the quiet hours begin, in which all this is done.", unit="HH:MM")
    end: time = setting(time(6, 30), "When the quiet hours end.", unit="HH:MM")


class Encryption(Section):
    """[gateway.encryption]."""

    key_file: HomePath | None = setting(
        None, "The key file that encrypts spool, images, documents and personal columns of archives; plain without."
    )


class EvidenceTls(Tls):
    """[gateway.evidence.tls]."""

    certificate: HomePath | None = setting(None, "A certificate chain (PEM) instead of one that the gateway makes.")


class EvidenceFolder(Section):
    """[gateway.evidence.folders.<name>]."""

    folder: HomePath = setting(..., "Where files to be shown lie on this machine; nothing outside is ever served.")
    scan: bool = setting(True, "Whether files in it are registered by their names.")  # noqa: FBT003 - its default


class EvidenceRemote(Section):
    """[gateway.evidence.remote]."""

    origins: tuple[Origin, ...] = setting((), "Where files may lie that are passed on.", unit="https://host:port")
    networks: tuple[Network, ...] = setting(
        (), "Networks that are not public and may be asked nevertheless.", unit="CIDR"
    )
    ca_file: HomePath | None = setting(None, "The certificate authority to trust there, besides the machine's own.")
    bytes_max: int = setting(4096 * MIB, "The largest file that is passed on.", unit="bytes", ge=1024)
    seconds_max: float = setting(3600.0, "How long passing a file on may take.", unit="seconds", gt=0)


class Evidence(Section):
    """[gateway.evidence]."""

    enabled: bool = setting(False, "Whether regulators are answered.")  # noqa: FBT003 - its default
    regulator: str | None = setting(None, "The regulator that asks, where the destinations are of several.")
    listen: str = setting("127.0.0.1", "The address of this machine that the regulator, or a proxy, reaches.")
    port: int = setting(8444, "The port that the regulator, or a proxy, reaches.", unit="TCP port", ge=1, le=65535)
    public_base_url: Url | None = setting(None, "The address that the regulator was told, with its path if it has one.")
    proxies: tuple[Network, ...] = setting((), "Proxies whose X-Forwarded-For is believed.", unit="CIDR")
    registrars: tuple[Network, ...] = setting((), "Networks whose systems may register files.", unit="CIDR")
    workers: int = setting(1, "How many processes answer.", unit="processes", ge=1, le=64)
    connections_max: int = setting(1024, "How many connections a process holds at once.", unit="connections", ge=1)
    window_seconds: int = setting(300, "How far the time of a token may be from ours.", unit="seconds", ge=1, le=86400)
    link_seconds: int = setting(600, "How long the address of a file is valid.", unit="seconds", ge=10, le=86400)
    key_overlap_days: int = setting(
        14, "How long a key stays valid once a new one was made.", unit="days", ge=0, le=365
    )
    choices: tuple[str, ...] = setting((), "What the regulator's document leaves open, each as name=value.")
    scan_seconds: int = setting(300, "How often the folders are looked through.", unit="seconds", ge=5, le=86400)
    folders: dict[Name, EvidenceFolder] = Field(default_factory=dict, description="Folders, each by a name.")
    remote: EvidenceRemote = section(EvidenceRemote, "Files that lie on other machines.")
    tls: EvidenceTls = section(EvidenceTls, "What the gateway shows to prove who it is.")


class Gateway(Section):
    """[gateway]."""

    institution: str = setting("", "The code by which regulators know this institution.")
    whitelist: tuple[Network, ...] = setting((), "The networks that may reach the staging tables.", unit="CIDR")
    database: GatewayDatabase = section(GatewayDatabase, "Where the staging tables and the ledger are.")
    images: dict[Name, ImageFolder] = Field(default_factory=dict, description="Image folders, each by a name.")
    destinations: dict[Name, Destination] = Field(default_factory=dict, description="Where records go, each by a name.")
    cycle: Cycle = section(Cycle, "The upload cycle.")
    retry: Retry = section(Retry, "How a failed delivery is repeated.")
    health: Health = section(Health, "What watches the gateway.")
    console: Console = section(Console, "What people see of the gateway.")
    link: Link = section(Link, "The line to the destinations.")
    reminder: Reminder = section(Reminder, "The check ahead of the cycle.")
    retention: Retention = section(Retention, "How long data stays on this machine.")
    encryption: Encryption = section(Encryption, "Encryption of files in the data directory.")
    evidence: Evidence = section(Evidence, "What a regulator may ask to see of a record.")


class Intake(Section):
    """[hub.intake]."""

    listen: str = setting("127.0.0.1", "The address of this machine that institutions reach.")
    port: int = setting(8443, "The port that institutions reach.", unit="TCP port", ge=1, le=65535)
    workers: int = setting(1, "How many processes answer.", unit="processes", ge=1, le=64)
    body_bytes_max: int = setting(64 * MIB, "The largest request body that is read.", unit="bytes", ge=1024)
    body_seconds_max: float = setting(120.0, "How long a request body may take to arrive.", unit="seconds", gt=0)
    connections_max: int = setting(1024, "How many connections a process holds at once.", unit="connections", ge=1)


class HubChecks(Section):
    """[hub.checks]."""

    kinds: tuple[Literal["row", "batch", "state", "sender"], ...] = setting(
        ("row", "batch", "state", "sender"),
        "The kinds of rules that are judged; fewer only for rehearsals and measurements.",
    )


class Hub(Section):
    """[hub]."""

    regulators: tuple[str, ...] = setting((), "The keys of the regulators that this hub serves.")
    database: HubDatabase = section(HubDatabase, "Where the hub keeps what it received.")
    intake: Intake = section(Intake, "The door that institutions submit through.")
    checks: HubChecks = section(HubChecks, "How what comes in is judged.")
    tls: Tls = section(Tls, "What the hub shows to prove who it is.")


class Log(Section):
    """[log]."""

    level: Literal["debug", "info", "warning", "error"] = setting("info", "The least severe entries that are kept.")
    file_bytes_max: int = setting(10 * MIB, "The size at which a log file is set aside.", unit="bytes", ge=1024)
    files_max: int = setting(10, "How many files set aside are kept of each log.", unit="files", ge=1, le=1000)


class Settings(Section):
    """All settings of an installation; both ends may share a file."""

    gateway: Gateway = section(Gateway, "The gateway in a hospital.")
    hub: Hub = section(Hub, "The hub at a regulator.")
    log: Log = section(Log, "The logs of both.")
