"""Results in other tools: supervision, COCO JSON, and ONNX Runtime alone give the same boxes."""

import json
import re
import weakref

import cv2
import numpy as np
import pytest

import engine
from data.digits import make_image
from engine.backends.base import installed
from engine.cli.main import main
from engine.cli.run_folder import DIGITS_WEIGHTS
from engine.detection.coco_json import coco_results, write_coco

SIZE = 160
OPTIONS = {"backend": "torch", "imgsz": SIZE, "device": "cpu"}


@pytest.fixture(scope="module")
def image():
    return make_image("test", np.random.default_rng(0))[0]


@pytest.fixture(scope="module")
def result(image):
    found = next(engine.detect(DIGITS_WEIGHTS, image, **OPTIONS))
    assert len(found.boxes) > 3
    return found


@pytest.mark.skipif(not installed("supervision"), reason="supervision is not installed")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_supervision_takes_a_result_in_one_call(result):
    import supervision

    detections = supervision.Detections.from_ultralytics(result)
    np.testing.assert_array_equal(detections.xyxy, result.boxes.xyxy.numpy())
    np.testing.assert_array_equal(detections.confidence, result.boxes.conf.numpy())
    np.testing.assert_array_equal(detections.class_id, result.boxes.cls.numpy())
    assert list(detections["class_name"]) == [result.names[int(number)] for number in result.boxes.cls]


def test_coco_json_is_read_by_pycocotools(result, tmp_path):
    from pycocotools.coco import COCO

    path = write_coco([result, result], tmp_path / "boxes.json")
    coco = COCO(str(path))
    assert [entry["id"] for entry in coco.loadImgs(coco.getImgIds())] == [1, 2]
    assert coco.loadCats([7])[0]["name"] == result.names[7]
    x1, y1, x2, y2 = result.boxes.xyxy.double().numpy().T
    for number in (1, 2):
        entries = coco.loadAnns(coco.getAnnIds(imgIds=[number]))
        np.testing.assert_allclose(
            [entry["bbox"] for entry in entries], np.stack([x1, y1, x2 - x1, y2 - y1], 1), atol=1e-3
        )
        np.testing.assert_allclose([entry["score"] for entry in entries], result.boxes.conf.numpy(), atol=1e-5)
        assert [entry["category_id"] for entry in entries] == result.boxes.cls.int().tolist()


def test_a_coco_file_is_written_without_keeping_the_images(result, tmp_path):
    kept = weakref.WeakSet()

    def results():
        for _ in range(4):
            assert len(kept) <= 2  # a loop holds the last one until it has the next
            one = result.new()
            one.orig_img, one.boxes = result.orig_img.copy(), result.boxes
            kept.add(one)
            yield one
            del one

    content = json.loads(write_coco(results(), tmp_path / "boxes.json").read_text(encoding="utf-8"))
    assert [entry["id"] for entry in content["images"]] == [1, 2, 3, 4]
    assert [entry["id"] for entry in content["annotations"]] == list(range(1, 4 * len(result) + 1))


def test_results_name_images_as_the_data_set_does(result):
    rows = coco_results([result], image_ids={result.path: 42})
    assert {row["image_id"] for row in rows} == {42}
    assert set(rows[0]) == {"image_id", "category_id", "bbox", "score"}
    json.dumps(rows)


@pytest.mark.parametrize("page", ["docs/deploy.md", "docs/deploy.zh.md"])
def test_the_documents_program_finds_the_same_with_onnx_runtime_alone(page, root, image, tmp_path, monkeypatch):
    text = (root / page).read_text(encoding="utf-8")
    program = re.search(r"```python\n(# onnx_detect\.py.*?)```", text, re.DOTALL)[1]
    assert len([line for line in program.splitlines() if line.strip()]) <= 32
    assert not re.search(r"import (torch|engine|models|ultralytics)", program)
    if not (tmp_path.parent / "digits.onnx").exists():
        argv = ["--weights", str(DIGITS_WEIGHTS), "--output", str(tmp_path), "--imgsz", str(SIZE), "--include", "onnx"]
        assert main("export", argv) == 0
        (tmp_path / f"{DIGITS_WEIGHTS.stem}.onnx").rename(tmp_path.parent / "digits.onnx")
    file = tmp_path.parent / "digits.onnx"
    cv2.imwrite(str(tmp_path / "image.png"), image[:, :300])
    monkeypatch.chdir(tmp_path)
    space: dict = {"FILE": str(file), "IMAGE": "image.png"}
    exec(compile(program, page, "exec"), space)
    expected = next(engine.detect(file, tmp_path / "image.png", imgsz=SIZE, device="cpu")).boxes
    assert len(expected) > 3
    np.testing.assert_allclose(space["boxes"], expected.xyxy.numpy(), atol=0.6)
    np.testing.assert_allclose(space["scores"], expected.conf.numpy(), atol=0.01)
    np.testing.assert_array_equal(space["classes"], expected.cls.numpy())
