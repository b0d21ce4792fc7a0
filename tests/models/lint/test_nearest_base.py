"""The stock model that a description was made from, and references that its edits left stale."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from models.lint.nearest_base import nearest_base, stale_references
from models.spec.base_files import describe
from models.spec.header import read_settings


def with_row(base: str, after: int, row: list[Any], shift: bool) -> dict[str, Any]:
    """Insert a row into a description; with `shift`, absolute references past it are moved on, as they must be."""
    data = dict(describe(base).data)

    def moved(source: Any) -> Any:
        if isinstance(source, list):
            return [moved(item) for item in source]
        return source + 1 if shift and source > after else source

    length = len(data["backbone"])
    rows = [[moved(row[0]), *row[1:]] for row in (*data["backbone"], *data["head"])]
    rows.insert(after + 1, row)
    return {**data, "backbone": rows[: length + 1], "head": rows[length + 1 :]}


@pytest.mark.parametrize(
    "base",
    ["yolov5n", "yolov5x", "yolov5m6", "yolov5s-v5.0", "yolov5l6-v5.0", "ultralytics/yolov8n", "ultralytics/yolo11s"],
)
def test_a_stock_model_with_a_row_more_is_recognised(base: str) -> None:
    settings = read_settings(with_row(base, 4, [-1, 1, "CBAM", []], shift=True), "mine")
    found = nearest_base(settings)
    assert found is not None
    assert found.name == base
    assert found.same_scale
    assert found.pairing.inserted == [5]


def test_another_model_has_no_base() -> None:
    description = describe("yolov7-tiny")
    assert nearest_base(read_settings(description.data, description.label)) is None


@pytest.mark.parametrize("shift", [True, False])
def test_stale_references_are_named(shift: bool, tmp_path: Path) -> None:
    """YOLOv5 has six absolute references past row 4: three of Concat and three of Detect."""
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(with_row("yolov5n", 4, [-1, 1, "CBAM", []], shift)))
    base, lines = stale_references(path)
    assert base == "yolov5n"
    rows = [line.partition(":")[0] for line in lines]
    assert rows == ([] if shift else ["row 13", "row 20", "row 23", "row 25", "row 25", "row 25"])


def test_overlays_and_stock_files_have_none() -> None:
    assert stale_references("yolov5n-cbam") == ("", [])
    assert stale_references("yolov5n") == ("", [])
