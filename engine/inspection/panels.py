"""Draw maps and gates as panels with a caption, and panels as one sheet."""

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from data.text_drawing import find_font, letters, showable, write_text
from engine.ops.letterbox import Letterbox

WIDTH = 320  # pixels of a panel
TALLEST = 3 * WIDTH  # of a panel that shows an image; a taller image is narrower than a panel
BARS = 150  # rows of a bar chart
GAP, LINE = 8, 20  # pixels between panels, and of a line of text
INK, GROUND, BAR = (40, 40, 40), (255, 255, 255), (160, 92, 40)  # BGR
LETTERS = 44  # in a caption of one panel


def font_of(text: str) -> Path:
    """Return matplotlib's font, which has the letters of formulas, or for class names beyond it one that has those."""
    from matplotlib import get_data_path

    shipped = Path(get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    beyond = {letter for letter in text if not letter.isascii()}
    if {ord(letter) for letter in beyond} <= letters(shipped):
        return shipped
    return find_font("".join(sorted(beyond))) or shipped


def write_line(image: np.ndarray, text: str, left: int, base: int, size: float = 0.42) -> None:
    """Write a line of dark text into an image, cut at its edge."""
    font = font_of(text)
    write_text(image, showable(text, font), font, left, base, size, INK, 1)


def image_size(image: np.ndarray) -> tuple[int, int]:
    """Return the width and height in which a panel shows an image."""
    height, width = image.shape[:2]
    scale = min(WIDTH / width, TALLEST / height)
    return max(1, round(scale * width)), max(1, round(scale * height))


def captioned(panel: np.ndarray, caption: str) -> np.ndarray:
    """Return a panel with a caption above it, which a narrow one is widened for."""
    missing = max(0, WIDTH - panel.shape[1])
    panel = cv2.copyMakeBorder(panel, 0, 0, 0, missing, cv2.BORDER_CONSTANT, value=GROUND)
    head = np.full((LINE, panel.shape[1], 3), GROUND, np.uint8)
    write_line(head, caption[:LETTERS] + ("…" if len(caption) > LETTERS else ""), 2, LINE - 6)
    return np.concatenate((head, panel))


def heat(values: np.ndarray, top: float | None = None) -> np.ndarray:
    """Return values (h, w) as colours, blue at 0 to red at `top` (their largest by default): (h, w, 3) uint8 BGR."""
    largest = float(values.max()) if top is None else top
    scaled = np.clip(values / largest if largest > 0 else values * 0, 0, 1)
    return cv2.applyColorMap((255 * scaled).astype(np.uint8), cv2.COLORMAP_JET)


def over_image(
    values: np.ndarray, image: np.ndarray, letterbox: Letterbox, canvas: tuple[int, int], top: float | None = None
) -> np.ndarray:
    """Draw a map of the canvas over the image that lies on it.

    Args:
        values: (h, w), a map of the whole canvas at any resolution.
        image: (H, W, 3) uint8 BGR, the original.
        letterbox: where it lies on the canvas.
        canvas: height and width in pixels.
        top: value of the hottest colour; the largest of the map by default.

    Returns:
        As large as `image_size` says, uint8 BGR.
    """
    whole = cv2.resize(values.astype(np.float32), (canvas[1], canvas[0]), interpolation=cv2.INTER_LINEAR)
    rows, columns = round(letterbox.height * letterbox.scale_y), round(letterbox.width * letterbox.scale_x)
    part = whole[letterbox.top : letterbox.top + rows, letterbox.left : letterbox.left + columns]
    size = image_size(image)
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    largest = float(values.max()) if top is None else top
    coloured = heat(cv2.resize(part, size, interpolation=cv2.INTER_LINEAR), largest)
    return cv2.addWeighted(coloured, 0.55, small, 0.45, 0)


def bars(values: np.ndarray, top: float = 1.0) -> np.ndarray:
    """Draw a bar for each of (n,) values from 0 to `top`, or to the largest if that is more."""
    sheet = np.full((BARS, WIDTH, 3), GROUND, np.uint8)
    top = max(top, float(values.max(initial=0.0)))
    height, floor = BARS - 2 * LINE, BARS - LINE
    edges = np.linspace(0, WIDTH, len(values) + 1).astype(int)
    for left, right, value in zip(edges, edges[1:], values, strict=False):
        cv2.rectangle(
            sheet,
            (int(left), floor - round(height * float(value) / top)),
            (max(int(left), int(right) - 1), floor),
            BAR,
            -1,
        )
    cv2.line(sheet, (0, floor), (WIDTH, floor), INK, 1)
    write_line(
        sheet,
        f"{len(values)} channels: {values.min():.3f} to {values.max():.3f}, mean {values.mean():.3f}",
        2,
        BARS - 6,
    )
    return sheet


def branch_bars(values: np.ndarray, names: list[str]) -> np.ndarray:
    """Draw (n, C) shares of branches that sum to 1: a stacked bar for each channel, and each branch's mean."""
    sheet = np.full((BARS + LINE * len(names), WIDTH, 3), GROUND, np.uint8)
    shares = np.vstack((np.zeros(values.shape[1]), values.cumsum(0)))
    colours = [tuple(map(int, colour)) for colour in heat(np.linspace(0.15, 1, len(names))[None], 1.0)[0]]
    edges = np.linspace(0, WIDTH, values.shape[1] + 1).astype(int)
    for channel, (left, right) in enumerate(pairwise(edges)):
        for branch, colour in enumerate(colours):
            low, high = (round((BARS - 4) * (1 - float(shares[branch + k, channel]))) for k in (0, 1))
            cv2.rectangle(sheet, (int(left), high), (max(int(left), int(right) - 1), low), colour, -1)
    for number, (name, colour) in enumerate(zip(names, colours, strict=True)):
        base = BARS + LINE * (number + 1) - 6
        cv2.rectangle(sheet, (4, base - 10), (16, base + 2), colour, -1)
        write_line(sheet, f"{name}: {values[number].mean():.3f} of the choice on average", 22, base)
    return sheet


def matrix(values: np.ndarray) -> np.ndarray:
    """Draw numbers (h, w) as a square of colours."""
    return cv2.resize(heat(values), (WIDTH, BARS), interpolation=cv2.INTER_NEAREST)


def sheet_row(title: str, subtitle: str, panels: list[np.ndarray]) -> np.ndarray:
    """Return a titled row of panels side by side."""
    height = max((panel.shape[0] for panel in panels), default=0)
    padded = [np.full((height, GAP, 3), GROUND, np.uint8)]
    for panel in panels:
        filled = cv2.copyMakeBorder(panel, 0, height - panel.shape[0], 0, GAP, cv2.BORDER_CONSTANT, value=GROUND)
        padded.append(filled)
    body = np.concatenate(padded, 1)
    width = max(body.shape[1], 2 * WIDTH)
    head = np.full((2 * LINE + GAP, width, 3), GROUND, np.uint8)
    write_line(head, title, GAP, LINE - 2, 0.5)
    write_line(head, subtitle, GAP, 2 * LINE - 2)
    body = cv2.copyMakeBorder(body, 0, GAP, 0, width - body.shape[1], cv2.BORDER_CONSTANT, value=GROUND)
    return np.concatenate((head, body))


def stacked(rows: list[np.ndarray]) -> np.ndarray:
    """Return rows of any width below one another; both sides are even, as videos want them."""
    width = max(row.shape[1] for row in rows)
    width += width % 2
    sheet = np.concatenate(
        [cv2.copyMakeBorder(row, 0, 0, 0, width - row.shape[1], cv2.BORDER_CONSTANT, value=GROUND) for row in rows]
    )
    return cv2.copyMakeBorder(sheet, 0, sheet.shape[0] % 2, 0, 0, cv2.BORDER_CONSTANT, value=GROUND)
