"""The line: when the run that is under way, or the next one, will be over with what waits now."""

from __future__ import annotations

from datetime import time
from typing import TYPE_CHECKING, Final

from qianzhi.gateway.diagnosis import Diagnosis, ill, note, well
from qianzhi.gateway.schedule import DAY
from qianzhi.runtime import clock
from qianzhi.specs.model import Text

if TYPE_CHECKING:
    from qianzhi.gateway.forecast import Forecast

MORNING: Final = time(8)  # when the hospital needs its line again
_MEGABITS: Final = 1_000_000
_MIB: Final = 2**20


def diagnose(destination: str, told: Forecast, asked_bits: int | None) -> Diagnosis:
    """Return whether a run is over by morning, and whether the line is what the authority asks for. Pure."""
    title = f"uplink to {destination}"
    begins, ends = clock.local(told.begins_at), clock.local(told.ends_at)
    size = (told.record_bytes + told.image_bytes) / _MIB
    speed = f"{told.bits_per_second / _MEGABITS:.1f} Mb/s"
    what = Text(
        f"待传 {size:,.1f} MiB，{begins:%H:%M} 开始，预计 {ends:%m-%d %H:%M} 结束"
        f"（{speed}，{'实测' if told.is_measured else '按设置'}）。",
        f"{size:,.1f} MiB wait; the run from {begins:%H:%M} is to end on {ends:%m-%d at %H:%M} "
        f"({speed}, as {'measured' if told.is_measured else 'set'}).",
    )
    if told.ends_at - told.begins_at > DAY:
        return ill(title, what, _REMEDY)
    if (begins.time() < MORNING < ends.time() and begins.date() == ends.date()) or ends.date() > begins.date():
        return note(title, what, _REMEDY)
    if told.is_measured and asked_bits is not None and told.bits_per_second < asked_bits / 2:
        return note(title, what, _SLOW)
    return well(title, what.zh, what.en)


_REMEDY: Final = Text(
    "增加上行带宽，或把大图片分几天补传；记录先于图片，不会丢失。",
    "Widen the line, or let large images go over several days; records go first and nothing is lost.",
)
_SLOW: Final = Text(
    "实测速度不到接入文档要求的一半：请网络管理员检查线路和 VPN。",
    "Less than half of what the document asks for was measured: let the network's people look at line and VPN.",
)
