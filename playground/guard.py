"""Refuse requests that are not this page's own: another host name, another origin, too large."""

import json
from collections.abc import Awaitable, Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

# Nothing but this server is asked for anything, and no other page may show this one in a frame.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self' data:; "
    "connect-src 'self'; frame-ancestors 'self'; form-action 'self'; base-uri 'self'; object-src 'none'"
)
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
FORM = 65536  # bytes of a request's own form around an upload


class Guard:
    """Check Host and Origin of every request and websocket, and bound what is sent.

    A page of another origin can ask a browser to send requests here, and with a name that it controls (DNS rebinding)
    they even count as its own: so only the names by which this server is known are answered.

    Args:
        app: what answers.
        hosts: names under which the page is asked for, without port.
        max_body: bytes of one request.
    """

    def __init__(self, app: Any, hosts: Iterable[str], max_body: int) -> None:
        self.app, self.hosts, self.limit = app, {host.lower() for host in hosts}, max_body + FORM

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        reason = refusal(scope, self.hosts)
        if reason:
            await _refuse(scope, receive, send, 403, reason)
        elif scope["type"] == "websocket":
            await self.app(scope, receive, send)
        elif _announced(scope) > self.limit:
            await _refuse(scope, receive, send, 413, f"larger than {self.limit >> 20} MB")
        else:
            answer = _Answer(send)
            await self.app(scope, self._bounded(receive), answer)
            await answer.end()

    def _bounded(self, receive: Receive) -> Receive:
        """Return a receive that ends a body that is longer than it may be, whatever its head announced."""
        seen = 0

        async def bounded() -> Any:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            return {"type": "http.disconnect"} if seen > self.limit else message

        return bounded


def refusal(scope: Scope, hosts: set[str]) -> str:
    """Return why a request is refused; empty if it is not.

    Args:
        scope: of the request, as ASGI has it.
        hosts: names that are answered.
    """
    headers = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope.get("headers", ())]
    found = {name: value for name, value in headers}
    asked = [value for name, value in headers if name == "host"]
    if len(asked) != 1 or _name_of(asked[0]) not in hosts:
        return "this host name is not answered; start app.py with --allow-host NAME"
    origins = [value for name, value in headers if name == "origin"]
    if len(origins) > 1 or (origins and _origin(origins[0]) != asked[0].lower()):
        return "requests of other origins are refused"
    if scope["type"] == "websocket" and not origins:
        return "a websocket without an origin is refused"
    if found.get("sec-fetch-site", "same-origin") in ("cross-site", "same-site"):
        if found.get("sec-fetch-mode") != "navigate" or scope.get("method", "GET") != "GET":
            return "requests of other sites are refused"
    return ""


def _origin(text: str) -> str:
    """Return host and port of an origin; empty where it has none ("null")."""
    try:
        parts = urlsplit(text)
        return parts.netloc.lower() if parts.scheme in ("http", "https") else ""
    except ValueError:
        return ""


def _name_of(host: str) -> str:
    """Return the name in a Host header, without port; empty where it is none."""
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port
        return (parts.hostname or "") if "@" not in host and "/" not in host else ""
    except ValueError:
        return ""


def _announced(scope: Scope) -> int:
    lengths = [value for name, value in scope.get("headers", ()) if name.lower() == b"content-length"]
    return int(lengths[0]) if lengths and lengths[0].isdigit() and len(lengths[0]) < 20 else 0


class _Answer:
    """Send an answer with this page's headers, and end it where its reader has left before it began.

    Args:
        send: of the server, as ASGI has it.
    """

    def __init__(self, send: Send) -> None:
        self.send, self.begun, self.has_body = send, False, False

    async def __call__(self, message: Any) -> None:
        """Send a message."""
        if message["type"] == "http.response.start":
            self.begun = True
            names = {name.lower() for name, _ in message.get("headers", ())}
            added = [header for header in HEADERS if header[0] not in names]
            message = {**message, "headers": [*message.get("headers", ()), *added]}
        elif message["type"] in ("http.response.body", "http.response.pathsend"):
            self.has_body = True
        await self.send(message)

    async def end(self) -> None:
        """Send what is missing: layers above (gzip, BaseHTTPMiddleware) take silence for a fault and log it."""
        if not self.begun:
            await self({"type": "http.response.start", "status": 499, "headers": []})  # nginx's number for it
        if not self.has_body:
            await self({"type": "http.response.body", "body": b""})


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int, reason: str) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 4403, "reason": reason})
        return
    body = json.dumps({"refused": reason}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*headers, (b"connection", b"close")]})
    await send({"type": "http.response.body", "body": body})
