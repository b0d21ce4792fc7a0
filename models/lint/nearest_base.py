"""Find the stock model that a hand-edited description was most likely made from."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.errors import SpecError
from models.lint.pair_rows import Pairing, pair_rows
from models.spec.base_files import CFG, describe
from models.spec.header import Settings, read_settings
from models.spec.yaml_reader import read_yaml

# Families that forks start from, by head: on anchors, and free of them (in the ultralytics package).
ON_ANCHORS = ("yolov5/yolov5", "yolov5/yolov5-p6", "yolov5/yolov5-v5.0", "yolov5/yolov5-p6-v5.0")
FREE = ("yolov8", "yolo11", "yolo12", "yolov8-p2", "yolov8-p6", "yolov5u")
_MOST_GONE = 0.25  # of the base's rows that may be gone or replaced; beyond it the model is another one


@dataclass(frozen=True)
class NearestBase:
    """A stock model, and how its rows correspond.

    Attributes:
        name: what `base:` says.
        settings: of the base.
        pairing: rows of the edited description and of the base.
        same_scale: whether depth and width are those that the name stands for.
    """

    name: str
    settings: Settings
    pairing: Pairing
    same_scale: bool


def nearest_base(settings: Settings) -> NearestBase | None:
    """Return the stock model with the fewest rows gone or replaced, None if none is near.

    Args:
        settings: of the edited description.
    """
    best: tuple[int, NearestBase] | None = None
    for name, same, old in _candidates(settings):
        if len(old.rows) > len(settings.rows) + 3:
            continue
        pairing = pair_rows(settings.rows, old.rows)
        gone = len(pairing.removed) + len(pairing.replaced)
        cost = 4 * gone + len(pairing.inserted)
        if gone <= _MOST_GONE * len(old.rows) and (best is None or cost < best[0]):
            best = cost, NearestBase(name, old, pairing, same)
    return best[1] if best else None


def _candidates(settings: Settings) -> Iterator[tuple[str, bool, Settings]]:
    """Yield names of stock models, whether their scale is the description's, and their settings."""
    if settings.anchors is not None:
        files: list[tuple[str, Path | str]] = [(Path(stem).name, CFG / f"{stem}.yaml") for stem in ON_ANCHORS]
    else:
        files = [(f"ultralytics/{stem}", f"ultralytics/{stem}") for stem in FREE]
    for stem, file in files:
        try:
            description = describe(file)
            letter = _letter(description.data, settings)
            data = description.data | {"scale": letter} if letter else description.data
            yield _name(stem, letter or next(iter(data.get("scales") or "s"))), bool(letter), read_settings(data, stem)
        except SpecError:  # a family that this version of ultralytics does not have
            continue


def _letter(data: Mapping[str, Any], settings: Settings) -> str:
    """Return the letter of a family's scale that is the description's, "" if none is."""
    scale = settings.context.scale
    for letter, values in (data.get("scales") or {}).items():
        most = values[2] if len(values) > 2 else float("inf")
        if (values[0], values[1], most) == (scale.depth, scale.width, scale.max_channels):
            return str(letter)
    return ""


def _name(stem: str, letter: str) -> str:
    """Put a scale's letter into a family's name: yolov5-p6 and n make yolov5n6, ultralytics/yolov8-p2 yolov8n-p2."""
    folder, _, leaf = stem.rpartition("/")
    family, dash, rest = leaf.partition("-")
    p6 = not folder and f"{rest}-".startswith("p6-")
    if p6:
        rest = rest.removeprefix("p6").removeprefix("-")
    name = f"{family}{letter}{'6' if p6 else ''}" + (f"{dash}{rest}" if rest else "")
    return f"{folder}/{name}" if folder else name


def stale_references(path: str | Path) -> tuple[str, list[str]]:
    """Return the stock model that a file was edited from, and a line for each reference that its edits left stale.

    Args:
        path: a model YAML; overlays and files of no stock family have none.

    Returns:
        The base's name ("" where there is none) and the lines.
    """
    from models.lint.check import lint

    description = describe(path)
    if description.entries or "base" in _raw(path):
        return "", []
    base = nearest_base(read_settings(description.data, description.label))
    if base is None or base.pairing.removed or not base.pairing.inserted:
        return "", []
    kinds = {"stale", "relative", "unshifted", "only-absolute"}
    found = [finding for finding in lint(path, base.name).findings if finding.kind in kinds]
    rows = [f"row {finding.row}: {finding.message}" for finding in found if finding.row is not None]
    return base.name, rows


def _raw(path: str | Path) -> Mapping[str, Any]:
    return read_yaml(Path(path)) if Path(path).is_file() else {}
