"""The report: the same numbers as the functions give, readable and storable."""

import json

import pytest

from metrics import coco_metrics, evaluate, tide_errors, voc_ap


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
