"""Read cfg/study/*.yaml into a StudySpec: what is compared, on what, how often, checked before anything runs."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from data.folders import ROOT
from engine.errors import UsageError
from models.errors import short
from models.spec.yaml_reader import read_yaml
from study.plan.run import train_options
from study.plan.variants import Variant, read_variants

KEYS = (
    "name data data_root cfg weights identity variants grid controls seeds train budget evaluate metrics resamples "
    "latency images"
).split()
METRICS = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")
# Flags of train.py that the study sets itself, or that would make its runs unlike each other.
RESERVED = frozenset(
    "weights cfg attention identity data data_root seed project name exist_ok resume download nosave epochs "
    "device plugin".split()
)
WITH_OFF = ("amp", "cache")  # flags of which a value is off, which YAML reads as false
MEASURED = ("imgsz", "single_cls", "stretch")  # what the numbers are measured at: alike for all variants
_EXAMPLE = "'data: bccd', 'cfg: yolov5n' and 'variants: {cbam: CBAM@neck.P3}'"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+@-]{0,63}")
_MOST_SEEDS, _MOST_VARIANTS = 1000, 500


@dataclass(frozen=True)
class StudySpec:
    """A study.

    Attributes:
        file: the YAML.
        name: of the study and its folder.
        data: data set, as for --data.
        data_root: where it lies, if not where its YAML says.
        cfg: base model; empty takes the one in the weights.
        weights: checkpoint to start from, None for scratch.
        variants: the baseline first, then as written; controls are not among them.
        controls: names of the variants that get a control.
        all_controls: whether these are all that can have one.
        seeds: one run of every variant for each.
        train: further flags of train.py, by name with underscores.
        epochs: of every run; None where `minutes` decides.
        minutes: of training a run may take; each variant gets as many whole epochs as fit.
        split: "auto", "test", or "val-half".
        metrics: which numbers are compared; the first decides the verdict.
        resamples: image resamples of the bootstrap.
        latency: rounds of the latency measurement.
        images: how many images the page shows.
    """

    file: Path
    name: str
    data: str
    data_root: str | None
    cfg: str
    weights: str | None
    variants: tuple[Variant, ...]
    controls: tuple[str, ...]
    all_controls: bool
    seeds: tuple[int, ...]
    train: Mapping[str, Any]
    epochs: int | None
    minutes: float | None
    split: str = "auto"
    metrics: tuple[str, ...] = ("AP", "AP50")
    resamples: int = 1000
    latency: int = 30
    images: int = 6


def read_study(file: str | Path) -> StudySpec:
    """Read and check a study.

    Args:
        file: the YAML; cfg, data and weights in it are looked for beside it, in the current folder and in the checkout.

    Raises:
        UsageError: one line naming the file, the key and what to write.
        SpecError: if it is no readable YAML.
    """
    path = Path(file)
    content = read_yaml(path, _EXAMPLE)
    for key in content:
        if key not in KEYS:
            near = get_close_matches(str(key), KEYS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(KEYS)}"
            raise UsageError(f"{path}: unknown key {short(key)}; {hint}")
    name = _text(content, "name", path) or path.stem
    if not _NAME.fullmatch(name):
        raise UsageError(f"{path}: name is {short(name)}, expected letters, digits and . _ - (it names a folder)")
    data = _text(content, "data", path)
    if data is None:
        raise UsageError(f"{path}: key 'data' is missing; write data: data/bccd.yaml, say")
    cfg, weights = _text(content, "cfg", path) or "", _text(content, "weights", path)
    if not cfg and not weights:
        raise UsageError(f"{path}: neither cfg nor weights is given; write cfg: yolov5n, weights: yolov5n.pt, or both")
    variants = read_variants(content, path)
    if len(variants) < 2 or len(variants) > _MOST_VARIANTS:
        raise UsageError(f"{path}: {len(variants) - 1} variants, expected 1 to {_MOST_VARIANTS}: variants or grid")
    for variant in variants:
        if not _NAME.fullmatch(variant.name):
            raise UsageError(f"{path}: variant {short(variant.name)}: expected letters, digits and . _+@-")
    train = _train(content.get("train"), str(path), path)
    variants = [_with_flags(variant, train, path) for variant in variants]
    epochs, minutes = _budget(content, path)
    evaluate = _mapping(content, "evaluate", path, ("split",))
    split = evaluate.get("split", "auto")
    if split not in ("auto", "test", "val-half"):
        raise UsageError(f"{path}: evaluate.split is {short(split)}, expected auto, test or val-half")
    return StudySpec(
        file=path,
        name=name,
        data=_existing_path(data, path),
        data_root=None if content.get("data_root") is None else _existing_path(str(content["data_root"]), path),
        cfg=_existing_path(cfg, path) if cfg else "",
        weights=_existing_path(weights, path) if weights else None,
        variants=tuple(variants),
        controls=_controls(content.get("controls"), variants, path),
        all_controls=content.get("controls") == "all",
        seeds=_seeds(content.get("seeds", 5), path),
        train=train,
        epochs=epochs,
        minutes=minutes,
        split=split,
        metrics=_metrics(content.get("metrics", ["AP", "AP50"]), path),
        resamples=_whole(content, "resamples", 1000, 10, 100_000, path),
        latency=_whole(content, "latency", 30, 1, 10_000, path),
        images=_whole(content, "images", 6, 0, 100, path),
    )


def _text(content: Mapping[str, Any], key: str, path: Path) -> str | None:
    value = content.get(key)
    if value is not None and (not isinstance(value, str) or not value.strip()):
        raise UsageError(f"{path}: {key} is {short(value)}, expected text")
    return value


def _existing_path(value: str, path: Path) -> str:
    """Return a path as one that exists: beside the spec, here or in the checkout. Names stay as they are."""
    given = Path(value).expanduser()
    if (path.parent / given).is_file():
        return str((path.parent / given).resolve())
    for folder in (path.parent, Path.cwd(), ROOT):
        if len(given.parts) > 1 and (folder / given).exists():
            return str((folder / given).resolve())
    return value


def _mapping(content: Mapping[str, Any], key: str, path: Path, keys: tuple[str, ...]) -> Mapping[str, Any]:
    value = content.get(key) or {}
    if not isinstance(value, Mapping) or not set(value) <= set(keys):
        raise UsageError(f"{path}: {key} is {short(value)}, expected a mapping with {', '.join(keys)}")
    return value


def _whole(content: Mapping[str, Any], key: str, default: int, minimum: int, maximum: int, path: Path) -> int:
    value = content.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= maximum:
        raise UsageError(f"{path}: {key} is {short(value)}, expected a whole number from {minimum} to {maximum}")
    return value


def _train(value: Any, where: str, path: Path) -> dict[str, Any]:
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
            "epochs": "budget: {epochs: 20}",
            "device": "the command line: --device 0",
            "plugin": "the command line: --plugin FILE",  # a YAML runs nothing
        }
        raise UsageError(
            f"{where}: train.{reserved[0]} is set by the study; {instead.get(reserved[0], 'leave it out')}"
        )
    if isinstance(flags.get("hyp"), str):
        flags["hyp"] = _existing_path(flags["hyp"], path)
    train_options(flags, where)
    return flags


def _with_flags(variant: Variant, common: Mapping[str, Any], path: Path) -> Variant:
    """Check the flags of one variant, which come on top of the study's."""
    if not variant.train:
        return variant
    where = f"{path}: variants.{variant.name}"
    flags = _train(variant.train, where, path)
    ours, its = train_options(common, path), train_options({**common, **flags}, where)
    for name in MEASURED:
        if its[name] != ours[name]:
            raise UsageError(f"{where}: train.{name} is that of all variants; write it under the study's own train")
    return replace(variant, train=flags)


def _budget(content: Mapping[str, Any], path: Path) -> tuple[int | None, float | None]:
    budget = _mapping(content, "budget", path, ("epochs", "minutes"))
    if len(budget) != 1:
        raise UsageError(
            f"{path}: budget is {short(dict(budget))}, expected {{epochs: 20}}, or {{minutes: 5}} of training a run"
        )
    key, value = next(iter(budget.items()))
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 1e6
    if not good or (key == "epochs" and not isinstance(value, int)):
        raise UsageError(f"{path}: budget.{key} is {short(value)}, expected a number above 0 (whole for epochs)")
    return (value, None) if key == "epochs" else (None, float(value))


def _seeds(value: Any, path: Path) -> tuple[int, ...]:
    """Return the seeds: a number n stands for 0 … n − 1."""
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _MOST_SEEDS:
        return tuple(range(value))
    if isinstance(value, list) and value and len(value) <= _MOST_SEEDS:
        good = all(isinstance(seed, int) and not isinstance(seed, bool) and 0 <= seed < 1 << 31 for seed in value)
        if good and len(set(value)) == len(value):
            return tuple(value)
    raise UsageError(f"{path}: seeds is {short(value)}, expected how many, or a list of different whole numbers")


def _metrics(value: Any, path: Path) -> tuple[str, ...]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not names:
        raise UsageError(f"{path}: metrics is {short(value)}, expected a list such as [AP, AP50]")
    for name in names:
        if name not in METRICS:
            raise UsageError(f"{path}: metrics has {short(name)}; there are {', '.join(METRICS)}")
    return tuple(dict.fromkeys(names))


def _controls(value: Any, variants: list[Variant], path: Path) -> tuple[str, ...]:
    known = [variant.name for variant in variants if variant.attention or variant.cfg]
    if value is None:
        return ()
    if value == "all":
        return tuple(known)
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list):
        raise UsageError(f"{path}: controls is {short(value)}, expected names of variants, or all")
    for name in names:
        if name not in known:
            raise UsageError(f"{path}: controls has {short(name)}, which is no variant; there are {', '.join(known)}")
    return tuple(dict.fromkeys(names))
