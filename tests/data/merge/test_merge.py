"""Two data sets as one: what agrees, what is added, what is in conflict, and what is never touched."""

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from data import load_dataset
from data.merge.__main__ import main
from data.merge.join import pairwise_iou


def write_set(
    folder: Path, splits: dict[str, dict[str, str]], names: str, seeds: dict[str, int], more: str = ""
) -> Path:
    """Write a data set; images of one seed are the same bytes."""
    for split, labels in splits.items():
        for stem, rows in labels.items():
            for kind in ("images", "labels"):
                (folder / kind / split).mkdir(parents=True, exist_ok=True)
            image = np.random.default_rng(seeds[stem]).integers(0, 255, (100, 100, 3), np.uint8)
            cv2.imwrite(str(folder / "images" / split / f"{stem}.png"), image)
            (folder / "labels" / split / f"{stem}.txt").write_text(rows)
    lines = [f"{split}: images/{split}" for split in splits]
    (folder / "data.yaml").write_text("\n".join([*lines, f"names: [{names}]", more]) + "\n")
    return folder / "data.yaml"


@pytest.fixture
def sets(tmp_path: Path) -> tuple[Path, Path]:
    seeds = {"one": 1, "two": 2, "val": 3, "a": 1, "b": 3, "c": 4}
    first = write_set(
        tmp_path / "A",
        {"train": {"one": "0 .2 .2 .2 .2\n1 .7 .7 .2 .2\n", "two": "0 .5 .5 .2 .2\n"}, "val": {"val": ""}},
        "cat, dog",
        seeds,
    )
    # a: the cat again, 0.01 aside; a cat where the dog is; a new bird; a box that is too faint
    rows = "1 .21 .2 .2 .2 .9\n1 .7 .71 .2 .2 .8\n0 .4 .8 .1 .1 .7\n1 .9 .1 .1 .1 .3\n"
    labels = {"a": rows, "b": "0 .5 .5 .2 .2 .9\n", "c": "0 .5 .5 .4 .4 .95\n"}
    second = write_set(tmp_path / "B", {"train": labels}, "bird, cat", seeds, "val: images/train\nconf_thres: 0.5")
    return first, second


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_boxes_and_images_of_both(sets, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    before = contents(tmp_path)
    out = tmp_path / "C"
    assert main([str(sets[0]), str(sets[1]), "--out", str(out)]) == 0
    assert {path: content for path, content in contents(tmp_path).items() if out not in path.parents} == before
    made = load_dataset(out / "data.yaml")
    assert made.names == {0: "cat", 1: "dog", 2: "bird"}
    train = {record.path.stem: record for record in made["train"]}
    assert train.keys() == {"one", "two", "c"}
    assert train["one"].classes.tolist() == [0, 1, 2]
    assert train["one"].boxes_xyxy[2].tolist() == pytest.approx([35, 75, 45, 85])
    assert train["c"].classes.tolist() == [2]
    assert [len(record) for record in made["val"]] == [0]  # what measures stays as people labelled it
    shown = capsys.readouterr().out
    for line in (
        "boxes that agree: 1",
        "classes added (bird): 1",
        "boxes added to images that had labels: 1",
        "images added: 1",
        "images of val or test left as they are: 1",
        "images repeated in the second left out: 3",
        "conflicts: 1",
    ):
        assert line in shown
    with (out / "conflicts.csv").open() as file:
        (conflict,) = csv.DictReader(file)
    assert (conflict["class"], conflict["other class"], conflict["split"]) == ("dog", "cat", "train")
    assert float(conflict["iou"]) == pytest.approx(19 / 21, abs=1e-4)  # 20 × 20 boxes, one pixel apart
    assert float(conflict["other y1"]) == 61


def test_what_is_refused(sets, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    first, second = map(str, sets)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "labels.txt").touch()
    assert main([first, second, "--out", str(tmp_path / "full")]) == 2
    assert "is not empty; name a new folder" in capsys.readouterr().err
    assert main([first, second, "--out", str(tmp_path / "x"), "--iou", "0"]) == 2
    sets[1].write_text(sets[1].read_text() + "channels: 1\n")
    assert main([first, second, "--out", str(tmp_path / "x")]) == 2
    assert capsys.readouterr().err.count("\n") == 2
    assert not (tmp_path / "x").exists()


def test_overlaps_by_hand() -> None:
    boxes = np.array([[0.0, 0, 2, 2], [1, 1, 3, 3]])
    assert pairwise_iou(boxes, boxes).tolist() == [[1, pytest.approx(1 / 7)], [pytest.approx(1 / 7), 1]]
    assert pairwise_iou(boxes, np.zeros((0, 4))).shape == (2, 0)


def test_rows_with_a_confidence(sets) -> None:
    split = load_dataset(sets[1], split="train")["train"]
    assert [len(record) for record in split] == [3, 1, 1]
    assert [(issue.kind, issue.row) for issue in split.issues] == [("low-confidence", 4)]
    sets[1].write_text(sets[1].read_text().replace("conf_thres: 0.5", ""))
    split = load_dataset(sets[1], split="train")["train"]
    assert [len(record) for record in split] == [0, 0, 0]
    assert {issue.kind for issue in split.issues} == {"columns"}
    assert "write conf_thres: 0.5, say, into the data YAML" in split.issues[0].message
