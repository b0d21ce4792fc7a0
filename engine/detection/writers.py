"""Write detections as images, videos, labels, tables and crops, all inside the run's folder."""

import csv
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from data.image_files import image_io
from engine.detection.frames import Frame
from engine.detection.output_names import OutputNames, crop_stem
from engine.detection.result import FrameDetections
from engine.detection.video_writer import open_video
from engine.errors import UsageError

if TYPE_CHECKING:
    from engine.detection.dataset_writer import DatasetWriter

CSV_HEADER = ("Image Name", "Prediction", "Confidence", "x1", "y1", "x2", "y2", "path", "frame")
LONGEST = 200  # bytes of a name; file systems take 255, and numbers and suffixes come behind it
CROP_GAIN, CROP_PAD = 1.02, 10  # a crop is so many times the box, and so many pixels, larger


def safe_name(text: str, otherwise: str) -> str:
    """Return text as the name of one file or folder: no separators, nothing hidden, not too long."""
    name = re.sub(r"[^\w\-. ()#%+=,@!]", "_", text).strip(" .")[:120]
    return name.encode()[:LONGEST].decode(errors="ignore") or otherwise


class Outputs:
    """Write images, videos, labels, tables and crops, one result at a time.

    Args:
        folder: the run's folder; created when something is first written.
        images: write annotated images and videos.
        txt: write labels/NAME.txt, class and normalised centre x, y, width, height a row.
        conf: with txt, the confidence as sixth column.
        table: write predictions.csv, all boxes in pixels.
        crops: write crops/CLASS/NAME.jpg.
        dataset: writes images and labels as a data set too.
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
        dataset: "DatasetWriter | None" = None,
    ) -> None:
        self.folder = folder
        self.images, self.txt, self.conf, self.table, self.crops = images, txt, conf, table, crops
        self.dataset = dataset
        self.labels = 0
        self.names = OutputNames()
        self.failed: dict[str, str] = {}  # input → why something of it could not be written
        self._videos: dict[str, tuple[Any, tuple[int, int]]] = {}  # input → writer, (width, height)
        self._csv: Any = None

    def write(self, detections: FrameDetections, drawn: np.ndarray | None = None) -> None:
        """Write the detections of one image.

        Args:
            detections: the image and its boxes.
            drawn: the annotated image, where images are written.

        What cannot be written costs this input alone: nothing further of it is written, and `failed` says why.
        """
        import cv2

        path = detections.frame.path
        if path in self.failed:
            return
        try:
            self._write(detections, drawn)
        except (OSError, cv2.error) as error:
            self.failed[path] = " ".join(str(error).split())[:300]
            writer, _ = self._videos.pop(path, (None, None))
            if writer is not None:
                writer.release()

    def _write(self, detections: FrameDetections, drawn: np.ndarray | None) -> None:
        frame = detections.frame
        name = self.names.of(frame)
        if drawn is not None and self.images:
            self._write_image(drawn, frame, name)
        stem = Path(name).stem if frame.number is None else f"{Path(name).stem}_{frame.number}"
        if self.txt and len(detections):
            self._write_labels(detections, self._folder("labels") / f"{stem}.txt")
        if self.dataset is not None:
            self.dataset.write(detections)
        if self.table:
            self._write_rows(detections)
        if self.crops:
            self._write_crops(detections, stem)

    def list_inputs(self, title: str, lines: list[str]) -> Path:
        """Write TITLE.txt, a line for each input, and return its path."""
        path = self._folder() / f"{title}.txt"
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return path

    def path_of(self, frame: Frame) -> Path:
        """Return where an input's image is written."""
        return self._folder() / self.names.of(frame)

    def close(self) -> None:
        """Finish open videos and the table."""
        self.finish_videos()
        if self._csv is not None:
            self._csv.close()
            self._csv = None
        renamed = self.names.renamed()
        if renamed and self.folder.is_dir():
            with (self.folder / "outputs.csv").open(
                "w", newline="", encoding="utf-8", errors="backslashreplace"
            ) as file:
                csv.writer(file).writerows([("output", "input"), *renamed.items()])

    def finish_videos(self) -> None:
        """Finish the videos that are open."""
        for writer, _ in self._videos.values():
            writer.release()
        self._videos.clear()

    def _folder(self, *parts: str) -> Path:
        folder = self.folder.joinpath(*parts)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _write_image(self, drawn: np.ndarray, frame: Frame, name: str) -> None:
        if frame.kind == "image":
            image_io.write(self._folder() / name, drawn)
            return
        size = (drawn.shape[1], drawn.shape[0])
        if frame.path not in self._videos:
            if frame.kind == "video":  # files come one after the other, streams side by side
                self.finish_videos()
            self._videos[frame.path] = (open_video(self._folder() / name, frame.fps, size), size)
        writer, first = self._videos[frame.path]
        if size != first:
            import cv2

            drawn = cv2.resize(drawn, first)
        writer.write(drawn)

    def _write_labels(self, detections: FrameDetections, path: Path) -> None:
        height, width = detections.size
        rows: list[str] = []
        for (left, top, right, bottom), score, number in zip(
            detections.boxes, detections.scores, detections.classes, strict=True
        ):
            centre = ((left + right) / 2 / width, (top + bottom) / 2 / height)
            values = [*centre, (right - left) / width, (bottom - top) / height, *([score] if self.conf else [])]
            row = [str(int(number)), *(f"{float(value):.6g}" for value in values)]
            rows.append(" ".join(row if detections.ids is None else [*row, str(detections.ids[len(rows)])]))
        path.write_text("\n".join(rows) + "\n", encoding="utf-8")
        self.labels += 1

    def _write_rows(self, detections: FrameDetections) -> None:
        if self._csv is None:
            path = self._folder() / "predictions.csv"
            # A name may have bytes that are no UTF-8.
            self._csv = path.open("w", newline="", encoding="utf-8", errors="backslashreplace")
            csv.writer(self._csv).writerow(CSV_HEADER if detections.ids is None else (*CSV_HEADER, "track"))
        rows = csv.writer(self._csv)
        frame = detections.frame
        boxes = zip(detections.boxes, detections.scores, detections.classes, strict=True)
        for position, (box, score, number) in enumerate(boxes):
            corners = [f"{value:.2f}" for value in box.tolist()]
            rows.writerow(
                [
                    Path(frame.path).name,
                    detections.name(number),
                    f"{float(score):.4f}",
                    *corners,
                    frame.path,
                    frame.number or "",
                    *([] if detections.ids is None else [detections.ids[position]]),
                ]
            )

    def _write_crops(self, detections: FrameDetections, stem: str) -> None:
        for number, (box, class_number) in enumerate(zip(detections.boxes, detections.classes, strict=True), 1):
            crop = cut_out(detections.image, box)
            if crop.size:
                folder = self._folder("crops", safe_name(detections.name(class_number), f"class{int(class_number)}"))
                image_io.write(folder / f"{crop_stem(stem, number)}.jpg", crop)


def cut_out(image: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Return the part of an image inside a box (4,) of corners, with a margin around it as YOLOv5 leaves."""
    height, width = image.shape[:2]
    margin_x, margin_y = (box[2:] - box[:2]) * (CROP_GAIN - 1) / 2 + CROP_PAD / 2
    left, right = (int(np.clip(x, 0, width)) for x in (box[0] - margin_x, box[2] + margin_x))
    top, bottom = (int(np.clip(y, 0, height)) for y in (box[1] - margin_y, box[3] + margin_y))
    return image[top:bottom, left:right]


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
