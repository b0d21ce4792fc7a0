"""One rule of decoding: what is read from a file, from bytes and from Pillow is the same image."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from data.image_files import image_io

UNPACKED = [cv2.IMWRITE_TIFF_COMPRESSION, 1]  # older OpenCV packs floats with loss


@pytest.fixture
def pixels() -> np.ndarray:
    """(h, w, 3) BGR."""
    return np.random.default_rng(0).integers(0, 256, (24, 40, 3), dtype=np.uint8)


def test_files_bytes_and_pillow_give_one_image(tmp_path: Path, pixels: np.ndarray) -> None:
    path = tmp_path / "\u56fe x.png"
    Image.fromarray(pixels[..., ::-1]).save(path)
    for image in (image_io.read(path), image_io.decode(path.read_bytes()), image_io.from_pillow(Image.open(path))):
        np.testing.assert_array_equal(image, pixels)


def test_orientation_turns_the_image(tmp_path: Path, pixels: np.ndarray) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # shown a quarter turn clockwise
    Image.fromarray(pixels[..., ::-1]).save(tmp_path / "x.tiff", exif=exif)
    assert image_io.from_pillow(Image.open(tmp_path / "x.tiff")).tolist() == np.rot90(pixels, -1).tolist()
    Image.fromarray(pixels[..., ::-1]).save(tmp_path / "x.jpg", exif=exif)
    image = image_io.read(tmp_path / "x.jpg")
    assert image is not None
    assert image.shape == (40, 24, 3)


def test_of_16_bits_the_high_8_are_seen(tmp_path: Path) -> None:
    deep = np.arange(0, 65536, 64, dtype=np.uint16).reshape(32, 32)
    Image.fromarray(deep).save(tmp_path / "x.png")
    expected = np.repeat((deep // 256).astype(np.uint8)[..., None], 3, 2)
    np.testing.assert_array_equal(image_io.read(tmp_path / "x.png"), expected)
    np.testing.assert_array_equal(image_io.from_pillow(Image.open(tmp_path / "x.png")), expected)


def test_alpha_is_dropped_without_blending(tmp_path: Path, pixels: np.ndarray) -> None:
    alpha = np.full((24, 40, 1), 7, np.uint8)
    Image.fromarray(np.concatenate([pixels[..., ::-1], alpha], 2)).save(tmp_path / "x.png")
    np.testing.assert_array_equal(image_io.read(tmp_path / "x.png"), pixels)
    np.testing.assert_array_equal(image_io.from_pillow(Image.open(tmp_path / "x.png")), pixels)


def test_odd_files_are_as_opencv_reads_them(shared: Path) -> None:
    files = [path for path in sorted((shared / "data" / "odd").rglob("*")) if path.is_file() and path.suffix != ".csv"]
    assert len(files) > 40
    for path in files:
        expected, image = cv2.imread(str(path)), image_io.read(path)
        assert (image is None) == (expected is None), path
        assert image is None or np.array_equal(image, expected), path


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize(("low", "high"), [(0, 4095), (80, 2224), (0, 65535), (1000, 1001)])
def test_stretched_values_reach_from_black_to_white(tmp_path: Path, suffix: str, low: int, high: int) -> None:
    deep = np.linspace(low, high, 12 * 16).round().astype(np.uint16).reshape(12, 16)
    path = tmp_path / f"x.{suffix}"
    assert cv2.imwrite(str(path), deep)
    image = image_io.read(path, stretch=True)
    assert image is not None
    expected = np.round((deep.astype(np.float64) - low) / (high - low) * 255)
    assert (image.min(), image.max(), image.shape) == (0, 255, (12, 16, 3))
    assert np.abs(image[..., 0] - expected).max() <= 1


def test_stretching_leaves_8_bits_and_flat_images_alone(tmp_path: Path, pixels: np.ndarray) -> None:
    cv2.imwrite(str(tmp_path / "x.png"), pixels)
    np.testing.assert_array_equal(image_io.read(tmp_path / "x.png", stretch=True), pixels)
    assert not image_io.stretched(np.full((4, 4, 3), 700, np.uint16)).any()
    assert image_io.stretched(np.array([[[np.nan, np.inf, 1.0]]], np.float32)).tolist() == [[[0, 0, 255]]]


def test_heic_needs_pillow_heif(shared: Path) -> None:
    path = shared / "reports" / "15-heic" / "images" / "train" / "h0.heic"
    if not path.is_file():
        pytest.skip(f"no {path}")
    assert image_io.is_heif(path.read_bytes()[:12])
    image = image_io.read(path)
    assert (image is not None) == image_io.register_heif()
    assert image is None or image.ndim == 3


def test_what_only_begins_like_heic() -> None:
    assert image_io.decode(b"\0\0\0\x18ftypheic" + b"\0" * 100) is None
    assert not image_io.is_heif(b"\0\0\0\x1cftypavif")
    assert not image_io.is_heif(b"")


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int32])
@pytest.mark.parametrize("channels", [1, 3])
def test_of_32_and_64_bits_whole_numbers_are_seen(
    tmp_path: Path, pixels: np.ndarray, kind: type, channels: int
) -> None:
    stored = pixels[..., :channels].astype(kind)
    stored[0, 0], stored[0, 1] = -7, 3000
    if kind is not np.int32:
        stored[0, 2], stored[0, 3] = np.nan, 100.75
    cv2.imwrite(str(tmp_path / "x.tiff"), stored, UNPACKED)
    expected = np.repeat(pixels[..., :1], 3, 2) if channels == 1 else pixels.copy()
    expected[0, :2] = [[0], [255]]
    if kind is not np.int32:
        expected[0, 2:4] = [[0], [100]]
    np.testing.assert_array_equal(image_io.read(tmp_path / "x.tiff"), expected)


def test_stretching_values_of_32_bits(tmp_path: Path) -> None:
    stored = np.linspace(-0.5, 0.5, 256, dtype=np.float32).reshape(16, 16)
    stored = np.dstack([stored] * 3)
    cv2.imwrite(str(tmp_path / "x.tiff"), stored, UNPACKED)
    image = image_io.read(tmp_path / "x.tiff", stretch=True)
    np.testing.assert_array_equal(image[..., 0], np.arange(256).reshape(16, 16))


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".webp"])
def test_images_are_written_as_opencv_writes_them(tmp_path, suffix):
    image = np.random.default_rng(0).integers(0, 255, (40, 30, 3), np.uint8)
    image_io.write(tmp_path / f"红细胞 é{suffix}", image)
    assert cv2.imwrite(str(tmp_path / f"plain{suffix}"), image)
    assert (tmp_path / f"红细胞 é{suffix}").read_bytes() == (tmp_path / f"plain{suffix}").read_bytes()


@pytest.mark.parametrize("name", ["a.mp3", "a", "nowhere/a.png"])
def test_an_image_that_cannot_be_written_is_an_error_of_the_system(tmp_path, name):
    with pytest.raises(OSError, match=name):
        image_io.write(tmp_path / name, np.zeros((4, 4, 3), np.uint8))
