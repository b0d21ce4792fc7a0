"""Tracks on a real film beside ultralytics' own tracker, and memory over thousands of frames."""

import importlib.util
from pathlib import Path

import numpy as np
import psutil
import pytest

from engine.cli.detect_flags import TRACKERS, detect_parser
from engine.detection.frames import Frame
from engine.detection.predictor import Predictor
from engine.detection.result import FrameDetections
from engine.detection.tracking import Tracks

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(importlib.util.find_spec("lap") is None, reason="lap is not installed"),
]
MOST_GROWTH = 4  # MiB from the 1,000th to the 5,000th frame


def test_numbers_on_a_film_equal_those_of_ultralytics_tracker(shared: Path) -> None:
    from ultralytics.engine.results import Boxes

    from models.upstream.tracking import make_tracker

    flags = ["--imgsz", "512", "--vid-stride", "2", "--conf-thres", "0.1", "--device", "cpu"]
    predictor = Predictor(detect_parser().parse_args(flags), str(shared / "weights" / "yolov5n.pt"))
    predictor.open(str(shared / "data" / "video" / "car-detection.mp4"))
    ours, theirs = ({name: make(name) for name in TRACKERS} for make in (Tracks, make_tracker))
    numbers: dict[str, list[int]] = {name: [] for name in TRACKERS}
    for detections in predictor.detections():
        rows = np.concatenate([detections.boxes, detections.scores[:, None], detections.classes[:, None]], 1)
        for name in TRACKERS:
            size = detections.image.shape[:2]
            expected = theirs[name].update(Boxes(rows.astype(np.float32), size), detections.image)
            followed = ours[name].follow(detections)
            if len(expected):
                assert followed.ids.tolist() == expected[:, 4].astype(int).tolist()
                np.testing.assert_allclose(followed.boxes, expected[:, :4], rtol=1e-6)
                numbers[name] += followed.ids.tolist()
    for name, found in numbers.items():
        print(f"{name}: {len(found)} boxes of {len(set(found))} tracks")
        assert len(found) > 20
        assert len(set(found)) > 1


@pytest.mark.parametrize("name", TRACKERS)
def test_memory_stays_flat_over_5000_frames(name: str) -> None:
    tracks, draw = Tracks(name), np.random.default_rng(0)
    images = draw.integers(0, 255, (4, 60, 80, 3), np.uint8)
    process, held = psutil.Process(), 0
    for number in range(1, 5001):
        # Objects appear, cross the frame and leave, so that tracks begin and end all the time.
        x = (number * 2 + 27 * np.arange(6)) % 160 - 40.0
        y = 8.0 + 8 * np.arange(6)
        boxes = np.stack([x, y, x + 12, y + 7], 1).clip(0, [80, 60, 80, 60]).astype(np.float32)
        boxes = boxes[boxes[:, 2] - boxes[:, 0] > 3]
        scores, classes = np.full(len(boxes), 0.9, np.float32), np.zeros(len(boxes), int)
        frame = Frame("film.mp4", "video", number)
        tracks.follow(FrameDetections(images[number % 4], frame, boxes, scores, classes, {0: "thing"}))
        if number == 1000:
            held = process.memory_info().rss
    grown = (process.memory_info().rss - held) / 2**20
    print(f"{name}: {grown:.2f} MiB from the 1,000th to the 5,000th frame")
    assert grown < MOST_GROWTH
