"""Set a model's batch normalisations as those are set whose tensors it took over."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from torch import nn

from models.network.detector import Detector

_STATISTICS = ".running_mean"


def take_norms(
    detector: Detector,
    origins: Iterable[tuple[str, str]],
    norms: Mapping[str, tuple[float, float]],
    default: tuple[float, float] | None,
) -> list[str]:
    """Set eps and momentum of batch normalisations, and say so in the model's description, which its checkpoints hold.

    Args:
        detector: that took over tensors.
        origins: its tensors' names, each with the name of the source's.
        norms: of the source's modules, by path.
        default: of those that are not among them; None leaves them.

    Returns:
        Paths of the modules that were changed.
    """
    changed: dict[str, Any] = {}
    for key, origin in origins:
        if not key.endswith(_STATISTICS):
            continue
        norm = norms.get(origin.removesuffix(_STATISTICS), default)
        module: Any = detector.get_submodule(key.removesuffix(_STATISTICS))
        if norm is not None and (module.eps, module.momentum) != norm:
            module.eps, module.momentum = norm
            changed[key.removesuffix(_STATISTICS)] = list(norm)
    if changed:
        described = dict(detector.spec.yaml)
        settings = {(m.eps, m.momentum) for m in detector.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)}
        if len(settings) == 1:
            described["batch_norm"] = list(settings.pop())
        else:
            described["modules"] = {**described.get("modules", {}), **changed}
        detector.spec = replace(detector.spec, yaml=described)
        detector.yaml = {**detector.yaml, **described}
    return list(changed)
