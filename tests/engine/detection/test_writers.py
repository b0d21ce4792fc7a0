"""What is written, where, and under which name."""

import csv

import cv2
import numpy as np
import pytest

from engine.detection.annotate import draw
from engine.detection.frames import Frame
from engine.detection.result import FrameDetections
from engine.detection.writers import Outputs, safe_name

NAMES = {0: "cat", 1: "../../dog"}


def result(boxes, frame, size=(48, 64)):
    rows = np.array(boxes, np.float32).reshape(-1, 6)
    return FrameDetections(
        np.zeros((*size, 3), np.uint8), frame, rows[:, :4], rows[:, 4], rows[:, 5].astype(int), NAMES
    )


def write(outputs, boxes, frame, size=(48, 64)):
    found = result(boxes, frame, size)
    outputs.write(found, draw(found))


BOX = [[16.0, 12.0, 48.0, 36.0, 0.75, 0.0]]


def test_labels_are_normalised_centres(tmp_path):
    outputs = Outputs(tmp_path, images=False, txt=True, conf=True)
    write(outputs, BOX, Frame("a/b.jpg"))
    # centre (32, 24) of 64×48 = 0.5, 0.5; size 32×24 = 0.5, 0.5
    assert (tmp_path / "labels" / "b.txt").read_text() == "0 0.5 0.5 0.5 0.5 0.75\n"


def test_the_table_has_pixels_and_yolov5s_columns(tmp_path):
    outputs = Outputs(tmp_path, images=False, table=True)
    write(outputs, BOX, Frame("a/b.jpg"))
    write(outputs, BOX, Frame("c.mp4", "video", 7, 10, 5.0))
    outputs.close()
    rows = list(csv.reader((tmp_path / "predictions.csv").read_text(encoding="utf-8").splitlines()))
    assert rows[0][:3] == ["Image Name", "Prediction", "Confidence"]
    assert rows[1] == ["b.jpg", "cat", "0.7500", "16.00", "12.00", "48.00", "36.00", "a/b.jpg", ""]
    assert rows[2][0] == "c.mp4"
    assert rows[2][-1] == "7"


def test_a_name_that_is_no_utf8_is_spelt_out_in_the_table(tmp_path):
    outputs = Outputs(tmp_path, images=False, table=True, crops=True)
    found = result(BOX, Frame("b.jpg"))
    found.names = {0: "cat\udcff"}
    outputs.write(found)
    outputs.close()
    assert "b.jpg,cat\\udcff,0.7500" in (tmp_path / "predictions.csv").read_text(encoding="utf-8")
    assert (tmp_path / "crops" / "cat_" / "b.jpg").is_file()


def test_a_class_name_cannot_leave_the_folder(tmp_path):
    folder = tmp_path / "run"
    outputs = Outputs(folder, images=False, crops=True)
    write(outputs, [[16.0, 12.0, 48.0, 36.0, 0.75, 1.0]], Frame("/etc/../b.jpg"))
    assert [str(path.relative_to(folder)) for path in folder.rglob("*.jpg")] == ["crops/_.._dog/b.jpg"]
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_crop_shows_the_box_and_a_margin(tmp_path):
    outputs = Outputs(tmp_path, images=False, crops=True)
    write(outputs, BOX, Frame("b.jpg"))
    crop = cv2.imread(str(tmp_path / "crops" / "cat" / "b.jpg"))
    assert crop.shape[0] == pytest.approx(24 * 1.02 + 10, abs=1.1)
    assert crop.shape[1] == pytest.approx(32 * 1.02 + 10, abs=1.1)


def test_equal_names_do_not_overwrite_one_another(tmp_path):
    outputs = Outputs(tmp_path, txt=True)
    for path in ("a/x.jpg", "b/x.jpg", "b/x.png", "a/bare", "a/odd.tif"):
        write(outputs, BOX, Frame(path))
    images = sorted(path.name for path in tmp_path.iterdir() if path.is_file())
    assert images == ["bare.jpg", "odd.jpg", "x-2.jpg", "x-3.png", "x.jpg"]
    labels = sorted(path.name for path in (tmp_path / "labels").iterdir())
    assert labels == ["bare.txt", "odd.txt", "x-2.txt", "x-3.txt", "x.txt"]


@pytest.mark.parametrize("count", [1, 12])
def test_a_video_keeps_fps_size_and_number_of_frames(tmp_path, count):
    outputs = Outputs(tmp_path)
    for number in range(1, count + 1):
        write(outputs, BOX, Frame("film.avi", "video", number, count, 12.5))
    outputs.close()
    capture = cv2.VideoCapture(str(tmp_path / "film.mp4"))
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(12.5)
    assert (capture.get(cv2.CAP_PROP_FRAME_WIDTH), capture.get(cv2.CAP_PROP_FRAME_HEIGHT)) == (64, 48)
    frames = 0
    while capture.read()[0]:
        frames += 1
    assert frames == count


def test_streams_side_by_side_have_a_video_each(tmp_path):
    outputs = Outputs(tmp_path)
    for number in range(1, 6):
        for name in ("one", "two"):
            write(outputs, BOX, Frame(f"rtsp://{name}", "stream", number, 0, 5.0))
    outputs.close()
    counts = {path.name: int(cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FRAME_COUNT)) for path in tmp_path.iterdir()}
    assert counts == {"one.mp4": 5, "two.mp4": 5}


def test_drawing_follows_the_options():
    found = result(BOX, Frame("a.jpg"))
    thin, thick = draw(found, 1, labels=False), draw(found, 9, labels=False)
    assert 0 < (thin > 0).sum() < (thick > 0).sum()
    assert (draw(found, 1) > 0).sum() > (draw(found, 1, scores=False) > 0).sum() > (thin > 0).sum()
    assert not found.image.any()


def test_names_beyond_ascii_are_drawn_as_they_are():
    found, marks = result(BOX, Frame("a.jpg")), result(BOX, Frame("a.jpg"))
    found.names, marks.names = {0: "кот"}, {0: "???"}
    one, other = draw(found), draw(marks)
    assert not np.array_equal(one, other)
    assert 0.2 < (one > 0).sum() / (other > 0).sum() < 5


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1)])
def test_thin_images_are_written(tmp_path, size):
    outputs = Outputs(tmp_path, crops=True, txt=True)
    write(outputs, [[0.0, 0.0, 1.0, 1.0, 0.5, 0.0]], Frame("thin.png"), size)
    assert cv2.imread(str(tmp_path / "thin.png")).shape[:2] == size


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a.jpg", "a.jpg"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("..", "otherwise"),
        ("a\x00b", "a_b"),
        ("", "otherwise"),
        ("имя", "имя"),
        ("x" * 300, "x" * 120),
        ("\u5b57" * 85, "\u5b57" * 66),  # three bytes each
    ],
)
def test_safe_names(text, name):
    assert safe_name(text, "otherwise") == name


@pytest.mark.parametrize("fps", [211.222, 143.999, 119.997, 90.123, 66.667, 1000 / 7, 655.359, 999.97])
def test_any_frame_rate_is_written_as_near_as_the_container_can(tmp_path, fps):
    outputs = Outputs(tmp_path)
    for number in (1, 2, 3):
        write(outputs, BOX, Frame("film.mp4", "video", number, 3, fps))
    outputs.close()
    assert not outputs.failed
    assert cv2.VideoCapture(str(tmp_path / "film.mp4")).get(cv2.CAP_PROP_FPS) == pytest.approx(fps, abs=0.06)


@pytest.mark.parametrize("size", [(91, 161), (90, 161), (91, 160), (5, 7)])
def test_odd_sizes_of_video_are_kept(tmp_path, size):
    outputs = Outputs(tmp_path)
    for number in (1, 2, 3):
        write(outputs, BOX, Frame("film.avi", "video", number, 3, 12.5), size)
    outputs.close()
    capture = cv2.VideoCapture(str(tmp_path / "film.avi"))
    shape = [int(capture.get(key)) for key in (cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FRAME_WIDTH)]
    assert shape == list(size)
    assert sum(capture.grab() for _ in range(9)) == 3


@pytest.mark.parametrize("blocked", ["a.jpg", "labels", "crops"])
def test_what_cannot_be_written_costs_one_input(tmp_path, blocked):
    outputs = Outputs(tmp_path, txt=True, crops=True, table=True)
    if blocked == "a.jpg":
        (tmp_path / blocked).mkdir()
        expected = ["a.jpg"]
    else:
        (tmp_path / blocked).write_bytes(b"")
        expected = ["a.jpg", "b.jpg"]
    for path in ("a.jpg", "b.jpg"):
        write(outputs, BOX, Frame(path))
    outputs.close()
    assert list(outputs.failed) == expected
    assert all(blocked in reason for reason in outputs.failed.values())
    assert (tmp_path / "b.jpg").is_file()


def test_crops_of_all_frames_are_files_of_their_own(tmp_path):
    outputs = Outputs(tmp_path, images=False, crops=True)
    boxes = np.repeat(np.array(BOX, np.float32), 12, 0)
    for number in range(1, 13):
        write(outputs, boxes, Frame("film.mp4", "video", number, 12, 5.0))
    assert len(list((tmp_path / "crops" / "cat").iterdir())) == 144


def test_the_table_and_a_list_lead_back_to_the_input(tmp_path):
    outputs = Outputs(tmp_path, table=True)
    for path in ("dog/1.jpg", "cat/1.jpg"):
        write(outputs, BOX, Frame(path))
    outputs.close()
    rows = list(csv.DictReader((tmp_path / "predictions.csv").read_text(encoding="utf-8").splitlines()))
    assert [(row["Image Name"], row["path"]) for row in rows] == [("1.jpg", "dog/1.jpg"), ("1.jpg", "cat/1.jpg")]
    names = list(csv.reader((tmp_path / "outputs.csv").read_text(encoding="utf-8").splitlines()))
    assert names == [["output", "input"], ["1.jpg", "dog/1.jpg"], ["1-2.jpg", "cat/1.jpg"]]
