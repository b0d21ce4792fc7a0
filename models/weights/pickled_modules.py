"""What a pickled model says beside its tensors: its layers, and the settings of normalisations and activations.

The modules are inert (`models.weights.safe_pickle`); only plain numbers, texts and class names are read from them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from models.spec.activations import ACTIVATIONS
from models.weights.safe_pickle.values import Instance

_NORMS = frozenset({"BatchNorm1d", "BatchNorm2d", "SyncBatchNorm"})


@dataclass(frozen=True)
class PickledLayer:
    """A layer of a pickled model, as far as aligning it needs (a `LayerLike`).

    Attributes:
        name: row number.
        module: name of its class.
        reads: names of the layers that it reads.
        args: always empty; what it was constructed with is not stored.
    """

    name: str
    module: str
    reads: tuple[str, ...]
    args: tuple[Any, ...] = ()


def pickled_layers(modules: Mapping[str, Instance]) -> tuple[PickledLayer, ...]:
    """Return the layers of a model of YOLOv5, YOLOv7, ultralytics or a fork, in order.

    Args:
        modules: inert modules by prefix, such as "model.24".
    """
    layers = []
    rows = [(prefix, module) for prefix, module in modules.items() if _is_row(prefix)]
    for prefix, module in rows:
        position = int(prefix.removeprefix("model."))
        source = module.state.get("f", -1)
        sources = source if isinstance(source, (list, tuple)) else [source]
        reads = [_absolute(item, position) for item in sources if type(item) is int]
        word = module.state.get("type")
        word = word.rpartition(".")[2] if type(word) is str and word.isprintable() else ""
        layers.append(PickledLayer(str(position), word or module.cls.name.rpartition(".")[2], tuple(reads)))
    return tuple(layers)


def norm_settings(modules: Mapping[str, Instance]) -> dict[str, tuple[float, float]]:
    """Return eps and momentum of each batch normalisation, by prefix."""
    found = {}
    for prefix, module in modules.items():
        if module.cls.name.rpartition(".")[2] in _NORMS:
            eps, momentum = module.state.get("eps"), module.state.get("momentum")
            if type(eps) is float and type(momentum) is float and 0 < eps <= 1 and 0 <= momentum <= 1:
                found[prefix] = (eps, momentum)
    return found


def activation_settings(modules: Mapping[str, Instance]) -> dict[str, str]:
    """Return the text of each activation that a description can name, by prefix, such as "nn.LeakyReLU(0.1)"."""
    found = {}
    for prefix, module in modules.items():
        name = module.cls.name.rpartition(".")[2]
        if name not in ACTIVATIONS or not module.cls.module.startswith(("torch.nn.", "models.", "utils.")):
            continue
        slope = module.state.get("negative_slope")
        if name == "LeakyReLU" and type(slope) is float and 0 <= slope <= 1:
            found[prefix] = f"nn.LeakyReLU({slope:g})"
        else:
            found[prefix] = f"nn.{name}()"
    return found


def _is_row(prefix: str) -> bool:
    head, _, tail = prefix.partition(".")
    return head == "model" and tail.isdecimal() and len(tail) < 6


def _absolute(source: int, position: int) -> str:
    target = source if source >= 0 else position + source
    return "image" if target < 0 else str(target)
