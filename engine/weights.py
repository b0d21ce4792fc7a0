"""--weights: a file, an exported model, or the name of an official release that may be fetched when that is allowed."""

import hashlib
import json
import re
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from engine.errors import UsageError
from engine.places import DIGITS_WEIGHTS, weights_folder

RELEASES = {
    "yolov5": "https://github.com/ultralytics/yolov5/releases/download/v7.0/{name}.pt",
    "yolov7": "https://github.com/WongKinYiu/yolov7/releases/download/v0.1/{name}.pt",
}
OFFICIAL = re.compile(r"(?P<family>yolov5)[nsmlx]6?|(?P<family7>yolov7)(-tiny|x|-w6|-e6|-d6|-e6e)?")
KNOWN_SHA256 = {"yolov5n": "4f180cf23ba0717ada0badd6c685026d73d48f184d00fc159c2641284b2ac0a3"}
EXPORTED = (".onnx", ".torchscript", ".engine", ".mlpackage", ".tflite", "_openvino_model", "_ncnn_model")
CHUNK = 1 << 20


def load_weights(weights: Any, download: bool = False) -> Any:
    """Return what ultralytics' predictor and validator take: a Detector, or the path of an exported model.

    Args:
        weights: path or official name; a model is returned as it is.
        download: whether official weights that are not on disk may be fetched.

    Raises:
        UsageError: if there is no such file.
        CheckpointError: if the file is no checkpoint that can be read safely.
    """
    if not isinstance(weights, str | Path):
        return weights
    path = find_weights(str(weights), download)
    if str(path).endswith(EXPORTED):
        return str(path)
    from models import load_model

    return load_model(path)


def find_weights(name: str, download: bool = False) -> Path:
    """Return the file that `--weights` means, fetching an official release where that is allowed.

    Raises:
        UsageError: if there is none, saying where to put it.
    """
    path = Path(name).expanduser()
    if path.exists():
        if path.is_dir() and not str(path).endswith(EXPORTED):
            raise UsageError(f"--weights {name}: is a folder; give the .pt file in it")
        return path
    stem = path.name.removesuffix(".pt")
    match = OFFICIAL.fullmatch(stem)
    if match is None or path.name != name:  # no official name, or one with a folder
        hint = f"; did you mean {DIGITS_WEIGHTS.relative_to(DIGITS_WEIGHTS.parents[1])}?" if "digits" in name else ""
        raise UsageError(f"--weights {name}: there is no such file{hint}")
    kept = weights_folder() / f"{stem}.pt"
    if kept.is_file():
        return kept
    address = RELEASES[match["family"] or match["family7"]].format(name=stem)
    if not download:
        raise UsageError(
            f"--weights {name}: official weights, not on this disk; add --download to fetch {address}, "
            f"or put the file here or into {weights_folder()}"
        )
    _fetch(address, kept, stem)
    return kept


def _fetch(address: str, target: Path, stem: str) -> None:
    """Fetch a file with a progress bar, and check or remember what it hashes to.

    Raises:
        UsageError: if it cannot be fetched, or is not the file that is known under this name.
    """
    from tqdm import tqdm

    from engine.log import LOGGER

    LOGGER.info(f"fetching {address} to {target}")
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    try:
        with (
            urllib.request.urlopen(address, timeout=30) as reply,  # noqa: S310 - a fixed https address
            tempfile.NamedTemporaryFile(dir=target.parent, suffix=".part", delete=False) as draft,
        ):
            size = int(reply.headers.get("Content-Length") or 0)
            with tqdm(total=size or None, unit="B", unit_scale=True, desc=target.name) as bar:
                while chunk := reply.read(CHUNK):
                    digest.update(chunk)
                    draft.write(chunk)
                    bar.update(len(chunk))
    except (urllib.error.URLError, OSError) as error:
        raise UsageError(f"{address} cannot be fetched ({error}); put the file into {target.parent} by hand") from None
    _check_hash(stem, digest.hexdigest(), Path(draft.name))
    Path(draft.name).replace(target)


def _check_hash(stem: str, found: str, draft: Path) -> None:
    from engine.log import LOGGER

    record = weights_folder() / "sha256.json"
    remembered = json.loads(record.read_text(encoding="utf-8")) if record.is_file() else {}
    expected = KNOWN_SHA256.get(stem) or remembered.get(stem)
    if expected is not None and expected != found:
        draft.unlink()
        raise UsageError(f"{stem}.pt: fetched file has sha256 {found}, expected {expected}; it was deleted")
    LOGGER.info(f"{stem}.pt: sha256 {found} ({'as known' if expected else 'not known before, remembered now'})")
    record.write_text(json.dumps({**remembered, stem: found}, indent=2, sort_keys=True), encoding="utf-8")
