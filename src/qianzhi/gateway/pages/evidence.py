"""What a regulator may ask to see: on which terms, which files there are, and who asked last."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from qianzhi.console import notices
from qianzhi.console.layout import element, text
from qianzhi.console.pages import Page
from qianzhi.console.tables import Column, Query, Slice, Table, Words, as_text, facts, sliced, tagged
from qianzhi.console.text import _, mark
from qianzhi.gateway.evidence import asking, assembly, keys
from qianzhi.ledger import evidence
from qianzhi.regulators.protocols import Outcome
from qianzhi.runtime import clock

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from qianzhi.console.visit import Visit
    from qianzhi.db.server import Session
    from qianzhi.gateway.evidence.keys import Key
    from qianzhi.runtime.home import Home
    from qianzhi.runtime.settings import Settings

_OUTCOMES: Final[Words] = {
    Outcome.SERVED.value: (mark("已提供"), "good"),
    Outcome.MALFORMED.value: (mark("参数错误"), "warn"),
    Outcome.UNPROVEN.value: (mark("鉴权失败"), "bad"),
    Outcome.UNKNOWN.value: (mark("查无文件"), "warn"),
    Outcome.FAILED.value: (mark("服务出错"), "bad"),
}


def page(home: Home, settings: Settings) -> Page:
    """Return the page."""

    async def show(visit: Visit) -> None:
        await _show(visit, home, settings)

    return Page("/evidence", mark("调阅"), show, mark("资料与文档"), "visibility")


async def _show(visit: Visit, home: Home, settings: Settings) -> None:
    said = settings.gateway.evidence
    if not said.enabled:
        notices.notice(
            _("调阅服务未启用。"),
            _("在 qianzhi.toml 的 [gateway.evidence] 中设置 enabled = true 和 public_base_url，并重新启动。"),
            tone="warn",
        )
        return
    if said.public_base_url is None:
        notices.notice(
            _("未设置对外地址，平台会收到本机地址，无法访问。"),
            _("在 qianzhi.toml 的 [gateway.evidence] 中设置 public_base_url，并重新启动。"),
            tone="warn",
        )
    key = asking.regulator_key(settings)
    held = await visit.work(keys.read_keys, assembly.keys_file(home, key))
    with _card(_("调阅条件")):
        facts(
            {
                _("对外地址"): assembly.base_url(settings),
                _("私钥"): _told([each for each in held if each.is_valid(clock.now())]),
                _("访问凭证时间窗口"): _("前后 {seconds} 秒").format(seconds=said.window_seconds),
                _("临时地址有效期"): _("{seconds} 秒").format(seconds=said.link_seconds),
                _("调阅文件夹"): ", ".join(said.folders) or _("未设置"),
            }
        )
    titles = {each.name: each.title.said(visit.language) for each in asking.adapter(key).ASKED}
    with _card(_("已登记的文件")):
        files = _files(visit, key, titles)
    with _card(_("最近的调阅请求")):
        questions = _questions(visit)
    await files.load()
    await questions.load()


@contextmanager
def _card(title: str) -> Iterator[None]:
    with element("section", "card"):
        text(title, "h2")
        yield


def _told(held: Sequence[Key]) -> str:
    """Say when each key was made and ends; a key itself is shown by no page."""
    if not held:
        return _("尚未生成")
    made = _("{made} 生成").format(made=as_text(held[-1].made_at))
    ending = [_("旧私钥 {ends} 失效").format(ends=as_text(each.ends_at)) for each in held[:-1]]
    return ", ".join([made, *ending])


def _files(visit: Visit, regulator: str, titles: Mapping[str, str]) -> Table:
    columns = [
        Column("title", _("调阅类别")),
        Column("media_type", _("格式"), "code"),
        Column("files", _("文件数"), "number"),
        Column("records", _("记录数"), "number"),
        Column("mebibytes", _("大小（MiB）"), "number"),
    ]

    def fetch(session: Session, query: Query) -> Slice:
        rows = [
            {**each, "title": titles.get(each["kind"], each["kind"]), "mebibytes": -(-each["bytes"] // 2**20)}
            for each in evidence.counts(session, regulator)
        ]
        return sliced(rows, query)

    hint = _("把文件按规则命名放入调阅文件夹，或用 qianzhi gateway media add 登记。")
    return Table(visit, columns, fetch, empty=_("还没有登记文件。"), hint=hint)


def _questions(visit: Visit) -> Table:
    columns = [
        Column("asked_at", _("请求时间")),
        Column("method", _("接口"), "code"),
        Column("outcome", _("答复"), "tag"),
        Column("client", _("来源地址"), "code"),
        Column("record_digest", _("记录摘要"), "code"),
        Column("earlier", _("此前重复次数"), "number"),
    ]

    def fetch(session: Session, query: Query) -> Slice:
        found = evidence.asked(session, limit=query.size, offset=query.offset)
        rows = [{**each, "outcome": tagged(_OUTCOMES, str(each["outcome"]))} for each in found]
        return Slice(rows, evidence.asked_count(session))

    return Table(visit, columns, fetch, empty=_("还没有调阅请求。"))
