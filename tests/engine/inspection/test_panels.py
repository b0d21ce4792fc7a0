"""Panels of sheets of maps: their text, and their size."""

from pathlib import Path

import numpy as np
import pytest

from data.text_drawing import letters
from engine.inspection import panels
from engine.ops.letterbox import letterbox


def test_formulas_are_written_in_the_font_that_has_them() -> None:
    assert panels.font_of("y = x ⊙ σ(W₂ δ(W₁ GAP(x)))").name == "DejaVuSans.ttf"
    assert panels.font_of("plain").name == "DejaVuSans.ttf"


def test_names_beyond_that_font_ask_for_one_that_has_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Chinese class name in a caption was a question mark although a font of the machine has it."""
    asked: list[str] = []

    def find(text: str) -> Path:
        asked.append(text)
        return Path("some-font.ttc")

    monkeypatch.setattr(panels, "find_font", find)
    assert panels.font_of("2 猫s, 12 狗s, 1 猫") == Path("some-font.ttc")
    assert [set(text) for text in asked] == [{"猫", "狗"}]  # the letters only: one search for all captions
    assert ord("猫") not in letters(panels.font_of("plain"))


def test_without_such_a_font_the_text_is_written_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(panels, "find_font", lambda text: None)
    assert panels.font_of("猫").name == "DejaVuSans.ttf"


@pytest.mark.parametrize(
    ("height", "width", "panel"),
    [(320, 320, (320, 320)), (480, 640, (240, 320)), (9000, 60, (960, 6)), (2000, 2, (960, 1)), (2, 2000, (1, 320))],
)
def test_tall_images_stay_within_a_panel(height: int, width: int, panel: tuple[int, int]) -> None:
    """A sheet of panels 320 wide, however tall, took half a minute for a scan, and no JPEG held it."""
    image = np.zeros((height, width, 3), np.uint8)
    _, (place,) = letterbox([image], (64, 64))
    drawn = panels.over_image(np.ones((8, 8)), image, place, (64, 64))
    assert drawn.shape == (*panel, 3)
    captioned = panels.captioned(drawn, "gate of each position")
    assert captioned.shape == (panel[0] + panels.LINE, 320, 3)
