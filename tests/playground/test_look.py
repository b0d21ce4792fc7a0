"""Look finds what detect.py finds, and says what became of each box."""

import csv
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from data.digits import make_image
from engine.cli.main import main as run_script
from engine.errors import UsageError
from models import build_model
from models.weights.checkpoint import save_checkpoint
from playground.look import Look, Side, maps, placements, read_frame

DIGITS = "weights/yolov5n-digits.pt"


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image with digits."""
    path = tmp_path_factory.mktemp("look") / "digits.png"
    cv2.imwrite(str(path), make_image("test", np.random.default_rng(3))[0])
    return path


@pytest.fixture(scope="module")
def weights(request: pytest.FixtureRequest) -> str:
    """The digits' checkpoint."""
    return str(Path(request.config.rootpath) / DIGITS)


def test_boxes_are_those_of_detect_py(image: Path, weights: str, tmp_path: Path) -> None:
    look, side = Look(), Side(weights)
    for conf_thres, iou_thres in ((0.25, 0.45), (0.9, 0.45), (0.05, 0.9), (0.25, 0.45)):
        found = look.detect(image, 1, side, conf_thres, iou_thres)
        flags = ["--weights", weights, "--source", str(image), "--project", str(tmp_path), "--exist-ok", "--nosave"]
        assert run_script("detect", [*flags, "--conf", str(conf_thres), "--iou", str(iou_thres), "--save-csv"]) == 0
        with (tmp_path / "exp" / "predictions.csv").open() as file:
            rows = list(csv.DictReader(file))
        (tmp_path / "exp" / "predictions.csv").unlink()
        assert len(rows) == len(found) > 0
        for row, box, score in zip(rows, found.boxes, found.scores, strict=True):
            assert [float(row[key]) for key in ("x1", "y1", "x2", "y2")] == pytest.approx(box.tolist(), abs=0.06)
            assert float(row["Confidence"]) == pytest.approx(float(score), abs=1e-4)


def test_two_models(image: Path, weights: str) -> None:
    look = Look()
    same = look.both(image, 1, [Side(weights), Side(weights, ("CBAM@neck.P3",), identity=True)], 0.25, 0.45)
    assert {kind for one in same for kind in one.kinds} == {"same"}
    changed = look.both(image, 1, [Side(weights), Side(weights, ("SE@9", "SE@17"))], 0.25, 0.45)
    assert len(changed[0].rows()) == len(changed[0].kinds) == len(same[0].kinds)
    assert {kind for one in changed for kind in one.kinds} != {"same"}
    assert all(one.drawn().startswith("data:image/jpeg;base64,") for one in changed)


def test_gates_and_what_has_none(image: Path, weights: str) -> None:
    sheets = maps(image, 1, Side(weights, ("SE@neck.P3",)), "gates", (), 0.25)
    assert len(sheets) == 1
    with pytest.raises(UsageError, match="no attention"):
        maps(image, 1, Side(weights), "gates", (), 0.25)


def test_frames_of_a_video(tmp_path: Path) -> None:
    path = tmp_path / "video.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 64))
    for number in range(3):
        writer.write(np.full((64, 64, 3), 100 * number, np.uint8))
    writer.release()
    means = [read_frame(path, number).mean() for number in (1, 2, 3, 99)]
    assert means == pytest.approx([0, 100, 200, 200], abs=3)


@pytest.mark.parametrize("content", [b"", b"no video", bytes(5000), b"RIFF\x00\x00\x00\x00AVI LIST"])
@pytest.mark.parametrize("suffix", [".mp4", ".jpg"])
def test_broken_files(tmp_path: Path, weights: str, content: bytes, suffix: str) -> None:
    path = tmp_path / f"broken{suffix}"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="cannot be used"):
        Look().detect(path, 1, Side(weights), 0.25, 0.45)


def test_a_frame_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        read_frame(tmp_path / "missing.mp4", sys.maxsize)


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        ("", ()),
        ("  CBAM@neck.P3 ", ("CBAM@neck.P3",)),
        ("CBAM@neck.P3 SE@9", ("CBAM@neck.P3", "SE@9")),
        ('"CBAM@neck.P3" "SE{reduction: 8}@inside:neck.C3"', ("CBAM@neck.P3", "SE{reduction: 8}@inside:neck.C3")),
        ("SE @ 4, 6  ECA@9{identity: true}", ("SE @ 4, 6", "ECA@9{identity: true}")),
        ("nonsense", ("nonsense",)),
    ],
)
def test_placements_in_one_line(text: str, entries: tuple[str, ...]) -> None:
    assert placements(text) == entries


def test_a_checkpoint_that_is_written_again_is_read_again(image: Path, weights: str, tmp_path: Path) -> None:
    look, mine = Look(), tmp_path / "last.pt"
    shutil.copy(weights, mine)
    assert len(look.detect(image, 1, Side(str(mine)), 0.25, 0.45)) > 0
    model = build_model("yolov5n", nc=10)
    content = {"spec": model.spec.yaml, "names": model.names, "stride": [8, 16, 32], "hyp": model.hyp}
    save_checkpoint(mine, {**content, "weights": model.state_dict(), "provenance": {"imgsz": 320}})
    assert len(look.detect(image, 1, Side(str(mine)), 0.25, 0.45)) == 0
