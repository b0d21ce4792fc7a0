"""What the pages share: access, the model under construction, the queue of trainings, one thread for models."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from playground.access import Access

if TYPE_CHECKING:
    from playground.design import History

T = TypeVar("T")


class Session:
    """Hold what outlives a page.

    Args:
        access: what may be read.
        plugins: files of the user's own mechanisms, run once a model is asked for.

    Attributes:
        language, dark: as last chosen; None follows the browser.
    """

    def __init__(self, access: Access, plugins: Sequence[str] = ()) -> None:
        self.access, self.plugins = access, list(plugins)
        self.language: str | None = None
        self.dark: bool | None = None
        self.uploads: dict[str, str] = {}  # label → path of what was uploaded, newest last
        self._history: History | None = None
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
        """End the threads and remove the uploads."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._quick.shutdown(wait=False, cancel_futures=True)
        self.access.close()
