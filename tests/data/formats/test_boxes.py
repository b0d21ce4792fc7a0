"""Repair of boxes: what is mended, what is dropped, and that no other box suffers."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.formats.boxes import RawObjects, make_record
from data.records import Issue, Record

GOOD = (10.0, 10.0, 20.0, 30.0)


def record_of(*boxes: tuple[float, float, float, float]) -> tuple[Record, list[Issue]]:
    raw = RawObjects(Path("labels.txt"))
    for row, box in enumerate(boxes, 1):
        raw.add(row, 0, box)
    issues: list[Issue] = []
    return make_record(Path("image.png"), 100, 80, raw, issues), issues


@pytest.mark.parametrize(
    ("box", "kind", "action", "expected"),
    [
        ((25, 35, 15, 15), "reversed", "swapped", (15, 15, 25, 35)),
        ((25, 15, 15, 35), "reversed", "swapped", (15, 15, 25, 35)),
        ((-10, 5, 50, 90), "over-edge", "clipped", (0, 5, 50, 80)),
        ((5, 5, 5, 20), "zero-size", "dropped", None),
        ((5, 5, 20, 5), "zero-size", "dropped", None),
        ((120, 5, 130, 20), "outside", "dropped", None),
        ((-30, 5, -10, 20), "outside", "dropped", None),
        ((math.nan, 5, 10, 20), "not-a-number", "dropped", None),
        ((5, 5, math.inf, 20), "not-a-number", "dropped", None),
        ((-1e300, -1e300, 1e300, 1e300), "over-edge", "clipped", (0, 0, 100, 80)),
    ],
)
def test_one_bad_box_leaves_the_others(box: tuple, kind: str, action: str, expected: tuple | None) -> None:
    record, issues = record_of(GOOD, box, (40, 40, 60, 60))
    assert [(issue.row, issue.kind, issue.action) for issue in issues] == [(2, kind, action)]
    wanted = [GOOD, *([expected] if expected else []), (40, 40, 60, 60)]
    np.testing.assert_array_equal(record.boxes_xyxy, wanted)


def test_rounding_over_the_edge_is_no_fault_but_is_clipped() -> None:
    record, issues = record_of((-0.3, 0.0, 100.4, 80.2))
    assert not issues
    np.testing.assert_array_equal(record.boxes_xyxy, [[0, 0, 100, 80]])


def test_copies_are_dropped_and_named() -> None:
    record, issues = record_of(GOOD, (1, 1, 9, 9), GOOD)
    assert len(record) == 2
    assert str(issues[0]) == "labels.txt row 3: the same class and box as row 1 (repeated: dropped)"


def test_other_class_or_crowd_flag_is_no_copy() -> None:
    raw = RawObjects(Path("x"))
    raw.add(1, 0, GOOD)
    raw.add(2, 1, GOOD)
    raw.add(3, 0, GOOD, crowd=True)
    issues: list[Issue] = []
    record = make_record(Path("x.png"), 100, 80, raw, issues)
    assert len(record) == 3
    assert not issues


def test_areas_flags_and_types() -> None:
    raw = RawObjects(Path("x"))
    raw.add(1, 3, GOOD, difficult=True)
    raw.add(2, 4, (0, 0, 5, 5), crowd=True, area=12.5)
    record = make_record(Path("x.png"), 100, 80, raw, [])
    assert record.area.tolist() == [200.0, 12.5]
    assert record.difficult.tolist() == [True, False]
    assert record.crowd.tolist() == [False, True]
    assert record.classes.dtype == np.int64
    assert record.boxes_xyxy.dtype == np.float64


def test_no_objects() -> None:
    record, issues = record_of()
    assert record.boxes_xyxy.shape == (0, 4)
    assert not issues


number = st.one_of(st.floats(), st.floats(-50, 150), st.integers(-10, 110).map(float))


@settings(deadline=None)
@given(st.lists(st.tuples(number, number, number, number), max_size=8))
def test_whatever_is_written_what_remains_is_a_box_in_the_image(boxes: list[tuple]) -> None:
    record, issues = record_of(*boxes)
    x1, y1, x2, y2 = record.boxes_xyxy.T
    assert ((x1 >= 0) & (x1 < x2) & (x2 <= 100) & (y1 >= 0) & (y1 < y2) & (y2 <= 80)).all()
    assert len(record) + sum(issue.action == "dropped" for issue in issues) == len(boxes)
