"""A loaded model: many calls, one reading of its file, and the boxes that `detect` gives."""

import io
import sys

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

import engine
from data.digits import make_image
from engine.cli.main import main
from engine.errors import UsageError

OPENED: list[str] = []
sys.addaudithook(lambda event, args: OPENED.append(str(args[0])) if event == "open" else None)
SIZE = 160


@pytest.fixture(scope="module")
def weights(root):
    return root / "weights" / "yolov5n-digits.pt"


@pytest.fixture(scope="module")
def predictor(weights):
    return engine.load(weights, backend="torch", imgsz=SIZE, device="cpu")


@pytest.fixture(scope="module")
def image():
    scene, _, _ = make_image("test", np.random.default_rng(0))
    return cv2.resize(scene, (SIZE, SIZE), interpolation=cv2.INTER_AREA)


def rows(results):
    return [result.boxes.data.numpy() for result in results]


def test_a_hundred_arrays_are_found_and_the_file_is_read_once(weights, image):
    OPENED.clear()
    predictor = engine.load(weights, backend="torch", imgsz=SIZE, device="cpu")
    read = OPENED.count(str(weights))
    assert read >= 1
    found = [len(next(predictor(np.roll(image, shift, 1))).boxes) for shift in range(100)]
    assert sum(count > 0 for count in found) >= 90
    assert OPENED.count(str(weights)) == read


def test_a_loaded_model_finds_what_detect_finds(predictor, weights, image):
    direct = rows(engine.detect(weights, [image, image[:, ::-1].copy()], backend="torch", imgsz=SIZE, device="cpu"))
    assert len(direct[0]) > 0
    for one, other in zip(rows(predictor([image, image[:, ::-1].copy()])), direct, strict=True):
        np.testing.assert_array_equal(one, other)


def test_paths_arrays_images_tensors_and_batches_give_the_same_boxes(predictor, image, tmp_path):
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), image)
    rgb = np.ascontiguousarray(image[..., ::-1])
    tensor = torch.from_numpy(rgb).permute(2, 0, 1) / 255
    expected = rows(predictor(image))[0]
    sources = [path, [path], tmp_path, Image.fromarray(rgb), tensor, tensor[None].repeat(2, 1, 1, 1), np.stack([image])]
    for source in sources:
        for found in rows(predictor(source)):
            np.testing.assert_array_equal(found, expected)


def test_a_video_gives_its_frames_in_order(predictor, image, tmp_path):
    path = tmp_path / "film.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (SIZE, SIZE))
    for _ in range(4):
        writer.write(image)
    writer.release()
    found = list(predictor(path, vid_stride=2))
    assert [(result.frame.kind, result.frame.number) for result in found] == [("video", 1), ("video", 2)]
    assert all(len(result.boxes) for result in found)


def test_options_of_a_call_hold_for_it_alone(predictor, image):
    before = rows(predictor(image))[0]
    scores = before[:, 4]
    limit = float(np.sort(scores)[len(scores) // 2])
    assert len(rows(predictor(image, conf_thres=limit))[0]) == (scores > limit).sum()
    assert len(rows(predictor(image, max_det=1))[0]) == 1
    np.testing.assert_array_equal(rows(predictor(image))[0], before)
    with pytest.raises(UsageError, match=r"no option 'device'; give it to load\(\)"):
        predictor(image, device="cpu")
    with pytest.raises(UsageError, match="--classes 10: the model has classes 0 to 9"):
        predictor(image, classes=[10])


def test_iterators_of_one_model_do_not_disturb_each_other(predictor, image):
    first, second = predictor([image] * 3), predictor(image[:, ::-1].copy(), conf_thres=0.5)
    expected = rows(predictor(image))[0]
    np.testing.assert_array_equal(rows([next(first)])[0], expected)
    assert (rows([next(second)])[0][:, 4] > 0.5).all()
    for rest in rows(first):
        np.testing.assert_array_equal(rest, expected)


def test_nothing_to_find_and_no_image_are_told_apart(predictor):
    assert len(next(predictor(np.zeros((40, 30, 3), np.uint8), conf_thres=0.9)).boxes) == 0
    with pytest.raises(UsageError, match="give \\(h, w, 3\\) uint8"):
        predictor(np.zeros((40, 30, 3), np.float32))
    assert predictor.names[7] == "7"


def test_a_jpeg_decoded_at_a_quarter_of_its_size_shows_the_same_objects(weights, image, tmp_path):
    path = tmp_path / "large.jpg"
    large = cv2.resize(image, (4 * SIZE, 4 * SIZE), interpolation=cv2.INTER_CUBIC)
    cv2.imwrite(str(path), large[: 3 * SIZE], [cv2.IMWRITE_JPEG_QUALITY, 95])
    flags = {"backend": "torch", "imgsz": SIZE, "device": "cpu"}
    whole, reduced = (next(engine.detect(weights, path, **flags, reduced_decode=flag)) for flag in (False, True))
    assert reduced.orig_img.shape == whole.orig_img.shape  # boxes are drawn on it
    assert np.abs(reduced.orig_img.astype(int) - whole.orig_img).mean() > 0.1  # but it was decoded smaller
    assert reduced.orig_shape == whole.orig_shape == (3 * SIZE, 4 * SIZE)
    assert len(whole.boxes) == len(reduced.boxes) > 0
    for one, other in zip(whole.boxes, reduced.boxes, strict=True):
        assert one.cls == other.cls
        assert torch.abs(one.xyxy - other.xyxy).max() < 4 * 1.5  # pixels of the file: under 1.5 of those looked at
        assert torch.abs(one.xyxyn - other.xyxyn).max() < 1.5 / SIZE * 4 / 3


@pytest.mark.parametrize(("options", "says"), [({"slice": 64}, "--slice"), ({"track": "bytetrack"}, "--track")])
def test_decoding_at_a_part_of_the_size_is_refused_where_the_image_is_wanted(weights, options, says):
    with pytest.raises(UsageError, match=says):
        engine.load(weights, reduced_decode=True, **options)


@pytest.mark.parametrize(("flags", "says"), [([], "add --nosave"), (["--nosave", "--save-crop"], "--save-crop")])
def test_detect_refuses_to_draw_on_what_was_decoded_smaller(weights, flags, says, capsys):
    assert main("detect", ["--weights", str(weights), "--source", "x.jpg", "--reduced-decode", *flags]) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "says"), [({"max_det": -3}, "max_det: '-3'"), ({"batch_size": 0}, "batch_size: '0'")]
)
def test_a_value_that_no_flag_takes_is_refused_in_a_call_too(predictor, image, options, says):
    with pytest.raises(UsageError, match=rf"predictor\(\): {says} is not a whole number"):
        predictor(image, **options)


@pytest.mark.parametrize("weights", [None, 3, b"best.pt"])
def test_what_is_no_model_is_refused(weights):
    with pytest.raises(UsageError, match=f"weights: a {type(weights).__name__} is no model"):
        engine.load(weights, backend="torch")


def test_a_tensor_of_bytes_is_the_same_image(predictor, image):
    rgb = torch.from_numpy(np.ascontiguousarray(image[..., ::-1])).permute(2, 0, 1)
    found = next(predictor(rgb))
    np.testing.assert_array_equal(found.orig_img, image)
    np.testing.assert_array_equal(rows([found])[0], rows(predictor(image))[0])


@pytest.mark.parametrize("values", [(0, 255), (-2.1, 2.6), (float("nan"), 1)])
def test_a_tensor_of_other_values_is_refused(predictor, values):
    with pytest.raises(UsageError, match=r"source: a tensor with values from .* give RGB in 0–1, not normalised"):
        predictor(torch.tensor(values, dtype=torch.float32).reshape(1, 1, 2).expand(3, 4, 2))


def test_a_pil_image_that_is_cut_short_is_refused(predictor, root):
    content = (root / "docs" / "images" / "digits.jpg").read_bytes()[:3000]
    with pytest.raises(UsageError, match="source: a PIL image of mode RGB cannot be read"):
        predictor(Image.open(io.BytesIO(content)))
