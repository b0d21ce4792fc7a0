"""Find a model YAML by path or name, and follow `base:` until one self-contained description is left."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from data.folders import ROOT, expand_home
from models.errors import SpecError, short
from models.spec.head_override import replace_head
from models.spec.yaml_reader import check_plain, read_yaml

CFG = ROOT / "cfg"

_ULTRALYTICS = "ultralytics/"
# yolov5s, yolov5n6, yolo11x, yolov8n-ghost-p2: family, version, scale letter, rest
_SCALED = re.compile(r"^(yolov?\d+)([nstmblxceu])(6?)(.*)$")
_PARTS = re.compile(r"([^-]*)(-p6)?(.*)")  # of a family's file: yolov5, -p6, -v5.0
_MAX_CHAIN = 20
MAX_ENTRIES = 500

# What an overlay may say besides `base` and `attention`; it wins over the base.
OVERLAY_KEYS = frozenset(
    "base attention identity dialect name nc names scale anchors activation inplace ch head batch_norm modules".split()
)


@dataclass(frozen=True)
class Description:
    """A self-contained model description.

    Attributes:
        data: the base with the overlays' values over it; no `base`, and no `attention`.
        label: what to call it in messages.
        entries: the attention entries of all files, the base's first, each with the file and position it stands at.
        notes: what an overlay changes that costs weights, a line each.
    """

    data: dict[str, Any]
    label: str
    entries: tuple[tuple[object, str], ...] = ()
    notes: tuple[str, ...] = ()


def describe(cfg: str | Path | Mapping[str, Any]) -> Description:
    """Return a self-contained model description.

    Args:
        cfg: path or name of a YAML ("yolov5s", "cfg/attention/yolov5n-cbam.yaml", "ultralytics/yolo11n.yaml"), or its
            content.

    Raises:
        SpecError: if no such file is found, `base` runs in a circle, or an overlay says more than overlays can.
    """
    if isinstance(cfg, Mapping):
        data, label, folder, trail = dict(cfg), str(cfg.get("yaml_file", "model description")), Path.cwd(), []
        check_plain(data, label)
    else:
        path, scale = locate(str(cfg), Path.cwd())
        data, label, folder, trail = _read(path, scale), _label(path), path.parent, [path]
        data.setdefault("name", Path(str(cfg)).stem if str(cfg).endswith((".yaml", ".yml")) else Path(str(cfg)).name)
    parts, where = [(data, label)], label
    while "base" in data:
        _check_overlay(data, where)
        base = data["base"]
        if not isinstance(base, str):
            raise SpecError(f"{where}: base is {short(base)}, expected a file or a name such as 'yolov5s'")
        path, scale = locate(base, folder, asked_by=where)
        if path in trail or len(trail) > _MAX_CHAIN:
            raise SpecError(f"{where}: base runs in a circle: {' → '.join(p.name for p in [*trail, path])}")
        trail.append(path)
        data, folder, where = _read(path, scale), path.parent, _label(path)
        parts.append((data, where))
    merged: dict[str, Any] = {}
    entries: list[tuple[object, str]] = []
    notes: list[str] = []
    for part, place in reversed(parts):
        said = {key: value for key, value in part.items() if key not in {"base", "attention"}}
        if "base" in part and "head" in part:
            said["head"], note = replace_head({**merged, **said, "head": merged.get("head")}, part["head"], place)
            notes.append(note)
        merged.update(said)
        entries += entries_of(part.get("attention"), place)
    merged["name"] = str(parts[0][0].get("name") or Path(label).stem)
    return Description(merged, label, tuple(entries), tuple(notes))


def entries_of(entries: object, where: str) -> Iterator[tuple[object, str]]:
    """Yield the entries of one attention section, each with the place to name in messages.

    Raises:
        SpecError: if it is no list, or a very long one.
    """
    if entries is None:
        return
    if not isinstance(entries, list | tuple) or len(entries) > MAX_ENTRIES:
        raise SpecError(
            f"{where}: attention is {str(entries)[:80]}, expected a list of at most {MAX_ENTRIES} entries "
            "such as [{module: CBAM, at: neck.P3}]"
        )
    for index, entry in enumerate(entries):
        yield entry, f"{where} attention[{index}] {str(entry)[:120]}"


def locate(name: str, folder: Path, asked_by: str = "") -> tuple[Path, str]:
    """Find the file that a name means, and the scale letter that the name carries.

    Args:
        name: path, or bare name with or without ".yaml"; "ultralytics/…" means a YAML inside the ultralytics package.
        folder: where relative paths start.
        asked_by: file whose `base` this is, for the message.

    Raises:
        SpecError: listing what there is, if nothing is found.
    """
    text = name.strip()
    if not text or "\0" in text or len(text) > 1000:
        raise SpecError(f"{asked_by or 'cfg'}: {text[:40]!r} is no file name; write a YAML such as yolov5s.yaml")
    candidates = [Path(text)] if text.endswith((".yaml", ".yml")) else [Path(text), Path(f"{text}.yaml")]
    if text.startswith(_ULTRALYTICS):
        folders = sorted(path for path in _ultralytics_folder().iterdir() if path.is_dir())
        candidates = [Path(c.name) for c in candidates]
    else:
        folders = [folder, ROOT, CFG, *sorted(path for path in CFG.iterdir() if path.is_dir())]
    for path, letter in (*_as_written(candidates, folders), *_as_family(candidates, folders)):
        if _is_file(path):
            return path.resolve(), letter
    known = known_names()
    near = get_close_matches(Path(text).name.removesuffix(".yaml"), known, n=3)
    hint = f"did you mean {' or '.join(near)}? There are" if near else "there are"
    if not text.startswith(_ULTRALYTICS) and _is_in_ultralytics(text):
        hint = f"did you mean ultralytics/{Path(text).name}? Of our own there are"
    raise SpecError(f"{asked_by + ': ' if asked_by else ''}no model YAML '{name}'; {hint}: {', '.join(known)}")


def _as_written(candidates: Sequence[Path], folders: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    for candidate in candidates:
        for folder in folders:
            path = _join(folder, candidate)
            if path.suffix in {".yaml", ".yml"}:
                yield path, _scale_letter(path.stem)


def _as_family(candidates: Sequence[Path], folders: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    """Yield the files that a name with a scale in it may mean: yolov5n6 is yolov5-p6.yaml."""
    for candidate in candidates:
        family, letter = _family(candidate.stem if candidate.suffix in {".yaml", ".yml"} else candidate.name)
        for folder in folders if family else ():
            yield _join(folder, candidate.parent) / f"{family}.yaml", letter
            yield folder / f"{family}.yaml", letter


def _is_in_ultralytics(text: str) -> bool:
    try:
        locate(f"{_ULTRALYTICS}{Path(text).name}", Path.cwd())
    except SpecError:
        return False
    return True


def _join(folder: Path, path: Path) -> Path:
    return folder / expand_home(path)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name longer than the file system takes, or a folder that may not be read
        return False


def known_names() -> list[str]:
    """Return the names of our own model YAMLs, a family's scales written out."""
    names = []
    for path in sorted(CFG.glob("*/*.yaml")):
        if path.parent.name in {"hyp", "scan", "study"}:
            continue
        data = read_yaml(path)
        scales = data.get("scales")
        if isinstance(scales, dict) and scales:
            family, p6, rest = _PARTS.fullmatch(path.stem).groups()  # type: ignore[union-attr]
            names += [f"{family}{letter}{'6' if p6 else ''}{rest}" for letter in scales]
        else:
            names.append(path.stem)
    return names


def _read(path: Path, scale: str) -> dict[str, Any]:
    data = read_yaml(path)
    if scale and isinstance(data.get("scales"), dict) and scale in data["scales"]:
        data.setdefault("scale", scale)
    return data


def _scale_letter(stem: str) -> str:
    match = _SCALED.match(stem)
    return match[2] if match else ""


def _family(stem: str) -> tuple[str, str]:
    """Split "yolov5n6" into ("yolov5-p6", "n"); ("", "") where the name carries no scale."""
    match = _SCALED.match(stem)
    if not match:
        return "", ""
    return f"{match[1]}{'-p6' if match[3] else ''}{match[4]}", match[2]


def _ultralytics_folder() -> Path:
    """Return the folder of model YAMLs in the ultralytics package, without importing it."""
    package = find_spec("ultralytics")
    if package is None or not package.origin:
        raise SpecError("ultralytics is not installed, so its YAMLs cannot be used: pip install -r requirements.txt")
    return Path(package.origin).parent / "cfg" / "models"


def _label(path: Path) -> str:
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def _check_overlay(data: Mapping[str, Any], where: str) -> None:
    unknown = sorted(str(key) for key in data if key not in OVERLAY_KEYS)
    if unknown:
        raise SpecError(
            f"{where}: an overlay (a file with 'base') cannot say {', '.join(unknown)}; "
            f"it may say {', '.join(sorted(OVERLAY_KEYS))}"
        )
