"""One data set as VOC XML, YOLO text and COCO JSON: the same numbers of the same weights from all three."""

from pathlib import Path
from typing import Any

import pytest

from data import load_dataset
from data.convert import convert

pytestmark = pytest.mark.slow


def numbers(report: Any, place: str = "") -> dict[str, Any]:
    """Every number of a report by where it stands."""
    if not isinstance(report, dict | list):
        return {place: report}
    items = report.items() if isinstance(report, dict) else enumerate(report)
    return {key: value for name, inner in items for key, value in numbers(inner, f"{place}/{name}").items()}


def test_blood_cells_in_three_formats(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.validation.run import validate

    monkeypatch.setenv("YOLO_ATTENTION_CACHE", str(tmp_path / "cache"))
    folder = shared / "data" / "bccd"
    for form in ("yolo", "coco"):
        dataset = load_dataset("bccd", data_root=folder)
        assert sum(issue.kind == "zero-size" for issue in dataset.issues) == 2
        convert(dataset, tmp_path / form, form, images="link")
    options = {"task": "test", "imgsz": 320, "single_cls": True, "noplots": True, "project": str(tmp_path / "runs")}
    weights = shared / "weights" / "yolov5n.pt"
    voc = numbers(validate(weights, "bccd", data_root=str(folder), **options))
    assert voc["/images"] == 72
    assert voc["/coco/AP50"] > 0.01  # it sees cells as balls and plates
    for form in ("yolo", "coco"):
        other = numbers(validate(weights, str(tmp_path / form / "data.yaml"), **options))
        assert other == pytest.approx(voc, abs=1e-12)
