"""The page Browse: curves of runs over one another, their numbers, pages of studies, and deleting."""

from typing import Any
from urllib.parse import quote

from nicegui import ui

from playground.pages.frame import FaultLine, table
from playground.run_files import SHOWN, RunFolder, best, curves, delete, find, read_table
from playground.session import Session
from playground.texts import Texts

MOST = 12  # runs in one chart


class BrowsePage:
    """Show runs and studies.

    Args:
        session: shared by all pages.
        say: the words.
    """

    def __init__(self, session: Session, say: Texts) -> None:
        self.session, self.say = session, say
        self.chosen: list[str] = []

    def show(self) -> None:
        """Draw the page."""
        say = self.say
        with ui.element("div").classes("page two"):
            with ui.element("section").classes("panel").props("id=list"):
                with ui.element("div").classes("line"):
                    ui.label(say("runs")).classes("title grow")
                    ui.button(say("refresh"), on_click=self.refresh).props("no-caps dense outline")
                self.fault = FaultLine(say)
                self.list = ui.element("div").classes("w-full stack")
            with ui.element("section").classes("panel").props("id=compare"):
                ui.label(say("compared")).classes("title")
                self.metric = ui.select([SHOWN[0]], value=SHOWN[0], label=say("metric"), on_change=self.draw)
                self.metric.props("dense outlined").classes("w-full")
                self.chart = ui.echart(curves({}, SHOWN[0])).style("height: 320px")
                self.numbers = ui.element("div").classes("w-full")
        self.refresh()

    def refresh(self) -> None:
        """Look at the folder again."""
        self.list.clear()
        runs = find(self.session.access)
        self.chosen = [name for name in self.chosen if any(run.name == name for run in runs)]
        with self.list:
            if not runs:
                ui.label(self.say("no_runs")).classes("faint")
            for run in runs:
                self._show_run(run)
        self.draw()

    def _show_run(self, run: RunFolder) -> None:
        say = self.say
        with ui.element("div").classes("line run") as line:
            line.props["data-run"] = run.name
            if run.is_study:
                ui.label(run.name).classes("grow text")
                ui.link(say("report"), f"/report?name={quote(run.name)}", new_tab=True)
            else:
                ui.checkbox(
                    run.name, value=run.name in self.chosen, on_change=lambda e, n=run.name: self._choose(n, e.value)
                ).classes("grow text").props("dense")
            if not run.name.startswith("docs/"):
                ui.button(say("delete"), on_click=lambda r=run: self._ask(r)).props("flat dense no-caps color=negative")

    def _choose(self, name: str, wanted: bool) -> None:
        self.chosen = [one for one in self.chosen if one != name] + ([name] if wanted else [])
        self.draw()

    def draw(self) -> None:
        """Draw the chosen runs' curves and numbers."""
        known = {run.name: run.path for run in find(self.session.access)}
        tables = {name: read_table(known[name]) for name in self.chosen[-MOST:] if name in known}
        columns = [key for key in dict.fromkeys(key for one in tables.values() for key in one) if key != "epoch"]
        listed = list(dict.fromkeys([*(name for name in SHOWN if name in columns), *columns])) or [SHOWN[0]]
        if listed != self.metric.options:
            self.metric.set_options(listed, value=self.metric.value if self.metric.value in listed else listed[0])
        self.chart.options.clear()
        self.chart.options.update(curves(tables, str(self.metric.value)))
        self.chart.update()
        self.numbers.clear()
        rows: list[list[Any]] = [
            [name, metric.partition("/")[2], f"{last:.4f}", f"{top:.4f}"]
            for name, one in tables.items()
            for metric, last, top in best(one)
        ]
        with self.numbers:
            if rows:
                heads = [self.say(key) for key in ("run", "metric", "last", "best")]
                table(heads, rows, "metrics")

    def _ask(self, run: RunFolder) -> None:
        """Ask before a run is deleted."""
        with ui.dialog(value=True) as dialog, ui.card().props("role=alertdialog id=ask"):
            ui.label(self.say("delete_ask", name=run.name)).classes("text")
            with ui.element("div").classes("line"):
                ui.button(self.say("keep"), on_click=dialog.close).props("no-caps autofocus")
                ui.button(self.say("delete"), on_click=lambda: self._delete(run, dialog)).props(
                    "no-caps color=negative"
                )

    def _delete(self, run: RunFolder, dialog: Any) -> None:
        dialog.close()
        self.fault.clear()
        if self.session.queue.busy(run.path):
            self.fault.say(self.say("in_queue", name=run.name))
            return
        try:
            delete(self.session.access, run.name)
        except Exception as error:  # noqa: BLE001 - shown in the page
            self.fault.say(error)
        self.refresh()
