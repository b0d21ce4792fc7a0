"""Read the rows of one YOLO label file: `class cx cy w h` relative to the image, perhaps with a confidence."""

from pathlib import Path

import numpy as np

from data.formats.boxes import RawObjects
from data.formats.label_files import USED
from data.records import Issue
from data.text_files import declared_encoding

_MAX_LABEL = 16 << 20  # bytes of one label file; 100 000 boxes take 4 MB
_MOST = 2.0  # a part of the image above which a row is in pixels; slips over the edge stay below


def read_labels(
    file: Path, width: int, height: int, nc: int | None, issues: list[Issue], conf_thres: float | None = None
) -> RawObjects:
    """Read the rows of one label file as pixel boxes; rows that say nothing usable leave an Issue.

    A row of a class and at least three points (a segmentation label) becomes the box around them; of a row with a box
    and key points (a pose label), the box is used.

    Args:
        file: the label file.
        width: of the image in pixels.
        height: likewise.
        nc: number of classes; None where all are one: a class may then have any number.
        issues: list to which faults are appended.
        conf_thres: rows of a box and a confidence, as detection writes them, are used from this confidence on; None
            uses none of them.
    """
    raw = RawObjects(file)
    try:
        if file.exists() and not file.is_file():  # reading a pipe would wait for its other end
            issues.append(Issue(file, None, "unreadable-label", "is no file", "no boxes used"))
            return raw
        if file.stat().st_size > _MAX_LABEL:
            issues.append(Issue(file, None, "unreadable-label", f"over {_MAX_LABEL >> 20} MB", "no boxes used"))
            return raw
        text = _label_text(file.read_bytes())
    except FileNotFoundError:
        issues.append(Issue(file, None, "no-label", "there is no label file", USED))
        return raw
    except OSError as error:
        issues.append(Issue(file, None, "unreadable-label", error.strerror or str(error), "no boxes used"))
        return raw
    for number, line in enumerate(text.splitlines(), 1):
        columns = _without_confidence(raw, number, line.split(), conf_thres, issues)
        if columns:
            _read_row(raw, number, columns, (width, height), nc, issues)
    return raw


def _without_confidence(
    raw: RawObjects, number: int, columns: list[str], conf_thres: float | None, issues: list[Issue]
) -> list[str]:
    """Return a row's columns without a confidence behind its box; none if that is too low, or not to be used."""
    if len(columns) != 6 or not _is_number(columns[5]) or not 0 <= float(columns[5]) <= 1:
        return columns
    confidence = float(columns[5])
    if conf_thres is None:
        text = (
            "6 columns; expected 5: class cx cy w h. The sixth looks like a confidence: write conf_thres: 0.5, say, "
            "into the data YAML to use rows from that on"
        )
        issues.append(Issue(raw.file, number, "columns", text, "dropped"))
    elif confidence < conf_thres:
        text = f"confidence {confidence:.6g} is below conf_thres: {conf_thres:g}"
        issues.append(Issue(raw.file, number, "low-confidence", text, "not used"))
    return columns[:5] if conf_thres is not None and confidence >= conf_thres else []


def _label_text(content: bytes) -> str:
    """Decode a label file: numbers, so that of other encodings only those that keep them readable matter."""
    encoding = declared_encoding(content)
    if encoding.startswith(("utf-16", "utf-32")):  # PowerShell writes them
        text = content.decode(encoding, errors="replace")
        if text and text.isascii():
            return text
    return content.decode("utf-8-sig", errors="replace")


def _read_row(
    raw: RawObjects, number: int, columns: list[str], size: tuple[int, int], nc: int | None, issues: list[Issue]
) -> None:
    def drop(kind: str, text: str) -> None:
        issues.append(Issue(raw.file, number, kind, text, "dropped"))

    pose = _is_pose(columns)
    polygon = not pose and len(columns) >= 7 and len(columns) % 2 == 1
    if len(columns) != 5 and not polygon and not pose:
        return drop("columns", f"{len(columns)} columns; expected 5 with spaces between: class cx cy w h")
    try:
        values = [float(column) for column in columns]
    except ValueError:
        shown = next(column for column in columns if not _is_number(column))
        how = "class cx cy w h, with points in numbers" if "," in shown else "class cx cy w h, the class as its number"
        return drop("not-a-number", f"{shown[:40]!r} is not a number; expected {how}")
    if not (values[0].is_integer() and values[0] >= 0 and (nc is None or values[0] < nc)):
        has = f"the data YAML has 0 … {nc - 1}" if nc is not None else "expected a whole number of at least 0"
        return drop("unknown-class", f"class {columns[0][:40]}; {has}")
    if _in_pixels(values[1:5] if pose else values[1:]):
        shown = " ".join(columns[1:5])[:60]
        return drop("not-normalised", f"box {shown} is in pixels; divide x and w by {size[0]}, y and h by {size[1]}")
    if pose:
        text = f"a box and {(len(columns) - 5) // 3} key points"
        issues.append(Issue(raw.file, number, "pose", text, "the box used, the points not"))
    elif polygon:
        text = f"outline of {len(columns) // 2} points"
        issues.append(Issue(raw.file, number, "polygon", text, "box around it used"))
    raw.add(number, int(values[0]) if nc is not None else 0, _box(values, size, polygon))
    return None


def _box(values: list[float], size: tuple[int, int], polygon: bool) -> tuple[float, float, float, float]:
    """Return the corners in pixels of a row's box, or of the box around its points."""
    width, height = size
    with np.errstate(over="ignore", invalid="ignore"):
        if polygon:
            xs, ys = np.array(values[1::2]) * width, np.array(values[2::2]) * height
            return float(xs.min()), float(ys.min()), float(xs.max()), float(ys.max())
        cx, cy, w, h = values[1:5]
        return (cx - w / 2) * width, (cy - h / 2) * height, (cx + w / 2) * width, (cy + h / 2) * height


def _is_pose(columns: list[str]) -> bool:
    """Tell whether a row is a box and key points x y v: every third number behind the box is a visibility, 0–2."""
    points = len(columns) - 5
    return points >= 3 and points % 3 == 0 and all(_is_visibility(column) for column in columns[7::3])


def _is_visibility(column: str) -> bool:
    return _is_number(column) and float(column) in (0.0, 1.0, 2.0)


def _in_pixels(values: list[float]) -> bool:
    """Tell whether numbers are pixels, not parts of the image: most of them are above 1, and some far above."""
    if not all(0 <= value < np.inf for value in values):
        return False
    return max(values) > _MOST and 2 * sum(value > 1 for value in values) >= len(values)


def _is_number(column: str) -> bool:
    try:
        float(column)
    except ValueError:
        return False
    return True
