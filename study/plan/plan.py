"""Make a Plan of a StudySpec: models resolved, runs addressed by what they depend on, the measuring split chosen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from data import Dataset, load_dataset, read_config
from data.files import file_hash
from data.folders import expand_home
from engine.errors import UsageError
from engine.runtime.image_size import STRIDE, rounded
from models import read_spec
from models.catalog.mechanisms import load_plugin
from models.source import read_source
from models.spec.model_spec import ModelSpec
from models.weights.download import resolve_weights
from study.plan.code_fingerprint import MEASURING_CODE, TRAINING_CODE, code_hash
from study.plan.controls import Match, control
from study.plan.data_fingerprint import split_fingerprint
from study.plan.originals import originals_of, warning_of
from study.plan.run import (
    DEFAULTS,
    Run,
    content_hash,
    hyp_content,
    read_json,
    train_argv,
    train_options,
    with_kept_hyp,
    write_json,
    write_whole,
)
from study.plan.split_val import halve_validation, write_halved
from study.plan.study_spec import StudySpec
from study.plan.variants import CONTROL, model_of

HALF = "val-half"
HALVED_FOLDER = "data"  # folder in the study's
# Options that say where things are or how fast; hyp counts by its content.
NEUTRAL = frozenset({"project", "name", "data", "data_root", "device", "hyp", "workers", "cache"})


@dataclass
class Plan:
    """A study, ready to run.

    Attributes:
        spec: what was asked for.
        folder: of the study.
        names: class number → name.
        models: variant → resolved model; controls, named variant~control, included.
        matches: control → how each placement was matched.
        data: data set that training reads.
        split: split that the final numbers are measured on.
        sizes: split → number of images.
        fingerprints: split → hash of its images and boxes.
        weights: checkpoint that the runs start from.
        halved: data set with val halved, which `address_runs` writes to where `data` says; None where there is a test
            split.
        plugins: Python files of mechanisms.
        epochs: variant → epochs of each run.
        runs: the first seed of every variant, then the second, and so on.
        warnings: what the report must say about the design.
        originals: of the measuring split's images, in order, where the data YAML says which images have one in common.
    """

    spec: StudySpec
    folder: Path
    names: dict[int, str]
    models: dict[str, ModelSpec]
    matches: dict[str, list[Match]]
    data: str
    split: str
    sizes: dict[str, int]
    fingerprints: dict[str, str]
    weights: Path | None
    halved: Dataset | None = None
    plugins: tuple[Path, ...] = ()
    epochs: dict[str, int] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    originals: tuple[str, ...] = ()

    @property
    def options(self) -> dict[str, Any]:
        """All options of train.py that the runs have in common."""
        return train_options(self.spec.train, self.spec.file)

    def flags(self, variant: str) -> Mapping[str, Any]:
        """Return the flags of train.py that a variant is trained with; a control is trained as its variant is."""
        own = {known.name: known.train for known in self.spec.variants}
        return {**self.spec.train, **own[variant.removesuffix(CONTROL)]}

    def options_of(self, variant: str) -> dict[str, Any]:
        """Return all options of train.py that a variant is trained with."""
        return train_options(self.flags(variant), self.spec.file)

    def model_file(self, variant: str) -> Path:
        """Return where a variant's model is written."""
        return self.folder / "models" / f"{variant}.yaml"


def make_plan(spec: StudySpec, project: str | Path, download: bool = False, plugins: Sequence[str | Path] = ()) -> Plan:
    """Resolve a study.

    Args:
        spec: from `read_study`.
        project: folder of studies.
        download: allow fetching official weights or data sets that are not on disk.
        plugins: Python files of mechanisms; they are run.

    Returns:
        The plan; `address_runs` fills in its runs once the epochs are known.

    Raises:
        UsageError, SpecError, CheckpointError, DataError: if the input is wrong.
    """
    folder = expand_home(project).absolute() / spec.name
    weights = resolve_weights(spec.weights, download).absolute() if spec.weights else None
    dataset, split, warnings = _measuring_split(spec, download)
    halved = split == HALF
    originals = originals_of(spec, dataset["test" if halved else split].records)
    files = tuple(expand_home(plugin).resolve() for plugin in plugins)
    for file in files:
        load_plugin(file)
    models, matches, refused = resolve_models(spec, weights, len(dataset.names))
    return Plan(
        spec=_with_size(spec, models),
        folder=folder,
        names=dataset.names,
        models=models,
        matches=matches,
        data=str(folder / HALVED_FOLDER / "data.yaml") if halved else spec.data,
        split="test" if halved else split,
        sizes={name: len(part) for name, part in dataset.splits.items()},
        fingerprints={name: split_fingerprint(part.records) for name, part in dataset.splits.items()},
        weights=weights,
        halved=dataset if halved else None,
        plugins=files,
        warnings=warnings + warning_of(originals) + refused + _doubts(spec),
        originals=originals,
    )


def _with_size(spec: StudySpec, models: Mapping[str, ModelSpec]) -> StudySpec:
    """Return the study with its image size rounded up for all models, once: runs, counts and times are of one size."""
    asked = train_options(spec.train, spec.file)["imgsz"]
    heads = [(model, name) for model in models.values() for name in model.head.reads]
    size = rounded(asked, max(int(model.layer(name).stride or STRIDE) for model, name in heads), f"{spec.file}: imgsz")
    return spec if size == asked else replace(spec, train={**spec.train, "imgsz": size})


def resolve_models(
    spec: StudySpec, weights: Path | None, classes: int
) -> tuple[dict[str, ModelSpec], dict[str, list[Match]], list[str]]:
    """Return every variant's model and every control's, how the controls were matched, and why some have none.

    Args:
        spec: the study.
        weights: checkpoint whose model is the base where the study names none.
        classes: of the data set.
    """
    base: str | Mapping[str, Any] = spec.cfg
    if not spec.cfg:
        assert weights is not None  # noqa: S101 - the reader of the spec made sure
        source = read_source(weights)
        if source.spec is None:
            raise UsageError(f"{spec.file}: {weights.name} holds no model description; add cfg: yolov5n, say")
        base = source.spec.yaml
    models: dict[str, ModelSpec] = {}
    matches: dict[str, list[Match]] = {}
    refused: list[str] = []
    for variant in spec.variants:
        model = model_of(variant, base, classes, spec.file)
        models[variant.name] = read_spec({**model.yaml, "name": variant.name})
        if variant.name in spec.controls:
            name = f"{variant.name}{CONTROL}"
            try:
                description, matches[name] = control(model, variant.name)
            except UsageError as error:
                if not spec.all_controls:
                    raise UsageError(f"{spec.file}: {error}") from None
                refused.append(str(error))
                continue
            models[name] = read_spec({**description, "name": name})
    return models, matches, refused


def address_runs(plan: Plan, epochs: Mapping[str, int]) -> None:
    """Fill in the runs, and write what they read: models, and the halved validation split if there is no test split.

    Args:
        plan: from `make_plan`.
        epochs: variant → epochs.
    """
    plan.epochs = dict(epochs)
    if plan.halved is not None:
        write_halved(plan.halved, plan.folder / HALVED_FOLDER)
    for name, model in plan.models.items():
        text = yaml.safe_dump(dict(model.yaml), sort_keys=False, allow_unicode=True, width=110)
        write_whole(plan.model_file(name), text)
    weights = file_hash(plan.weights) if plan.weights else None
    plan.runs = [_run(plan, name, seed, weights) for seed in plan.spec.seeds for name in plan.models]
    write_json(plan.folder / "epochs.json", {"spec": _timing_key(plan), "epochs": plan.epochs})


def remembered_epochs(plan: Plan) -> dict[str, int] | None:
    """Return the epochs that an earlier start of this study settled on, None where it has to be measured."""
    known = read_json(plan.folder / "epochs.json") or {}
    epochs = known.get("epochs", {})
    if plan.spec.epochs is not None:
        return dict.fromkeys(plan.models, plan.spec.epochs)
    return dict(epochs) if known.get("spec") == _timing_key(plan) and set(epochs) == set(plan.models) else None


def _timing_key(plan: Plan) -> str:
    variants = {name: [dict(model.yaml), plan.options_of(name)] for name, model in plan.models.items()}
    return content_hash([plan.spec.minutes, variants, plan.sizes])


def _run(plan: Plan, name: str, seed: int, weights: str | None) -> Run:
    spec, model, epochs = plan.spec, plan.models[name], plan.epochs[name]
    used = sorted({a.module for layer in model.layers for a in _mechanisms(layer)})
    flags, options = plan.flags(name), plan.options_of(name)
    code = code_hash(TRAINING_CODE, used)
    content = {
        "model": dict(model.yaml),
        "names": plan.names,
        "options": {**{key: value for key, value in options.items() if key not in NEUTRAL}, "epochs": epochs},
        "hyp": hyp_content(options["hyp"]),
        "seed": seed,
        "data": {split: plan.fingerprints[split] for split in ("train", "val")},
        "weights": weights,
        "code": code,
    }
    if plan.plugins:
        content["plugins"] = [file_hash(plugin) for plugin in plan.plugins]
    key = content_hash(content)
    measured = {"split": plan.split, "data": plan.fingerprints[plan.split], "code": code_hash(MEASURING_CODE, used)}
    folder = plan.folder / "runs" / name / f"seed{seed}-{key[:10]}"
    argv = ["--weights", str(plan.weights or ""), "--cfg", str(plan.model_file(name)), "--data", plan.data]
    if spec.data_root and plan.data == spec.data:
        argv += ["--data-root", spec.data_root]
    kept = with_kept_hyp(flags, plan.folder)
    argv += ["--epochs", str(epochs), "--seed", str(seed), *train_argv({**DEFAULTS, **kept})]
    for plugin in plan.plugins:
        argv += ["--plugin", str(plugin)]
    argv += ["--project", str(folder), "--name", "train", "--exist-ok"]
    eval_key = content_hash({**measured, "training": key})
    return Run(name, seed, key, eval_key, folder, tuple(argv), epochs, tuple(used), code, content)


def _mechanisms(layer: Any) -> list[Any]:
    return [inner.attention for inner in layer.inside] + ([layer.attention] if layer.attention is not None else [])


def _measuring_split(spec: StudySpec, download: bool) -> tuple[Dataset, str, list[str]]:
    """Choose a split that does not select checkpoints.

    Returns:
        The data set, halved where it has to be; the split to measure on, HALF if it was halved; warnings.
    """
    config = read_config(spec.data, spec.data_root)
    parts = {name: load_dataset(config, split=name, download=download) for name in ("train", "val")}
    dataset = replace(parts["val"], splits={name: part[name] for name, part in parts.items()})
    if spec.split != HALF and "test" in config.splits:
        test = load_dataset(config, split="test", download=download)["test"]
        if any(len(record) for record in test):
            return replace(dataset, splits={**dataset.splits, "test": test}), "test", []
    if spec.split == "test":
        raise UsageError(f"{spec.file}: evaluate.split is test, but {spec.data} has none with boxes; write val-half")
    if len(dataset["val"]) < 2:
        warning = "The split that measures is the one that chose the best epoch: numbers of `best` are too good."
        return dataset, "val", [warning]
    halved = halve_validation(dataset, config.originals)
    reason = "val was halved" if spec.split == HALF else "There is no test split, so val was halved"
    warning = (
        f"{reason} by a hash of the file names: {len(halved['val'])} images choose the best epoch, the other "
        f"{len(halved['test'])} measure."
    )
    return halved, HALF, [warning]


def _doubts(spec: StudySpec) -> list[str]:
    """Return what about the design weakens its verdicts."""
    doubts = []
    if len(spec.seeds) < 3:
        doubts.append(f"{len(spec.seeds)} seed(s): a spread can be judged from three or more, five are usual.")
    if any(flags.get("patience") for flags in (spec.train, *(variant.train for variant in spec.variants))):
        doubts.append("patience lets runs stop early: budgets are not equal.")
    if spec.weights is None:
        doubts.append("Training starts from scratch: effects of attention on pretrained detectors may differ.")
    return doubts
