"""The pages, in NiceGUI: what is shown and what is clicked, and nothing that is computed."""

from nicegui import ui
from starlette.requests import Request

from playground.pages.build import BuildPage
from playground.pages.frame import frame
from playground.session import Session


def register(session: Session) -> None:
    """Register all pages."""

    @ui.page("/")
    async def build(request: Request) -> None:
        with frame(session, "build", request) as say:
            await BuildPage(session, say).show()
