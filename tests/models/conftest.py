"""A model small enough to be read by eye and built in milliseconds."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

SMALL: dict[str, Any] = {
    "nc": 3,
    "anchors": [[10, 13, 16, 30], [30, 61, 62, 45]],
    "backbone": [
        [-1, 1, "Conv", [8, 3, 2]],  # 0 P1
        [-1, 1, "Conv", [16, 3, 2]],  # 1 P2
        [-1, 2, "C3", [16], "stem"],  # 2
        [-1, 1, "Conv", [16, 3, 2]],  # 3 P3
        [-1, 1, "C3", [16]],  # 4
        [-1, 1, "Conv", [32, 3, 2]],  # 5 P4
        [-1, 1, "SPPF", [32, 5]],  # 6
    ],
    "head": [
        [-1, 1, "nn.Upsample", [None, 2, "nearest"]],  # 7
        [[-1, 4], 1, "Concat", [1]],  # 8
        [-1, 1, "C3", [16, False]],  # 9 P3
        [-1, 1, "Conv", [16, 3, 2]],  # 10
        [[-1, 6], 1, "Concat", [1]],  # 11
        [-1, 1, "C3", [32, False]],  # 12 P4
        [[9, 12], 1, "Detect", ["nc", "anchors"]],  # 13
    ],
}


@pytest.fixture
def small() -> dict[str, Any]:
    """A fresh copy of a two-level YOLOv5 of 14 rows."""
    return copy.deepcopy(SMALL)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a description, or text, as a YAML file and return its path."""

    def _write(content: object, name: str = "mine.yaml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
        return path

    return _write
