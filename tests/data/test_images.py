"""Sizes and states of pictures against cv2.imread and the manifest of odd files."""

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from data import load_dataset
from data.images import probe, probe_all, proper_suffix


def shown_size(path: Path) -> tuple[int, ...]:
    """(width, height) of what cv2.imread gives."""
    image = cv2.imread(str(path))
    assert image is not None
    return image.shape[1::-1]


def test_odd_files_are_used_as_cv2_shows_them_or_skipped_with_a_reason(shared: Path) -> None:
    folder = shared / "data" / "odd"
    with (folder / "MANIFEST.csv").open(encoding="utf-8") as file:
        rows = {row["file"]: row for row in csv.DictReader(file)}
    checked = 0
    for name, row in rows.items():
        path = folder / name
        if not path.is_file():
            continue
        facts = probe(path)
        shown = row["cv2_5.0_imread_color"]
        if shown == "None" or name == "made/jpeg_half.jpg":  # OpenCV fills the missing half with one colour
            assert facts.width == 0, name
            assert facts.issues[0].action == "image skipped"
        else:
            assert f"{facts.width}x{facts.height}x3" == shown, name
            assert shown_size(path) == (facts.width, facts.height), name
        checked += 1
    assert checked > 40


def test_kinds_of_the_odd_files(shared: Path) -> None:
    folder = shared / "data" / "odd" / "made"
    expected = {
        "zero_byte.jpg": "unreadable",
        "html404.jpg": "unreadable",
        "jpeg_header_only.jpg": "unreadable",
        "png_half.png": "unreadable",
        "jpeg_half.jpg": "truncated",
        "jpeg_no_eoi.jpg": "no-end-marker",
        "png_named.jpg": "wrong-suffix",
        "jpg_named.png": "wrong-suffix",
        "gray16.png": None,
        "jpeg_trailing_junk.jpg": None,
        "имя_图像.jpg": None,
    }
    found = {name: [issue.kind for issue in probe(folder / name).issues] for name in expected}
    assert found == {name: [kind] if kind else [] for name, kind in expected.items()}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_every_orientation_as_cv2_shows_it(tmp_path: Path, orientation: int, suffix: str) -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 70, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"x.{suffix}"
    image.save(path, exif=exif)
    facts = probe(path)
    assert (facts.width, facts.height) == shown_size(path)


def test_large_rotated_photograph(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (400, 300)).save(tmp_path / "x.jpg", exif=exif)
    facts = probe(tmp_path / "x.jpg")
    assert (facts.width, facts.height) == (300, 400)
    assert [issue.kind for issue in facts.issues] == ["exif-rotated"]


def test_much_junk_after_the_end_is_no_fault(tmp_path: Path, picture: Callable[..., Path]) -> None:
    path = picture(tmp_path / "x.jpg")
    with path.open("ab") as file:
        file.write(bytes(10_000))
    assert probe(path).width == 100
    assert not probe(path).issues


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_cut_files_are_noticed(tmp_path: Path, picture: Callable[..., Path], share: float) -> None:
    for suffix in ("jpg", "png", "bmp", "webp", "tiff"):
        path = picture(tmp_path / f"x.{suffix}", 200, 160)
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * share)])
        facts = probe(path)
        shown = cv2.imread(str(path))
        assert facts.width == 0 or (shown is not None and shown.shape[1] == facts.width)
        if suffix == "jpg":
            assert facts.issues[0].kind == "truncated"


def test_a_decompression_bomb_is_refused(tmp_path: Path) -> None:
    import struct
    import zlib

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 2_000_000, 2_000_000, 8, 2, 0, 0, 0))
    path = tmp_path / "bomb.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b""))
    assert probe(path).width == 0
    assert probe(path).issues[0].kind == "unreadable"


def test_a_format_opencv_cannot_read(tmp_path: Path) -> None:
    Image.new("RGB", (20, 10)).save(tmp_path / "x.png", format="PCX")
    assert "OpenCV cannot decode this PCX file" in probe(tmp_path / "x.png").issues[0].message


def test_order_and_progress(tmp_path: Path, picture: Callable[..., Path]) -> None:
    paths = [picture(tmp_path / f"{width}.png", width, 10) for width in (30, 10, 20)]
    ticks: list[int] = []
    assert [facts.width for facts in probe_all(paths, ticks.append)] == [30, 10, 20]
    assert ticks == [1, 1, 1]


def test_proper_suffixes(tmp_path: Path, picture: Callable[..., Path]) -> None:
    png = picture(tmp_path / "x.png")
    assert proper_suffix(png) == ".png"
    assert proper_suffix(shutil.copy(png, tmp_path / "y.JPG")) == ".png"  # type: ignore[arg-type]
    jpeg = picture(tmp_path / "z.JPEG")
    assert proper_suffix(jpeg) == ".JPEG"


def test_sources_stay_as_they_are(shared: Path, tmp_path: Path) -> None:
    root = tmp_path / "odd"
    shutil.copytree(shared / "data" / "odd", root / "images", copy_function=shutil.copyfile)
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    dataset = load_dataset({"path": str(root), "train": "images", "names": ["x"]})
    after = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    assert before == after
    accounted = {record.path for record in dataset} | {issue.file for issue in dataset.issues}
    assert {path for path in before if path.suffix != ".csv"} <= accounted
