"""Notice attention that changes the height or width of its map, or fails, while a new detector is tried."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor, nn


@dataclass
class Attention:
    """Hold what is known of the attention in a detector that is being tried.

    Attributes:
        changed: a line on the first that gives a map of another size than it gets; empty if none does.
        running: which one is running, and on a map of which size; empty if none is.
    """

    changed: str = ""
    running: str = ""

    def explain(self, text: str) -> str:
        """Return a line that says why layers do not fit, as far as attention is the reason, else `text`."""
        if self.changed:
            return f"{self.changed}; attention keeps the size of its map: pad its convolutions"
        return f"{self.running}: {text}" if self.running else text


@contextmanager
def watched_attention(detector: Any) -> Iterator[Attention]:
    """Watch a detector's attention within the block.

    Args:
        detector: a Detector; its hooks are gone afterwards.
    """
    seen = Attention()
    with ExitStack() as hooks:
        for path in detector.attention_names():
            module, origin = detector.get_submodule(path), detector.spec.layer(path.split(".")[1]).origin
            hooks.callback(module.register_forward_pre_hook(partial(_begin, seen, origin)).remove)
            hooks.callback(module.register_forward_hook(partial(_end, seen, origin)).remove)
        yield seen


def _size(x: object) -> str:
    return f"{x.shape[2]} × {x.shape[3]}" if isinstance(x, Tensor) and x.dim() == 4 else ""


def _begin(seen: Attention, origin: str, module: nn.Module, inputs: tuple[Any, ...]) -> None:
    seen.running = f"{origin}: {type(module).__name__} fails on a map of {_size(inputs[0] if inputs else None)}"


def _end(seen: Attention, origin: str, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
    was, now, seen.running = _size(inputs[0] if inputs else None), _size(output), ""
    if was and now and was != now and not seen.changed:
        seen.changed = f"{origin}: {type(module).__name__} makes a map of {now} from one of {was}"
