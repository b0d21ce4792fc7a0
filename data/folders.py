"""Folders: the checkout, what the project keeps on this machine beside runs, and those that users write."""

import os
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def cache_folder() -> Path:
    """Return the folder for everything that this project writes outside runs: settings, fonts, exports, weights.

    `YOLO_ATTENTION_CACHE` chooses it; otherwise the user's cache folder. Where that cannot be written, a private folder
    under the system's temporary one takes its place.
    """
    from platformdirs import user_cache_path  # here, so that --help does not wait for it

    chosen = os.environ.get("YOLO_ATTENTION_CACHE")
    folder = expand_home(chosen) if chosen else user_cache_path("yolo-attention", appauthor=False)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        usable = os.access(folder, os.W_OK)
    except OSError:
        usable = False
    if usable:
        return folder.resolve()
    import tempfile  # hardly ever needed, and no start should wait for it

    private = Path(tempfile.mkdtemp(prefix="yolo-attention-"))
    os.environ["YOLO_ATTENTION_CACHE"] = str(private)  # child processes share it
    return private


def expand_home(path: str | Path) -> Path:
    """Return a path with `~` as the user's home; where there is no such user the name stays as it is."""
    try:
        return Path(path).expanduser()
    except RuntimeError:  # "~somebody", or no home at all
        return Path(path)


def find_matching(path: Path) -> list[Path]:
    """Return what fits a path with wildcards (`*`, `?`, `[…]`, `**` for folders at any depth), sorted; else nothing."""
    first = next((index for index, part in enumerate(path.parts) if re.search(r"[*?\[]", part)), None)
    if first is None:
        return []
    # `**.jpg`, as shells take it, is `*.jpg`; Path.glob refuses it.
    parts = [part if part == "**" else re.sub(r"\*\*+", "*", part) for part in path.parts[first:]]
    return sorted(Path(*path.parts[:first]).glob(str(Path(*parts))))
