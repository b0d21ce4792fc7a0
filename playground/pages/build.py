"""The page Build: the model as a graph, attention placed by clicks, and what it costs."""

import asyncio
from typing import Any

from nicegui import events, ui

from playground.pages.build_panel import PlacePanel
from playground.pages.fork_panel import ForkPanel
from playground.pages.frame import FaultLine, code, set_code, table
from playground.session import Session
from playground.texts import Texts

# What a click or a key in the drawing means; arrows walk through the layers.
CLICKED = """(e) => {
  const hit = e.target.closest('[data-inside],[data-layer],[data-source]');
  if (hit) emit({...hit.dataset});
}"""
PRESSED = """(e) => {
  const here = e.target.closest('[data-layer]');
  if (!here) return;
  const all = [...here.ownerSVGElement.querySelectorAll('[data-layer]')];
  const step = {ArrowDown: 1, ArrowUp: -1, Home: -all.length, End: all.length}[e.key];
  if (step) {
    const next = all[Math.min(all.length - 1, Math.max(0, all.indexOf(here) + step))];
    here.tabIndex = -1; next.tabIndex = 0; next.focus(); window.focusedLayer = next.dataset.layer; e.preventDefault();
  } else if (e.key === 'Enter' || e.key === ' ') { emit({...here.dataset, key: e.key}); e.preventDefault(); }
}"""
# A new drawing replaces the focused layer, and the keyboard would be back at the top of the page.
REFOCUS = """
if (window.focusedLayer && document.activeElement === document.body) {
  const same = [...document.querySelectorAll('[data-layer]')].find(e => e.dataset.layer === window.focusedLayer);
  if (same) { same.tabIndex = 0; same.focus(); }
}"""
AWAY = 0.2  # seconds between looks whether a page that has lost its browser, closed or held up, has it again
SETTLE = 0.02  # seconds after a click in which another takes its place


class BuildPage:
    """Show and change the model under construction.

    Args:
        session: shared by all pages.
        say: the words.
    """

    def __init__(self, session: Session, say: Texts) -> None:
        self.session, self.say = session, say
        self.turn = 0  # of what is counted; older counts are dropped
        self.clicks = 0  # in the drawing
        self.spec: Any = None
        self.picked = ""
        self.shown: Any = None  # the design that is drawn
        self.wanted: tuple[int, Any, Any, list[Any]] = (-1, None, None, [])  # turn, model, base, their counts

    async def show(self) -> None:
        """Draw the page, then load what it needs and fill it in."""
        say = self.say
        with ui.element("div").classes("page two"):
            with ui.element("section").classes("panel"):
                with ui.element("div").classes("line"):
                    self.model = (
                        ui.select([], label=say("model"), with_input=True, new_value_mode="add", on_change=self._chosen)
                        .classes("grow")
                        .props("dense outlined")
                    )
                    self.undo = ui.button(say("undo"), on_click=self._undo).props("outline dense no-caps id=undo")
                self.fault = FaultLine(say)
                self.state = ui.label(say("loading")).classes("faint").props("id=state aria-live=polite")
                self.graph = ui.html("", sanitize=False).classes("graph").props("id=graph")
                self.graph.on("click", self._clicked, js_handler=CLICKED)
                self.graph.on("keydown", self._clicked, js_handler=PRESSED)
                ui.label(say("graph_hint")).classes("faint")
            with ui.element("div").classes("stack"):
                self.panel = PlacePanel(self)
                self._show_results()
                self.fork = ForkPanel(self)
        await ui.context.client.connected()
        self.names = await self.session.call(_model_names)
        with self.model:
            await self.refresh(new_model=True)

    def _show_results(self) -> None:
        say = self.say
        with ui.element("section").classes("panel").props("id=results"):
            ui.label(say("results")).classes("title")
            self.numbers = ui.element("div").classes("w-full")
            self.measure = ui.button(say("measure"), on_click=self._measure).props("outline no-caps dense")
            self.measure.set_visibility(False)
            self.notes = ui.element("div").classes("w-full")
            self.entries = ui.element("div").classes("w-full stack")
            ui.label(say("yaml")).classes("faint")
            self.yaml = code("", "yaml")
            ui.label(say("command")).classes("faint")
            self.command = code("", "command")
            with ui.element("div").classes("line"):
                ui.button(say("download"), on_click=self._download).props("no-caps dense id=download")

    async def take(self, change: Any, *arguments: Any, new_model: bool = False) -> bool:
        """Try a change of the design; keep it if the model can be resolved, else show why not.

        Args:
            change: function that returns the new design.
            *arguments: its arguments.
            new_model: whether it is another base.
        """
        self.fault.clear()
        try:
            design = await self.session.call(change, *arguments)
            await self.session.call(design.spec)
        except Exception as error:  # noqa: BLE001 - shown in the page
            self.fault.say(error)
            return False
        self.session.history.take(design)
        await self.refresh(new_model)
        return True

    async def is_current(self) -> bool:
        """Tell whether the model is still the one that is drawn; draw it anew if another page has changed it."""
        if self.shown is self.session.history.design:
            return True
        self.fault.say(self.say("changed_elsewhere"))
        await self.refresh(new_model=True)
        return False

    async def refresh(self, new_model: bool = False) -> None:
        """Draw the model anew, and count what it costs."""
        from playground import design as designs

        self.turn += 1
        history = self.session.history
        self.shown = history.design
        self.spec = await self.session.call(history.design.spec)
        if self.graph.is_deleted:  # the page was left meanwhile
            return
        self._draw({})
        self._say_numbers(self.say("counting"))  # with the drawing: another model's numbers never stand beside it
        name = history.design.base_name or self.spec.name
        if new_model:
            self.picked = ""
            self.panel.clear()
            self.model.set_options(list(dict.fromkeys([name, *self.names])), value=name)
        self.state.set_text(self.say("drawn", layers=len(self.spec.layers), name=self.spec.name))
        set_code(self.yaml, designs.yaml_text(history.design), "yaml")
        set_code(self.command, designs.command(history.design), "command")
        self.undo.set_enabled(history.can_undo)
        self._list_entries(history.design)
        self._say_notes([])
        await self._count(self.turn)

    def _draw(self, parameters: dict[str, int]) -> None:
        """Draw the model, the picked layer marked; the keyboard's place in the drawing stays."""
        from models.spec.render import svg

        drawing, mark = svg(self.spec, parameters, clickable=True), f'data-layer="{self.picked}"'
        self.graph.set_content(drawing.replace(mark, f"{mark} data-selected", 1) if self.picked else drawing)
        ui.run_javascript(REFOCUS)

    def _list_entries(self, design: Any) -> None:
        from playground.design import entry_text

        self.entries.clear()
        with self.entries:
            for number, entry in enumerate(design.entries):
                with ui.element("div").classes("line"):
                    ui.label(entry_text(entry) or str(dict(entry))).classes("grow text entry")
                    ui.button(self.say("remove"), on_click=lambda n=number: self.remove(n)).props(
                        f"flat dense no-caps aria-label='{self.say('remove')} {number + 1}'"
                    )

    async def remove(self, number: int) -> None:
        """Take an entry out."""
        self.panel.clear()
        if await self.is_current():
            await self.take(self.session.history.design.without, number)

    def _say_notes(self, lines: list[str]) -> None:
        self.notes.clear()
        with self.notes:
            for warning in self.spec.warnings:
                ui.label(f"{self.say('note')}: {warning}").classes("note warning")
            for line in lines:
                ui.label(line.strip()).classes("text faint kept").props("lang=en")

    async def _count(self, turn: int) -> None:
        """Fill in numbers as they come, unless the model has changed meanwhile."""
        from playground import costs

        spec, base = self.spec, await self.session.call(self.session.history.design.base.spec)
        try:
            counted: list[Any] = []
            for one in (spec, base):
                if await self._is_wanted(turn):
                    counted.append(await self.session.call(costs.count, one, slow=True))
            if len(counted) < 2 or not await self._is_wanted(turn):
                return
            small = counted[0].gflops <= costs.MEASURED
            self._fill(counted[0], counted[1], self.say("measuring" if small else "not_measured"))
            self._draw(counted[0].parameters)
            kept = await self.session.call(costs.kept, base, spec, slow=True)
            if not await self._is_wanted(turn):
                return
            self._say_notes(kept.splitlines())
            self.measure.set_visibility(not small)
            self.wanted = (turn, spec, base, counted)
            if small:
                await self._measure()
        except Exception as error:  # noqa: BLE001 - shown in the page
            if await self._is_wanted(turn):
                self.fault.say(error)
                self._say_numbers("–")

    async def _measure(self) -> None:
        """Measure the latency of what was counted last."""
        from playground import costs

        turn, spec, base, counted = self.wanted
        if not await self._is_wanted(turn):
            return
        self._fill(counted[0], counted[1], self.say("measuring"))
        try:
            times = await self.session.call(costs.latency, {"base": base, "model": spec}, slow=True)
        except Exception as error:  # noqa: BLE001 - shown in the page
            self.fault.say(error)
            return
        if await self._is_wanted(turn):
            mine, other = times["model"], times["base"]
            self._fill(counted[0], counted[1], f"{mine:.1f}", f"{other:.1f}", f"{mine - other:+.1f}")

    async def _is_wanted(self, turn: int) -> bool:
        """Tell whether the model is still the same, and the page still open; wait where a browser may come back."""
        while turn == self.turn and not self.graph.is_deleted:
            if self.graph.client.has_socket_connection:
                return True
            await asyncio.sleep(AWAY)
        return False

    def _say_numbers(self, text: str) -> None:
        self.numbers.clear()
        with self.numbers:
            ui.label(text).classes("faint").props("id=counting")

    def _fill(self, here: Any, base: Any, *latency: str) -> None:
        say = self.say
        rows = [
            [say("parameters"), f"{here.total:,}", f"{base.total:,}", f"{here.total - base.total:+,}"],
            [say("gflops"), f"{here.gflops:.2f}", f"{base.gflops:.2f}", f"{here.gflops - base.gflops:+.2f}"],
            [say("latency"), *latency, *[""] * (3 - len(latency))],
        ]
        self.numbers.clear()
        with self.numbers:
            table(["", say("this_model"), say("its_base"), say("added")], rows, "numbers")

    async def _chosen(self, event: events.ValueChangeEventArguments) -> None:
        from playground.design import named

        name = str(event.value or "")
        if name and self.spec is not None and name not in (self.session.history.design.base_name, self.spec.name):
            if not await self.take(named, name, self.session.access, new_model=True):
                self.model.set_value(self.session.history.design.base_name or self.spec.name)

    async def _undo(self) -> None:
        self.fault.clear()
        if self.session.history.undo():
            await self.refresh(new_model=True)

    async def _clicked(self, event: events.GenericEventArguments) -> None:
        """Show the panel for what was clicked in the drawing; of many clicks at once, for the last."""
        self.clicks += 1
        click = self.clicks
        await asyncio.sleep(SETTLE)
        if click != self.clicks or self.graph.is_deleted:
            return
        found = event.args if isinstance(event.args, dict) else {}
        names = {layer.name for layer in self.spec.layers}
        form, name = "at", found.get("layer")
        if "inside" in found:
            form, name = "inside", found["inside"]
        elif "source" in found:
            form, name = f"between {found['source']}", found.get("reader")
        if name not in names:
            return
        self.picked = str(name)
        ui.run_javascript(
            "document.querySelectorAll('[data-selected]').forEach(e => e.removeAttribute('data-selected'));"
            f"document.querySelector('[data-layer=\"{self.picked}\"]')?.setAttribute('data-selected', '')"
        )
        self.panel.show(self.spec.layer(self.picked), form, focus="key" in found)

    async def _download(self) -> None:
        from playground.design import FILE, yaml_text

        ui.download.content(yaml_text(self.session.history.design).encode(), FILE, "text/yaml")


def _model_names() -> list[str]:
    from models.spec.base_files import known_names

    return known_names() + [f"ultralytics/{name}" for name in ("yolov8n", "yolov9t", "yolov10n", "yolo11n", "yolo12n")]
