"""What a model costs beyond its base, and what it keeps of its weights; counted as the scripts count."""

import json
from dataclasses import dataclass
from statistics import median

from models.network.cost import IMAGE_SIZE, gflops, parameters_by_layer
from models.network.detector import Detector
from models.spec.model_spec import ModelSpec
from models.weights.transfer.plan import plan_transfer
from study.execute.cost import interleaved

ROUNDS = 5
MEASURED = 120.0  # GFLOPs up to which latency is measured without being asked: above, it takes a minute
KEPT = 64  # models whose numbers are remembered
SHOWN_SIZE = IMAGE_SIZE  # pixels of a side


@dataclass(frozen=True)
class Counts:
    """Parameters by layer, and operations of one image."""

    parameters: dict[str, int]
    gflops: float

    @property
    def total(self) -> int:
        """All parameters."""
        return sum(self.parameters.values())


_counted: dict[str, Counts] = {}


def count(spec: ModelSpec) -> Counts:
    """Count what `python -m models.spec` prints.

    Raises:
        SpecError: if a layer cannot be constructed.
    """
    key = json.dumps(spec.yaml, sort_keys=True, default=str)
    if key not in _counted:
        while len(_counted) >= KEPT:
            _counted.pop(next(iter(_counted)))
        detector = Detector(spec)
        _counted[key] = Counts(parameters_by_layer(detector), gflops(detector))
    return _counted[key]


def kept(base: ModelSpec, spec: ModelSpec) -> str:
    """Return what a model takes over from a checkpoint of its base, a few lines."""
    source, target = Detector(base), Detector(spec)
    report = plan_transfer(
        base.layers,
        spec.layers,
        source.state_dict(),
        {key: tuple(value.shape) for key, value in target.state_dict().items()},
        source.names,
        target.names,
    )
    return report.summary()


def latency(models: dict[str, ModelSpec], rounds: int = ROUNDS) -> dict[str, float]:
    """Measure the latency of fused models in turns, on the CPU.

    Args:
        models: name → model.
        rounds: each times every model once.

    Returns:
        Name → median in milliseconds of one image of `SHOWN_SIZE`.
    """
    import torch

    built = {name: Detector(spec).eval().fuse(verbose=False) for name, spec in models.items()}
    channels = {spec.ch for spec in models.values()}
    times = interleaved(built, torch.rand(1, channels.pop(), SHOWN_SIZE, SHOWN_SIZE), rounds)
    return {name: median(values) for name, values in times.items()}
