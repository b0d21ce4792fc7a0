"""Two pages of one model: what one has changed, the other does not take for its own."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("nicegui", reason="the page needs NiceGUI: pip install -r requirements-app.txt")

from playground.design import Design, History
from playground.pages.build import BuildPage
from playground.pages.build_panel import PlacePanel
from playground.texts import Texts
from tests.playground.own_thread import run


def test_a_page_that_is_out_of_date_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    history = History(Design().placed({"module": "SE", "at": 4}).placed({"module": "CBAM", "at": 6}))
    page, said, taken = BuildPage(SimpleNamespace(history=history), Texts("en")), [], []
    page.panel, page.fault = SimpleNamespace(clear=lambda: None), SimpleNamespace(say=said.append)
    page.shown = history.design

    async def take(change: Any, *arguments: Any) -> None:
        taken.append(change)

    async def refresh(new_model: bool = False) -> None:
        page.shown = history.design

    monkeypatch.setattr(page, "take", take)
    monkeypatch.setattr(page, "refresh", refresh)
    run(page.remove(0))
    assert len(taken) == 1
    history.take(history.design.without(0))  # in another page
    run(page.remove(0))
    panel: Any = SimpleNamespace(page=page, fields={})
    history.take(history.design.without(0))
    run(PlacePanel._place(panel))
    assert len(taken) == 1
    assert said == ["another page has changed the model; here it is, nothing was done"] * 2
    run(page.remove(0))
    assert len(taken) == 2


def test_nothing_is_counted_for_a_page_that_has_no_browser() -> None:
    """A page that was left is kept for a minute, as its browser may only be held up."""
    page = BuildPage(SimpleNamespace(), Texts("en"))
    client = SimpleNamespace(has_socket_connection=True)
    page.graph = SimpleNamespace(is_deleted=False, client=client)

    async def wanted(change: Any) -> list[bool]:
        answer = asyncio.create_task(page._is_wanted(page.turn))
        await asyncio.sleep(0.05)
        before = answer.done()
        change()
        return [before, await asyncio.wait_for(answer, 10)]

    assert run(wanted(lambda: None)) == [True, True]
    client.has_socket_connection = False
    assert run(wanted(lambda: setattr(client, "has_socket_connection", True))) == [False, True]
    client.has_socket_connection = False
    assert run(wanted(lambda: setattr(page, "turn", 7))) == [False, False]
    assert run(wanted(lambda: setattr(page.graph, "is_deleted", True))) == [False, False]
    assert run(wanted(lambda: None)) == [True, False]
