"""Forms: typed fields, what is wrong with each beside it, and one button that saves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from nicegui import ui

from qianzhi.console.calls import finished
from qianzhi.console.layout import element
from qianzhi.console.text import _

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from qianzhi.console.visit import Visit

CHARACTERS_MAX: Final = 4_000
CHOICES_MAX: Final = 12  # to be looked through; among more one types

Kind = Literal["text", "long", "password", "date", "datetime-local", "number", "switch"]


@dataclass(frozen=True, slots=True)
class Input:
    """A field of a form; `title` and `hint` are translated already. With `options` (value to title) one is chosen."""

    name: str
    title: str
    kind: Kind = "text"
    value: str = ""
    hint: str = ""
    is_required: bool = False
    options: Mapping[str, str] | None = None
    characters_max: int = CHARACTERS_MAX
    autocomplete: str = "off"


class Form:
    """
    A form; `save` gets the texts of its fields, and gives what is wrong, field by field (empty: saved).

    What `save` says of a name that is no field stands above the button. Errors of ours are told by the visit's handler.
    """

    def __init__(
        self,
        visit: Visit,
        inputs: Sequence[Input],
        save: Callable[[dict[str, str]], Any],
        *,
        button: str = "",
        narrow: bool = False,
    ) -> None:
        self._inputs = {each.name: each for each in inputs}
        self._drawn: dict[str, Any] = {}
        self._save = save
        with element("div", "form narrow" if narrow else "form"):
            for each in inputs:
                self._drawn[each.name] = _draw(each)
        self._general = ui.label("").classes("problem")
        self._general.set_visibility(False)
        with element("div", "actions"):
            self.button = ui.button(button or _("保存"), on_click=visit.handler(self._submit)).props(
                "unelevated no-caps"
            )

    @property
    def values(self) -> dict[str, str]:
        """The texts of the fields as they are now."""
        return {name: _text(drawn.value)[: self._inputs[name].characters_max] for name, drawn in self._drawn.items()}

    def fill(self, values: Mapping[str, str]) -> None:
        """Put texts into fields; names that are no field are passed over."""
        for name, value in values.items():
            if name in self._drawn:
                self._drawn[name].set_value(value == "T" if self._inputs[name].kind == "switch" else value)

    def show(self, findings: Mapping[str, str]) -> None:
        """Show what is wrong, each beside its field, and clear the rest."""
        for name, drawn in self._drawn.items():
            wrong = findings.get(name, "")
            if hasattr(drawn, "error"):
                drawn.error = wrong or None
        rest = [wrong for name, wrong in findings.items() if name not in self._drawn]
        self._general.set_text(" ".join(rest))
        self._general.set_visibility(bool(rest))

    async def _submit(self) -> None:
        values = self.values
        missing = {
            name: _("必填") for name, each in self._inputs.items() if each.is_required and not values[name].strip()
        }
        if missing:
            self.show(missing)
            return
        self.button.disable()
        try:
            self.show(await finished(self._save(values)) or {})
        finally:
            self.button.enable()


def _draw(each: Input) -> Any:  # noqa: ANN401 - of several components
    title = f"{each.title} *" if each.is_required else each.title
    if each.kind == "switch":
        return ui.switch(title, value=each.value == "T")
    drawn: Any
    if each.options is not None:
        drawn = ui.select({"": "", **each.options}, value=each.value if each.value in each.options else "", label=title)
        drawn.props(
            "dense outlined options-dense use-input input-debounce=0"
            if len(each.options) > CHOICES_MAX
            else "dense outlined"
        )
    elif each.kind == "long":
        drawn = ui.textarea(title, value=each.value).props("dense outlined autogrow")
    else:
        drawn = ui.input(title, value=each.value, password=each.kind == "password").props("dense outlined")
        if each.kind not in {"text", "password"}:
            drawn.props["type"] = each.kind
        drawn.props["autocomplete"] = each.autocomplete
    drawn.props["maxlength"] = each.characters_max
    if each.hint:
        drawn.props["hint"] = each.hint
    return drawn


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "T" if value else "F"
    return "" if value is None else str(value)
