"""Read a fork's description and checkpoint, and say and write what they are here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models.adopt.overlay import overlay_of
from models.adopt.rows import RowStatus, row_statuses, unknown_rows
from models.build import build_model
from models.errors import CheckpointError, SpecError
from models.lint.nearest_base import NearestBase, nearest_base
from models.network.cost import count_parameters
from models.network.detector import Detector
from models.source import CHECKPOINTS, Source, read_source
from models.spec.base_files import describe
from models.spec.header import read_settings
from models.spec.model_spec import read_spec
from models.weights.official import read_official


@dataclass
class Adoption:
    """A fork's model in this project's terms.

    Attributes:
        rows: what becomes of each row.
        base: the stock model that it was made from; None if there is none near.
        description: what to write: an overlay of the base, or a whole description; None while a row is unknown.
        is_overlay: which of the two.
        detector: the model of that description, with the checkpoint's tensors if all of them were taken.
        equal: what was compared and found the same, a line each.
        left: tensors of the checkpoint that were not taken, and those of the model that it does not have.
        weights: whether the detector holds the checkpoint's tensors.
    """

    rows: list[RowStatus]
    base: NearestBase | None
    description: dict[str, Any] | None = None
    is_overlay: bool = False
    detector: Detector | None = None
    equal: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    weights: bool = False


def adopt(file: str | Path, weights: str | Path | None = None) -> Adoption:
    """Read a fork's model.

    Args:
        file: its YAML, or its checkpoint, which describes its model itself.
        weights: its checkpoint.

    Raises:
        SpecError: if the file is no model YAML, or an overlay of this project already.
        CheckpointError: if the checkpoint cannot be read.
    """
    if Path(file).suffix in CHECKPOINTS:
        weights, data, label = file, _description_in(file), str(file)
    else:
        described = describe(file)
        if described.entries:
            raise SpecError(f"{described.label}: is an overlay of this project already; give it to --cfg as it is")
        data, label = described.data, described.label
    source = read_source(weights, data) if weights is not None else None
    if source is not None and source.spec is not None:
        data = dict(source.spec.yaml)
    settings = read_settings(data, label)
    base = nearest_base(settings)
    said = data.get("dialect")
    shown = [key for key in said if isinstance(key, int)] if source is not None and isinstance(said, Mapping) else []
    result = Adoption(row_statuses(settings, base, shown), base)
    if unknown_rows(result.rows):
        return result
    spec = read_spec({**data, "yaml_file": label, "name": data.get("name", Path(label).stem)})
    overlay = overlay_of(spec, base)
    result.is_overlay = overlay is not None
    result.description = overlay or {key: value for key, value in spec.yaml.items() if key != "name"}
    names = source.names if source is not None and len(source.names) == spec.nc else None
    result.detector = Detector(read_spec({**result.description, "name": spec.name}), names)
    if overlay is not None:
        result.equal += _compare(result.detector, Detector(spec), label, base.name if base else "")
    if source is not None:
        _take(source, result)
    return result


def _description_in(path: str | Path) -> dict[str, Any]:
    """Return the description in a fork's checkpoint.

    Raises:
        CheckpointError: if it has none.
    """
    official = read_official(path)
    if official.yaml is None:
        raise CheckpointError(
            f"{path}: holds tensors but no model description; give the fork's YAML and --weights {path}"
        )
    return {**official.yaml, "nc": official.nc or official.yaml.get("nc", 80)}


def _compare(mine: Detector, fork: Detector, label: str, base: str) -> list[str]:
    """Say that an overlay and the description have the same tensors, which is counted here."""
    shapes = [[tuple(value.shape) for value in model.state_dict().values()] for model in (mine, fork)]
    if shapes[0] != shapes[1]:  # the layers are the same, so this cannot be; it is what "equal" rests on
        return []
    return [
        f"overlay of {base} equal to {label} as it is read here: {len(mine.spec.layers)} layers with the same inputs, "
        f"{count_parameters(mine):,} parameters, {len(shapes[0])} tensors of the same shapes"
    ]


def _take(source: Source, result: Adoption) -> None:
    """Give the detector the checkpoint's tensors, if every one has its place."""
    assert result.detector is not None  # noqa: S101 - the caller built it; tells the type checker
    description = {**(result.description or {}), "name": result.detector.spec.name}
    built = build_model(description, weights=source, names=result.detector.names)
    report: Any = built.transfer_report
    result.left = [f"{key}: {report.reasons[f'checkpoint:{key}']}" for key in report.unused if _matters(key)]
    result.left += [
        f"{key}: {report.reasons.get(key, '')}" for key in (*report.new, *report.missing, *report.mismatched)
    ]
    if result.left:
        return
    result.detector, result.weights = built, True
    result.equal.append(
        f"checkpoint equal: all {len(report.transferred)} tensors are taken, {count_parameters(built):,} parameters, "
        "every shape the same"
    )


def _matters(key: str) -> bool:
    """Tell whether a tensor holds anything of its own."""
    return key.rpartition(".")[2] not in ("anchor_grid", "strides", "num_batches_tracked")


def content_of(adoption: Adoption, origin: str) -> Mapping[str, Any]:
    """Return a checkpoint of ours with the adopted model.

    Args:
        adoption: with weights.
        origin: name of the file that they come from.
    """
    detector = adoption.detector
    assert detector is not None  # noqa: S101 - there are weights
    return {
        "spec": detector.spec.yaml,
        "names": {int(number): str(name) for number, name in detector.names.items()},
        "stride": [float(stride) for stride in detector.stride],
        "weights": detector.state_dict(),
        "hyp": dict(detector.hyp),
        "provenance": {"command": "python -m models.adopt", "made from": origin},
    }
