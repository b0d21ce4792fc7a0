"""All five entry scripts in a world without network: nothing is asked for, and nothing is written elsewhere."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from tests.integration.system.world import CUT, World, can_cut_the_network, checksums, packets_without_route

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]  # eight processes that load torch, one after the other

STUDY = {
    "cfg": "yolov5n",
    "variants": {"se": "SE@neck.P3"},
    "seeds": 2,
    "budget": {"epochs": 1},
    "train": {"imgsz": 64, "batch_size": 4},
    "latency": 2,
    "resamples": 20,
    "images": 1,
}
FORMATS = ("onnx", "torchscript", *(["openvino"] if find_spec("openvino") else []))
RESULTS = ("runs", "exported")  # below the folder that the scripts are run from
CACHE = ".cache/yolo-attention"  # below home


def make_data(folder: Path) -> None:
    """A YOLO data set of 4 + 4 + 4 images of 64×64, with one JPEG that lacks its end marker."""
    draw = np.random.default_rng(0)
    for split in ("train", "val", "test"):
        for kind in ("images", "labels"):
            (folder / kind / split).mkdir(parents=True)
        for number in range(4):
            image = draw.integers(0, 60, (64, 64, 3), dtype=np.uint8)
            image[16:48, 20:44, number % 3] = 255
            file = folder / "images" / split / f"{number}.jpg"
            cv2.imwrite(str(file), image)
            (folder / "labels" / split / f"{number}.txt").write_text(f"{number % 2} 0.5 0.5 0.375 0.5\n")
        file.write_bytes(file.read_bytes()[:-2])  # ultralytics would rewrite it
    content = {"names": ["even", "odd"], **{split: f"images/{split}" for split in ("train", "val", "test")}}
    (folder / "data.yaml").write_text(yaml.safe_dump(content))
    (folder / "study.yaml").write_text(yaml.safe_dump({"data": str(folder / "data.yaml"), **STUDY}))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, root: Path) -> World:
    """The world before and, per script, after it was run; the scripts run once for all tests."""
    world = World(tmp_path_factory.mktemp("world"), root, can_cut_the_network())
    make_data(world.root / "data")
    return world


@pytest.fixture(scope="module")
def changes(world: World) -> dict[str, dict[str, list[str]]]:
    """Script → part of the world → files that it added, changed or removed."""
    data, best = world.root / "data", "runs/train/exp/weights/best.pt"
    sized = ("--data", data / "data.yaml", "--imgsz", 64)
    commands = {
        "train.py": (*sized, "--cfg", "yolov5n", "--weights", "", "--epochs", 1, "--batch", 4, "--attention", "SE@9"),
        "val.py": (*sized, "--weights", best, "--save-json", "--save-txt"),
        "detect.py": (
            *("--weights", best, "--source", data / "images" / "test", "--imgsz", 64),
            *("--conf", 0.001, "--max-det", 5, "--save-txt", "--save-csv", "--save-crop"),
        ),
        "export.py": ("--weights", best, "--include", *FORMATS, "--imgsz", 64, "--output", "exported"),
        "study.py": (data / "study.yaml", "--workers", 1),
    }
    found: dict[str, dict[str, list[str]]] = {}
    parts = ("checkout", "home", "temporary", "work", "data")
    for script, argv in commands.items():
        before = {part: checksums(world.root / part) for part in parts}
        world.run(script, *argv)
        after = {part: checksums(world.root / part) for part in parts}
        found[script] = {
            part: sorted(
                name
                for name in before[part].keys() | after[part].keys()
                if before[part].get(name) != after[part].get(name)
            )
            for part in parts
        }
    return found


def test_no_script_asks_for_a_network(world: World, changes: dict) -> None:
    assert len(changes) == 5
    assert not world.noted.exists(), world.noted.read_text()
    if not world.cut:
        pytest.skip("this user may not start processes without network (unshare -n): only Python's attempts are seen")
    assert world.attempts == 0


def test_attempts_are_noted(world: World, tmp_path: Path) -> None:
    """What a child of a child wants from the network is seen, in Python and by the kernel."""
    code = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(('192.0.2.1', 9))"
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {code!r}], stderr=subprocess.DEVNULL)"
    noted = tmp_path / "noted.txt"
    environment = {**os.environ, "NOTED": str(noted), "PYTHONPATH": str(world.root / "watcher")}
    subprocess.run([*(CUT if world.cut else ()), sys.executable, "-c", outer], env=environment, check=True)
    assert noted.read_text() == "socket.connect ('192.0.2.1', 9)\n"
    if world.cut:
        assert packets_without_route((tmp_path / "noted.txt.kernel").read_text()) == 1


@pytest.mark.parametrize("script", ["train.py", "val.py", "detect.py", "export.py", "study.py"])
def test_nothing_is_written_elsewhere(script: str, changes: dict) -> None:
    """The checkout, the data and the temporary folder stay as they are; home gets the cache folder only."""
    written = changes[script]
    assert written["checkout"] == written["data"] == written["temporary"] == []
    assert [name for name in written["home"] if name != ".cache" and not name.startswith(CACHE)] == []
    assert written["work"]
    assert [name for name in written["work"] if name.split("/")[0] not in RESULTS] == []
