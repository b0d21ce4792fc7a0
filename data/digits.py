"""The embedded data set: real handwritten digits at many scales on textured grounds, made on the spot.

python -m data.digits [--out FOLDER] [--video OUT.mp4]
"""

import shutil
import sys
import tempfile
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from data.errors import DataError, guarded
from data.folders import ROOT
from data.image_files import image_io
from data.tool_parser import ToolParser

VERSION = "digits 1"  # raise the number with any change to the images: older copies are then made anew
SIZE = 320  # pixels, both sides
COUNTS = {"train": 800, "val": 200, "test": 200}
SMALLEST, LARGEST = 8.0, 120.0  # height of a digit in pixels, before it is turned
_MARKER = "VERSION"
_SHARES = {"train": 0.6, "val": 0.2, "test": 0.2}  # of the scans
_VISIBLE = 0.25  # opacity from which on a pixel belongs to the digit's box


def ensure(root: Path) -> bool:
    """Make the data set in `root` unless it is there in this version.

    Returns:
        Whether it was made.

    Raises:
        DataError: if the folder holds something else, or cannot be written.
    """
    if _version(root) == VERSION:
        return False
    if root.exists() and _version(root) is None and any(root.iterdir()):
        raise DataError(f"{root}: exists but is no generated digits data set; move it away or use --data-root")
    print(f"Making the digits data set ({sum(COUNTS.values())} images) in {root}", file=sys.stderr)  # noqa: T201
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{root.name}-", dir=root.parent))
        try:
            write(draft)
            _publish(draft, root)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    except OSError as error:
        raise DataError(f"{root}: cannot be written: {error.strerror or error}") from None
    return True


def write(folder: Path) -> None:
    """Write images and labels of all splits into an existing folder; the marker comes last."""
    for number, (split, count) in enumerate(COUNTS.items()):
        images, labels = folder / "images" / split, folder / "labels" / split
        images.mkdir(parents=True)
        labels.mkdir(parents=True)
        for index in range(count):
            image, classes, boxes = make_image(split, np.random.default_rng([2024, number, index]))
            image_io.write(images / f"{index:04d}.jpg", image, quality=92)
            (labels / f"{index:04d}.txt").write_text(_label_text(classes, boxes), encoding="utf-8")
    (folder / _MARKER).write_text(VERSION + "\n", encoding="utf-8")


@cache
def glyphs(split: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the scans of one split.

    Shape:
        images (n, 8, 8) float32 in 0–1; labels (n,) int64.
    """
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    images, first = np.unique(images, axis=0, return_index=True)  # one scan occurring twice could not be in two splits
    labels = labels[first]
    start = 0.0
    for name, share in _SHARES.items():
        if name == split:
            break
        start += share
    chosen = []
    for digit in range(10):
        members = np.random.default_rng([7, digit]).permutation(np.flatnonzero(labels == digit))
        low, high = round(start * len(members)), round((start + _SHARES[split]) * len(members))
        chosen.append(members[low:high])
    index = np.concatenate(chosen)
    return (images[index] / 16).reshape(-1, 8, 8).astype(np.float32), labels[index].astype(np.int64)


def make_image(split: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Make an image with up to 14 digits that do not overlap.

    Shape:
        image (320, 320, 3) uint8 BGR; classes (n,) int64; boxes (n, 4) float64.

    Units:
        boxes: (x1, y1, x2, y2) in pixels, tight around what is visible.
    """
    image = ground(SIZE, SIZE, rng)
    scans, labels = glyphs(split)
    classes: list[int] = []
    boxes: list[tuple[int, int, int, int]] = []
    for height in sorted(_heights(rng, int(rng.integers(4, 15))), reverse=True):  # large ones first: they need room
        pick = int(rng.integers(len(scans)))
        opacity = stroke(scans[pick], height, float(rng.uniform(-15, 15)), float(rng.uniform(0.8, 1.2)))
        box = _place(opacity.shape, boxes, rng)
        if box is not None:
            _paint(image, opacity, box, rng)
            classes.append(int(labels[pick]))
            boxes.append(box)
    grain = rng.standard_normal((SIZE, SIZE, 1), dtype=np.float32)
    grain *= rng.uniform(0, 5)
    image = np.clip(image + grain, 0, 255).astype(np.uint8)
    return image, np.array(classes, dtype=np.int64), np.array(boxes, dtype=np.float64).reshape(-1, 4)


def ground(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Make a textured ground: coloured noise at four scales around one tone.

    Shape:
        (height, width, 3) float32 in 0–255.
    """
    image = np.full((height, width, 3), rng.uniform(50, 205), dtype=np.float32)
    image += rng.uniform(-30, 30, 3).astype(np.float32)
    for cells, strength in ((2, 22), (6, 14), (20, 9), (80, 6)):
        grid = rng.normal(0, strength, (cells, cells, 1 if cells > 10 else 3)).astype(np.float32)
        layer = cv2.resize(grid, (width, height), interpolation=cv2.INTER_LINEAR if cells > 10 else cv2.INTER_CUBIC)
        image += layer if layer.ndim == 3 else layer[..., None]
    return np.clip(image, 0, 255)


def stroke(scan: np.ndarray, height: float, angle: float, stretch: float) -> np.ndarray:
    """Enlarge, stretch and turn a scan, cut to what is visible.

    Args:
        scan: (8, 8) in 0–1.
        height: of the eight rows, in pixels.
        angle: degrees.
        stretch: width relative to the scan's.

    Shape:
        (h, w) float32 opacity in 0–1.
    """
    padded = np.pad(scan, 3)  # so that the interpolation fades to nothing at every side
    scale = height / 8
    side = int(np.ceil(14 * scale * 1.5)) + 2
    turn = cv2.getRotationMatrix2D((0, 0), angle, 1.0)[:, :2] @ np.diag([scale * stretch, scale])
    middle = (np.array(padded.shape[::-1]) - 1) / 2
    matrix = np.column_stack([turn, np.array([side / 2, side / 2]) - turn @ middle])
    opacity = cv2.warpAffine(padded, matrix, (side, side), flags=cv2.INTER_CUBIC)
    opacity = np.clip((opacity - 0.3) / 0.4, 0, 1)
    rows, columns = (np.flatnonzero((opacity >= _VISIBLE).any(axis)) for axis in (1, 0))
    return opacity[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def write_video(path: Path, frames: int = 120, fps: int = 25, size: tuple[int, int] = (640, 480)) -> None:
    """Write a short film of test-split digits that drift over a ground and bounce off its edges.

    Args:
        path: the file, .mp4 or .avi.
        frames: their number.
        fps: frames a second.
        size: (width, height) in pixels.

    Raises:
        DataError: if OpenCV cannot write such a file.
    """
    width, height = size
    rng = np.random.default_rng(11)
    scans, _ = glyphs("test")
    picks = rng.integers(len(scans), size=9)
    opacities = [stroke(scans[pick], side, 0.0, 1.0) for pick, side in zip(picks, np.linspace(24, 110, 9), strict=True)]
    room = np.array([[width - piece.shape[1], height - piece.shape[0]] for piece in opacities], dtype=np.float64)
    start, speed = rng.uniform(0, room), rng.uniform(-4, 4, (9, 2))
    still = ground(height, width, rng)
    code = cv2.VideoWriter_fourcc(*("MJPG" if path.suffix.lower() == ".avi" else "mp4v"))  # type: ignore[attr-defined]
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), code, fps, size)
    if not writer.isOpened():
        raise DataError(f"{path}: OpenCV cannot write this video; use a name that ends in .mp4 or .avi")
    for frame in range(frames):
        image = still.copy()
        at = room - np.abs((start + speed * frame) % (2 * room) - room)  # a triangle wave: there and back
        for index, (opacity, (x, y)) in enumerate(zip(opacities, at.astype(int), strict=True)):
            box = (int(x), int(y), int(x) + opacity.shape[1], int(y) + opacity.shape[0])
            _paint(image, opacity, box, np.random.default_rng(index))
        writer.write(image.astype(np.uint8))
    writer.release()


def _heights(rng: np.random.Generator, count: int) -> list[float]:
    """Draw heights from all octaves, the smallest (hardly legible) and the largest rarer than those between."""
    return (SMALLEST * (LARGEST / SMALLEST) ** rng.beta(2.2, 1.8, count)).tolist()


def _place(
    shape: tuple[int, ...], boxes: list[tuple[int, int, int, int]], rng: np.random.Generator
) -> tuple[int, int, int, int] | None:
    """Find a free place for a digit, two pixels from any other; None if thirty tries found none."""
    height, width = shape
    for _ in range(30):
        x, y = int(rng.integers(0, SIZE - width + 1)), int(rng.integers(0, SIZE - height + 1))
        if all(x > b[2] + 2 or x + width < b[0] - 2 or y > b[3] + 2 or y + height < b[1] - 2 for b in boxes):
            return x, y, x + width, y + height
    return None


def _paint(image: np.ndarray, opacity: np.ndarray, box: tuple[int, int, int, int], rng: np.random.Generator) -> None:
    """Paint a digit in a colour clearly lighter or darker than the ground below it."""
    x1, y1, x2, y2 = box
    below = image[y1:y2, x1:x2]
    tone = float(below.mean())
    lighter = tone < 128 if rng.random() < 0.8 else tone < 165
    step = rng.uniform(80, 130) * (1 if lighter else -1)
    colour = np.clip(tone + step + rng.uniform(-45, 45, 3), 0, 255)
    image[y1:y2, x1:x2] = below + opacity[..., None] * (colour - below).astype(np.float32)


def _label_text(classes: np.ndarray, boxes: np.ndarray) -> str:
    middle, sides = (boxes[:, :2] + boxes[:, 2:]) / 2 / SIZE, (boxes[:, 2:] - boxes[:, :2]) / SIZE
    rows = zip(classes, np.hstack([middle, sides]), strict=True)
    return "".join(f"{cls} " + " ".join(f"{value:.7g}" for value in row) + "\n" for cls, row in rows)


def _version(root: Path) -> str | None:
    try:
        return (root / _MARKER).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None


def _publish(draft: Path, root: Path) -> None:
    """Move the finished folder to its place; when another process was faster, keep that one."""
    draft.chmod(0o755)  # mkdtemp's folders are private
    if root.exists():
        old = Path(tempfile.mkdtemp(prefix=f".{root.name}-old-", dir=root.parent))
        root.replace(old / root.name)
        shutil.rmtree(old)
    try:
        draft.replace(root)
    except OSError:
        if _version(root) != VERSION:
            raise


def main(argv: list[str] | None = None) -> int:
    """Run the command line."""
    parser = ToolParser(prog="python -m data.digits", description="Make the embedded digits data set.")
    parser.add_argument(
        "--out",
        type=Path,
        default=ROOT / "datasets" / "digits",
        help="folder of the data set (default: datasets/digits)",
    )
    parser.add_argument("--video", type=Path, help="write a short film of moving digits instead")
    args = parser.parse_args(argv)
    return guarded(lambda: _run(args.out, args.video))


def _run(out: Path, video: Path | None) -> int:
    """Make the film where it is asked for, else the data set."""
    if video:
        write_video(video)
    elif not ensure(out):
        print(f"{out} is there already")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
