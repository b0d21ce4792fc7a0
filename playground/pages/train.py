"""The page Train: a form, a queue of trainings, and the curve and log of each."""

from typing import Any

from nicegui import ui

from playground.pages.frame import FaultLine, code, set_code
from playground.run_files import SHOWN, curves, find, read_table, weights_on_disk
from playground.session import Session
from playground.texts import Texts
from playground.train_form import OPTIMIZERS, data_names, hyp_names, train_flags
from playground.trainings import RUNNING, WAITING, Training

EVERY = 1.0  # seconds between looks at the queue


class TrainPage:
    """Queue trainings and watch them.

    Args:
        session: shared by all pages; it holds the queue, so a page may be closed and opened again.
        say: the words.
    """

    def __init__(self, session: Session, say: Texts) -> None:
        self.session, self.say = session, say
        self.cards: dict[int, TrainingCard] = {}

    def show(self) -> None:
        """Draw the page."""
        say = self.say
        with ui.element("div").classes("page two"):
            with ui.element("section").classes("panel").props("id=form"):
                ui.label(say("new_training")).classes("title")
                self._show_form()
                self.fault = FaultLine(say)
                with ui.element("div").classes("line"):
                    ui.button(say("start"), on_click=self._start).props("no-caps dense id=start")
                ui.label(say("resume_run")).classes("title")
                runs = [run.name for run in find(self.session.access) if run.resumable]
                self.run = ui.select(runs, label=say("run"), with_input=True).classes("w-full")
                self.run.props("dense outlined")
                ui.button(say("resume"), on_click=self._resume_run).props("no-caps dense outline id=resume_run")
            with ui.element("div").classes("stack"):
                self.empty = ui.label(say("no_training")).classes("faint")
                self.list = ui.element("div").classes("stack").props("id=queue")
        self._look()
        ui.timer(EVERY, self._look)

    def _show_form(self) -> None:
        say = self.say
        models = {"weights": say("of_weights"), "design": say("of_design")}
        design = self.session.has_design
        self.fields: dict[str, Any] = {}
        self.model = ui.select(models, value="design" if design else "weights", label=say("model")).classes("w-full")
        self.model.props("dense outlined")
        weights = weights_on_disk(self.session.access)
        first = weights[0] if weights else ""
        self._field("weights", ui.select(["", *weights], value=first, with_input=True, new_value_mode="add-unique"))
        self._field("data", ui.select(data_names(), value="digits", with_input=True, new_value_mode="add-unique"))
        with ui.element("div").classes("pair w-full"):
            for name, value in (("epochs", 3), ("imgsz", 320), ("batch", 16), ("seed", 0)):
                self._field(name, ui.number(value=value, format="%d"))
            self._field("hyp", ui.select(hyp_names(), value="digits-finetune"))
            self._field("optimizer", ui.select(list(OPTIMIZERS), value=OPTIMIZERS[0]))
        self._field("name", ui.input(value="exp"))
        for name in ("identity", "attention_only", "plots"):
            self.fields[name] = ui.checkbox(say(name)).props("dense")

    def _field(self, name: str, element: Any) -> None:
        element.props(f'dense outlined label="{self.say(name)}"').classes("w-full")
        self.fields[name] = element

    async def _start(self) -> None:
        form = {name: field.value for name, field in self.fields.items()}
        self.fault.clear()
        try:
            design = self.session.history.design if self.model.value == "design" else None
            flags = await self.session.call(train_flags, form, design, self.session.access)
            await self.session.call(self.session.queue.add, flags, str(form["name"] or "exp"))
        except Exception as error:  # noqa: BLE001 - shown in the page
            self.fault.say(error)
        self._look()

    async def _resume_run(self) -> None:
        self.fault.clear()
        try:
            run = next((one for one in find(self.session.access) if one.name == self.run.value), None)
            if run is not None:
                await self.session.call(self.session.queue.resume, run.path)
        except Exception as error:  # noqa: BLE001 - shown in the page
            self.fault.say(error)
        self._look()

    def resume(self, training: Training) -> None:
        """Queue the rest of a training that was stopped."""
        self.fault.clear()
        try:
            self.session.queue.resume(training.folder)
        except Exception as error:  # noqa: BLE001 - shown in the page
            self.fault.say(error)
        self._look()

    def _look(self) -> None:
        """Show what has happened since the last look."""
        trainings = self.session.queue.trainings
        self.empty.set_visibility(not trainings)
        for training in trainings:
            if training.number not in self.cards:
                with self.list:
                    self.cards[training.number] = TrainingCard(self, training)
                    self.cards[training.number].box.move(self.list, 0)  # the newest first
        for card in self.cards.values():
            card.look()


class TrainingCard:
    """One training: state, curve, log, and its buttons.

    Args:
        page: on which it stands.
        training: of the queue.
    """

    def __init__(self, page: TrainPage, training: Training) -> None:
        self.page, self.training, self.seen = page, training, ("", 0, "")
        say = page.say
        self.box = ui.element("section").classes("panel training").props(f"data-training={training.number}")
        with self.box:
            with ui.element("div").classes("line"):
                ui.label(f"{training.number}. {training.folder.name}").classes("title grow")
                self.state = ui.label("").classes("state")
                self.stop = ui.button(say("stop"), on_click=lambda: page.session.queue.stop(training))
                self.stop.props("no-caps dense outline")
                self.resume = ui.button(say("resume"), on_click=lambda: page.resume(training))
                self.resume.props("no-caps dense outline")
            code(training.command, f"command{training.number}")
            self.chart = ui.echart(curves({}, SHOWN[0])).style("height: 220px")
            self.log = code("", f"log{training.number}", log=True)

    def look(self) -> None:
        """Show the state as it is now, if anything has changed."""
        training = self.training
        table = read_table(training.folder)
        now = (training.state, len(table.get("epoch", ())), training.log())
        if now == self.seen:
            return
        state, epochs, log = now
        self.state.set_text(self.page.say(f"is_{state}"))
        self.stop.set_visibility(state in (WAITING, RUNNING))
        self.resume.set_visibility(state in ("stopped", "failed") and training.checkpoint is not None)
        if epochs != self.seen[1]:
            drawn = {name.partition("/")[2]: table for name in SHOWN[:2]}
            options = curves(drawn, "")
            series: Any = options["series"]
            for name, one in zip(SHOWN, series, strict=False):
                one["data"] = list(zip(table.get("epoch", ()), table.get(name, ()), strict=False))
            self.chart.options.clear()
            self.chart.options.update(options)
            self.chart.update()
        self.chart.props(f"data-epochs={epochs}")
        self.chart.set_visibility(epochs > 0)
        set_code(self.log, log, f"log{training.number}", log=True)
        self.seen = now
