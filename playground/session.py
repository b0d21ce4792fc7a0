"""What the pages share: access, the model under construction, the queue of trainings, one thread for models."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from playground.access import Access
from playground.trainings import Queue

if TYPE_CHECKING:
    from playground.design import History
    from playground.look import Look

T = TypeVar("T")


class Session:
    """Hold what outlives a page.

    Args:
        access: what may be read.
        plugins: files of the user's own mechanisms, run once a model is asked for.

    Attributes:
        language: as last chosen; None follows the browser.
        dark: likewise.
        queue: of trainings.
        looked_at: the image or video that was last looked at.
    """

    def __init__(self, access: Access, plugins: Sequence[str] = ()) -> None:
        self.access, self.plugins = access, list(plugins)
        self.language: str | None = None
        self.dark: bool | None = None
        self.queue = Queue(access.runs, plugins)
        self.looked_at: Path | None = None
        self._history: History | None = None
        self._look: Look | None = None
        self._pool = ThreadPoolExecutor(1, "models")
        self._quick = ThreadPoolExecutor(1, "specs")
        self._ready = False

    @property
    def history(self) -> "History":
        """The model under construction and its steps; loads torch."""
        from playground.design import History

        if self._history is None:
            self._history = History()
        return self._history

    @property
    def has_design(self) -> bool:
        """Whether something was built already."""
        return self._history is not None and self._history.can_undo

    def get_look(self) -> "Look":
        """Return what keeps the models that are looked with; loads torch."""
        from playground.look import Look

        if self._look is None:
            self._look = Look()
        return self._look

    async def call(self, function: Callable[..., T], *arguments: Any, slow: bool = False) -> T:
        """Run a function of models in a thread of its own, one after another.

        Args:
            function: what to run.
            *arguments: its arguments.
            slow: whether it may take seconds, so that others should not wait for it.
        """
        pool = self._pool if slow else self._quick
        return await asyncio.get_running_loop().run_in_executor(pool, self._prepared, function, arguments)

    def _prepared(self, function: Callable[..., T], arguments: Sequence[Any]) -> T:
        if not self._ready:
            from models.catalog.mechanisms import load_plugin

            for plugin in self.plugins:
                load_plugin(plugin)
            self._ready = True
        return function(*arguments)

    def close(self) -> None:
        """End trainings and threads, and remove the uploads."""
        self.queue.close()
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._quick.shutdown(wait=False, cancel_futures=True)
        self.access.close()
