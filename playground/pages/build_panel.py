"""The panel of Build that places a mechanism at the layer, inside or connection that was clicked."""

import re
from typing import TYPE_CHECKING, Any

from nicegui import ui

if TYPE_CHECKING:
    from playground.pages.build import BuildPage

FIRST = "CBAM"


class PlacePanel:
    """Choose place, mechanism and options for one layer.

    Args:
        page: whose design is changed.
    """

    def __init__(self, page: "BuildPage") -> None:
        self.page, self.say = page, page.say
        self.module = FIRST
        self.fields: dict[str, Any] = {}
        self.box = ui.element("section").classes("panel").props("id=place")
        self.clear()

    def clear(self) -> None:
        """Show what to do."""
        self.box.clear()
        with self.box:
            ui.label(self.say("place")).classes("title")
            ui.label(self.say("pick_layer")).classes("faint")

    def show(self, layer: Any, form: str, focus: bool = False) -> None:
        """Show the choices for a layer.

        Args:
            layer: of the model.
            form: "at", "inside", or "between SOURCE".
            focus: whether the keyboard goes on here.
        """
        self.layer = layer
        self.box.clear()
        with self.box:
            stride = f" /{layer.stride}" if layer.stride else ""
            ui.label(f"{layer.name} {layer.module}: {layer.channels}{stride}").classes("title")
            ui.label(self.say("reads", names=", ".join(layer.reads))).classes("faint")
            if layer.placed:
                self._show_placed(layer)
            else:
                self._show_choices(layer, form, focus)

    def _show_placed(self, layer: Any) -> None:
        ui.label(self.say("is_placed", module=layer.module)).classes("text")
        found = re.search(r"attention\[(\d+)\]", layer.attention.origin if layer.attention else "")
        if found:
            ui.button(self.say("remove"), on_click=lambda: self.page.remove(int(found[1]))).props("no-caps dense")

    def _show_choices(self, layer: Any, form: str, focus: bool) -> None:
        from playground import mechanisms

        forms = self._forms(layer)
        self.form = ui.select(forms, value=form if form in forms else next(iter(forms)), label=self.say("where"))
        self.form.classes("w-full").props("dense outlined")
        self.mechanism = ui.select(
            mechanisms.names(), value=self.module, label=self.say("mechanism"), with_input=True, on_change=self._choose
        )
        self.mechanism.classes("w-full").props("dense outlined" + (" autofocus" if focus else ""))
        self.about = ui.label("").classes("faint").props("lang=en")
        with ui.expansion(self.say("options")).classes("w-full").props("dense id=options"):
            self.options = ui.element("div").classes("pair w-full")
        self.identity = ui.checkbox(self.say("identity")).props("dense id=identity")
        ui.button(self.say("place_it"), on_click=self._place).props("no-caps dense id=place_it")
        self._choose()

    def _forms(self, layer: Any) -> dict[str, str]:
        """Return the places that the layer offers, with their words."""
        found = {}
        if layer.section != "head":
            found["at"] = self.say("at")
            if layer.attention is None:
                found["inside"] = self.say("inside_each")
                found["inside last"] = self.say("inside_last")
        sources = dict.fromkeys(name.partition("+")[0] for name in layer.reads if name != "image")
        return found | {f"between {name}": self.say("between", source=name, reader=layer.name) for name in sources}

    def _choose(self) -> None:
        """Show a mechanism's options with their meaning."""
        from playground import mechanisms

        self.module = str(self.mechanism.value or self.module)
        self.about.set_text(mechanisms.meaning(self.module))
        self.options.clear()
        self.fields = {}
        with self.options:
            for option in mechanisms.options_of(self.module):
                shown = str(option.default).lower() if isinstance(option.default, bool) else str(option.default)
                with ui.element("div"):
                    field = ui.input(option.name, placeholder=shown).classes("w-full")
                    field.props("dense outlined stack-label")
                    ui.label(option.meaning).classes("faint").props("lang=en")
                self.fields[option.name] = field

    async def _place(self) -> None:
        values = {name: str(field.value) for name, field in self.fields.items() if str(field.value or "").strip()}
        if not await self.page.is_current():
            return
        await self.page.take(self._placed, str(self.form.value), self.module, values, bool(self.identity.value))

    def _placed(self, form: str, module: str, values: dict[str, str], identity: bool) -> Any:
        """Return the design with the entry that was put together."""
        from playground.design import option_value, selector_of

        spec, design = self.page.spec, self.page.session.history.design
        here = selector_of(spec, self.layer.name)
        entry: dict[str, Any] = {"module": module}
        if form.startswith("between "):
            entry["between"] = [selector_of(spec, form.removeprefix("between ")), here]
        elif form == "at":
            entry["at"] = here
        else:
            entry |= {"inside": here, **({"where": "last"} if form == "inside last" else {})}
        if values:
            entry["args"] = {name: option_value(text) for name, text in values.items()}
        return design.placed({**entry, **({"identity": True} if identity else {})})
