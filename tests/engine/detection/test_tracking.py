"""Tracks: the same numbers as ultralytics' own tracker gives, on boxes, in label files and tables."""

import csv
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from engine.cli.detect_flags import TRACKERS, detect_parser
from engine.detection import tracking
from engine.detection.annotate import draw
from engine.detection.frames import Frame
from engine.detection.predictor import Predictor
from engine.detection.result import FrameDetections
from engine.detection.tracking import Tracks
from engine.detection.writers import Outputs
from engine.errors import UsageError

SIZE = (120, 200)
needs_lap = pytest.mark.skipif(importlib.util.find_spec("lap") is None, reason="lap is not installed")


def frame_of(
    boxes: list[tuple[float, float]], number: int, path: str = "a.mp4", kind: str = "video"
) -> FrameDetections:
    """A frame with boxes of 20×30 px at given centres, far from one another or not."""
    corners = np.array([[x - 10, y - 15, x + 10, y + 15] for x, y in boxes], np.float32).reshape(-1, 4)
    scores = np.linspace(0.9, 0.8, len(boxes)).astype(np.float32)
    image = np.zeros((*SIZE, 3), np.uint8)
    return FrameDetections(image, Frame(path, kind, number), corners, scores, np.zeros(len(boxes), int), {0: "thing"})


def crossing(frames: int = 20) -> list[FrameDetections]:
    """Two objects that pass one another, 40 px apart in height, walking in opposite directions."""
    return [frame_of([(20 + 8 * n, 40), (180 - 8 * n, 80)], n + 1) for n in range(frames)]


@needs_lap
@pytest.mark.parametrize("name", TRACKERS)
def test_a_crossing_keeps_its_numbers(name: str) -> None:
    tracks = Tracks(name)
    seen: dict[int, list[float]] = {}
    for detections in crossing():
        followed = tracks.follow(detections)
        assert followed.ids is not None
        for number, box in zip(followed.ids.tolist(), followed.boxes, strict=True):
            seen.setdefault(number, []).append(float(box[1] + box[3]) / 2)
    assert sorted(seen) == [1, 2]
    for heights in seen.values():
        assert len(heights) == 20
        assert np.ptp(heights) < 3  # each number stays in its own row


@needs_lap
@pytest.mark.parametrize("name", TRACKERS)
def test_numbers_equal_those_of_ultralytics_tracker(name: str) -> None:
    from ultralytics.engine.results import Boxes

    from models.upstream.tracking import make_tracker

    rng = np.random.default_rng(0)
    tracks, own = Tracks(name), make_tracker(name)
    for number in range(1, 25):
        centres = [(20 + 6 * number, 30 + 5 * k) for k in (0, 8, 16) if rng.random() < 0.9]
        detections = frame_of(centres, number)
        rows = np.concatenate([detections.boxes, detections.scores[:, None], detections.classes[:, None]], 1)
        expected = own.update(Boxes(rows.astype(np.float32), SIZE), detections.image)
        followed = tracks.follow(detections)
        assert followed.ids is not None
        if len(expected):
            assert followed.ids.tolist() == expected[:, 4].astype(int).tolist()
            np.testing.assert_allclose(followed.boxes, expected[:, :4], rtol=1e-6)


@needs_lap
def test_every_video_begins_at_1_and_streams_do_not_disturb_one_another() -> None:
    tracks = Tracks("bytetrack")
    for path in ("a.mp4", "b.mp4"):
        ids = [tracks.follow(frame_of([(50 + n, 50)], n, path)).ids for n in range(1, 5)]
        assert [each.tolist() for each in ids if each is not None] == [[1]] * 4
    assert len(tracks.trackers) == 1
    for number in range(1, 5):
        for path in ("rtsp://one", "rtsp://two"):
            followed = tracks.follow(frame_of([(50 + number, 50)], number, path, "stream"))
            assert followed.ids is not None
            assert followed.ids.tolist() == [1]


@needs_lap
@pytest.mark.parametrize("name", TRACKERS)
def test_frames_without_boxes_are_no_trouble(name: str) -> None:
    tracks = Tracks(name)
    for number in range(1, 4):
        followed = tracks.follow(frame_of([], number))
        assert followed.ids is not None
        assert (len(followed), len(followed.ids)) == (0, 0)


def test_numbers_stand_in_labels_table_and_results(tmp_path: Path) -> None:
    detections = frame_of([(50, 50), (150, 50)], 3)
    detections.ids = np.array([7, 9])
    outputs = Outputs(tmp_path, images=False, txt=True, conf=True, table=True)
    outputs.write(detections)
    outputs.close()
    rows = [line.split() for line in (tmp_path / "labels" / "a_3.txt").read_text(encoding="utf-8").splitlines()]
    assert [(len(row), row[-1]) for row in rows] == [(7, "7"), (7, "9")]
    table = list(csv.DictReader((tmp_path / "predictions.csv").read_text(encoding="utf-8").splitlines()))
    assert [(row["frame"], row["track"]) for row in table] == [("3", "7"), ("3", "9")]
    assert detections.results().boxes.id.tolist() == [7, 9]
    assert not np.array_equal(draw(detections), draw(frame_of([(50, 50), (150, 50)], 3)))


def test_a_missing_lap_is_one_line_and_nothing_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "installed", lambda module: False)
    options = detect_parser().parse_args(["--track", "ByteTrack"])
    with pytest.raises(UsageError, match=r"^--track bytetrack needs lap: pip install lap$"):
        Predictor(options, "weights.pt").open("nothing")
