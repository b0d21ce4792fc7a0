"""Comparing two models: counts by hand on ten images, and the command."""

import json
import os

import cv2
import numpy as np
import pytest

from data.digits import make_image
from engine.detection.frames import Frame
from engine.detection.result import FrameDetections
from engine.inspection.box_changes import Boxes, Tally, compare_boxes
from engine.inspection.compare import draw_changes, main, short_names
from models.upstream import inference  # noqa: F401 - its logger keeps the stderr of its first import: not a test's


def boxes(*rows):
    """Boxes from rows class, x, y, side(, score); a side of 20 is small, 50 medium, 100 large."""
    table = np.array([[x, y, x + side, y + side] for _, x, y, side, *_ in rows], float).reshape(-1, 4)
    scores = np.array([row[4] if len(row) > 4 else 0.9 for row in rows])
    return Boxes(table, np.array([row[0] for row in rows], int), scores)


# before, after, truth → gained, lost, moved, same; counted by hand
IMAGES = [
    ((), (), (), (0, 0, 0, 0)),
    (((0, 0, 0, 20),), ((0, 0, 0, 20),), ((0, 0, 0, 20),), (0, 0, 0, 1)),
    (((0, 0, 0, 20),), (), ((0, 0, 0, 20),), (0, 1, 0, 0)),  # a right one lost
    ((), ((1, 0, 0, 50),), ((1, 0, 0, 50),), (1, 0, 0, 0)),  # a right one gained
    ((), ((1, 200, 0, 50),), ((1, 0, 0, 50),), (1, 0, 0, 0)),  # a wrong one gained
    (((0, 0, 0, 100),), ((0, 10, 0, 100),), ((0, 10, 0, 100),), (0, 0, 1, 0)),  # IoU 90/110: moved
    (((0, 0, 0, 100),), ((1, 0, 0, 100),), ((1, 0, 0, 100),), (1, 1, 0, 0)),  # another class: lost and gained
    (((0, 0, 0, 100),), ((0, 60, 0, 100),), ((0, 0, 0, 100),), (1, 1, 0, 0)),  # IoU 40/160: another object
    (((0, 0, 0, 20), (0, 100, 0, 20)), ((0, 100, 0, 20), (0, 0, 0, 20)), (), (0, 0, 0, 2)),  # in another order
    (((0, 0, 0, 20),), ((0, 0, 0, 20), (0, 1, 0, 20, 0.5)), ((0, 0, 0, 20),), (1, 0, 0, 1)),  # a second box: wrong
]


def test_counts_equal_those_by_hand():
    tally = Tally({0: "cat", 1: "dog"})
    for before, after, truth, expected in IMAGES:
        one = Tally({0: "cat", 1: "dog"})
        for counted in (one, tally):
            pair = boxes(*before), boxes(*after)
            counted.add(*pair, compare_boxes(*pair, boxes(*truth)))
        assert tuple(one.total[kind] for kind in ("gained", "lost", "moved", "same")) == expected
    counts = tally.to_dict()
    assert counts["total"] == {"gained": 5, "lost": 3, "moved": 1, "same": 4}
    assert counts["by_class"] == {
        "cat": {"gained": 2, "lost": 3, "moved": 1},
        "dog": {"gained": 3, "lost": 0, "moved": 0},
    }
    assert counts["by_size"] == {
        "small": {"gained": 1, "lost": 1, "moved": 0},
        "medium": {"gained": 2, "lost": 0, "moved": 0},
        "large": {"gained": 2, "lost": 2, "moved": 1},
    }
    assert counts["by_truth"] == {
        "lost right": 2, "gained right": 2, "gained wrong": 3, "moved right": 1, "lost wrong": 1,
    }  # fmt: skip


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(3):
        cv2.imwrite(str(folder / f"{number}.png"), make_image("test", rng)[0])
    return folder


def test_the_command_writes_page_and_json(root, images, tmp_path):
    from models import build_model
    from models.weights.checkpoint import FORMAT, save_checkpoint

    weights = root / "weights" / "yolov5n-digits.pt"
    argv = ["--source", str(images), "--img", "160", "--project", str(tmp_path / "runs")]
    copied = tmp_path / os.fsdecode(b"b\xe4r.pt")  # a name of an older system, which is no UTF-8
    copied.write_bytes(weights.read_bytes())
    assert main([str(weights), str(copied), *argv, "--name", "same"]) == 0
    same = json.loads((tmp_path / "runs" / "same" / "compare.json").read_text())
    assert same["total"]["same"] > 3
    assert sum(same["total"].values()) == same["total"]["same"]
    blind = build_model("yolov5n", nc=10, names=dict(enumerate("0123456789")))  # of random weights: it finds nothing
    content = {
        "format": FORMAT, "spec": blind.spec.yaml, "names": blind.names, "stride": [8.0, 16.0, 32.0],
        "weights": blind.state_dict(), "hyp": {}, "provenance": {},
    }  # fmt: skip
    save_checkpoint(tmp_path / "blind.pt", content)
    assert main([str(weights), str(tmp_path / "blind.pt"), *argv, "--name", "blind"]) == 0
    folder = tmp_path / "runs" / "blind"
    found = json.loads((folder / "compare.json").read_text())
    assert found["total"] == {"gained": 0, "lost": same["total"]["same"], "moved": 0, "same": 0}
    changes = [entry["changes"] for entry in found["images"]]
    assert changes == sorted(changes, reverse=True)
    page = (folder / "index.html").read_text()
    assert all((folder / entry["file"]).is_file() and entry["file"] in page for entry in found["images"])


def test_what_cannot_be_compared_is_said(root, images, tmp_path, capsys, caplog):
    """Broken images are named, and no page of nothing is written; models of other channels see other images."""
    from models import build_model
    from models.weights.checkpoint import FORMAT, save_checkpoint

    weights = str(root / "weights" / "yolov5n-digits.pt")
    (images / "broken.png").write_bytes((images / "0.png").read_bytes()[:60])
    argv = ["--img", "160", "--project", str(tmp_path / "runs")]
    assert main([weights, weights, "--source", str(images), *argv]) == 0
    assert "broken.png" in caplog.text
    assert main([weights, weights, "--source", str(images / "broken.png"), *argv]) == 2
    assert "nothing usable" in capsys.readouterr().err.splitlines()[-1]
    grey = build_model("yolov5n", nc=10, ch=1, names=dict(enumerate("0123456789")))
    content = {
        "format": FORMAT, "spec": grey.spec.yaml, "names": grey.names, "stride": [8.0, 16.0, 32.0],
        "weights": grey.state_dict(), "hyp": {}, "provenance": {},
    }  # fmt: skip
    save_checkpoint(tmp_path / "grey.pt", content)
    assert main([weights, str(tmp_path / "grey.pt"), "--source", str(images), *argv]) == 2
    assert "read 3 and 1 channels" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("first", "second", "names"),
    [
        ("a.pt", "b.pt", ("a.pt", "b.pt")),
        ("runs/a/weights/best.pt", "runs/b/weights/best.pt", ("a/weights/best.pt", "b/weights/best.pt")),
        ("x/best.pt", "best.pt", ("x/best.pt", "{here}/best.pt")),
        ("best.pt", "./best.pt", ("best.pt", "best.pt")),
    ],
)
def test_names_tell_two_files_of_one_name_apart(first, second, names, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert short_names(first, second) == tuple(name.format(here=tmp_path.name) for name in names)


def test_truth_of_some_images_and_of_other_classes(root, images, tmp_path, capsys, caplog):
    weights = str(root / "weights" / "yolov5n-digits.pt")
    (tmp_path / "labelled").mkdir()
    (images / "0.png").rename(tmp_path / "labelled" / "0.png")
    (tmp_path / "labelled" / "0.txt").write_text("")
    for count in (10, 9):
        names = [str(number) for number in range(count)]
        (tmp_path / f"{count}.yaml").write_text(f"val: labelled\nnames: {names}\n")
    argv = ["--source", str(images), str(tmp_path / "labelled"), "--img", "160", "--project", str(tmp_path / "runs")]
    assert main([weights, weights, *argv, "--data", str(tmp_path / "10.yaml")]) == 0
    assert "1 of 3 images are among those of --data" in caplog.text
    entries = json.loads((tmp_path / "runs" / "exp" / "compare.json").read_text())["images"]
    assert [entry["name"] for entry in entries if entry["truth"]] == ["0.png"]
    assert main([weights, weights, *argv, "--data", str(tmp_path / "9.yaml")]) == 2
    assert "knows 10 classes" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["a.pt", "b.pt"], "compare: --source is missing: name images, or a data set with --data"),
        (["a.pt", "b.pt", "--source", "."], "a.pt: no such file"),
        (["a.torchscript", "b.pt", "--source", "image.png", "--trust"], "a.torchscript: cannot be opened"),
        (["a.pt", "b.pt", "--source", "0"], "--source 0: is a camera or stream, of which the two models would see"),
        (["a.pt", "b.pt", "--data", "nowhere.yaml"], "nowhere.yaml: no such data YAML"),
    ],
)
def test_what_is_wrong_is_one_line(argv, text, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "image.png").write_bytes(cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))[1].tobytes())
    (tmp_path / "a.torchscript").write_bytes(b"not a program")
    assert main(argv) == 2
    message = capsys.readouterr().err
    assert text in message
    assert message.count("\n") == 1


def test_thin_images_are_drawn(tmp_path):
    frame = Frame(str(tmp_path / "seam.png"))
    none = FrameDetections(np.zeros((2, 2000, 3), np.uint8), frame, np.zeros((0, 4)), np.zeros(0), np.zeros(0, int), {})
    assert draw_changes(none, []).shape == (1, 640, 3)
