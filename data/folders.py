"""Folders of the project: the checkout, and what it keeps on this machine beside runs."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def cache_folder() -> Path:
    """Return the folder for everything that this project writes outside runs: settings, fonts, exports, weights.

    `YOLO_ATTENTION_CACHE` chooses it; otherwise the user's cache folder. Where that cannot be written, a private folder
    under the system's temporary one takes its place.
    """
    from platformdirs import user_cache_path  # here, so that --help does not wait for it

    chosen = os.environ.get("YOLO_ATTENTION_CACHE")
    folder = Path(chosen).expanduser() if chosen else user_cache_path("yolo-attention", appauthor=False)
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
