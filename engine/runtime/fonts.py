"""Find a font for class names beyond ASCII, and name the letters that no font of this machine has."""

import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from data.folders import cache_folder
from data.text_drawing import font_for, showable
from engine.runtime.log import LOGGER, printable

PREPARED = ("text.parse_math", "font.family")  # settings of matplotlib that are changed here
SHOWN = 10  # letters named in the warning


def warn_of_missing(names: Mapping[int, str]) -> Path | None:
    """Find the font for class names, and say once which letters will be shown as "?".

    Args:
        names: class number → name.

    Returns:
        The font, None where all names are ASCII or no font has anything of the rest.
    """
    font = font_for(names)
    pairs = ((name, showable(name, font)) for name in names.values())
    missing = sorted({a for name, shown in pairs for a, b in zip(name, shown, strict=False) if a != b})
    if missing:
        LOGGER.warning(
            f"class names: no font of this machine has {printable(''.join(missing[:SHOWN]))}, so images show ?; "
            "install one that has (Chinese on Debian and Ubuntu: apt install fonts-noto-cjk)"
        )
    return font


@contextmanager
def plot_settings_kept() -> Iterator[None]:
    """Give the caller's settings of matplotlib back after a block in which `prepare_plots` may change them."""

    def settings(name: str) -> Any:
        return getattr(sys.modules.get("matplotlib"), name, {})  # which may be loaded in the block only

    before = {key: settings("rcParams").get(key) for key in PREPARED} if settings("rcParams") else None
    try:
        yield
    finally:
        theirs = before or {key: settings("rcParamsOrig").get(key) for key in PREPARED}
        settings("rcParams").update({key: value for key, value in theirs.items() if value is not None})


def prepare_plots(names: Mapping[int, str], more: Mapping[int, str] | None = None) -> None:
    """Let matplotlib and ultralytics' drawing, which takes one file of a fixed name, show class names.

    Args:
        names: class number → name, of the data set.
        more: likewise, of a model that calls the classes otherwise.
    """
    from matplotlib import font_manager, rcParams

    font = warn_of_missing(dict(enumerate([*names.values(), *(more or {}).values()])))
    rcParams["text.parse_math"] = False  # a name may hold dollars, between which matplotlib would read formulas
    warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)  # said above, once
    if font is None:
        return
    font_manager.fontManager.addfont(str(font))
    family = font_manager.FontProperties(fname=str(font)).get_name()
    rcParams["font.family"] = list(dict.fromkeys([*rcParams["font.family"], family]))
    target = cache_folder() / "Ultralytics" / "Arial.Unicode.ttf"
    content = font.read_bytes()
    if target.is_file() and target.read_bytes() == content:
        return
    try:
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            draft = Path(folder, target.name)
            draft.write_bytes(content)
            draft.replace(target)
    except OSError as error:  # no reason to end a training
        LOGGER.warning(f"{target}: cannot be written ({error.strerror or error}); plots show ? in class names")
