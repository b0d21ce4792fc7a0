"""What all pages share: the bar with the pages' names, language and brightness; code, tables and lines of faults."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from html import escape
from typing import Any

from nicegui import events, ui
from starlette.requests import Request

from playground.access import KINDS
from playground.faults import line_of
from playground.session import Session
from playground.texts import LANGUAGES, Texts, preferred

PAGES = {"build": "/", "look": "/look", "train": "/train", "browse": "/browse"}


@contextmanager
def frame(session: Session, here: str, request: Request) -> Iterator[Texts]:
    """Draw the bar; what is drawn in the block stands below it.

    Args:
        session: shared by all pages.
        here: key of the page.
        request: for the language that the browser wants.

    Yields:
        The words in the language of the page.
    """
    asked = request.query_params.get("lang", "")
    if asked in LANGUAGES:
        session.language = asked
    say = Texts(session.language or preferred(request.headers.get("accept-language", "")))
    ui.add_head_html('<link rel="stylesheet" href="/static/page.css">')
    ui.page_title(f"{say(here)} – yolo-attention")
    client = ui.context.client
    client.page = copy(client.page)  # which all visitors share, and its language with it
    client.page.language = "zh-CN" if say.language == "zh" else "en-US"  # of what NiceGUI says itself
    ui.query("html").props(f"lang={'zh-CN' if say.language == 'zh' else 'en'}")
    dark = ui.dark_mode(session.dark)
    with ui.header().classes("p-0").props("bordered=false"), ui.element("nav").classes("topbar"):
        for key, path in PAGES.items():
            ui.link(say(key), f"{path}?lang={say.language}").classes("here" if key == here else "")
        ui.space()
        other = LANGUAGES[1 - LANGUAGES.index(say.language)]
        ui.link(say("other_language"), f"{PAGES[here]}?lang={other}").props(f"hreflang={other} id=language")

        def turn() -> None:
            session.dark = {None: True, True: False, False: None}[session.dark]
            dark.value = session.dark
            button.set_text(say(_brightness(session.dark)))

        button = ui.button(say(_brightness(session.dark)), on_click=turn).props(
            "flat dense no-caps color=white id=dark"
        )
    yield say


def _brightness(dark: bool | None) -> str:
    return {None: "as_system", True: "dark", False: "light"}[dark]


def code(text: str, name: str, log: bool = False) -> ui.html:
    """Show text as it is, in a box that can be scrolled."""
    return ui.html(_code(text, name, log), sanitize=False).classes("w-full min-w-0")


def set_code(element: ui.html, text: str, name: str, log: bool = False) -> None:
    """Show another text in such a box."""
    element.set_content(_code(text, name, log))


def _code(text: str, name: str, log: bool) -> str:
    return f'<pre class="code{" log" if log else ""}" id="{escape(name)}" tabindex="0">{escape(text)}</pre>'


def table(heads: Sequence[str], rows: Sequence[Sequence[Any]], name: str, english: bool = False) -> ui.html:
    """Show a table; numbers stand to the right.

    Args:
        heads: of the columns.
        rows: of cells.
        name: id of the element.
        english: whether the cells are what a script says, in English on every page.
    """
    return ui.html(_table(heads, rows, name, english), sanitize=False).classes("w-full scroll")


def _table(heads: Sequence[str], rows: Sequence[Sequence[Any]], name: str, english: bool) -> str:
    head = "".join(f"<th scope='col'>{escape(str(one))}</th>" for one in heads)
    body = "".join(f"<tr><th scope='row'>{escape(str(row[0]))}</th>{''.join(map(_cell, row[1:]))}</tr>" for row in rows)
    said = " lang='en'" if english else ""
    head = f"<thead><tr>{head}</tr></thead>"
    return f"<table class='plain' id='{escape(name)}'>{head}<tbody{said}>{body}</tbody></table>"


def _cell(value: Any) -> str:
    text = escape(str(value))
    return f"<td class='number'>{text}</td>" if text[:1] in "0123456789+-−" and len(text) < 24 else f"<td>{text}</td>"


class FaultLine:
    """One line in the page for what went wrong last.

    Args:
        say: the words of the page.
        name: id of the element.
    """

    def __init__(self, say: Texts, name: str = "fault") -> None:
        self.words = say
        self.label = ui.label("").classes("fault").props(f"role=alert id={name}")
        self.label.set_visibility(False)

    def say(self, error: BaseException | str) -> None:
        """Show an error."""
        self.label.set_text(error if isinstance(error, str) else line_of(error, self.words))
        self.label.set_visibility(True)

    def clear(self) -> None:
        """Show nothing."""
        self.label.set_text("")
        self.label.set_visibility(False)


def upload_field(session: Session, say: Texts, fault: FaultLine, key: str, kind: str, take: Any) -> None:
    """Let a file be uploaded; what is not taken is said in a line, and the list of the field stays empty.

    Args:
        session: which says how large a file may be.
        say: the words of the page.
        fault: where to say it.
        key: of the label, and id of the element.
        kind: of `playground.access.KINDS`.
        take: called with name and content.
    """

    async def uploaded(event: events.UploadEventArguments) -> None:
        fault.clear()
        field.reset()
        await take(event.file.name, await event.file.read())

    def rejected() -> None:
        fault.say(say("not_uploaded", size=session.access.max_upload >> 20, kinds=", ".join(KINDS[kind])))

    field = ui.upload(
        label=say(key),
        auto_upload=True,
        max_file_size=session.access.max_upload,
        on_upload=uploaded,
        on_rejected=rejected,
    ).props(f"accept={','.join(KINDS[kind])} flat bordered id={key}")


def choices(pairs: Mapping[str, str]) -> dict[str, str]:
    """Return choices for a select as it wants them."""
    return dict(pairs)
