"""The match table: what matched what, kept and read back."""

import numpy as np
import pytest

from metrics import MatchTable, match, read_detections, read_truths
from metrics.matching import IGNORED, RIGHT, WRONG


def table_of(gt, detections):
    truths = read_truths(gt)
    return match(truths, read_detections(detections, truths))


def test_hand_worked_matching():
    """The better-scored detection takes its best object; the second goes to the next best, the third gets none."""
    gt = {
        "images": [{"id": 1}],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [
            {"image_id": 1, "category_id": 1, "bbox": [0, 0, 10, 10]},
            {"image_id": 1, "category_id": 1, "bbox": [0, 3, 10, 10]},
        ],
    }
    boxes = [([0, 0, 10, 10], 0.7), ([0, 0, 10, 10], 0.9), ([0, 0, 10, 10], 0.5)]
    table = table_of(gt, [{"image_id": 1, "category_id": 1, "bbox": b, "score": s} for b, s in boxes])
    assert table.row.tolist() == [1, 0, 2]
    assert table.rank.tolist() == [0, 1, 2]
    assert table.truth.tolist() == [0, 1, -1]
    # Overlap with the second object is 70 / 130 = 0.538: right at 0.5, wrong from 0.55 on.
    assert table.state[0, 0].tolist() == [RIGHT, RIGHT, WRONG]
    assert table.state[0, 1].tolist() == [RIGHT, WRONG, WRONG]
    assert table.state[3].tolist() == [[IGNORED] * 3] * 10  # nothing of this size is large
    assert table.positives().tolist() == [2]


def test_survives_a_file(tmp_path, make_set):
    table = table_of(*make_set(1, crowd=0.1))
    table.save(tmp_path / "m.npz")
    read = MatchTable.load(tmp_path / "m.npz")
    for name in table.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(read, name), getattr(table, name))


def test_file_that_is_no_table(tmp_path):
    np.savez(tmp_path / "x.npz", score=np.zeros(3))
    with pytest.raises(ValueError, match=r"x\.npz: no match table, it lacks category, image"):
        MatchTable.load(tmp_path / "x.npz")
    np.savez(tmp_path / "y.npz", **dict.fromkeys(MatchTable.__dataclass_fields__, np.array([print])))
    with pytest.raises(ValueError, match="allow_pickle=False"):
        MatchTable.load(tmp_path / "y.npz")
