"""Reading splits for training and validation: what is said of them."""

import cv2
import numpy as np
import pytest

from engine.datasets.splits import check_classes, load_data
from engine.errors import UsageError
from engine.runtime.log import LOGGER


@pytest.mark.parametrize("stretch", [False, True])
def test_dark_images_are_noted_unless_they_are_stretched(tmp_path, monkeypatch, stretch):
    said = []
    monkeypatch.setattr(LOGGER, "info", said.append)
    assert cv2.imwrite(str(tmp_path / "a.png"), np.full((8, 8), 4095, np.uint16))
    (tmp_path / "a.txt").write_text("0 .5 .5 .5 .5\n")
    data = {"path": str(tmp_path), "train": ".", "names": ["x"]}
    _, splits = load_data(data, ("train",), stretch=stretch)
    assert len(splits["train"]) == 1
    assert [issue.kind for issue in splits["train"].issues] == ([] if stretch else ["deep"])
    assert ("--stretch spreads the values" in "".join(said)) is not stretch


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_split_whose_boxes_are_all_dropped_ends_the_run(tmp_path, split):
    assert cv2.imwrite(str(tmp_path / "a.png"), np.full((8, 8, 3), 200, np.uint8))
    (tmp_path / "a.txt").write_text("7 .5 .5 .5 .5\n")  # there is one class
    with pytest.raises(UsageError, match=rf"split '{split}' has no box in 1 images; 1 unknown-class \(dropped\)"):
        load_data({"path": str(tmp_path), split: ".", "names": ["x"]}, (split,))


def test_a_split_of_images_that_show_nothing_is_measured(tmp_path):
    assert cv2.imwrite(str(tmp_path / "a.png"), np.full((8, 8, 3), 200, np.uint8))
    (tmp_path / "a.txt").write_text("")
    _, splits = load_data({"path": str(tmp_path), "val": ".", "names": ["x"]}, ("val",))
    assert [len(record) for record in splits["val"]] == [0]


@pytest.mark.parametrize(("weights", "called"), [("best.pt", "--weights best.pt"), (object(), "the model")])
def test_a_model_in_memory_is_not_printed(weights, called):
    with pytest.raises(UsageError, match=f"^{called} knows 1 classes"):
        check_classes(weights, {0: "a"}, "x.yaml", {0: "a", 1: "b"})
