"""What detect.py writes: pictures, videos, labels, tables and crops, all inside the run's folder."""

import csv
import re
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import UsageError
from engine.sources import Shot

WRITABLE = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})
CSV_HEADER = ("Image Name", "Prediction", "Confidence", "x1", "y1", "x2", "y2", "frame")


def safe_name(text: str, otherwise: str) -> str:
    """Return text as the name of one file or folder: no separators, nothing hidden, not too long."""
    name = re.sub(r"[^\w\-. ()#%+=,@!]", "_", text).strip(" .")[:120]
    return name or otherwise


class Outputs:
    """Writes what was asked for, one result at a time.

    Args:
        folder: the run's folder; created when something is first written.
        images: write annotated pictures and videos.
        txt: write labels/NAME.txt, class and normalised centre x, y, width, height a row.
        conf: with txt, the confidence as sixth column.
        table: write predictions.csv, all boxes in pixels.
        crops: write crops/CLASS/NAME.jpg.
        draw: options of ultralytics' `Results.plot`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        images: bool = True,
        txt: bool = False,
        conf: bool = False,
        table: bool = False,
        crops: bool = False,
        draw: dict[str, Any] | None = None,
    ) -> None:
        self.folder = folder
        self.images, self.txt, self.conf, self.table, self.crops = images, txt, conf, table, crops
        self.draw = draw or {}
        self.labels = 0
        self._names: dict[str, str] = {}  # input → name of its outputs, unique in this run
        self._taken: set[str] = set()
        self._video: tuple[str, Any, tuple[int, int]] | None = None  # input, writer, (width, height)
        self._csv: Any = None

    def write(self, result: Any, shot: Shot) -> np.ndarray | None:
        """Write one result.

        Args:
            result: ultralytics Results.
            shot: where its picture comes from.

        Returns:
            The annotated picture where one was drawn.
        """
        name = self._name(shot)
        drawn = result.plot(**self.draw) if self.images else None
        if drawn is not None:
            self._write_picture(drawn, shot, name)
        stem = Path(name).stem if shot.frame is None else f"{Path(name).stem}_{shot.frame}"
        if self.txt and len(result):
            self._write_labels(result, self._folder("labels") / f"{stem}.txt")
        if self.table:
            self._write_rows(result, shot)
        if self.crops:
            self._write_crops(result, stem)
        return drawn

    def close(self) -> None:
        """Finish the open video and table."""
        if self._video is not None:
            self._video[1].release()
            self._video = None
        if self._csv is not None:
            self._csv.close()
            self._csv = None

    def _folder(self, *parts: str) -> Path:
        folder = self.folder.joinpath(*parts)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _name(self, shot: Shot) -> str:
        """Return the input's output name: its own, made safe, and unique by stem (labels have no suffix)."""
        if shot.path not in self._names:
            own = Path(safe_name(Path(shot.path.split("?")[0]).name, "picture"))
            video = shot.kind != "image"
            suffix = ".mp4" if video else own.suffix if own.suffix.lower() in WRITABLE else ".jpg"
            known = own.suffix.lower() in WRITABLE or video or suffix == ".jpg"
            stem = own.stem if known and own.suffix else own.name
            unique, number = stem, 1
            while unique in self._taken:
                number += 1
                unique = f"{stem}-{number}"
            self._taken.add(unique)
            self._names[shot.path] = unique + suffix
        return self._names[shot.path]

    def _write_picture(self, drawn: np.ndarray, shot: Shot, name: str) -> None:
        import cv2

        if shot.kind == "image":
            path = self._folder() / name
            if not cv2.imwrite(str(path), drawn):
                raise OSError(f"{path}: cannot be written")
            return
        size = (drawn.shape[1], drawn.shape[0])
        if self._video is None or self._video[0] != shot.path or self._video[2] != size:
            if self._video is not None and shot.kind == "video":
                self._video[1].release()
            path = self._folder() / name
            writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), shot.fps, size)
            if not writer.isOpened():
                raise OSError(f"{path}: cannot be written as a video of {size[0]}×{size[1]} at {shot.fps:.3g} fps")
            self._video = (shot.path, writer, size)
        self._video[1].write(drawn)

    def _write_labels(self, result: Any, path: Path) -> None:
        rows = []
        for box in result.boxes.cpu():
            values = [*box.xywhn[0].tolist(), *([float(box.conf)] if self.conf else [])]
            rows.append(" ".join([str(int(box.cls)), *(f"{value:.6g}" for value in values)]))
        path.write_text("\n".join(rows) + "\n", encoding="utf-8")
        self.labels += 1

    def _write_rows(self, result: Any, shot: Shot) -> None:
        if self._csv is None:
            self._csv = (self._folder() / "predictions.csv").open("w", newline="", encoding="utf-8")
            csv.writer(self._csv).writerow(CSV_HEADER)
        rows = csv.writer(self._csv)
        for box in result.boxes.cpu():
            corners = [f"{value:.2f}" for value in box.xyxy[0].tolist()]
            name = result.names[int(box.cls)]
            rows.writerow([Path(shot.path).name, name, f"{float(box.conf):.4f}", *corners, shot.frame or ""])

    def _write_crops(self, result: Any, stem: str) -> None:
        import cv2
        from ultralytics.utils.plotting import save_one_box

        for number, box in enumerate(result.boxes.cpu(), 1):
            kind = int(box.cls)
            crop = save_one_box(box.xyxy, result.orig_img, BGR=True, save=False)
            if crop.size:
                folder = self._folder("crops", safe_name(str(result.names[kind]), f"class{kind}"))
                cv2.imwrite(str(folder / f"{stem}{'' if number == 1 else number}.jpg"), crop)


def check_display() -> None:
    """Make sure that a window can be opened.

    Raises:
        UsageError: if there is no display, or OpenCV was built without windows.
    """
    import os
    import sys

    import cv2

    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise UsageError(
            "--view-img: there is no display here; leave it out, the results are written to the run's folder"
        )
    try:
        cv2.namedWindow("detect")
        cv2.destroyWindow("detect")
    except cv2.error:
        raise UsageError(
            "--view-img: this OpenCV has no windows (opencv-python-headless?); leave it out, or install opencv-python"
        ) from None
