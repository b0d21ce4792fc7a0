"""Detect with a baseline and a variant in one image or frame, compare the boxes, and map what is inside."""

import base64
import tempfile
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from data.image_files import image_io
from engine.cli.detect_flags import detect_parser
from engine.detection.predictor import Predictor
from engine.detection.result import FrameDetections
from engine.detection.sources import open_source
from engine.inspection.box_changes import ImageChanges, compare_boxes
from engine.inspection.compare import boxes_of, draw_changes
from engine.inspection.run import run_with_maps
from models.spec.attention_entries import split_placements
from playground.errors import PageError

FRAMES = 1000  # of a video that can be reached
SHOWN = 960  # pixels of an image in the page


@dataclass(frozen=True)
class Side:
    """A model to look with.

    Attributes:
        weights: path of a checkpoint.
        attention: placed besides, as `--attention` takes it.
        identity: whether that starts as the identity.
    """

    weights: str
    attention: tuple[str, ...] = ()
    identity: bool = False


class LivePredictor(Predictor):
    """Keep what the model said of the last batch, so that other thresholds do not run it again."""

    _said: Any = None

    def _output(self, batch: Any) -> Any:
        if self.on_device:  # it filters by confidence itself
            return super()._output(batch)
        if self._said is None:
            self._said = super()._output(batch)
        batch.speed.setdefault("inference", 0.0)
        return np.copy(self._said)


@dataclass
class Found:
    """What one model found in one image.

    Attributes:
        detections: image and boxes.
        kinds: of each box, "same", "moved", "lost" or "gained".
    """

    detections: FrameDetections
    kinds: list[str]

    def drawn(self) -> str:
        """Return the image with its boxes as a data address."""
        return as_address(draw_changes(self.detections, self.kinds, SHOWN, labels=True))

    def rows(self) -> list[list[str]]:
        """Return a row for each box: class, confidence, corners in pixels, what became of it."""
        one = self.detections
        return [
            [one.name(number), f"{score:.3f}", *(f"{float(value):.1f}" for value in box), kind]
            for box, score, number, kind in zip(one.boxes, one.scores, one.classes, self.kinds, strict=True)
        ]


class Look:
    """Look at one image with two models; models and their output are kept while they are the same."""

    def __init__(self) -> None:
        self._predictors: dict[tuple[Any, ...], LivePredictor] = {}

    def detect(self, source: Path, frame: int, side: Side, conf_thres: float, iou_thres: float) -> FrameDetections:
        """Return what detect.py finds in an image, or in one frame of a video.

        Args:
            source: image or video.
            frame: number in a video, from 1.
            side: the model.
            conf_thres: as for detect.py.
            iou_thres: likewise.

        Raises:
            UsageError, CheckpointError, SpecError: if source or model cannot be used.
        """
        key = (str(source), frame, _stamp(source), side, _stamp(Path(side.weights)))
        predictor = self._predictors.get(key)
        if predictor is None:
            settings = _settings(side)
            predictor = LivePredictor(settings, side.weights)
            image = read_frame(source, frame)
            predictor.open(str(source) if image is None else image)
            self._predictors = {k: p for k, p in self._predictors.items() if k[:3] == key[:3]}  # of this image only
            while len(self._predictors) > 3:
                self._predictors.pop(next(iter(self._predictors)))
            self._predictors[key] = predictor
        predictor.options.conf_thres, predictor.options.iou_thres = conf_thres, iou_thres
        predictor.source.report.skipped.clear()
        found = next(iter(list(predictor.detections())), None)
        if found is None:
            skipped = predictor.source.report.skipped
            raise PageError("bad_image", why=skipped[0][1] if skipped else "–")
        return found

    def both(self, source: Path, frame: int, sides: Sequence[Side], conf_thres: float, iou_thres: float) -> list[Found]:
        """Return what one or two models find, each box of two with what became of it.

        Raises:
            UsageError: if the models have other classes.
        """
        found = [self.detect(source, frame, side, conf_thres, iou_thres) for side in sides]
        if len(found) == 1:
            return [Found(found[0], ["same"] * len(found[0]))]
        if found[0].names != found[1].names:
            raise PageError("other_classes")
        changes: ImageChanges = compare_boxes(boxes_of(found[0]), boxes_of(found[1]))
        return [Found(found[0], changes.before), Found(found[1], changes.after)]


def read_frame(source: Path, number: int) -> np.ndarray | None:
    """Return a frame of a video, (h, w, 3) uint8 BGR; None for an image, which detect.py's own reader reads.

    Raises:
        UsageError: if the video has no such frame.
    """
    reader = open_source(str(source))
    if reader.images is not None:
        return None
    last = None
    for count, (_, images, _) in enumerate(reader, 1):
        last = images[0]
        if count >= min(number, FRAMES):
            break
    if last is None:
        skipped = reader.report.skipped
        raise PageError("bad_video", why=skipped[0][1] if skipped else "–")
    return last


def maps(source: Path, frame: int, side: Side, kind: str, layers: Sequence[str], conf_thres: float) -> list[str]:
    """Return the sheets that detect.py --maps writes, as data addresses.

    Args:
        source: image or video.
        frame: number in a video.
        side: the model.
        kind: "gates", "cam" or "features".
        layers: selectors; empty for those that the command line takes.
        conf_thres: as for detect.py.

    Raises:
        UsageError: if the model has nothing of the kind, or a selector names nothing.
    """
    with tempfile.TemporaryDirectory(prefix="yolo-attention-maps-") as folder:
        image = read_frame(source, frame)
        if image is not None:
            source = Path(folder) / "frame.png"
            image_io.write(source, image)
        settings = _settings(side)
        settings.weights, settings.source, settings.maps, settings.layer = (
            side.weights,
            [str(source)],
            [kind],
            list(layers),
        )
        settings.conf_thres, settings.backend, settings.nosave = conf_thres, "auto", True
        settings.project, settings.name = folder, "run"
        run_with_maps(settings)
        sheets = [image_io.read(path) for path in sorted((Path(folder) / "run" / "maps" / kind).glob("*"))]
    return [as_address(sheet) for sheet in sheets if sheet is not None]


def as_address(image: np.ndarray) -> str:
    """Return an image (h, w, 3) uint8 BGR as a data address."""
    good, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 90])
    return f"data:image/jpeg;base64,{base64.b64encode(encoded.tobytes()).decode()}" if good else ""


def placements(text: str) -> tuple[str, ...]:
    """Return the entries of a line such as `CBAM@neck.P3 "SE{reduction: 8}@9"`."""
    return tuple(filter(None, split_placements(text)))


def _stamp(path: Path) -> tuple[int, int]:
    """Return when a file was written, and its size: a training goes on writing to its checkpoints."""
    try:
        found = path.stat()
    except OSError:  # detection says what is wrong with it
        return (0, 0)
    return (found.st_mtime_ns, found.st_size)


def _settings(side: Side) -> Namespace:
    settings: Namespace = detect_parser().parse_args([])
    settings.attention, settings.identity = list(side.attention), side.identity
    return settings
