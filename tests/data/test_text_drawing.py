"""Class names in other scripts than ASCII, with the font that matplotlib ships and without any."""

from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib import font_manager

from data import text_drawing
from data.text_drawing import find_font, font_for, showable, stencil, text_size, write_text

DEJAVU = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")


@pytest.fixture(autouse=True)
def _no_fonts_but_matplotlibs(monkeypatch, tmp_path):
    """Machines have different fonts; a file that is none is on all of them."""
    (tmp_path / "a.ttf").write_bytes(b"no font")
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [str(tmp_path / "a.ttf")])
    find_font.cache_clear()
    yield
    find_font.cache_clear()


def test_ascii_needs_no_font():
    assert font_for({0: "cat", 1: "dog 2"}) is None


def test_the_font_with_the_letters_is_found():
    assert font_for({0: "cat", 1: "кошка"}) == DEJAVU
    assert showable("кошка", DEJAVU) == "кошка"


def test_letters_that_no_font_has_become_question_marks():
    assert font_for({0: "猫"}) is None
    assert showable("猫 cat", None) == "? cat"
    font = font_for({0: "猫", 1: "кот"})
    assert showable("кот 猫", font) == "кот ?"


def test_the_font_with_most_letters_wins_and_ties_go_to_the_usual_one(monkeypatch):
    known = {"/x/b.ttf": "猫狗", "/x/wqy.ttc": "猫狗", "/x/wqy-bold.ttc": "猫狗", "/x/a.ttf": "猫"}
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: list(known))
    latin = "".join(map(chr, text_drawing.ASCII))
    known["/x/notosanscjk.ttc"] = "猫狗"
    known |= {name: letters + latin for name, letters in known.items() if name != "/x/notosanscjk.ttc"}
    monkeypatch.setattr(text_drawing, "letters", lambda path: frozenset(map(ord, known.get(str(path), ""))))
    assert find_font("猫狗 x") == Path("/x/wqy.ttc")  # the preferred one has no numbers
    assert find_font("猫") == Path("/x/wqy.ttc")
    assert find_font("鸟") is None


@pytest.mark.parametrize("text", ["Plättchen", "кот", "cat"])
def test_a_text_fills_the_room_that_it_says(text):
    image = np.zeros((60, 400, 3), np.uint8)
    width, height, base = text_size(text, DEJAVU, 0.75, 1)
    write_text(image, text, DEJAVU, 50, 40, 0.75, (255, 255, 255), 1)
    rows, columns = np.nonzero(image.sum(2))
    assert 49 <= columns.min() < 56
    assert 50 + width - 8 < columns.max() <= 50 + width + 2
    assert rows.min() >= 40 - 1.6 * height
    assert rows.max() <= 40 + base


@pytest.mark.parametrize(("left", "base"), [(-30, 10), (390, 58), (500, 30), (10, -40), (10, 200), (-300, 20)])
def test_what_reaches_beyond_the_image_is_cut_off(left, base):
    whole, cut = np.zeros((860, 1400, 3), np.uint8), np.zeros((60, 400, 3), np.uint8)
    write_text(whole, "Plättchen", DEJAVU, left + 400, base + 400, 0.75, (9, 99, 199), 1)
    write_text(cut, "Plättchen", DEJAVU, left, base, 0.75, (9, 99, 199), 1)
    assert np.array_equal(cut, whole[400:460, 400:800])


def test_letters_are_where_the_font_puts_them():
    """The same words as the font's own drawing: an oracle that shares no arithmetic with ours."""
    from PIL import Image, ImageDraw, ImageFont

    cover = stencil("кот", DEJAVU, 40)
    sheet = Image.new("L", (cover.shape[1], cover.shape[0]))
    ascent = ImageFont.truetype(str(DEJAVU), 40).getmetrics()[0]
    ImageDraw.Draw(sheet).text((0, 40 - ascent), "кот", fill=255, font=ImageFont.truetype(str(DEJAVU), 40))
    assert np.abs(np.asarray(sheet).astype(int) - cover).max() < 3
    assert (stencil("кот", DEJAVU, 40, 2) > cover).sum() > 100  # thicker, as the ground behind a text is


def test_a_name_of_any_length_is_cut():
    assert showable("я" * 1_000_000, DEJAVU) == "я" * text_drawing.LONGEST


def test_a_space_that_does_not_break_is_no_missing_letter():
    assert showable("red cell", font_for({0: "red cell"})) == "red cell"
