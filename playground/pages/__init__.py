"""The pages, in NiceGUI: what is shown and what is clicked, and nothing that is computed."""

from nicegui import app, ui
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from engine.errors import UsageError
from playground.faults import line_of
from playground.pages.browse import BrowsePage
from playground.pages.build import BuildPage
from playground.pages.frame import frame
from playground.pages.look import LookPage
from playground.pages.train import TrainPage
from playground.run_files import report_of
from playground.session import Session

# A study's page may have been written by anybody: it runs apart from this one, and asks nobody for anything.
REPORT_POLICY = (
    "sandbox allow-scripts allow-popups; default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; font-src data:; frame-ancestors 'none'"
)


def register(session: Session) -> None:
    """Register all pages."""

    @ui.page("/")
    async def build(request: Request) -> None:
        with frame(session, "build", request) as say:
            await BuildPage(session, say).show()

    @ui.page("/look")
    def look(request: Request) -> None:
        with frame(session, "look", request) as say:
            LookPage(session, say).show()

    @ui.page("/train")
    def train(request: Request) -> None:
        with frame(session, "train", request) as say:
            TrainPage(session, say).show()

    @ui.page("/browse")
    def browse(request: Request) -> None:
        with frame(session, "browse", request) as say:
            BrowsePage(session, say).show()

    @app.get("/report")
    def report(name: str = "") -> Response:
        try:
            page = report_of(session.access, name).read_bytes()
        except (UsageError, OSError) as error:
            return PlainTextResponse(line_of(error), 404)
        return HTMLResponse(page, headers={"content-security-policy": REPORT_POLICY})
