"""Read cfg/scan/*.yaml into a ScanSpec: which mechanisms, at which places, ranked how, checked before anything runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import UsageError
from models.errors import short
from study.plan.spec_values import (
    mapping,
    read_keys,
    read_model_and_data,
    read_name,
    text,
    train_flags,
    whole,
)

KEYS = (
    "name data data_root cfg weights budget train mechanisms places method images steps controls draws seed latency "
    "memory confirm"
).split()
_EXAMPLE = "'data: bccd', 'weights: yolov5n.pt', 'mechanisms: [SE, CBAM]' and 'places: rows'"
METHODS = ("gradient", "frozen", "joint", "halving")
DEFAULT_METHOD = "frozen"
# Steps of optimisation by method, where the spec says none: of a candidate, of a group, of the longest training.
STEPS = {"gradient": 0, "frozen": 60, "joint": 60, "halving": 160}


@dataclass(frozen=True)
class ScanSpec:
    """A scan.

    Attributes:
        file: the YAML.
        name: of the scan and its folder.
        data: data set, as for --data; its train split is looked at.
        data_root: where it lies, if not where its YAML says.
        cfg: model; empty takes the one in the weights.
        weights: checkpoint to start from, None for scratch.
        epochs: the detector is trained so long before it is scanned; 0 scans the weights as they are.
        train: flags of train.py for that, by name with underscores; imgsz is the scan's size too.
        mechanisms: as --attention writes them before the @.
        places: selectors as --attention writes them after the @, or rows, insides, connections.
        method: how candidates are scored, one of METHODS.
        images: of the train split that are looked at, at most.
        steps: of optimisation, see STEPS.
        controls: draws of the plain convolutions that stand beside the candidates; 0 for none.
        draws: initial values of each candidate, of which the mean score counts.
        seed: of all draws, and of the training before the scan.
        latency: rounds of timing.
        memory: MiB that kept maps may take.
        confirm_epochs: of each run of the study that tests the scan; 0 for those of the training before the scan.
        confirm_seeds: of that study, counted from the one after the scan's.
    """

    file: Path
    name: str
    data: str
    data_root: str | None
    cfg: str
    weights: str | None
    epochs: int
    train: Mapping[str, Any]
    mechanisms: tuple[str, ...]
    places: tuple[str, ...]
    method: str = DEFAULT_METHOD
    images: int = 96
    steps: int = STEPS[DEFAULT_METHOD]
    controls: int = 1
    draws: int = 1
    seed: int = 0
    latency: int = 10
    memory: int = 1024
    confirm_epochs: int = 0
    confirm_seeds: int = 5


def read_scan(file: str | Path) -> ScanSpec:
    """Read and check a scan.

    Args:
        file: the YAML; cfg, data and weights in it are looked for beside it, in the current folder and in the checkout.

    Raises:
        UsageError: one line naming the file, the key and what to write.
        SpecError: if it is no readable YAML.
    """
    path = Path(file)
    content = read_keys(path, KEYS, _EXAMPLE)
    sources = read_model_and_data(content, path, text(content, "data", path))
    epochs = _epochs(content, path)
    if epochs == 0 and not sources["weights"]:
        raise UsageError(f"{path}: budget.epochs is 0, so weights are needed; an untrained detector shows nothing")
    method = content.get("method", DEFAULT_METHOD)
    if method not in METHODS:
        raise UsageError(f"{path}: method is {short(method)}, expected one of {', '.join(METHODS)}")
    confirm = mapping(content, "confirm", path, ("epochs", "seeds"))
    return ScanSpec(
        file=path,
        name=read_name(content, path),
        **sources,
        epochs=epochs,
        train=train_flags(content.get("train"), str(path), path),
        mechanisms=_texts(content, "mechanisms", "[SE, CBAM]", path),
        places=_texts(content, "places", "[rows, insides] or [neck.P3, inside:backbone.C3]", path),
        method=method,
        images=whole(content, "images", 96, 4, 100_000, path),
        steps=whole(content, "steps", STEPS[method], 1, 100_000, path),
        controls=whole(content, "controls", 1, 0, 1000, path),
        draws=whole(content, "draws", 1, 1, 1000, path),
        seed=whole(content, "seed", 0, 0, (1 << 31) - 1, path),
        latency=whole(content, "latency", 10, 1, 10_000, path),
        memory=whole(content, "memory", 1024, 16, 1 << 20, path),
        confirm_epochs=whole(confirm, "epochs", 0, 0, 1_000_000, path),
        confirm_seeds=whole(confirm, "seeds", 5, 1, 1000, path),
    )


def _epochs(content: Mapping[str, Any], path: Path) -> int:
    """Return the epochs of the training before the scan."""
    if "budget" not in content:
        raise UsageError(
            f"{path}: key 'budget' is missing; write budget: {{epochs: 20}} to train the detector before it is "
            "scanned, {epochs: 0} to scan the weights as they are"
        )
    return whole(mapping(content, "budget", path, ("epochs",)), "epochs", 0, 0, 1_000_000, path)


def _texts(content: Mapping[str, Any], key: str, example: str, path: Path) -> tuple[str, ...]:
    value = content.get(key)
    listed = [value] if isinstance(value, str | int) else value
    good = isinstance(listed, list) and listed and all(isinstance(item, str | int) for item in listed)
    if not good or any(isinstance(item, bool) for item in listed):  # type: ignore[union-attr]
        raise UsageError(f"{path}: {key} is {short(value)}, expected a list such as {example}")
    return tuple(dict.fromkeys(map(str, listed)))  # type: ignore[arg-type]
