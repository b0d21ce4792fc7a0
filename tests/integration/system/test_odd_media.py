"""Odd images and videos through detect.py in one run: every one is accounted for, and nothing of the user's changes."""

import csv
import os
import shutil
from pathlib import Path
from typing import Any

import cv2
import pytest

from engine.cli.main import main
from engine.detection import run
from tests.integration.system.odd_media import FRAMES, files_in, make_video, write_all, write_images
from tests.integration.system.world import checksums


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch, root: Path, tmp_path: Path) -> Any:
    """Run detect.py; return exit code, inputs used, inputs skipped, and the run's folder."""
    kept = {}
    report = run._report

    def keep(predictor: Any, outputs: Any, *rest: Any) -> None:
        kept.update(report=predictor.source.report, outputs=outputs)
        report(predictor, outputs, *rest)

    monkeypatch.setattr(run, "_report", keep)
    monkeypatch.setenv("YOLO_ATTENTION_CACHE", str(tmp_path / "cache"))

    def detected(folders: list[str], *flags: str) -> tuple[int, set[str], set[str], Path]:
        weights = str(root / "weights" / "yolov5n-digits.pt")
        argv = ["--weights", weights, "--imgsz", "64", "--backend", "torch", "--device", "cpu"]
        code = main("detect", [*argv, "--project", str(tmp_path / "runs"), "--source", *folders, *flags])
        used = set(kept["outputs"].names._of)
        skipped = {name for name, _ in kept["report"].skipped} | set(kept["outputs"].failed)
        noted = {name for name, reason in kept["report"].notes if "is a folder in a folder" in reason}
        return code, used, skipped | noted, tmp_path / "runs" / "exp"

    return detected


def assert_accounted(folders: list[str], used: set[str], skipped: set[str]) -> None:
    files = {file for file in files_in(folders) if not os.path.basename(file).startswith(".")}  # noqa: PTH119
    assert used | skipped == files
    assert not used & skipped


def test_odd_names_and_images(tmp_path: Path, account: Any) -> None:
    write_images(tmp_path / "data")
    make_video(tmp_path / "data" / "b" / "c" / "same.mp4")
    folders = [str(tmp_path / "data" / part) for part in ("a", "b", "b/c")]
    before = checksums(tmp_path / "data")
    code, used, skipped, folder = account(folders, "--save-txt", "--save-csv")
    assert code == 0
    assert_accounted(folders, used, skipped)
    broken = {"phone.heic", "zeros.png", "text.png"}
    assert broken <= {Path(name).name for name in skipped} <= broken | {"float.tif"}
    assert checksums(tmp_path / "data") == before
    with (folder / "outputs.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["input"] for row in rows} == used
    assert len({row["output"].casefold() for row in rows}) == len(used)
    assert all((folder / row["output"]).is_file() for row in rows)


@pytest.mark.slow
def test_a_hundred_odd_files_in_one_run(tmp_path: Path, account: Any, shared: Path) -> None:
    folders = write_all(tmp_path / "data")
    for part in ("odd/made", "odd/exif"):
        shutil.copytree(shared / "data" / part, tmp_path / "data" / part, symlinks=True)
        folders.append(str(tmp_path / "data" / part))
    reports = shared / "reports"
    for part, names in (("14", ["14-deep-pictures"]), ("15", ["15-heic/images/train"]), ("16", ["16-video-kinds"])):
        for name in names:
            if (reports / name).is_dir():
                shutil.copytree(reports / name, tmp_path / "data" / part)
                folders.append(str(tmp_path / "data" / part))
    before = checksums(tmp_path / "data")
    code, used, skipped, folder = account(folders, "--save-txt", "--save-csv", "--save-crop", "--batch-size", "4")
    assert code == 0
    assert_accounted(folders, used, skipped)
    assert checksums(tmp_path / "data") == before
    videos = {name for name in used if name.startswith(folders[0])}
    assert len(videos) >= 20
    assert len(used) - len(videos) >= 60
    with (folder / "outputs.csv").open(newline="", encoding="utf-8") as file:
        output = {row["input"]: row["output"] for row in csv.DictReader(file)}
    for name in ("kind.flv", "kind.MTS", "odd size.avi", "slow motion.mp4", "called an image.jpg", "видео 视频 📷.mp4"):
        capture = cv2.VideoCapture(str(folder / output[os.path.join(folders[0], name)]))  # noqa: PTH118
        frames = 0
        while capture.read()[0]:
            frames += 1
        assert frames == FRAMES, name
