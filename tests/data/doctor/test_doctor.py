"""The doctor finds each kind of fault, counts right, and its cleaned copy has none of them."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from data import DataError, doctor, load_dataset
from data.doctor.__main__ import main
from data.doctor.examine import read_anchors
from data.doctor.statistics import best_possible_recall


@pytest.fixture
def faulty(yolo_set: Callable[..., Path], image: Callable[..., Path]) -> Path:
    """A YOLO set with one fault of each kind that YOLO text can have."""
    good = "0 .5 .5 .2 .2\n"
    file = yolo_set(
        {
            "train": {
                "good": good,
                "rows": f"{good}9 .5 .5 .1 .1\n0 .5 .5 0 .1\n0 .95 .5 .2 .1\n0 .5 .5 -.1 .1\n0 nan .5 .1 .1\nx\n{good}",
                "pixel": "1 .5 .5 .01 .2\n",
                "empty": "",
                "bare": None,
            },
            "val": {"v": good},
        }
    )
    root = file.parent / "set"
    images = root / "images" / "train"
    shutil.copy(images / "good.png", images / "same.png")
    shutil.copy(root / "labels" / "train" / "good.txt", root / "labels" / "train" / "same.txt")
    shutil.copy(root / "images" / "val" / "v.png", images / "leak.png")
    (images / "zero.jpg").write_bytes(b"")
    image(images / "cut.jpg", 300, 200)
    content = (images / "cut.jpg").read_bytes()
    (images / "cut.jpg").write_bytes(content[: len(content) // 2])
    (images / "endless.jpg").write_bytes(content[:-2])
    shutil.copy(images / "empty.png", images / "liar.jpg")
    (root / "labels" / "train" / "orphan.txt").write_text(good, encoding="utf-8")
    return file


EXPECTED = {
    "unknown-class": 1,
    "zero-size": 1,
    "over-edge": 1,
    "reversed": 1,
    "not-a-number": 1,
    "columns": 1,
    "repeated": 1,
    "one-pixel": 1,
    "duplicate": 2,  # same.png, liar.jpg
    "two-splits": 1,
    "unreadable": 1,
    "truncated": 1,
    "no-end-marker": 1,
    "wrong-suffix": 1,
    "no-image": 1,
    "no-label": 4,  # bare, leak, endless, liar
}


def test_each_fault_is_found_once(faulty: Path) -> None:
    report = doctor(faulty)
    assert {kind: len(issues) for kind, issues in report.by_kind().items()} == EXPECTED
    assert len(report.problems) == sum(EXPECTED.values()) - EXPECTED["no-label"]
    text = report.text()
    assert "PROBLEM two-splits: 1" in text
    assert "note no-label: 4" in text
    assert f"{len(report.problems)} problems" in text
    assert "image sizes in pixels: 100×80 (" in text
    assert "width × height in pixels: 5% " in text


def test_the_cleaned_copy_is_clean_and_the_source_untouched(faulty: Path, tmp_path: Path, root: Path) -> None:
    before = {path: path.read_bytes() for path in faulty.parent.rglob("*") if path.is_file()}
    command = [sys.executable, "-m", "data.doctor", str(faulty), "--fix", str(tmp_path / "clean")]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {path: path.read_bytes() for path in before} == before
    report = doctor(tmp_path / "clean")
    assert {issue.kind for issue in report.problems} == {"one-pixel"}
    kept = {record.path.name for record in report.dataset["train"]}
    assert kept == {"good.png", "rows.png", "pixel.png", "empty.png", "bare.png", "endless.jpg"}
    assert (tmp_path / "clean/images/train/endless.jpg").read_bytes()[-2:] == b"\xff\xd9"
    assert len(report.dataset["val"]) == 1  # the image that leaked left train, not val
    boxes = next(record for record in report.dataset if record.path.name == "rows.png").boxes_xyxy
    np.testing.assert_allclose(boxes, [[40, 32, 60, 48], [85, 36, 100, 44], [45, 36, 55, 44]], atol=1e-6)


@pytest.mark.parametrize("form", ["voc", "coco"])
def test_the_copy_in_another_format(faulty: Path, tmp_path: Path, root: Path, form: str) -> None:
    command = [sys.executable, "-m", "data.doctor", str(faulty), "--fix", str(tmp_path / "clean"), "--to", form]
    subprocess.run(command, cwd=root, capture_output=True, check=True)
    assert load_dataset(tmp_path / "clean").format == form
    assert len(load_dataset(tmp_path / "clean")) == 7


def test_strict_json_overlay_and_exit_codes(
    faulty: Path, image: Callable[..., Path], tmp_path: Path, root: Path
) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "data.doctor", *arguments]
        return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)

    sheet, result = tmp_path / "deep" / "sheet.png", tmp_path / "r.json"
    done = run(str(faulty), "--strict", "--json", str(result), "--overlay", str(sheet))
    assert done.returncode == 1
    content = json.loads(result.read_text(encoding="utf-8"))
    assert content["counts"] == EXPECTED
    assert {issue["kind"] for issue in content["issues"]} == set(EXPECTED)
    drawn = cv2.imread(str(sheet))
    assert drawn is not None
    assert drawn.shape == (960, 1440, 3)  # five images with objects: three in the first row, two in the second
    image(tmp_path / "clean" / "a.png")
    (tmp_path / "clean" / "data.yaml").write_text("train: .\nnames: [x]\n", encoding="utf-8")
    assert run(str(tmp_path / "clean"), "--strict").returncode == 0
    missing = run(str(tmp_path / "none.yaml"))
    assert missing.returncode == 2
    assert missing.stderr.count("\n") == 1
    assert "Traceback" not in missing.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="such names exist on Linux only")
def test_a_name_that_is_no_utf8_is_spelt_out(
    yolo_set: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = yolo_set({"train": {"a": "0 .5 .5 .2 .2\n", "b": ""}, "val": {"v": ""}})
    folder = file.parent / "set" / "images" / "train"
    (folder / "b.png").rename(folder / os.fsdecode(b"\xff.png"))
    assert main([str(file), "--json", str(tmp_path / "out.json"), "--all"]) == 0
    assert "\\udcff.png: has a name that is not UTF-8" in capsys.readouterr().out
    assert "\\udcff.png" in (tmp_path / "out.json").read_text(encoding="utf-8")


def test_figures_by_hand(yolo_set: Callable[..., Path]) -> None:
    # images of 100×80 at 640 px are scaled by 6.4; boxes of 3×3, 10×10 and 50×40 px become 19.2, 64 and 320×256
    text = "0 .5 .5 .03 .0375\n0 .5 .5 .1 .125\n1 .5 .5 .5 .5\n"
    report = doctor(yolo_set({"train": {"a": text, "b": ""}, "val": {"c": "1 .5 .5 .5 .5"}}), imgsz=640)
    train = report.splits["train"]
    assert train["images"] == 2
    assert train["without objects"] == 1
    assert train["boxes"] == 3
    assert train["AP sizes"] == {"small": 0.3333, "medium": 0.3333, "large": 0.3333}
    assert train["classes"] == {"cat": {"boxes": 2, "images": 1}, "dog": {"boxes": 1, "images": 1}}
    assert train["image sizes"] == {"100×80": 2}
    assert report.balance == {"largest to smallest class": 1.0, "classes without boxes": {"train": [], "val": ["cat"]}}
    smaller = doctor(yolo_set({"train": {"a": text}}), imgsz=100)
    assert smaller.splits["train"]["AP sizes"] == {"small": 0.6667, "medium": 0.3333, "large": 0.0}


def test_best_possible_recall_by_hand() -> None:
    anchors = np.array([[10, 10], [100, 50]])
    sides = np.array([[10, 10], [39, 39], [41, 10], [100, 201], [1, 1]])
    # 10×10: first; 39×39: both (100/39 = 2.6, 50/39 = 1.3); 41×10: only the second fails (50/10 = 5), first 4.1: none
    # 100×201: 201/50 = 4.02: none; 1×1: none
    recall, fits = best_possible_recall(sides, anchors)
    assert recall == pytest.approx(2 / 5)
    assert fits == pytest.approx(3 / 5)


def test_anchors_given(tmp_path: Path) -> None:
    file = tmp_path / "model.yaml"
    file.write_text("anchors:\n  - [10, 13, 16, 30]\n  - [116, 90]\n", encoding="utf-8")
    _, table = read_anchors(file)
    assert table.tolist() == [[10, 13], [16, 30], [116, 90]]
    assert len(read_anchors(None)[1]) == 9
    for bad in ("anchors: 3", "anchors: [[1, 2, 3]]", "anchors: [[1, 0]]", "anchors: [[[1, 2]]]", "nc: 3"):
        file.write_text(bad, encoding="utf-8")
        with pytest.raises(DataError, match=r"key 'anchors' must hold rows of w, h"):
            read_anchors(file)


def test_splits_that_are_one_list_count_once(yolo_set: Callable[..., Path]) -> None:
    file = yolo_set({"train": {"a": "0 .5 .5 .1 .1", "b": ""}})
    base = file.read_text(encoding="utf-8")
    file.write_text(base + "val: images/train\n", encoding="utf-8")
    report = doctor(file)
    assert [(issue.kind, issue.message) for issue in report.problems] == [
        ("two-splits", "train and val are the same 2 images")
    ]


def test_wrong_sizes_and_unlisted_files_in_voc(
    tmp_path: Path, image: Callable[..., Path], voc_xml: Callable[..., Path]
) -> None:
    for stem in ("a", "b"):
        image(tmp_path / "JPEGImages" / f"{stem}.jpg")
    voc_xml(tmp_path / "Annotations" / "a.xml", [("cat", 1, 1, 9, 9)], width=50)
    voc_xml(tmp_path / "Annotations" / "b.xml", [])
    (tmp_path / "ImageSets" / "Main").mkdir(parents=True)
    (tmp_path / "ImageSets" / "Main" / "train.txt").write_text("a\n", encoding="utf-8")
    report = doctor(tmp_path)
    assert {kind: issues[0].file.name for kind, issues in report.by_kind().items()} == {
        "size-mismatch": "a.xml",
        "unlisted": "b.xml",
    }
    assert len(report.problems) == 1


def test_blood_cells(shared: Path) -> None:
    report = doctor("bccd", shared / "data" / "bccd", imgsz=320)
    assert [(issue.kind, issue.file.name) for issue in report.problems] == [
        ("zero-size", "BloodImage_00343.xml"),
        ("zero-size", "BloodImage_00338.xml"),
    ]
    classes = [split["classes"] for split in report.splits.values()]
    assert sum(figures["RBC"]["boxes"] for figures in classes) == 4153


def test_odd_files_all_accounted_for(shared: Path) -> None:
    folder = shared / "data" / "odd"
    report = doctor({"path": str(folder), "train": ["made", "exif"], "names": ["x"]})
    files = {path for path in folder.rglob("*") if path.is_file() and path.suffix != ".csv"}
    used = {record.path for record in report.dataset}
    skipped = {issue.file for issue in report.problems if issue.action == "image skipped"}
    assert used | skipped >= files
    assert not used & skipped
    text = report.text()
    assert "PROBLEM truncated: 1" in text
    assert "note exif-rotated: 6" in text


def test_the_report_says_what_would_balance_the_classes(
    yolo_set: Callable[..., Path], capsys: pytest.CaptureFixture
) -> None:
    row = "{} .5 .5 .2 .2\n"
    labels = {f"i{number}": row.format(0) + (row.format(1) if number == 0 else "") for number in range(9)}
    file = yolo_set({"train": labels, "val": {"v": row.format(0)}})
    assert main([str(file), "--no-decode", "--oversample", "1"]) == 0
    shown = capsys.readouterr().out
    # the second class is in 1 of 9 images: √9; 9 boxes against 1: 1/9 and 1 over their mean of 5/9
    assert "--oversample 1: 11 samples an epoch of 9 images" in shown
    assert "in 11.1% of the images, repeated 3.00 times; weight 1.80" in shown
    assert main([str(file), "--no-decode", "--oversample", "2"]) == 2


def test_a_file_of_json_that_cannot_be_written(
    yolo_set: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    out = tmp_path / "file" / "out.json"
    assert main([str(yolo_set({"train": {"a": ""}, "val": {"v": ""}})), "--json", str(out), "--no-decode"]) == 2
    message = capsys.readouterr().err
    assert message.startswith(f"--json {out}: cannot be written (")
    assert message.count("\n") == 1
