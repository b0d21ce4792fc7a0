"""The page Look: one image or video, a baseline and a variant, and what is inside them."""

from pathlib import Path
from typing import Any

from nicegui import ui

from playground.pages.frame import FaultLine, table, upload_field
from playground.run_files import weights_on_disk
from playground.session import Session
from playground.texts import Texts

NAMES = ("baseline", "variant")
WAIT = 0.25  # seconds after the last change of a threshold


class LookPage:
    """Compare two models on an image.

    Args:
        session: shared by all pages.
        say: the words.
    """

    def __init__(self, session: Session, say: Texts) -> None:
        self.session, self.say = session, say
        self.turn = 0

    def show(self) -> None:
        """Draw the page."""
        say = self.say
        weights = weights_on_disk(self.session.access)
        with ui.element("div").classes("page two narrow"):
            with ui.element("div").classes("stack"), ui.element("section").classes("panel"):
                ui.label(say("source")).classes("title")
                above = ui.element("div").classes("w-full")
                self.path = ui.input(label=say("path_image"), on_change=None).classes("w-full").props("dense outlined")
                self.path.on("keydown.enter", self._typed)
                self.fault = FaultLine(say)
                with above:
                    upload_field(self.session, say, self.fault, "upload_image", "image", self._uploaded)
                self.source: Path | None = self.session.looked_at
                self.frame = ui.number(label=say("frame"), value=1, min=1, format="%d", on_change=self._later)
                self.frame.props("dense outlined debounce=300").classes("w-full")
                self.sides = [self._side(name, weights) for name in NAMES]
                self.conf = self._slider("conf_thres", 0.25)
                self.iou = self._slider("iou_thres", 0.45)
                with ui.element("div").classes("line"):
                    ui.button(say("detect"), on_click=self.look).props("no-caps dense id=detect")
            with ui.element("div").classes("stack"):
                with ui.element("section").classes("panel").props("id=boxes"):
                    ui.label(say("found")).classes("title")
                    self.state = ui.label(say("choose_image")).classes("faint").props("id=found_state aria-live=polite")
                    self.images = ui.element("div").classes("pair w-full")
                    self.tables = ui.element("div").classes("w-full stack")
                self._show_maps()

    def _side(self, name: str, weights: list[str]) -> dict[str, Any]:
        options = ["", *weights] if name == "variant" else weights
        first = weights[0] if weights and name == "baseline" else ""
        select = ui.select(options, value=first, label=self.say(name), with_input=True, new_value_mode="add-unique")
        select.props("dense outlined").classes("w-full")
        attention = ui.input(label=self.say("attention_of", name=self.say(name)), placeholder="CBAM@neck.P3")
        attention.props("dense outlined").classes("w-full")
        return {"weights": select, "attention": attention}

    def _slider(self, name: str, value: float) -> Any:
        with ui.element("div").classes("line w-full"):
            label = ui.label(f"{self.say(name)}: {value:.2f}").style("min-width: 11rem")
            slider = ui.slider(min=0.0, max=1.0, step=0.01, value=value, on_change=self._later).classes("grow")
            slider.props(f'aria-label="{self.say(name)}" data-name={name}')
            label.bind_text_from(slider, "value", lambda number: f"{self.say(name)}: {float(number):.2f}")
        return slider

    def _show_maps(self) -> None:
        with ui.element("section").classes("panel").props("id=maps"):
            ui.label(self.say("inside")).classes("title")
            kinds = {kind: self.say(f"map_{kind}") for kind in ("gates", "cam", "features")}
            self.kind = ui.select(kinds, value="gates", label=self.say("map")).classes("w-full").props("dense outlined")
            self.which = ui.select({name: self.say(name) for name in NAMES}, value="baseline", label=self.say("model"))
            self.which.classes("w-full").props("dense outlined")
            self.layers = ui.input(label=self.say("layers"), placeholder="CBAM  neck.P3").classes("w-full")
            self.layers.props("dense outlined")
            ui.button(self.say("show_maps"), on_click=self._maps).props("no-caps dense id=show_maps")
            self.map_fault = FaultLine(self.say, "map_fault")
            self.sheets = ui.element("div").classes("sheet scroll w-full")

    async def _uploaded(self, name: str, content: bytes) -> None:
        try:
            self.source = self.session.access.store(name, content, "image")
        except Exception as error:  # noqa: BLE001 - shown in the page
            self.fault.say(error)
            return
        await self._new_source()

    async def _typed(self) -> None:
        self.fault.clear()
        try:
            self.source = self.session.access.resolve(str(self.path.value or ""))
        except Exception as error:  # noqa: BLE001 - shown in the page
            self.fault.say(error)
            return
        await self._new_source()

    async def _new_source(self) -> None:
        self.session.looked_at = self.source
        self.frame.set_value(1)
        await self.look()

    async def _later(self) -> None:
        """Look again once nothing has changed for a moment."""
        import asyncio

        self.turn += 1
        turn = self.turn
        await asyncio.sleep(WAIT)
        if turn == self.turn and self.source is not None:
            await self.look()

    def _chosen(self, number: int) -> Any:
        """Return a side as it was chosen; None for a variant that nothing was said of.

        Raises:
            UsageError: if its weights may not be read.
        """
        from playground.look import Side, placements

        fields = self.sides[number]
        attention = placements(str(fields["attention"].value or ""))
        weights = str(fields["weights"].value or "").strip()
        if number and not weights and not attention:
            return None
        weights = weights or str(self.sides[0]["weights"].value or "")
        return Side(str(self.session.access.resolve(weights)), attention)

    async def look(self) -> None:
        """Detect with both models and show what each found."""
        self.turn += 1
        turn = self.turn
        self.fault.clear()
        if self.source is None:
            self.fault.say(self.say("choose_image"))
            return
        self.state.set_text(self.say("looking"))
        try:
            sides = [side for side in (self._chosen(0), self._chosen(1)) if side is not None]
            look = await self.session.call(self.session.get_look)
            arguments = (self.source, int(self.frame.value or 1), sides, float(self.conf.value), float(self.iou.value))
            found = await self.session.call(look.both, *arguments, slow=True)
        except Exception as error:  # noqa: BLE001 - shown in the page
            self.fault.say(error)
            self.state.set_text("")
            return
        if turn == self.turn:
            self._fill(found)

    def _fill(self, found: list[Any]) -> None:
        say = self.say
        self.images.clear()
        self.tables.clear()
        counts = [f"{say(name)}: {one.detections.summary()}" for name, one in zip(NAMES, found, strict=False)]
        if len(found) == 2:
            kinds = found[0].kinds.count("lost"), found[1].kinds.count("gained"), found[1].kinds.count("moved")
            counts.append(say("changes", lost=kinds[0], gained=kinds[1], moved=kinds[2]))
        self.state.set_text("; ".join(counts))
        with self.images:
            for name, one in zip(NAMES, found, strict=False):
                with ui.element("figure").style("margin: 0"):
                    ui.html(f'<img alt="{say(name)}" src="{one.drawn()}">', sanitize=False)
                    ui.label(say(name)).classes("faint")
        heads = [say("class"), say("confidence"), "x1", "y1", "x2", "y2", say("change")]
        with self.tables:
            for name, one in zip(NAMES, found, strict=False):
                rows = [[*row[:-1], say(f"is_{row[-1]}")] for row in one.rows()]
                table([f"{say(name)}: {heads[0]}", *heads[1:]], rows, f"boxes_{name}")

    async def _maps(self) -> None:
        """Show what is inside the chosen model."""
        from playground.look import maps

        self.map_fault.clear()
        self.sheets.clear()
        if self.source is None:
            self.map_fault.say(self.say("choose_image"))
            return
        self.map_fault.say(self.say("looking"))
        try:
            side = self._chosen(NAMES.index(str(self.which.value))) or self._chosen(0)
            layers = str(self.layers.value or "").split()
            frame, kind = int(self.frame.value or 1), str(self.kind.value)
            arguments = (self.source, frame, side, kind, layers, float(self.conf.value))
            sheets = await self.session.call(maps, *arguments, slow=True)
        except Exception as error:  # noqa: BLE001 - shown in the page
            self.map_fault.say(error)
            return
        self.map_fault.clear()
        with self.sheets:
            for sheet in sheets:
                ui.html(f'<img alt="{self.say(f"map_{kind}")}" src="{sheet}">', sanitize=False)
