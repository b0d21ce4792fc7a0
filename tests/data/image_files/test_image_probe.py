"""Sizes and states of images against cv2.imread and the manifest of odd files."""

import csv
import os
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, UnidentifiedImageError, features

from data import load_dataset
from data.image_files import image_io
from data.image_files.image_probe import probe, probe_all, proper_suffix, sniff

AVIF = pytest.param(
    "AVIF",
    marks=pytest.mark.skipif(
        not (features.check("avif") and cv2.haveImageWriter("x.avif")), reason="this Pillow or OpenCV has no AVIF"
    ),
)
UNPACKED = [cv2.IMWRITE_TIFF_COMPRESSION, 1]  # older OpenCV packs floats with loss


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
        metadata = probe(path)
        shown = row["cv2_5.0_imread_color"]
        if shown == "None" or name == "made/jpeg_half.jpg":  # OpenCV fills the missing half with one colour
            assert metadata.width == 0, name
            assert metadata.issues[0].action == "image skipped"
        else:
            assert f"{metadata.width}x{metadata.height}x3" == shown, name
            assert shown_size(path) == (metadata.width, metadata.height), name
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
    metadata = probe(path)
    assert (metadata.width, metadata.height) == shown_size(path)


def test_large_rotated_photograph(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (400, 300)).save(tmp_path / "x.jpg", exif=exif)
    metadata = probe(tmp_path / "x.jpg")
    assert (metadata.width, metadata.height) == (300, 400)
    assert [issue.kind for issue in metadata.issues] == ["exif-rotated"]


def test_much_junk_after_the_end_is_no_fault(tmp_path: Path, image: Callable[..., Path]) -> None:
    path = image(tmp_path / "x.jpg")
    with path.open("ab") as file:
        file.write(bytes(10_000))
    assert probe(path).width == 100
    assert not probe(path).issues


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_cut_files_are_noticed(tmp_path: Path, image: Callable[..., Path], share: float) -> None:
    for suffix in ("jpg", "png", "bmp", "webp", "tiff"):
        path = image(tmp_path / f"x.{suffix}", 200, 160)
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * share)])
        metadata = probe(path)
        shown = cv2.imread(str(path))
        assert metadata.width == 0 or (shown is not None and shown.shape[1] == metadata.width)
        if suffix == "jpg":
            assert metadata.issues[0].kind == "truncated"


def bomb(path: Path, width: int, height: int) -> Path:
    """A PNG of some hundred bytes that claims a size."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b""))
    return path


@pytest.mark.parametrize("side", [10_001, 15_000, 2_000_000])
def test_a_decompression_bomb_is_refused(tmp_path: Path, side: int) -> None:
    (issue,) = probe(bomb(tmp_path / "bomb.png", side, side)).issues
    assert issue.kind == "too-large"
    assert issue.message == "has more than 100 million pixels; cut it into tiles"


@pytest.mark.parametrize(
    "package", ["data.image_files.image_probe", "data.doctor.examine", "engine.detection.run", "engine.validation.run"]
)
def test_opencv_knows_the_limit_too(tmp_path: Path, root: Path, package: str) -> None:
    """Whoever decodes without asking first, as for an image from the web, gets nothing rather than gigabytes."""
    bomb(tmp_path / "bomb.png", 10_001, 10_000)
    bomb(tmp_path / "large.png", 10_000, 10_000)
    code = f"""if True:
        import {package}, cv2, os, resource, sys
        def decode(name):
            try:
                return cv2.imread(name, cv2.IMREAD_REDUCED_GRAYSCALE_8)
            except cv2.error as error:
                print("CV_IO_MAX_IMAGE_PIXELS" in str(error))
        decode("large.png"), decode("bomb.png")
        """
    environment = {key: value for key, value in os.environ.items() if key != "OPENCV_IO_MAX_IMAGE_PIXELS"}
    environment |= {"PYTHONPATH": str(root), "YOLO_ATTENTION_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    print(done.stdout, done.stderr)
    assert done.stdout == "True\n"


def test_what_pillow_does_not_see_is_as_opencv_shows_it(tmp_path: Path) -> None:
    """An orientation tag of a type that does not exist: Pillow drops it, OpenCV turns the image."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 70, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "x.jpg", exif=exif)
    content = (tmp_path / "x.jpg").read_bytes()
    tag = content.index(b"\x01\x12\x00\x03")
    (tmp_path / "x.jpg").write_bytes(content[: tag + 2] + b"\xff" + content[tag + 3 :])
    assert shown_size(tmp_path / "x.jpg") == (40, 70)
    metadata = probe(tmp_path / "x.jpg")
    assert (metadata.width, metadata.height) == (40, 70)


def test_a_jpeg_whose_header_is_fine_and_whose_data_are_not(tmp_path: Path, image: Callable[..., Path]) -> None:
    path = image(tmp_path / "x.jpg", 100, 80)
    content = path.read_bytes()
    scan = content.index(b"\xff\xda")  # start of scan, its length, the number of components: one that cannot be
    path.write_bytes(content[: scan + 4] + b"\x09" + content[scan + 5 :])
    assert cv2.imread(str(path)) is None
    assert [issue.kind for issue in probe(path).issues] == ["unreadable"]
    assert probe(path, decode=False).width == 100  # who decodes it next will see


@pytest.mark.parametrize("size", [(8, 9), (640, 641), (641, 645), (65, 64), (200, 150), (1, 7)])
@pytest.mark.parametrize("orientation", [1, 6])
def test_sizes_that_an_eighth_cannot_tell_apart(tmp_path: Path, size: tuple[int, int], orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", size).save(tmp_path / "x.jpg", exif=exif)
    metadata = probe(tmp_path / "x.jpg")
    assert (metadata.width, metadata.height) == (size if orientation == 1 else size[::-1])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_no_image(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert sniff(tmp_path / "pipe") is None
    assert probe(tmp_path / "pipe").issues[0].kind == "not-a-file"
    assert probe(tmp_path / ("long" * 100)).issues[0].kind == "missing"


@pytest.mark.skipif(sys.platform != "linux", reason="such names exist on Linux only")
def test_a_name_that_is_no_utf8(tmp_path: Path, image: Callable[..., Path]) -> None:
    path = tmp_path / os.fsdecode(b"\xff.png")
    image(tmp_path / "x.png").rename(path)
    assert probe(path).width == 0
    assert probe(path).issues[0].kind == "bad-path"


def test_a_format_opencv_cannot_read(tmp_path: Path) -> None:
    Image.new("RGB", (20, 10)).save(tmp_path / "x.png", format="PCX")
    assert "OpenCV cannot decode this PCX file" in probe(tmp_path / "x.png").issues[0].message


def test_the_reason_is_pillows_own_where_ultralytics_looks_for_a_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ultralytics_open(path: Path) -> None:
        try:
            raise UnidentifiedImageError(f"cannot identify image file '{path}'")
        except UnidentifiedImageError:
            raise ModuleNotFoundError("No module named 'pi_heif'")  # noqa: B904 - as ultralytics' patch does

    path = tmp_path / "text.jpg"
    path.write_text("no image\n")
    monkeypatch.setattr(Image, "open", ultralytics_open)
    (issue,) = probe(path).issues
    assert issue.message == "is no readable image: cannot identify image file"


def test_order_and_progress(tmp_path: Path, image: Callable[..., Path]) -> None:
    paths = [image(tmp_path / f"{width}.png", width, 10) for width in (30, 10, 20)]
    ticks: list[int] = []
    assert [metadata.width for metadata in probe_all(paths, ticks.append)] == [30, 10, 20]
    assert ticks == [1, 1, 1]


def test_proper_suffixes(tmp_path: Path, image: Callable[..., Path]) -> None:
    png = image(tmp_path / "x.png")
    assert proper_suffix(png) == ".png"
    assert proper_suffix(shutil.copy(png, tmp_path / "y.JPG")) == ".png"  # type: ignore[arg-type]
    jpeg = image(tmp_path / "z.JPEG")
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


@pytest.mark.parametrize(("high", "noted"), [(4095, True), (16383, True), (16384, False), (65535, False)])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_an_image_of_16_bits_that_is_seen_dark_is_noted(tmp_path: Path, suffix: str, high: int, noted: bool) -> None:
    path = tmp_path / f"x.{suffix}"
    assert cv2.imwrite(str(path), np.linspace(0, high, 64).astype(np.uint16).reshape(8, 8))
    for decode in (True, False):
        metadata = probe(path, decode)
        assert (metadata.width, metadata.height) == (8, 8)
        assert [issue.kind for issue in metadata.issues] == (["deep"] if noted else [])
    if noted:
        assert f"up to {high}" in metadata.issues[0].message
        assert f"at most {high >> 8} of 255" in metadata.issues[0].message


@pytest.mark.parametrize("suffix", ["png", "tif", "jp2", "ppm"])
def test_a_dark_image_in_colour_is_noted(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x.{suffix}"
    values = np.random.default_rng(0).integers(0, 200, (64, 96, 3), np.uint8)
    assert cv2.imwrite(str(path), values)
    assert not probe(path).issues
    assert cv2.imwrite(str(path), values.astype(np.uint16) * 14)  # up to 2786; a lossy format adds a little
    assert [issue.kind for issue in probe(path).issues] == ["deep"]


@pytest.mark.parametrize(("kind", "channels"), [("P5", 1), ("P6", 3)])
def test_12_bits_in_a_portable_map_are_noted(tmp_path: Path, kind: str, channels: int) -> None:
    path = tmp_path / f"x.{'pgm' if channels == 1 else 'ppm'}"
    path.write_bytes(f"{kind}\n8 4\n4095\n".encode() + np.full(32 * channels, 4095, ">u2").tobytes())
    assert [issue.kind for issue in probe(path).issues] == ["deep"]
    assert "up to 4095" in probe(path).issues[0].message


@pytest.mark.parametrize("kind", ["GIF", "PNG", "TIFF", "WEBP", AVIF])
def test_several_frames_in_an_image_are_noted(tmp_path: Path, kind: str) -> None:
    frames = [Image.fromarray(np.full((8, 8, 3), value, np.uint8)) for value in (0, 90, 200)]
    path = tmp_path / f"x.{kind.lower()}"
    frames[0].save(path, kind, save_all=True, append_images=frames[1:])
    assert [issue.kind for issue in probe(path).issues] == ["several-frames"]
    frames[0].save(path, kind)
    assert not probe(path).issues


def test_heic_is_read_or_named_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "x.heic"
    path.write_bytes(b"\0\0\0\x18ftypheic" + b"\0" * 200)
    metadata = probe(path)
    assert metadata.width == 0
    if not image_io.register_heif():
        assert metadata.issues[0].message == "is a HEIC image; to read it: pip install pillow-heif"


def test_a_tiff_of_floats_in_several_channels_is_read_and_said(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "x.tiff"), np.full((24, 40, 3), 0.5, np.float32), UNPACKED)
    found = probe(tmp_path / "x.tiff")
    assert (found.width, found.height) == (40, 24)
    assert [issue.message for issue in found.issues] == [
        "stores float32 up to 0.5, which is seen as 8 bits, cut to whole numbers; --stretch spreads the values"
    ]
    (tmp_path / "x.tiff").write_bytes(b"II*\0" + bytes(60))
    unreadable = probe(tmp_path / "x.tiff")
    assert unreadable.width == 0
    assert unreadable.issues[0].message.endswith(
        "write this TIFF with 8 or 16 bits a channel in 1, 3 or 4 channels, or as PNG"
    )
