"""Cache of ONNX forms of checkpoints: each is exported once into the cache folder."""

import hashlib
import shutil
import tempfile
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from data.files import blocks
from data.folders import ROOT, cache_folder

MAX_FILES = 32  # files; the longest unused ones go
EXPORT_SIZE = 320  # pixels of the image with which a model is traced; the file takes any size
_SOURCES = ("attention", "models", "engine/backends")
_LIBRARIES = ("torch", "ultralytics", "onnx")


def cached_file(weights: Path, runtime: str) -> Path:
    """Return the cached file of a checkpoint's ONNX form that was verified in a runtime, whether it exists or not.

    The name holds a hash of the checkpoint's content, of the code that builds models, and of the libraries' versions.
    """
    digest = hashlib.sha256(_code().encode())
    for block in blocks(weights):
        digest.update(block)
    return cache_folder() / "exports" / f"{weights.stem}-{digest.hexdigest()[:24]}-{runtime}.onnx"


@cache
def _code() -> str:
    """Hash our code for models, and name the versions of the libraries that write them."""
    digest = hashlib.sha256()
    for folder in _SOURCES:
        for path in sorted((ROOT / folder).rglob("*.py")):
            digest.update(path.read_bytes())
    for library in _LIBRARIES:
        try:
            digest.update(f"{library} {version(library)}".encode())
        except PackageNotFoundError:
            digest.update(library.encode())
    return digest.hexdigest()


def export_onnx(detector: Any, target: Path) -> Path:
    """Write the ONNX form of a detector, for any batch and size, beside the cached file that it may become.

    Args:
        detector: the model; it is not changed.
        target: as `cached_file` returns.

    Returns:
        A file in a folder of its own; `store` puts it into the cache, `discard` removes it.
    """
    from engine.backends.write import write_format

    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="new-", dir=target.parent))
    try:
        return write_format(detector, "onnx", folder / target.stem, imgsz=EXPORT_SIZE, batch=1, dynamic=True)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def store(made: Path, target: Path) -> None:
    """Put a file that `export_onnx` wrote into the cache, and remove files that have not been used for longest."""
    made.replace(target)
    discard(made)
    files = sorted(target.parent.glob("*.onnx"), key=lambda path: path.stat().st_mtime)
    for path in files[:-MAX_FILES]:
        path.unlink(missing_ok=True)


def discard(made: Path) -> None:
    """Remove what `export_onnx` wrote."""
    shutil.rmtree(made.parent, ignore_errors=True)
