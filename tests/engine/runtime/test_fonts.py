"""Fonts for plots: the one that has the letters is used, and what no font has is said."""

import sys

import matplotlib
import pytest
from matplotlib import font_manager

from data.text_drawing import find_font
from engine.runtime import fonts
from engine.runtime.fonts import plot_settings_kept, prepare_plots
from engine.runtime.log import LOGGER


@pytest.fixture
def messages(caplog, monkeypatch, tmp_path):
    (tmp_path / "Ultralytics").mkdir()
    monkeypatch.setattr(fonts, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [])
    find_font.cache_clear()
    LOGGER.addHandler(caplog.handler)
    with matplotlib.rc_context():
        yield caplog
    LOGGER.removeHandler(caplog.handler)
    find_font.cache_clear()


def test_ascii_changes_nothing(messages, tmp_path):
    before = list(matplotlib.rcParams["font.family"])
    prepare_plots({0: "cat"})
    assert matplotlib.rcParams["font.family"] == before
    assert not list((tmp_path / "Ultralytics").iterdir())
    assert messages.text == ""
    assert not matplotlib.rcParams["text.parse_math"]  # "$5_10$" is no formula


def test_the_font_is_given_to_ultralytics_and_matplotlib(messages, tmp_path):
    for _ in range(2):
        prepare_plots({0: "кот"})
    (placed,) = (tmp_path / "Ultralytics").iterdir()
    assert placed.name == "Arial.Unicode.ttf"
    font = find_font("кот")
    assert font is not None
    assert placed.read_bytes() == font.read_bytes()
    assert matplotlib.rcParams["font.family"].count("DejaVu Sans") == 1
    assert messages.text == ""


def test_missing_letters_are_named(messages):
    prepare_plots({0: "кот"}, {0: "猫\x9b"})
    assert "no font of this machine has \\x9b猫, so images show ?; install one" in messages.text


def test_many_names_and_long_ones(messages):
    prepare_plots({number: f"class {number} кот" for number in range(80)} | {80: "x" * 1000, 81: "y" * 99 + "猫猫"})
    assert "no font of this machine has 猫, so images show ?" in messages.text


def test_a_font_that_cannot_be_placed_ends_nothing(messages, tmp_path):
    (tmp_path / "Ultralytics").rmdir()
    prepare_plots({0: "кот"})
    assert "cannot be written" in messages.text


@pytest.mark.parametrize("loaded", [True, False])
def test_the_callers_settings_come_back(messages, monkeypatch, loaded):
    theirs = {"text.parse_math": True, "font.family": ["serif"]}
    for settings in (matplotlib.rcParams, matplotlib.rcParamsOrig):
        for key, value in theirs.items():
            monkeypatch.setitem(settings, key, value)
    if not loaded:
        monkeypatch.delitem(sys.modules, "matplotlib")
    with plot_settings_kept():
        monkeypatch.setitem(sys.modules, "matplotlib", matplotlib)
        prepare_plots({0: "кот"})
        assert not matplotlib.rcParams["text.parse_math"]
        assert len(matplotlib.rcParams["font.family"]) == 2
    assert {key: matplotlib.rcParams[key] for key in theirs} == theirs


def test_without_matplotlib_there_is_nothing_to_give_back(monkeypatch):
    monkeypatch.delitem(sys.modules, "matplotlib")
    with plot_settings_kept():
        assert "matplotlib" not in sys.modules
