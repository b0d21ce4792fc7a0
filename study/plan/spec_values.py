"""Check the values of a spec's keys one by one; what is wrong is said in one line, with what to write instead."""

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from data.config import is_path
from data.folders import ROOT, expand_home
from engine.errors import UsageError
from models.errors import short
from models.spec.yaml_reader import read_yaml
from study.plan.run import train_options

# Flags of train.py that the study sets itself, or that would make its runs unlike each other.
RESERVED = frozenset(
    "weights cfg attention identity data data_root seed project name exist_ok resume download nosave epochs "
    "device plugin help".split()
)
WITH_OFF = ("amp", "cache")  # flags of which a value is off, which YAML reads as false
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+@-]{0,63}")
_MOST_SEEDS = 1000


def read_keys(path: Path, keys: Sequence[str], example: str) -> Mapping[str, Any]:
    """Read a spec and refuse keys that it does not have.

    Args:
        path: the YAML.
        keys: that it may have.
        example: what one holds, for messages.

    Raises:
        UsageError: naming the key, and one that is near.
        SpecError: if it is no readable YAML.
    """
    content = read_yaml(path, example)
    for key in content:
        if key not in keys:
            near = get_close_matches(str(key), keys, n=1)
            hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(keys)}"
            raise UsageError(f"{path}: unknown key {short(key)}; {hint}")
    return content


def read_name(content: Mapping[str, Any], path: Path) -> str:
    """Return the name of what a spec describes, the file's where it says none."""
    name = text(content, "name", path) or path.stem
    if not NAME.fullmatch(name):
        raise UsageError(f"{path}: name is {short(name)}, expected letters, digits and . _ - (it names a folder)")
    return name


def read_data_root(content: Mapping[str, Any], path: Path) -> str | None:
    """Return where the data lie, None where their YAML says it."""
    return None if content.get("data_root") is None else existing_path(str(content["data_root"]), path)


def read_model_and_data(content: Mapping[str, Any], path: Path, data: str | None) -> dict[str, Any]:
    """Return data, data_root, cfg and weights of a spec, as paths that exist or names.

    Args:
        content: the spec's keys.
        path: the YAML, for messages; files are looked for beside it first.
        data: what the spec names as its data set, None where it names none.

    Raises:
        UsageError: if data, or both cfg and weights, are missing, or a file is.
    """
    if data is None:
        raise UsageError(f"{path}: key 'data' is missing; write data: data/bccd.yaml, say")
    cfg, weights = text(content, "cfg", path) or "", text(content, "weights", path)
    if not cfg and not weights:
        raise UsageError(f"{path}: neither cfg nor weights is given; write cfg: yolov5n, weights: yolov5n.pt, or both")
    return {
        "data": existing_path(data, path),
        "data_root": read_data_root(content, path),
        "cfg": existing_path(cfg, path) if cfg else "",
        "weights": existing_path(weights, path) if weights else None,
    }


def text(content: Mapping[str, Any], key: str, path: Path) -> str | None:
    """Return a text, None where the key is missing."""
    value = content.get(key)
    if value is not None and (not isinstance(value, str) or not value.strip()):
        raise UsageError(f"{path}: {key} is {short(value)}, expected text")
    return value


def existing_path(value: str, path: Path) -> str:
    """Return a path as one that exists: beside the spec, here or in the checkout. Names stay as they are."""
    if not is_path(value):  # whoever reads it says so
        return value
    given = expand_home(value)
    if (path.parent / given).is_file():
        return str((path.parent / given).resolve())
    for folder in (path.parent, Path.cwd(), ROOT):
        if len(given.parts) > 1 and (folder / given).exists():
            return str((folder / given).resolve())
    return value


def mapping(content: Mapping[str, Any], key: str, path: Path, keys: tuple[str, ...]) -> Mapping[str, Any]:
    """Return a mapping that has no other keys, an empty one where it is missing."""
    value = content.get(key) or {}
    if not isinstance(value, Mapping) or not set(value) <= set(keys):
        raise UsageError(f"{path}: {key} is {short(value)}, expected a mapping with {', '.join(keys)}")
    return value


def whole(content: Mapping[str, Any], key: str, default: int, minimum: int, maximum: int, path: Path) -> int:
    """Return a whole number within bounds, the default where it is missing."""
    value = content.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= maximum:
        raise UsageError(f"{path}: {key} is {short(value)}, expected a whole number from {minimum} to {maximum}")
    return value


def train_flags(value: Any, where: str, path: Path) -> dict[str, Any]:
    """Check the flags against train.py's own parser."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise UsageError(f"{where}: train is {short(value)}, expected flags of train.py such as {{imgsz: 320}}")
    flags = {str(key).replace("-", "_"): inner for key, inner in value.items()}
    flags |= {name: "off" for name in WITH_OFF if flags.get(name) is False}
    reserved = sorted(RESERVED & set(flags))
    if reserved:
        instead = {
            "epochs": "budget: {epochs: 20} says it",
            "device": "the command line: --device 0",
            "plugin": "the command line: --plugin FILE",  # a YAML runs nothing
        }
        raise UsageError(
            f"{where}: train.{reserved[0]} is set by the study; {instead.get(reserved[0], 'leave it out')}"
        )
    if isinstance(flags.get("hyp"), str):
        flags["hyp"] = existing_path(flags["hyp"], path)
    train_options(flags, where)
    return flags


def read_budget(content: Mapping[str, Any], path: Path) -> tuple[int | None, float | None]:
    """Return epochs or minutes, whichever the budget says."""
    budget = mapping(content, "budget", path, ("epochs", "minutes"))
    if len(budget) != 1:
        raise UsageError(
            f"{path}: budget is {short(dict(budget))}, expected {{epochs: 20}}, or {{minutes: 5}} of training a run"
        )
    key, value = next(iter(budget.items()))
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 1e6
    if not good or (key == "epochs" and not isinstance(value, int)):
        raise UsageError(f"{path}: budget.{key} is {short(value)}, expected a number above 0 (whole for epochs)")
    return (value, None) if key == "epochs" else (None, float(value))


def read_seeds(value: Any, path: Path) -> tuple[int, ...]:
    """Return the seeds: a number n stands for 0 … n − 1."""
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _MOST_SEEDS:
        return tuple(range(value))
    if isinstance(value, list) and value and len(value) <= _MOST_SEEDS:
        good = all(isinstance(seed, int) and not isinstance(seed, bool) and 0 <= seed < 1 << 31 for seed in value)
        if good and len(set(value)) == len(value):
            return tuple(value)
    raise UsageError(f"{path}: seeds is {short(value)}, expected how many, or a list of different whole numbers")
