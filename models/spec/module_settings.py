"""Settings of modules that no tensor holds and no row says: `batch_norm` and `modules` of a description.

    batch_norm: [0.001, 0.03]          eps and momentum of every batch normalisation, attention's included
    modules:                           single modules by path, where they differ
      model.2.act: nn.LeakyReLU(0.1)
      model.9.bn: [0.00001, 0.1]

Reading a fork's checkpoint writes them; without them attention keeps its authors' values and blocks those of YOLO.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from models.errors import SpecError, short

MAX_MODULES = 20_000

Norm = tuple[float, float]  # eps, momentum


@dataclass(frozen=True)
class ModuleSettings:
    """What a description says about its modules.

    Attributes:
        batch_norm: eps and momentum of every batch normalisation; None leaves each its own.
        norms: those of single ones, by path.
        activations: text of single activations, by path.
    """

    batch_norm: Norm | None = None
    norms: Mapping[str, Norm] = field(default_factory=dict)
    activations: Mapping[str, str] = field(default_factory=dict)


def read_module_settings(data: Mapping[str, Any], label: str) -> ModuleSettings:
    """Read both keys.

    Args:
        data: model description.
        label: file, for messages.

    Raises:
        SpecError: naming the key, what was found and what is expected.
    """
    whole = data.get("batch_norm")
    modules = data.get("modules") or {}
    if not isinstance(modules, Mapping) or len(modules) > MAX_MODULES:
        raise SpecError(f"{label}: modules is {short(modules)}, expected a mapping such as {{model.2.act: nn.ReLU()}}")
    norms: dict[str, Norm] = {}
    activations: dict[str, str] = {}
    for path, value in modules.items():
        where = f"modules: {short(path)}"
        if not isinstance(path, str):
            raise SpecError(f"{label}: {where} is no path of a module such as model.2.act")
        if isinstance(value, str):
            activations[path] = value
        else:
            norms[path] = _norm(value, label, where)
    return ModuleSettings(None if whole is None else _norm(whole, label, "batch_norm"), norms, activations)


def _norm(value: object, label: str, key: str) -> Norm:
    good = isinstance(value, list | tuple) and len(value) == 2
    numbers = [v for v in value if isinstance(v, int | float) and not isinstance(v, bool)] if good else []  # type: ignore[attr-defined]
    if len(numbers) != 2 or not 0 < numbers[0] <= 1 or not 0 <= numbers[1] <= 1:
        raise SpecError(
            f"{label}: {key} is {short(value)}, expected eps and momentum from 0 to 1, such as [0.001, 0.03]"
        )
    return float(numbers[0]), float(numbers[1])
