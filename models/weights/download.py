"""Find weights by path or official name, and fetch official ones when, and only when, that is asked for."""

from __future__ import annotations

import contextlib
import json
import sys
from http.client import HTTPException
from os import PathLike
from pathlib import Path
from urllib.error import HTTPError, URLError

from data.files import file_hash
from data.folders import cache_folder
from data.http_file import IncompleteDownload, Opener, download_file
from models.errors import CheckpointError
from models.weights.atomic_write import write_atomically

_V5 = "https://github.com/ultralytics/yolov5/releases/download/v7.0/"
_V7 = "https://github.com/WongKinYiu/yolov7/releases/download/v0.1/"
_V5_NAMES = [f"yolov5{size}{six}" for six in ("", "6") for size in "nsmlx"]
_V7_NAMES = ["yolov7-tiny"]
_V7_NAMES += [f"yolov7{size}{kind}" for size in ("", "x", "-w6", "-e6", "-d6", "-e6e") for kind in ("", "_training")]

OFFICIAL = {f"{name}.pt": f"{_V5}{name}.pt" for name in _V5_NAMES} | {
    f"{name}.pt": f"{_V7}{name}.pt" for name in _V7_NAMES
}
KNOWN_SHA256 = {"yolov5n.pt": "4f180cf23ba0717ada0badd6c685026d73d48f184d00fc159c2641284b2ac0a3"}

FOLDER_WEIGHTS = "model.safetensors"  # the checkpoint of a folder in Hugging Face's layout
_REMEMBERED = "sha256.json"  # in the cache folder: what earlier downloads had
_MAX_BYTES = 1 << 30  # the largest official file has 0.3 GB


def resolve_weights(
    name: str | Path, download: bool = False, *, folder: Path | None = None, opener: Opener | None = None
) -> Path:
    """Return the file that a `--weights` argument means.

    An existing path is taken as it is; of a folder in Hugging Face's layout its `model.safetensors`. An official name
    (`yolov5n`, `yolov5n.pt`, `yolov7-tiny` …) is looked for in the working folder, in `weights/` and in the cache
    folder, and fetched from the official release if `download` is set.

    Args:
        name: path or official name.
        download: whether the network may be used.
        folder: cache folder for weights; by default `weights` in the project's cache folder.
        opener: opens an address and gives a response with `read(n)` and `headers`, for tests.

    Raises:
        CheckpointError: if there is no such file, it cannot be fetched, or its content is not what it was.
    """
    if not isinstance(name, str | PathLike):
        raise CheckpointError(
            f"weights: a {type(name).__name__} is no path; give that of a checkpoint, train(…).best say"
        )
    path = Path(name)
    if path.is_file():
        return path
    if (path / FOLDER_WEIGHTS).is_file():
        return path / FOLDER_WEIGHTS
    official = path.name if path.suffix == ".pt" else f"{path.name}.pt"
    if len(path.parts) != 1 or official not in OFFICIAL:
        if path.is_dir():
            raise CheckpointError(f"{name}: a folder without {FOLDER_WEIGHTS}; give the .pt or .safetensors file in it")
        raise CheckpointError(f"{name}: no such file; check the path, or give an official name such as yolov5n.pt")
    folder = folder or cache_folder() / "weights"
    for place in (Path(official), Path("weights") / official):
        if place.is_file():
            return place
    target = folder / official
    if target.is_file():
        _check_sha(target, file_hash(target), folder, "delete it and fetch it again with --download")
        return target
    if not download:
        raise CheckpointError(
            f"{official}: no such file. It is official: run again with --download, or get {OFFICIAL[official]} "
            f"and put it beside the scripts, into weights/ or at {target}"
        )
    _fetch(OFFICIAL[official], target, opener)
    return target


def _fetch(address: str, target: Path, opener: Opener | None) -> None:
    """Download to `target`, with a line, a bar and a check; the file appears complete or not at all."""
    from models.weights.safe_pickle.torch_file import open_torch_file  # torch takes seconds

    sys.stderr.write(f"Downloading {address} to {target}\n")
    part = target.with_name(f".{target.name}.part")
    remedy = f"get {address} yourself and put it at {target}"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        sha = _receive(address, part, opener)
        with open_torch_file(part, stand_ins=True):  # a login page of a network is no checkpoint
            pass
        _check_sha(target, sha, target.parent, remedy)
        part.replace(target)
        _remember(target, sha)
    except HTTPError as error:
        raise CheckpointError(f"{target.name}: the server answers {error.code} {error.reason}; {remedy}") from None
    except (URLError, HTTPException, TimeoutError) as error:
        reason = getattr(error, "reason", None) or error
        raise CheckpointError(f"{target.name}: cannot be downloaded ({reason}); {remedy}") from None
    except CheckpointError as error:
        raise CheckpointError(str(error).replace(str(part), f"{target.name} as downloaded")) from None
    except OSError as error:
        raise CheckpointError(f"{target.name}: cannot be saved ({error.strerror or error}); {remedy}") from None
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


def _receive(address: str, part: Path, opener: Opener | None) -> str:
    """Write the response to `part`; return the SHA-256 of what came."""
    label = part.name.strip(".").removesuffix(".part")
    try:
        return download_file(address, part, max_bytes=_MAX_BYTES, opener=opener, label=label)
    except IncompleteDownload as error:
        longer = "; not the official file" if str(error).startswith("more than") else ""
        raise CheckpointError(f"{part}: {error}{longer}") from None


def _check_sha(target: Path, sha: str, folder: Path, remedy: str) -> None:
    expected = KNOWN_SHA256.get(target.name) or _remembered(folder).get(target.name)
    if expected not in (None, sha):
        raise CheckpointError(f"{target}: its sha256 is {sha}, expected {expected}; {remedy}")


def _remember(target: Path, sha: str) -> None:
    """Say the checksum, and keep it for the next time."""
    known = target.name in KNOWN_SHA256
    sys.stderr.write(f"{target.name}: sha256 {sha} ({'as expected' if known else 'not known before; remembered'})\n")
    text = json.dumps({**_remembered(target.parent), target.name: sha}, indent=1, sort_keys=True)
    write_atomically(target.parent / _REMEMBERED, lambda stream: stream.write(text.encode()))


def _remembered(folder: Path) -> dict[str, str]:
    try:
        content = json.loads((folder / _REMEMBERED).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
