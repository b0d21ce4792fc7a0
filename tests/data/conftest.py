"""Small made-up data sets for the tests of data/."""

from collections.abc import Callable
from pathlib import Path
from xml.sax.saxutils import escape

import cv2
import numpy as np
import pytest


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep what is remembered out of the checkout."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("YOLO_ATTENTION_CACHE", str(folder))
    return folder


@pytest.fixture
def image() -> Callable[..., Path]:
    """Writes an image of random content."""

    def write(path: Path, width: int = 100, height: int = 80, seed: int | None = None) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        seed = sum(map(ord, path.name)) if seed is None else seed
        pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
        assert cv2.imwrite(str(path), pixels)
        return path

    return write


@pytest.fixture
def voc_xml() -> Callable[..., Path]:
    """Writes an annotation file; objects are (name, xmin, ymin, xmax, ymax) or with `difficult` as a sixth."""

    def write(path: Path, objects: list[tuple], width: int = 100, height: int = 80) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = "".join(
            f"<object><name>{escape(name)}</name><difficult>{extra[0] if extra else 0}</difficult><bndbox>"
            f"<xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>"
            for name, x1, y1, x2, y2, *extra in objects
        )
        size = f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
        path.write_text(f"<annotation>{size}{rows}</annotation>", encoding="utf-8")
        return path

    return write


@pytest.fixture
def yolo_set(tmp_path: Path, image: Callable[..., Path]) -> Callable[..., Path]:
    """Writes a YOLO data set from {split: {stem: label text or None}} and returns its YAML."""

    def write(splits: dict[str, dict[str, str | None]], names: str = "[cat, dog]") -> Path:
        root = tmp_path / "set"
        for split, content in splits.items():
            for stem, text in content.items():
                image(root / "images" / split / f"{stem}.png")
                if text is not None:
                    label = root / "labels" / split / f"{stem}.txt"
                    label.parent.mkdir(parents=True, exist_ok=True)
                    label.write_text(text, encoding="utf-8")
        yaml = tmp_path / "set.yaml"
        entries = "".join(f"{split}: images/{split}\n" for split in splits)
        yaml.write_text(f"path: set\n{entries}names: {names}\n", encoding="utf-8")
        return yaml

    return write
