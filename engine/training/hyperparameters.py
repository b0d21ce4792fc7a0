"""Read hyperparameter files: which keys go to the engine, which to the loss, and how the loss gains are scaled."""

import math
from argparse import Namespace
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from data.config import is_path
from data.folders import ROOT
from engine.errors import UsageError
from engine.runtime.log import LOGGER
from models.spec.yaml_reader import read_yaml

FOLDER = ROOT / "cfg" / "hyp"
ENGINE_KEYS = frozenset(
    "lr0 lrf momentum weight_decay warmup_epochs warmup_momentum warmup_bias_lr hsv_h hsv_s hsv_v degrees translate "
    "scale shear perspective flipud fliplr mosaic mixup copy_paste close_mosaic nbs".split()
)
ORIGINAL_NAMES = {  # of the same files in YOLOv5 v7.0 and in YOLOv7
    "hyp.scratch-low": "v5-low",
    "hyp.scratch-med": "v5-med",
    "hyp.scratch-high": "v5-high",
    "hyp.scratch.p5": "v7-p5",
    "hyp.scratch.p6": "v7-p6",
    "hyp.scratch.tiny": "v7-tiny",
}
ANCHORS, ANCHOR_FREE = DEFAULTS = ("v5-low", "ultralytics")  # files where --hyp names none, by the kind of head
GAINS = frozenset({"box", "cls", "dfl"})  # of the losses of ultralytics' heads, which read them from its settings
ANCHOR_LOSS_KEYS = frozenset({"obj", "obj_pw", "cls_pw", "anchor_t", "fl_gamma"})
UNUSED_KEYS = frozenset({"iou_t"})  # stands in YOLOv5's files, read by neither YOLOv5 nor this program


@dataclass(frozen=True)
class Hyp:
    """Hold the hyperparameters of one file, by where they go.

    Attributes:
        engine: settings of the optimizer and of augmentation, under ultralytics' names.
        loss: gains and thresholds of the loss, under the names of `Detector.hyp`, not yet scaled.
    """

    engine: dict[str, float]
    loss: dict[str, float]


def find(name: str) -> Path:
    """Return the file of that path, or of that name in cfg/hyp.

    Raises:
        UsageError: if there is neither.
    """
    for path in (Path(name), FOLDER / name, FOLDER / f"{name}.yaml"):
        if is_path(str(path)) and path.is_file():
            return path
    own = ORIGINAL_NAMES.get(Path(name).name.removesuffix(".yaml"))
    if own is not None:
        return FOLDER / f"{own}.yaml"
    shipped = ", ".join(sorted(path.stem for path in FOLDER.glob("*.yaml")))
    raise UsageError(f"--hyp {name[:120]}: no such file, and no such name in {FOLDER} (there: {shipped})")


def chosen(options: Namespace, model: Any) -> Hyp:
    """Read the file that --hyp names, or the one that suits the model's head, which the options name from then on.

    Args:
        options: train.py's.
        model: a Detector.

    Raises:
        UsageError: as `read`; if the head's loss knows no label smoothing, or the optimizer no such momentum.
    """
    loss_keys = set(model.hyp) - {"label_smoothing"}
    if not loss_keys and options.label_smoothing:
        raise UsageError("--label-smoothing: the losses of ultralytics' heads have none; leave it out")
    options.hyp = options.hyp or (ANCHORS if loss_keys else ANCHOR_FREE)
    hyp = read(options.hyp, loss_keys)
    if getattr(options, "optimizer", "SGD") != "SGD" and hyp.engine.get("momentum", 0) >= 1:
        raise UsageError(f"--hyp {options.hyp}: momentum: {hyp.engine['momentum']} is Adam's beta1, which is below 1")
    return hyp


def read(name: str, loss_keys: Collection[str]) -> Hyp:
    """Read a hyperparameter file.

    Args:
        name: path, or a name in cfg/hyp such as "v5-low".
        loss_keys: keys that the model's own loss takes; none for ultralytics' heads.

    Raises:
        UsageError: if the file is missing, names an unknown key, or a value is no finite number.
        SpecError: if it is no YAML of lines such as `lr0: 0.01`.
    """
    path = find(name)
    if path.name.removesuffix(".yaml") != Path(name).name.removesuffix(".yaml"):
        LOGGER.info(f"--hyp {name}: there is no such file; it is called {path.stem} here")
    content = read_yaml(path, "'lr0: 0.01'")
    for key, value in content.items():
        _check(path, key, value, loss_keys)
    engine_keys = _engine_keys(loss_keys)
    return Hyp(
        engine={key: value for key, value in content.items() if key in engine_keys},
        loss={key: float(value) for key, value in content.items() if key in loss_keys},
    )


def read_for_any(name: str) -> dict[str, Any]:
    """Read a hyperparameter file before it is known for which kind of head.

    Args:
        name: path, or a name in cfg/hyp.

    Raises:
        UsageError, SpecError: as `read`, for what no kind of head takes.
    """
    path = find(name)
    content = read_yaml(path, "'lr0: 0.01'")
    for key, value in content.items():
        _check(path, key, value, ANCHOR_LOSS_KEYS | GAINS)
    return content


def _engine_keys(loss_keys: Collection[str]) -> frozenset[str]:
    return ENGINE_KEYS if loss_keys else ENGINE_KEYS | GAINS


def _check(path: Path, key: object, value: object, loss_keys: Collection[str]) -> None:
    known = _engine_keys(loss_keys) | set(loss_keys) | UNUSED_KEYS
    if key not in known:
        if not loss_keys and key in ANCHOR_LOSS_KEYS:
            raise UsageError(
                f"{path}: {key!r} belongs to YOLOv5's and YOLOv7's losses, and its 'box' has another scale; for a head "
                f"of ultralytics leave --hyp out, or write --hyp {ANCHOR_FREE} or a copy of that file"
            )
        if loss_keys and key == "dfl":
            raise UsageError(
                f"{path}: 'dfl' belongs to the losses of ultralytics' heads, and its 'box' has another scale; for this "
                f"model leave --hyp out, or write --hyp {ANCHORS} or a copy of that file"
            )
        if key == "anchors":
            raise UsageError(
                f"{path}: 'anchors' belongs into the model YAML (autoanchor replaces them when they fit badly)"
            )
        near = get_close_matches(str(key), sorted(known), n=1)
        hint = f"; did you mean '{near[0]}'?" if near else f"; known are {', '.join(sorted(known))}"
        raise UsageError(f"{path}: unknown key '{str(key)[:80]}'{hint}")
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UsageError(f"{path}: {key}: {str(value)[:80]!r} is not a finite number")
    if key in ANCHOR_LOSS_KEYS | GAINS and value < 0:
        raise UsageError(f"{path}: {key}: {value} is below 0, which the loss cannot use")
    if key == "anchor_t" and value <= 1:
        raise UsageError(
            f"{path}: anchor_t: {value} lets no anchor answer for any box; write a number above 1, such as 4"
        )


def scaled_loss(loss: Mapping[str, float], levels: int, classes: int, imgsz: int) -> dict[str, float]:
    """Scale the three gains as YOLOv5 does, so that one file suits all heads, data sets and image sizes.

    Args:
        loss: hyperparameters of the loss, as in the file (given for 3 levels, 80 classes, 640 px).
        levels: output maps of the head.
        classes: classes of the data set.
        imgsz: pixels of the longer side in training.

    Returns:
        A copy with box, cls and obj scaled.

    Source:
        YOLOv5 v7.0, train.py: box *= 3/nl, cls *= nc/80 * 3/nl, obj *= (imgsz/640)^2 * 3/nl.
    """
    factors = {"box": 1.0, "cls": classes / 80, "obj": (imgsz / 640) ** 2}
    return {key: value * factors[key] * 3 / levels if key in factors else value for key, value in loss.items()}
