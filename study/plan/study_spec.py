"""Read cfg/study/*.yaml into a StudySpec: what is compared, on what, how often, checked before anything runs."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from data.text_files import decode_text
from engine.errors import UsageError
from models.errors import short
from study.plan.run import train_options
from study.plan.spec_values import (
    NAME,
    existing_path,
    mapping,
    read_budget,
    read_keys,
    read_model_and_data,
    read_name,
    read_seeds,
    text,
    train_flags,
    whole,
)
from study.plan.variants import Variant, read_variants

KEYS = (
    "name data data_root cfg weights identity variants grid controls seeds train budget evaluate metrics resamples "
    "latency images max_seeds"
).split()
METRICS = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")
# what the numbers are measured at: alike for all variants
MEASURED = ("imgsz", "single_cls", "stretch", "reduced_decode")
_EXAMPLE = "'data: bccd', 'cfg: yolov5n' and 'variants: {cbam: CBAM@neck.P3}'"
_MOST_VARIANTS = 500


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
        max_seeds: that the study may grow to with --add-seeds; None where its first look is its only one.
        looks: seeds done at each look so far, see `planned_looks`.
        datasets: all data sets where there are several, of which `data` is the first.
        source: text of the YAML when it was read; the file may be another when the report is written.
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
    max_seeds: int | None = None
    looks: tuple[int, ...] = ()
    datasets: tuple[str, ...] = ()
    source: str = ""


def read_study(file: str | Path) -> StudySpec:
    """Read and check a study.

    Args:
        file: the YAML; cfg, data and weights in it are looked for beside it, in the current folder and in the checkout.

    Raises:
        UsageError: one line naming the file, the key and what to write.
        SpecError: if it is no readable YAML.
    """
    path = Path(file)
    content = read_keys(path, KEYS, _EXAMPLE)
    name = read_name(content, path)
    datasets = _datasets(content, path)
    data = datasets[0] if datasets else text(content, "data", path)
    sources = read_model_and_data(content, path, data)
    variants = read_variants(content, path)
    if len(variants) < 2 or len(variants) > _MOST_VARIANTS:
        raise UsageError(f"{path}: {len(variants) - 1} variants, expected 1 to {_MOST_VARIANTS}: variants or grid")
    for variant in variants:
        if not NAME.fullmatch(variant.name):
            raise UsageError(f"{path}: variant {short(variant.name)}: expected letters, digits and . _+@-")
    train = train_flags(content.get("train"), str(path), path)
    variants = [_with_flags(variant, train, path) for variant in variants]
    epochs, minutes = read_budget(content, path)
    evaluate = mapping(content, "evaluate", path, ("split",))
    split = evaluate.get("split", "auto")
    if split not in ("auto", "test", "val-half"):
        raise UsageError(f"{path}: evaluate.split is {short(split)}, expected auto, test or val-half")
    seeds = read_seeds(content.get("seeds", 5), path)
    return StudySpec(
        file=path,
        name=name,
        **sources,
        variants=tuple(variants),
        controls=_controls(content.get("controls"), variants, path),
        all_controls=content.get("controls") == "all",
        seeds=seeds,
        train=train,
        epochs=epochs,
        minutes=minutes,
        split=split,
        metrics=_metrics(content.get("metrics", ["AP", "AP50"]), path),
        resamples=whole(content, "resamples", 1000, 10, 100_000, path),
        latency=whole(content, "latency", 30, 1, 10_000, path),
        images=whole(content, "images", 6, 0, 100, path),
        datasets=datasets,
        source=decode_text(path.read_bytes(), path).strip(),
        max_seeds=whole(content, "max_seeds", 0, len(seeds), 1000, path) if "max_seeds" in content else None,
    )


def _datasets(content: Mapping[str, Any], path: Path) -> tuple[str, ...]:
    """Return the data sets of a list, none where there is one data set."""
    value = content.get("data")
    if not isinstance(value, list):
        return ()
    if len(value) < 2 or not all(isinstance(item, str) and item.strip() for item in value):
        raise UsageError(f"{path}: data is {short(value)}, expected a data set, or a list of two or more")
    stems = [Path(item).stem for item in value]
    if len(set(stems)) < len(stems) or not all(NAME.fullmatch(stem) for stem in stems):
        raise UsageError(
            f"{path}: data is {short(value)}: each data set needs a file name of its own; it names a folder"
        )
    if content.get("data_root") is not None:
        raise UsageError(f"{path}: data_root is one place, but data are several; write path: into their YAMLs")
    return tuple(existing_path(item, path) for item in value)


def _with_flags(variant: Variant, common: Mapping[str, Any], path: Path) -> Variant:
    """Check the flags of one variant, which come on top of the study's."""
    if not variant.train:
        return variant
    where = f"{path}: variants.{variant.name}"
    flags = train_flags(variant.train, where, path)
    ours, its = train_options(common, path), train_options({**common, **flags}, where)
    for name in MEASURED:
        if its[name] != ours[name]:
            raise UsageError(f"{where}: train.{name} is that of all variants; write it under the study's own train")
    return replace(variant, train=flags)


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
        if name in [variant.name for variant in variants] and name not in known:
            raise UsageError(f"{path}: controls has {short(name)}, which has no attention; leave it out")
        if name not in known:
            raise UsageError(f"{path}: controls has {short(name)}, which is no variant; there are {', '.join(known)}")
    return tuple(dict.fromkeys(names))
