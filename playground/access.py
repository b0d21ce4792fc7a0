"""Decide what the page may read and write: folders that were named, uploads in a temporary one."""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from data.folders import ROOT
from engine.errors import UsageError
from playground.errors import PageError

OWN = ("cfg", "data", "weights", "datasets", "docs/studies")  # of this checkout
KINDS = {
    "model": (".yaml", ".yml", ".pt", ".pth"),
    "image": (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".mp4", ".avi", ".mov", ".mkv", ".webm"),
}
MAX_PATH = 1000  # characters
KEPT = 20  # uploads; older ones are removed


class Access:
    """Hold the folders that the page may touch, and the folder of its uploads.

    Args:
        folders: named by the user, beside this project's own.
        runs: folder of runs and studies.
        max_upload: bytes of one upload.

    Raises:
        UsageError: if a folder is none.
    """

    def __init__(self, folders: Sequence[str], runs: str, max_upload: int) -> None:
        self.runs = Path(runs).expanduser().resolve()
        self.max_upload = max_upload
        named = [Path(folder).expanduser().resolve() for folder in folders]
        missing = next((folder for folder in named if not folder.is_dir()), None)
        if missing is not None:
            raise UsageError(f"--allow {missing}: is no folder")
        self.folders = [self.runs, *named, *(ROOT / name for name in OWN)]
        self.uploads = Path(tempfile.mkdtemp(prefix="yolo-attention-app-")).resolve()
        self._count = 0

    def resolve(self, text: str) -> Path:
        """Return a path that was typed, if it lies in an allowed folder.

        Raises:
            UsageError: if it does not, or there is no such file.
        """
        name = text.strip()
        if not name or len(name) > MAX_PATH or "\0" in name:
            raise PageError("no_path", name=repr(name[:40]))
        try:
            path = Path(name).expanduser()
            path = (path if path.is_absolute() else self._below(path)).resolve()
            there = path.exists()
        except (OSError, RuntimeError, ValueError):
            raise PageError("no_lookup", name=repr(name[:80])) from None
        if not self.allows(path):
            raise PageError("outside", name=name[:200])
        if not there:
            raise PageError("no_file", name=name[:200])
        return path

    def allows(self, path: Path) -> bool:
        """Tell whether a path lies in an allowed folder."""
        return any(path.resolve().is_relative_to(folder) for folder in (*self.folders, self.uploads))

    def store(self, name: str, content: bytes, kind: str) -> Path:
        """Write an upload into the temporary folder, under a name of ours.

        Args:
            name: as the browser calls it; only its ending counts.
            content: of the file.
            kind: "model" or "image".

        Raises:
            UsageError: if it is too large, or of another kind.
        """
        if len(content) > self.max_upload:
            raise PageError("large_upload", size=self.max_upload >> 20)
        suffix = Path(name.replace("\\", "/").replace("\0", "")).suffix.lower()[:10]
        if suffix not in KINDS[kind]:
            raise PageError("upload_kind", name=repr(name[:80]), kinds=", ".join(KINDS[kind]))
        self._count += 1
        folder = self.uploads / f"{self._count:06}"
        folder.mkdir()
        path = folder / f"upload{suffix}"
        path.write_bytes(content)
        for old in sorted(self.uploads.iterdir())[:-KEPT]:
            shutil.rmtree(old, ignore_errors=True)
        return path

    def close(self) -> None:
        """Remove the uploads."""
        shutil.rmtree(self.uploads, ignore_errors=True)

    def _below(self, path: Path) -> Path:
        """Return a relative path in the working folder, the checkout or an allowed folder, where it exists."""
        bases = (Path.cwd(), ROOT, *self.folders)
        return next((base / path for base in bases if (base / path).exists()), Path.cwd() / path)
