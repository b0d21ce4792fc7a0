"""A loaded model: many calls, one reading of its file, and the boxes that `detect` gives."""

import copy
import io
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

import engine
from data.digits import make_image
from engine.cli.main import main
from engine.errors import UsageError
from models import CheckpointError, build_model

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


def film(path, image, frames):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, image.shape[1::-1])
    for _ in range(frames):
        writer.write(image)
    writer.release()
    return path


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
    path = film(tmp_path / "film.avi", image, 4)
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


def test_what_is_a_view_of_another_array_can_be_drawn_on(predictor, image):
    planes = np.ascontiguousarray(image.transpose(2, 0, 1))
    for view in (np.rot90(image), planes.transpose(1, 2, 0), image[:, ::-1]):
        (found,) = predictor(view)
        np.testing.assert_array_equal(found.orig_img, view)
        assert found.plot().shape == view.shape


def test_a_part_or_a_copy_of_a_result_knows_its_frame(predictor, image):
    found = list(predictor([image, image]))[1]
    for other in (found[:2], found.cpu(), found.numpy(), copy.deepcopy(found), pickle.loads(pickle.dumps(found))):
        assert other.frame == found.frame
        assert other.path == other.frame.path == "image1"
    np.testing.assert_array_equal(found[1:].boxes.data, found.boxes.data[1:])
    assert sorted(found.speed) == ["inference", "postprocess", "preprocess"]
    assert min(found.speed.values()) > 0


def test_files_that_cannot_be_used_are_told(predictor, image, tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr("engine.detection.frames.LOGGER.warning", told.append)
    for number in range(22):
        (tmp_path / f"{number:02}.jpg").write_bytes(b"")
    with pytest.raises(UsageError, match=r"nothing usable: .*00.jpg: .* \(and 21 more\)"):
        list(predictor(tmp_path))
    with pytest.raises(UsageError, match="nothing usable"):
        next(predictor(tmp_path / "00.jpg"))
    assert not told
    cv2.imwrite(str(tmp_path / "good.png"), image)
    assert [result.frame.path for result in predictor(tmp_path)] == [str(tmp_path / "good.png")]
    assert told[0].startswith(f"skipped: {tmp_path / '00.jpg'}: ")
    assert len(told) == 21
    assert told[-1] == "skipped: and 2 more"
    assert list(predictor([])) == []


def test_a_deep_pil_image_is_seen_as_its_file_is(predictor, tmp_path):
    values = np.arange(1000, 1000 + 64 * 48, dtype=np.uint16).reshape(48, 64)
    cv2.imwrite(str(tmp_path / "deep.png"), values)
    spread = ((values - 1000.0) * 255 / (64 * 48 - 1)).round().astype(np.uint8)
    for stretch, expected in ((False, (values >> 8).astype(np.uint8)), (True, spread)):
        for source in (tmp_path / "deep.png", Image.open(tmp_path / "deep.png")):
            shown = next(predictor(source, stretch=stretch)).orig_img
            np.testing.assert_array_equal(shown, np.repeat(expected[..., None], 3, 2))


def test_a_model_in_memory_stays_as_it_is(image):
    model = build_model("yolov5n", nc=2, attention=["SE@neck.P3"], identity=True).train().half()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for _ in engine.detect(model, image, imgsz=64, device="cpu"):
        pass
    after = model.state_dict()
    assert model.training
    assert list(after) == list(before)
    assert all(
        torch.equal(after[name], tensor) and after[name].dtype == tensor.dtype for name, tensor in before.items()
    )


def test_a_model_in_memory_is_no_file_to_train_or_export(tmp_path):
    model = build_model("yolov5n", nc=2)
    with pytest.raises(UsageError, match="a Detector is no path"):
        engine.export_model(model, include=["onnx"], output=tmp_path)
    with pytest.raises(CheckpointError, match="a Detector is no path"):
        engine.train(data="digits", weights=model, project=tmp_path)


def test_a_device_of_torch_is_one(weights, image):
    found = next(engine.detect(weights, image, backend="torch", imgsz=SIZE, device=torch.device("cpu")))
    assert len(found) > 0
    with pytest.raises(UsageError, match="--device"):
        engine.load(weights, backend="torch", device=torch.device("cuda:99"))


def test_tensors_of_numbers_are_options_of_a_call(predictor, image):
    expected = rows(predictor(image, classes=[3, 4], conf_thres=0.5))[0]
    found = rows(predictor(image, classes=torch.tensor([3, 4]), conf_thres=torch.tensor(0.5)))[0]
    np.testing.assert_array_equal(found, expected)


def test_threads_share_a_model_and_processes_do_not(predictor, image):
    sources = [np.ascontiguousarray(np.roll(image, 20 * shift, 1)) for shift in range(4)]
    expected = [rows(predictor(source))[0] for source in sources]
    with ThreadPoolExecutor(4) as pool:
        for found, alone in zip(pool.map(lambda source: rows(predictor(source))[0], sources), expected, strict=True):
            np.testing.assert_array_equal(found, alone)
    for copied in (copy.deepcopy, pickle.dumps):
        with pytest.raises(UsageError, match="in each process that looks"):
            copied(predictor)


def test_a_result_is_saved_whatever_it_comes_from(predictor, image, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cv2.imwrite("still.png", image)
    cv2.imwrite("still.tif", image)
    film(tmp_path / "film.avi", image, 2)
    for source in (image, "still.png", "still.tif", "film.avi"):
        for result in predictor(source):
            assert cv2.imread(result.save()).shape == image.shape
    names = ["results_image0.jpg", "results_still.png", "results_still.jpg", "results_film_1.jpg", "results_film_2.jpg"]
    assert sorted(path.name for path in tmp_path.glob("results_*")) == sorted(names)
    assert result.save(tmp_path / "new" / "mine.png") == tmp_path / "new" / "mine.png"


def test_crops_stay_in_their_folder(predictor, image, tmp_path):
    found = next(predictor(image))
    found.names = dict.fromkeys(range(5), "../../out") | dict.fromkeys(range(5, 10), "..")
    found.save_crop(tmp_path / "a" / "b")
    folders = {path.parent for path in tmp_path.rglob("*.jpg")}
    expected = {"_.._out" if number < 5 else f"class{number}" for number in found.boxes.cls.int().tolist()}
    assert folders == {tmp_path / "a" / "b" / name for name in expected}
    assert len(list(tmp_path.rglob("*.jpg"))) == len(found)
    assert found.names[0] == "../../out"
