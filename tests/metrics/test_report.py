"""The report: the same numbers as the functions give, readable and storable."""

import json
import re

import numpy as np
import pytest

from metrics import coco_metrics, evaluate, plot_confusion, tide_errors, voc_ap


@pytest.fixture(scope="module")
def case(make_set):
    return make_set(6, crowd=0.1, difficult=0.2)


def test_numbers_are_those_of_the_functions(case):
    report = evaluate(*case)
    assert report.coco == coco_metrics(*case)
    assert report.voc["voc07"] == voc_ap(*case, use_07=True)
    assert report.voc["voc10_plus_one"] == voc_ap(*case, plus_one=True)
    assert report.tide == tide_errors(*case)


@pytest.mark.parametrize("evaluator", ["faster-coco-eval", "pycocotools"])
def test_other_evaluators_agree(case, evaluator):
    ours, theirs = evaluate(*case), evaluate(*case, evaluator=evaluator)
    for name, value in ours.coco.items():
        if name != "per_class":
            assert theirs.coco[name] == pytest.approx(value, abs=1e-12)


def test_json_holds_everything(case, tmp_path):
    report = evaluate(*case)
    report.save_json(tmp_path / "metrics.json")
    stored = json.loads((tmp_path / "metrics.json").read_text())
    assert stored == report.to_dict()
    assert stored["coco"]["AP"] == report.coco["AP"]
    assert stored["confusion"]["names"][-1] == "background"
    assert set(stored) == {
        "images", "truths", "detections", "coco", "voc", "tide", "best_f1", "confusion",
    }  # fmt: skip


def test_table_shows_the_numbers(case):
    report = evaluate(*case)
    text = report.table(per_class=True)
    for value in (report.coco["AP"], report.coco["ARl"], report.voc["voc10"]["mAP"], report.tide["dAP"]["missed"]):
        assert f"{value:.4f}" in text
    assert max(map(len, text.splitlines())) <= 100
    lines = {line.split()[0] + line.split()[1]: line for line in text.splitlines() if line.startswith("class ")}
    assert "–" in lines["class3"]  # no truth in the last class
    assert f"{report.coco['per_class']['class 0']['APs']:.4f}" in lines["class0"]
    assert f"{report.voc['voc07']['mAP']:.4f}" in report.table(voc07=True)
    assert "class 0" not in report.table()


def test_table_of_nothing():
    report = evaluate({"images": [], "categories": [], "annotations": []}, [])
    assert "0 images, 0 objects, 0 detections" in report.table(per_class=True)
    json.dumps(report.to_dict(), allow_nan=False)


def test_errors_at_a_confidence_are_those_of_the_kept_detections_alone(make_set):
    gt, detections = make_set(7, crowd=0.1, difficult=0.2)
    kept = [detection for detection in detections if detection["score"] >= 0.4]
    report = evaluate(gt, detections, confidence=0.4)
    assert report.errors_at_confidence == tide_errors(gt, kept)["counts"]
    assert report.errors_at_confidence != report.tide["counts"]
    stored = report.to_dict()["tide"]["at_confidence"]
    assert stored == {"confidence": 0.4, "counts": report.errors_at_confidence}
    lines = report.table().splitlines()
    assert f"{len(kept)} of them of confidence 0.4 or more" in lines[0]
    row = next(line for line in lines if line.startswith("errors  "))
    assert [int(cell) for cell in row.split()[1:]] == list(report.errors_at_confidence.values())


def test_the_table_says_what_its_heads_mean(case):
    text = evaluate(*case).table()
    assert "AR1, AR10, AR100: recall with so many boxes an image. VOC10: mAP at IoU 0.5 as PASCAL VOC 2010." in text
    assert "VOC07: mAP at IoU 0.5 as PASCAL VOC 2007, at 11 recalls" in evaluate(*case).table(voc07=True)


def test_the_drawn_matrix_says_its_confidence_and_its_counts(tmp_path):
    """An SVG of matplotlib's names every text in a comment beside its outline."""
    matrix = np.array([[7, 2, 1], [0, 5, 0], [3, 0, 0]])
    plot_confusion(matrix, ("cat", "dog"), tmp_path / "counts.svg", 0.25, normalized=False)
    drawn = re.findall(r"<!-- (.*?) -->", (tmp_path / "counts.svg").read_text())
    for text in ("cat", "dog", "background", "7", "5", "3"):
        assert text in drawn
    assert any("from confidence 0.25" in text for text in drawn)
    plot_confusion(matrix, ("cat", "dog"), tmp_path / "shares.svg", 0.25)
    assert "0.70" in re.findall(r"<!-- (.*?) -->", (tmp_path / "shares.svg").read_text())  # 7 of 10 true cats
    plot_confusion(matrix, ("cat", "dog"), tmp_path / "counts.pdf", 0.25)
    plot_confusion(matrix, ("$5_$", r"$\frac$"), tmp_path / "dollars.svg", 0.25)  # names, no formulas
    assert "$5_$" in (tmp_path / "dollars.svg").read_text()
    assert b"/Subtype /Image" not in (tmp_path / "counts.pdf").read_bytes()  # drawn as vectors
    assert (tmp_path / "counts.pdf").read_bytes().startswith(b"%PDF")
