"""What must not matter does not: order of images, classes and rows, and the size of the pixel."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics import evaluate
from metrics.coco import STAT_NAMES

SIZES = {"APs", "APm", "APl", "ARs", "ARm", "ARl"}
SCENES = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 2**32 - 1),
        "images": st.integers(1, 12),
        "truths": st.integers(0, 40),
        "detections": st.integers(0, 250),
        "classes": st.integers(1, 5),
        "crowd": st.sampled_from([0.0, 0.2]),
        "difficult": st.sampled_from([0.0, 0.3]),
    }
)
EXAMPLES = settings(max_examples=40, deadline=None)


def numbers(gt, detections, without=frozenset()):
    """Every number of a report by name."""
    report = evaluate(gt, detections)
    flat = {name: report.coco[name] for name in STAT_NAMES}
    for label, row in report.coco["per_class"].items():
        flat |= {f"{label} {name}": value for name, value in row.items()}
    for form, result in report.voc.items():
        flat |= {f"{form} mAP": result["mAP"]} | {f"{form} {n}": v for n, v in result["per_class"].items()}
    for group in ("counts", "dAP", "special"):
        flat |= {f"{group} {name}": value for name, value in report.tide[group].items()}
    best = report.curves.best()
    flat |= {f"best {name}": best[name] for name in ("confidence", "f1", "precision", "recall")}
    order = np.argsort(report.matches.names)
    order = np.append(order, len(order))
    flat |= {f"confusion {i}": v for i, v in enumerate(report.confusion[order][:, order].ravel().tolist())}
    return {name: value for name, value in flat.items() if not any(name.endswith(word) for word in without)}


@EXAMPLES
@given(scene=SCENES, shuffle=st.randoms(use_true_random=False))
def test_order_of_rows_and_ids(make_set, scene, shuffle):
    """Lists are shuffled, images and classes get other ids; scores are distinct, for ties are broken by order."""
    gt, detections = make_set(**scene)
    expected = numbers(gt, detections)
    image_ids = {row["id"]: new for row, new in zip(gt["images"], shuffled(shuffle, len(gt["images"])), strict=True)}
    classes = shuffled(shuffle, len(gt["categories"]))
    class_ids = {row["id"]: new for row, new in zip(gt["categories"], classes, strict=True)}

    def renamed(rows):
        rows = [{**r, "image_id": image_ids[r["image_id"]], "category_id": class_ids[r["category_id"]]} for r in rows]
        shuffle.shuffle(rows)
        return rows

    other = {
        "images": [{"id": i} for i in shuffled(shuffle, len(gt["images"]))],
        "categories": [{"id": class_ids[row["id"]], "name": row["name"]} for row in gt["categories"]],
        "annotations": renamed(gt["annotations"]),
    }
    shuffle.shuffle(other["categories"])
    assert numbers(other, renamed(detections)) == pytest.approx(expected, abs=1e-12)


def shuffled(random, count):
    order = list(range(count))
    random.shuffle(order)
    return order


@EXAMPLES
@given(scene=SCENES, power=st.integers(-8, 7))
def test_scale_of_the_image(make_set, scene, power):
    """Powers of two scale floating-point boxes exactly, so nothing but the size classes may change at all."""
    gt, detections = make_set(**scene)
    factor = 2.0**power
    small = [{**row, "bbox": [v * factor for v in row["bbox"]]} for row in detections]
    rows = [
        {**row, "bbox": [v * factor for v in row["bbox"]], "area": row["area"] * factor**2} for row in gt["annotations"]
    ]
    without = SIZES | {"plus_one mAP"} | {f"plus_one {row['name']}" for row in gt["categories"]}
    expected = numbers(gt, detections, without)
    assert numbers({**gt, "annotations": rows}, small, without) == pytest.approx(expected, abs=1e-12)


def test_scale_moves_objects_between_size_classes(make_set):
    gt, detections = make_set(8)
    big = [{**row, "bbox": [v * 128 for v in row["bbox"]]} for row in detections]
    rows = [{**r, "bbox": [v * 128 for v in r["bbox"]], "area": r["area"] * 128**2} for r in gt["annotations"]]
    before, after = evaluate(gt, detections).coco, evaluate({**gt, "annotations": rows}, big).coco
    assert before["APs"] > 0
    assert after["APs"] == after["APm"] == -1
    assert after["APl"] == after["AP"] == before["AP"]
