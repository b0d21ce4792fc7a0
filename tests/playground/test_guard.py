"""Requests of other names and origins are refused, and nothing larger than allowed is read."""

from typing import Any

import pytest

from playground.guard import FORM, Guard, refusal
from tests.playground.own_thread import run

HOSTS = {"127.0.0.1", "localhost", "::1"}


def scope(kind: str = "http", method: str = "GET", **headers: str) -> dict[str, Any]:
    listed = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": kind, "method": method, "path": "/", "headers": listed}


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "127.0.0.1:8080"},
        {"host": "localhost"},
        {"host": "[::1]:8080", "origin": "http://[::1]:8080"},
        {"host": "127.0.0.1:8080", "origin": "http://127.0.0.1:8080", "sec_fetch_site": "same-origin"},
        {"host": "LocalHost:8080", "origin": "http://localhost:8080"},
        {"host": "127.0.0.1:8080", "sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate"},
    ],
)
def test_own_requests_are_answered(headers: dict[str, str]) -> None:
    assert refusal(scope(**headers), HOSTS) == ""


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"host": "attacker.example"},
        {"host": "attacker.example:8080"},
        {"host": "127.0.0.1.attacker.example:8080"},
        {"host": "127.0.0.1@attacker.example"},
        {"host": "127.0.0.1:8080/x"},
        {"host": "127.0.0.1:80x"},
        {"host": "localhost.", "origin": "http://localhost:8080"},
        {"host": "127.0.0.1:8080", "origin": "http://attacker.example"},
        {"host": "127.0.0.1:8080", "origin": "http://127.0.0.1:9999"},
        {"host": "127.0.0.1:8080", "origin": "http://localhost:8080"},
        {"host": "127.0.0.1:8080", "origin": "null"},
        {"host": "127.0.0.1:8080", "origin": "file://127.0.0.1:8080"},
        {"host": "127.0.0.1:8080", "sec_fetch_site": "cross-site", "sec_fetch_mode": "no-cors"},
        {"host": "127.0.0.1:8080", "sec_fetch_site": "same-site", "sec_fetch_mode": "cors"},
    ],
)
def test_others_are_refused(headers: dict[str, str]) -> None:
    assert refusal(scope(**headers), HOSTS)
    assert refusal(scope("websocket", **headers), HOSTS)


def test_a_form_of_another_site_is_refused_and_a_websocket_names_its_origin() -> None:
    form = {"host": "localhost", "sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate"}
    assert refusal(scope(method="POST", **form), HOSTS)
    assert refusal(scope("websocket", host="localhost"), HOSTS)
    assert not refusal(scope("websocket", host="localhost", origin="http://localhost"), HOSTS)


def test_two_hosts_are_refused() -> None:
    asked = scope(host="localhost")
    asked["headers"].append((b"host", b"attacker.example"))
    assert refusal(asked, HOSTS)


def answer(asked: dict[str, Any], parts: list[bytes]) -> tuple[int, int, dict[bytes, bytes]]:
    """Send a request through a guard of 100 bytes; return status, bytes that the app read, and the headers."""
    read, sent = [], []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (message := await receive())["type"] == "http.request" and message.get("more_body"):
            read.append(len(message["body"]))
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive() -> Any:
        return {"type": "http.request", "body": parts.pop(0), "more_body": True} if parts else {"type": "http.request"}

    async def send(message: Any) -> None:
        sent.append(message)

    run(Guard(app, HOSTS, 100)(asked, receive, send))
    start = sent[0]
    return start["status"], sum(read), dict(start["headers"])


def test_a_body_is_bounded_by_what_it_announces_and_by_what_it_is() -> None:
    limit = 100 + FORM
    assert answer(scope(host="localhost", content_length=str(limit + 1)), [])[0] == 413
    status, read, headers = answer(scope(host="localhost"), [bytes(limit)])
    assert (status, read) == (200, limit)
    assert b"default-src 'self'" in headers[b"content-security-policy"]
    assert answer(scope(host="localhost"), [bytes(limit), b"x", b"y"])[1] == limit
    assert answer(scope(host="attacker.example"), [b"x"])[:2] == (403, 0)


def test_a_refused_websocket_is_closed() -> None:
    sent = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message["type"])

    async def app(*_: Any) -> None:
        raise AssertionError("it was let in")

    run(Guard(app, HOSTS, 100)(scope("websocket", host="attacker.example"), receive, send))
    assert sent == ["websocket.close"]


@pytest.mark.parametrize("begun", [False, True])
def test_a_reader_who_leaves_is_no_fault(begun: bool) -> None:
    """What NiceGUI puts above this takes an answer that never comes for a fault of the app, and logs a traceback."""
    pytest.importorskip("nicegui", reason="the page needs NiceGUI: pip install -r requirements-app.txt")
    from nicegui.middlewares import RedirectWithPrefixMiddleware, SetCacheControlMiddleware
    from starlette.middleware.gzip import GZipMiddleware

    async def left(scope: Any, receive: Any, send: Any) -> None:
        if begun:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        while (await receive())["type"] != "http.disconnect":
            pass

    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    app = SetCacheControlMiddleware(RedirectWithPrefixMiddleware(GZipMiddleware(Guard(left, HOSTS, 100))))
    run(app(scope(host="127.0.0.1", accept_encoding="gzip"), receive, send))
    assert sent[0]["status"] == (200 if begun else 499)
