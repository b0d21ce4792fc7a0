"""Draw class names on images in any script: OpenCV's own font has ASCII letters only."""

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

FONT = cv2.FONT_HERSHEY_SIMPLEX
CAPITAL = 0.73  # height of a capital letter as part of the font size, about
# Parts of file names: what comes first is taken where several fonts have all letters.
PREFERRED = "notosanssc notosanscjk sourcehansans msyh pingfang wqy simhei hiragino malgun arialuni dejavusans".split()
OTHER_STYLES = "bold black heavy light thin italic oblique mono condensed".split()
ASCII = frozenset(range(33, 127))  # a label has a number beside the name
LONGEST = 100  # letters of a label; a stranger's checkpoint can have names of any length


def font_for(names: Mapping[int, str]) -> Path | None:
    """Find the font for a data set's class names; None where OpenCV's own has all that can be had."""
    text = "".join(names.values())
    return None if text.isascii() else find_font(text)


@lru_cache(maxsize=16)
def find_font(text: str) -> Path | None:
    """Find the font of this machine that has the most letters of a text.

    Args:
        text: what is to be written, all of it.

    Returns:
        The file, or None where no font has a letter beyond ASCII that the text needs.
    """
    from matplotlib import get_data_path
    from matplotlib.font_manager import findSystemFonts

    wanted = {ord(letter) for letter in text if not letter.isascii()}
    shipped = Path(get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    best, most = None, 0
    for path in sorted([shipped, *map(Path, findSystemFonts())], key=_rank):
        count = len(wanted & letters(path))
        if count > most and letters(path) >= ASCII:
            best, most = path, count
        if most == len(wanted):
            break
    return best


@lru_cache(maxsize=256)
def letters(font: Path) -> frozenset[int]:
    """Return the code points that a font has; none of a file that is no usable font."""
    from matplotlib.ft2font import FT2Font
    from PIL import ImageFont

    try:
        ImageFont.truetype(str(font), 20)  # fails for fonts of coloured bitmaps
        return frozenset(FT2Font(str(font)).get_charmap())
    except (OSError, RuntimeError, ValueError):
        return frozenset()


def showable(text: str, font: Path | None) -> str:
    """Return a text, cut to `LONGEST`, with "?" in place of the letters that neither OpenCV nor the font has."""
    known = letters(font) if font else frozenset()
    return "".join(letter if letter.isascii() or ord(letter) in known else "?" for letter in text[:LONGEST])


def text_size(text: str, font: Path | None, size: float, weight: int) -> tuple[int, int, int]:
    """Return width, height above the base line, and depth below it, in pixels.

    Args:
        text: as `showable` returns it.
        font: from `find_font`; used for texts beyond ASCII.
        size: of OpenCV's font, where 1 makes capital letters 21 pixels high.
        weight: thickness of OpenCV's strokes in pixels.
    """
    (width, height), base = cv2.getTextSize(text, FONT, size, weight)
    if text.isascii() or font is None:
        return width, height, base
    return stencil(text, font, _points(size)).shape[1], height, base


def write_text(
    image: np.ndarray,
    text: str,
    font: Path | None,
    left: int,
    base: int,
    size: float,
    colour: tuple[int, int, int],
    weight: int,
) -> None:
    """Write a text into an image (h, w, 3) uint8; what reaches beyond its edges is cut off.

    Args:
        image: to write into.
        text: as `showable` returns it.
        font: from `find_font`; used for texts beyond ASCII.
        left: where the text begins.
        base: row of its base line.
        size: of OpenCV's font.
        colour: in the image's order of channels.
        weight: thickness of OpenCV's strokes in pixels.
    """
    if text.isascii() or font is None:
        cv2.putText(image, text, (left, base), FONT, size, colour, weight, cv2.LINE_AA)
        return
    cover = stencil(text, font, _points(size), (weight - 1) // 2)
    top = base - _points(size)
    first_row, first_column = max(0, top), max(0, left)
    cover = cover[first_row - top :, first_column - left :, None]
    region = image[first_row : first_row + cover.shape[0], first_column : first_column + cover.shape[1]]
    cover = cover[: region.shape[0], : region.shape[1]]
    part = cover / 255
    region[:] = (region * (1 - part) + np.array(colour) * part).round()


@lru_cache(maxsize=256)
def stencil(text: str, font: Path, points: int, stroke: int = 0) -> np.ndarray:
    """Return how much of each pixel a text covers.

    Args:
        text: to write.
        font: file.
        points: size of the font; the base line is so many rows below the top.
        stroke: pixels by which the letters are thicker on every side.

    Returns:
        (h, w) uint8, 255 where it covers all.
    """
    from PIL import Image, ImageDraw, ImageFont

    face = ImageFont.truetype(str(font), points)
    right = face.getbbox(text, anchor="ls")[2]
    sheet = Image.new("L", (max(1, round(right) + 1), points + points // 3))
    ImageDraw.Draw(sheet).text((0, points), text, fill=255, font=face, anchor="ls", stroke_width=stroke)
    return np.asarray(sheet)


def _points(size: float) -> int:
    return max(8, round(21 * size / CAPITAL))


def _rank(path: Path) -> tuple[int, bool, str]:
    name = re.sub(r"[-_ ]", "", path.name.lower())
    usual = next((rank for rank, part in enumerate(PREFERRED) if part in name), len(PREFERRED))
    return usual, any(style in name for style in OTHER_STYLES), str(path)
