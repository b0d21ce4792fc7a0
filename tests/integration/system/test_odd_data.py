"""A folder of odd and broken images as a training set: it trains, nothing gets lost, nothing is touched."""

import re
import shutil
from pathlib import Path

import pytest

from data import doctor, load_dataset
from data.image_files.image_probe import probe
from tests.integration.system.world import World, checksums

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, root: Path, shared: Path) -> World:
    """A world whose data are the odd images, each readable one with two objects; they are validated on as well."""
    world = World(tmp_path_factory.mktemp("world"), root, cut=False)
    data = world.root / "data"
    for name in ("made", "exif"):
        shutil.copytree(shared / "data" / "odd" / name, data / "images" / "train" / name)
    for image in sorted((data / "images").rglob("*")):
        image.chmod(0o755 if image.is_dir() else 0o644)
        if image.is_file() and probe(image).width and image.suffix:
            label = data / "labels" / image.relative_to(data / "images").with_suffix(".txt")
            label.parent.mkdir(parents=True, exist_ok=True)
            label.write_text("0 0.5 0.5 0.5 0.5\n1 0.25 0.25 0.5 0.5\n")
    (data / "data.yaml").write_text("train: images/train\nval: images/train\nnames: [zero, one]\n")
    return world


def test_odd_images_train_and_every_file_is_accounted_for(world: World) -> None:
    data = world.root / "data"
    before = checksums(data)
    argv = ("--data", data / "data.yaml", "--cfg", "yolov5n", "--weights", "", "--imgsz", 64, "--epochs", 1)
    text = world.run("train.py", *argv, "--batch", 8, "--workers", 0, "--noplots")
    files = {path for path in (data / "images").rglob("*") if path.is_file()}
    split = load_dataset(data / "data.yaml", split="train")["train"]
    used = {record.path for record in split}
    skipped = {issue.file: issue for issue in split.issues if issue.action == "image skipped"}
    assert used | set(skipped) == files
    assert not used & set(skipped)
    assert len(used) > 30
    assert {issue.kind for issue in skipped.values()} == {"unreadable", "truncated", "no-suffix"}
    # What training says: as many images and boxes as there are, and every skipped one under its reason.
    line = re.search(r"train: (\d+) images, (\d+) boxes; (.*)", text)
    assert line is not None, text
    counts = {kind: int(number) for number, kind in re.findall(r"(\d+) ([\w-]+) \(image skipped\)", line[3])}
    assert int(line[1]) == len(used)
    assert sum(counts.values()) == len(skipped)
    assert (world.root / "work" / "runs" / "train" / "exp" / "weights" / "best.pt").is_file()
    report = doctor(data / "data.yaml")
    assert {issue.file for issue in report.problems if issue.action == "image skipped"} == set(skipped)
    assert checksums(data) == before
