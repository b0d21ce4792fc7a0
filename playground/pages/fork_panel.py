"""The panel of Build that reads a model YAML, this project's or a fork's, pasted or uploaded."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from nicegui import ui

from playground.pages.frame import FaultLine, table, upload_field

if TYPE_CHECKING:
    from playground.pages.build import BuildPage

MOST = 250_000  # characters of a pasted text, in UTF-8 fewer bytes than the page's connection takes in a message


class ForkPanel:
    """Say what a model YAML or checkpoint means here, and go on with it.

    Args:
        page: whose design it may become.
    """

    def __init__(self, page: "BuildPage") -> None:
        self.page, self.say = page, page.say
        say = page.say
        with ui.element("section").classes("panel").props("id=fork"):
            ui.label(say("bring")).classes("title")
            ui.label(say("bring_hint")).classes("faint")
            self.text = ui.textarea(label=say("paste")).classes("w-full paste")
            self.text.props(f"dense outlined rows=4 spellcheck=false maxlength={MOST}")
            with ui.element("div").classes("line"):
                ui.button(say("explain"), on_click=self._pasted).props("no-caps dense id=explain")
            above = ui.element("div").classes("w-full")
            self.fault = FaultLine(say, "fork_fault")
            with above:
                upload_field(page.session, say, self.fault, "upload_model", "model", self._read)
            self.result = ui.element("div").classes("w-full stack").props("id=explained")

    async def _pasted(self) -> None:
        text = str(self.text.value or "")
        if len(text) >= MOST:  # the browser cut it off there
            self.result.clear()
            self.fault.say(self.say("long_paste", most=MOST))
            return
        await self._read("pasted.yaml", text.encode())

    async def _read(self, name: str, content: bytes) -> None:
        """Say what a description or checkpoint means."""
        self.fault.clear()
        self.result.clear()
        try:
            path = self.page.session.access.store(name, content, "model")
            found = await self.page.session.call(_meaning, path, name[:80], content, self.page.session.access)
        except Exception as error:  # noqa: BLE001 - shown in the page
            self.fault.say(error)
            return
        with self.result:
            if found.nearest:
                ui.label(self.say("nearest", name=found.nearest)).classes("text")
            heads = [self.say(f"column_{key}") for key in ("row", "module", "status", "note")]
            if found.rows:
                table(heads, [list(row.values()) for row in found.rows], "rows", english=True)
            for line in found.lines:
                ui.label(line).classes("text faint").props("lang=en")
            if found.design is not None:
                ui.button(self.say("go_on"), on_click=lambda: self._go_on(found.design)).props("no-caps dense id=go_on")

    async def _go_on(self, design: Any) -> None:
        await self.page.take(lambda: design, new_model=True)


def _meaning(path: Path, name: str, content: bytes, access: Any) -> Any:
    """Read an overlay of this project as a design, anything else as a fork's file."""
    from models.spec.yaml_reader import parse_yaml
    from playground.design import read_description
    from playground.fork import Explained, explain

    if path.suffix in (".yaml", ".yml"):
        data = parse_yaml(content, name)
        if "base" in data or data.get("attention"):
            return Explained("", [], [], read_description(content, name, access))
    return explain(path, name)
