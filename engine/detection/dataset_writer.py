"""Write what was detected as a data set (--save-dataset): images, labels with confidences, and the data YAML."""

import contextlib
import shutil
from collections.abc import Mapping
from pathlib import Path

import yaml

from data.image_files import image_io
from data.image_files.image_channels import ARRAYS
from data.image_files.image_probe import SUFFIXES, proper_suffix
from engine.detection.output_names import OutputNames
from engine.detection.result import FrameDetections
from engine.errors import UsageError

HEADER = """\
# Labels from a model, of which nobody has looked at one. Rows of a label file end in the model's confidence:
# those from conf_thres on are used; raise it to use surer ones. val is the training images again, so that train.py
# starts; measure on labels that people made: python -m data.merge THEIRS.yaml THIS.yaml --out NEW.
"""


class DatasetWriter:
    """Write images and their detections as a data set in YOLO's form, one at a time.

    Args:
        folder: new or empty; nothing that exists is overwritten.
        link: link to image files instead of copying them.

    Raises:
        UsageError: if the folder holds something, or cannot be made.
    """

    def __init__(self, folder: Path, link: bool = False) -> None:
        self.folder, self.link = folder, link
        self.names, self.images = OutputNames(), 0
        self._was_there = folder.is_dir()
        try:
            if folder.exists() and any(folder.iterdir()):
                raise FileExistsError
            for part in ("images", "labels"):
                (folder / part / "train").mkdir(parents=True)
        except OSError as error:
            why = "is not empty" if isinstance(error, FileExistsError) else error.strerror or str(error)
            raise UsageError(f"--save-dataset {folder}: {why}; name a new folder") from None

    def begin(self, names: Mapping[int, str], conf_thres: float, channels: int) -> None:
        """Write the YAML."""
        content = {"train": "images/train", "val": "images/train", "conf_thres": conf_thres}
        content |= {"names": [names[number] for number in sorted(names)]}  # type: ignore[dict-item]
        content |= {"channels": channels} if channels != 3 else {}
        text = HEADER + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=110)
        (self.folder / "data.yaml").write_text(text, encoding="utf-8")

    def discard_if_empty(self) -> None:
        """Remove a data set without an image, so that the next run finds the folder as it was."""
        if self.images:
            return
        own = [self.folder / part for part in ("images/train", "images", "labels/train", "labels")]
        with contextlib.suppress(OSError):  # a folder that something lies in stays
            for folder in own:
                folder.rmdir()
            (self.folder / "data.yaml").unlink()
            if not self._was_there:
                self.folder.rmdir()

    def write(self, detections: FrameDetections) -> None:
        """Write an image, or a frame as an image of its own, and its labels.

        Raises:
            OSError: if they cannot be written.
        """
        frame = detections.frame
        stem = Path(self.names.of(frame)).stem
        stem = stem if frame.number is None else f"{stem}_{frame.number}"
        images, source = self.folder / "images" / "train", Path(frame.path)
        if frame.kind == "image" and "://" not in frame.path and source.is_file():
            self._put(source, images / stem, detections)
        else:
            image_io.write(images / f"{stem}.png", detections.image)
        (self.folder / "labels" / "train" / f"{stem}.txt").write_text(label_rows(detections), encoding="utf-8")
        self.images += 1

    def _put(self, source: Path, target: Path, detections: FrameDetections) -> None:
        """Copy an image file, or link to it, under a suffix that the reader of data sets knows."""
        suffix = source.suffix if source.suffix.lower() == ARRAYS else proper_suffix(source)
        if suffix.lower() not in SUFFIXES | {ARRAYS}:
            image_io.write(target.with_name(f"{target.name}.png"), detections.image)
            return
        path = target.with_name(target.name + suffix)
        if self.link:
            try:
                path.symlink_to(source.resolve())
                return
            except OSError:  # a file system without links, or an account of Windows that may make none
                self.link = False
        shutil.copyfile(source, path)


def label_rows(detections: FrameDetections) -> str:
    """Return the rows of a label file: class, centre x, centre y, width, height in parts of the image, confidence."""
    height, width = detections.size
    rows = []
    for box, score, number in zip(detections.boxes, detections.scores, detections.classes, strict=True):
        left, top, right, bottom = (float(value) for value in box)
        values = [
            (left + right) / 2 / width,
            (top + bottom) / 2 / height,
            (right - left) / width,
            (bottom - top) / height,
        ]
        rows.append(" ".join([str(int(number)), *(f"{value:.9g}" for value in values), f"{float(score):.6g}"]) + "\n")
    return "".join(rows)
