"""Detection that goes on and on: memory stays flat, and every input is used, or skipped with a reason.

YOLO_ATTENTION_SOAK=10000 python -m pytest tests/integration/slow/test_soak.py -k video -s   # so many frames
"""

import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.integration.slow.odd_files import write_odd_files

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(sys.platform != "linux", reason="reads how much memory a process has from /proc"),
]

FRAMES = int(os.environ.get("YOLO_ATTENTION_SOAK", "2000"))
FILES = 5000
MOST = 2.0  # MiB more with 1,000 inputs: two frames of the video in a thousand that are not let go would be as much


@pytest.fixture(scope="module")
def soak(root, tmp_path_factory):
    """Run detect.py; returns what it says, its folder, and an array of (inputs done, MiB of memory) over time."""
    home = tmp_path_factory.mktemp("soak")

    def run(source, done, *more):
        """`done` matches a line that tells how many inputs are done."""
        argv = ["--weights", root / "weights" / "yolov5n-digits.pt", "--source", source, "--device", "cpu", *more]
        process = subprocess.Popen(
            [sys.executable, root / "detect.py", *argv, "--project", home, "--name", source.name],
            env=os.environ | {"YOLO_ATTENTION_CACHE": str(home / "cache")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        text, memory = "", []
        with process:
            for line in process.stdout:
                text += line
                if found := re.search(done, line):
                    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
                    memory.append((int(found[1]), pages * os.sysconf("SC_PAGE_SIZE") / 2**20))
        assert process.returncode == 0, text[-3000:]
        return text, home / source.name, np.array(memory[:-1])  # at the last one the process may be about to end

    return run


def slope(memory):
    """Return by how many MiB memory grows with 1,000 inputs: least squares, from a quarter of the inputs on."""
    inputs, mib = memory[memory[:, 0] > memory[-1, 0] / 4].T
    grows = 1000 * np.polyfit(inputs, mib, 1)[0]
    print(f"\n{len(mib)} samples, {mib.min():.0f} to {mib.max():.0f} MiB, {grows:+.3f} MiB with 1,000 inputs")
    return grows


@pytest.fixture
def frames(request, digits):
    """Frames without end: the video of a street where there is one, else digits that pass by."""
    try:
        film = request.getfixturevalue("shared") / "data" / "video" / "car-detection.mp4"
    except pytest.skip.Exception:
        film = None

    def endless():
        row = np.concatenate([cv2.imread(str(path)) for path in sorted(digits.parent.glob("images/*/*.png"))], 1)
        sheet = np.tile(row, (6, 1, 1))
        while True:
            capture = cv2.VideoCapture(str(film)) if film else None
            while capture is not None and (frame := capture.read()[1]) is not None:
                yield frame
            sheet = np.roll(sheet, 3, 1)
            if film is None:
                yield sheet[:, :640]

    return endless()


def write_film(path, frames, count):
    frame = next(frames)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 25, frame.shape[1::-1])
    for _ in range(count):
        writer.write(frame)
        frame = next(frames)
    writer.release()
    return path


def test_a_long_video(soak, frames, tmp_path):
    film = write_film(tmp_path / "film.mp4", frames, FRAMES)
    text, folder, memory = soak(film, r"frame (\d+)/", "--img", "320", "--conf", "0.05", "--save-txt", "--save-csv")
    assert f"used 1 video ({FRAMES} frames), skipped 0;" in text
    assert cv2.VideoCapture(str(folder / film.name)).get(cv2.CAP_PROP_FRAME_COUNT) == FRAMES
    assert slope(memory) < MOST


NAMES = ("", "two argv ", "имя-", "字" * 20, "😀", "#%41 %d ", "what?", "new\nline ", "\x1b[31m", "a.b.c.")


def test_thousands_of_odd_images(soak, digits, tmp_path):
    source = tmp_path / "images"
    source.mkdir()
    image = cv2.resize(cv2.imread(str(next(digits.parent.glob("images/*/*.png")))), (320, 240))
    film = write_film(tmp_path / "film.mp4", itertools.repeat(image), 3)
    good, bad = write_odd_files(image, film, tmp_path)
    expected = {True: set(), False: set()}
    for number in range(FILES):
        usable = number % 5 > 0
        of = good if usable else bad
        kind = of[number // 5 % len(of)]
        expected[usable].add(number)
        to = source / f"{number:04}-{NAMES[number % 7 + number % 4]}{kind.name}"
        if kind.is_dir():
            to.mkdir()
        else:
            os.link(kind, to, follow_symlinks=False)
    text, folder, memory = soak(
        source, r"^[^:]*/(\d{4})-", "--img", "64", "--conf", "0.05", "--save-txt", "--save-crop"
    )
    said = [line for line in text.splitlines() if not line.startswith(("note: ", "skipped: "))]
    used = {int(found[1]) for line in said if (found := re.search(r"/(\d{4})-", line))}
    skipped = re.findall(r"/(\d{4})-.*: \S", (folder / "skipped.txt").read_text())
    assert used == expected[True]
    assert sorted(map(int, skipped)) == sorted(expected[False])
    assert f"skipped {len(skipped)};" in text
    assert {int(path.name[:4]) for path in folder.glob("[0-9]*")} == used
    assert slope(memory) < MOST
