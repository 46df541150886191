"""Charts, drawn in the browser by the library that comes with the toolkit; texts in them stay texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from nicegui import ui

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qianzhi.console.visit import Visit

HEIGHT_PIXELS: Final = 240
Colour = Literal["accent", "good", "warn", "bad", "soft"]
_LIGHT: Final = {
    "accent": "#3b8fd0",
    "good": "#46a878",
    "warn": "#dca13a",
    "bad": "#d2635b",
    "soft": "#a9b4bf",
    "ink": "#5d6b7a",
    "line": "#dde3e9",
}
_DARK: Final = {**_LIGHT, "ink": "#93a1b0", "line": "#2d3742", "soft": "#5d6b7a"}


@dataclass(frozen=True, slots=True)
class Series:
    """One row of numbers with its name and colour; those of a chart have one number for each category."""

    name: str
    values: Sequence[float | None]
    colour: Colour = "accent"


def bars(visit: Visit, categories: Sequence[str], series: Sequence[Series], *, lying: bool = False) -> ui.echart:
    """Draw stacked bars; `lying` where the categories are long names."""
    axes = [{"type": "category", "data": list(categories), **_axis(visit)}, {"type": "value", **_axis(visit)}]
    if lying:
        axes[0]["inverse"] = True
        axes[0]["axisLabel"]["interval"] = 0  # every name, however many there are
    drawn = [{**_named(visit, each), "type": "bar", "stack": "all", "barMaxWidth": 22} for each in series]
    return _draw(visit, axes if not lying else axes[::-1], drawn)


def _draw(visit: Visit, axes: list[dict[str, Any]], series: list[dict[str, Any]]) -> ui.echart:
    colours = _colours(visit)
    options = {
        "animation": False,
        "backgroundColor": "transparent",
        "grid": {"left": 4, "right": 12, "top": 34, "bottom": 2, "containLabel": True},
        "legend": {"top": 0, "left": 0, "itemWidth": 12, "itemHeight": 8, "textStyle": {"color": colours["ink"]}},
        # Names of others stand in tooltips: as text, not as HTML, which is the library's default.
        "tooltip": {"trigger": "axis", "renderMode": "richText", "confine": True},
        "xAxis": axes[0],
        "yAxis": axes[1],
        "series": series,
    }
    return ui.echart(options).style(f"height: {HEIGHT_PIXELS}px; width: 100%")


def _named(visit: Visit, series: Series) -> dict[str, Any]:
    colour = _colours(visit)[series.colour]
    return {"name": series.name, "data": list(series.values), "itemStyle": {"color": colour}, "color": colour}


def _axis(visit: Visit) -> dict[str, Any]:
    colours = _colours(visit)
    return {
        "axisLabel": {"color": colours["ink"], "fontSize": 11},
        "axisLine": {"lineStyle": {"color": colours["line"]}},
        "axisTick": {"show": False},
        "splitLine": {"lineStyle": {"color": colours["line"]}},
        "minInterval": 1,
    }


def _colours(visit: Visit) -> dict[str, str]:
    return _DARK if visit.is_dark else _LIGHT
