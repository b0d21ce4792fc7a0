"""Windows over large images: where they lie, and the labels that they show."""

from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest

from data.records import Record
from engine.ops.windows import Slicing, cut_record, view_records


def record(boxes: list, width: int = 100, height: int = 80) -> Record:
    count = len(boxes)
    corners = np.array(boxes, np.float64).reshape(-1, 4)
    area = (corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1])
    none = np.zeros(count, bool)
    return Record(Path("image.jpg"), width, height, np.arange(count), corners, none, none, area)


def test_windows_follow_at_a_step_and_the_last_ends_with_the_image():
    # 1,000 px at a step of 640 - 128 = 512: 0, and the last at 360; 700 px: 0 and 60.
    expected = [[0, 0, 640, 640], [360, 0, 1000, 640], [0, 60, 640, 700], [360, 60, 1000, 700], [0, 0, 1000, 700]]
    assert Slicing(640, 0.2).windows(700, 1000).tolist() == expected


def test_an_image_of_one_window_is_seen_whole_only():
    assert Slicing(640).windows(640, 480).tolist() == [[0, 0, 480, 640]]
    assert len(Slicing(640).windows(640, 641)) == 3


@pytest.mark.parametrize("overlap", [0.0, 0.2, 0.5, 0.9])
@pytest.mark.parametrize(("height", "width"), [(97, 64), (300, 301), (64, 65), (10, 1000)])
def test_windows_cover_every_pixel_and_neighbours_share_the_overlap(height, width, overlap):
    slicing = Slicing(64, overlap)
    views = slicing.windows(height, width)[:-1]
    seen = np.zeros((height, width), int)
    for left, top, right, bottom in views:
        assert (right - left, bottom - top) == (min(64, width), min(64, height))
        seen[top:bottom, left:right] += 1
    assert seen.min() >= 1
    lefts = np.unique(views[:, 0])
    assert (np.diff(lefts) <= 64 - int(64 * overlap)).all()
    assert len({tuple(view) for view in views.tolist()}) == len(views)


def test_a_box_stays_a_label_by_its_visible_area():
    # The window shows x from 0 to 50: all of the first box, half of the second, a quarter of the third.
    boxes = [[10, 10, 20, 20], [45, 10, 55, 20], [40, 10, 80, 20], [60, 0, 70, 10]]
    window = np.array([0, 0, 50, 40])
    assert cut_record(record(boxes), window, 0.5).classes.tolist() == [0, 1]
    cut = cut_record(record(boxes), window, 0.25)
    assert cut.classes.tolist() == [0, 1, 2]
    assert cut.boxes_xyxy.tolist() == [[10, 10, 20, 20], [45, 10, 50, 20], [40, 10, 50, 20]]
    assert cut.area.tolist() == [100, 50, 100]
    assert (cut.width, cut.height) == (50, 40)
    assert cut_record(record(boxes), window, 0.0).classes.tolist() == [0, 1, 2]  # nothing of the last is visible


def test_boxes_are_in_their_windows_pixels():
    cut = cut_record(record([[60, 50, 70, 70]]), np.array([50, 40, 100, 80]), 0.25)
    assert cut.boxes_xyxy.tolist() == [[10, 10, 20, 30]]


def test_views_keep_the_order_of_images_and_end_with_the_whole():
    records = [record([[1, 1, 9, 9]]), record([], 40, 40)]
    views, windows, numbers = view_records(records, Slicing(64, 0.0))
    assert numbers.tolist() == [0, 0, 0, 0, 0, 1]
    assert views[4:] == records
    assert windows[4].tolist() == [0, 0, 100, 80]


def test_flags_become_a_slicing():
    assert Slicing.of(Namespace(slice=None)) is None
    assert Slicing.of({"slice": 320, "slice_overlap": 0.1, "slice_visible": 0.5}) == Slicing(320, 0.1, 0.5)
    assert Slicing.of(Namespace(slice=320, slice_overlap=0.1)) == Slicing(320, 0.1, 0.25)
