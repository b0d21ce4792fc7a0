"""The form of the page Train → flags of train.py, with paths that the page may read."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.config import Source, read_config
from data.folders import ROOT
from data.formats.yolo import find_images
from data.image_files.image_probe import SUFFIXES
from playground.access import Access
from playground.errors import PageError

if TYPE_CHECKING:
    from playground.design import Design

OPTIMIZERS = ("SGD", "Adam", "AdamW")
MODELS = "models"  # folder below the runs where the YAMLs of designs are kept


def data_names() -> list[str]:
    """Return the data sets that the project has YAMLs for."""
    return sorted(path.stem for path in (ROOT / "data").glob("*.yaml"))


def hyp_names() -> list[str]:
    """Return the files of hyperparameters of the project."""
    return sorted(path.stem for path in (ROOT / "cfg" / "hyp").glob("*.yaml"))


def check_data(text: str, access: Access) -> str:
    """Return a data set as --data takes it, if all of it lies where the page may read.

    Raises:
        UsageError: if it does not.
        DataError: if its YAML cannot be read.
    """
    name = text.strip()
    if name in data_names():
        return name
    path = access.resolve(name)
    config = read_config(path)
    for source in (one for sources in config.splits.values() for one in sources):
        for place in filter(None, (source.path, source.annotations, *_listed(source, config.root))):
            if not access.allows(place):
                raise PageError("names_outside", name=name, place=place)
    return str(path)


def _listed(source: Source, root: Path) -> Iterator[Path]:
    """Yield the folders of a list's images, where a source is one."""
    path = source.path
    if path is not None and path.is_file() and path.suffix.lower() not in SUFFIXES:
        yield from {image.parent for image in find_images(source, root, [])}


def model_flags(design: "Design", runs: Path) -> dict[str, Any]:
    """Return --cfg and --attention for a design; what only a YAML can say is written into the folder of runs."""
    from playground.design import entry_text, yaml_text  # which loads torch

    texts = [entry_text(entry) for entry in design.entries]
    if design.base_name and all(texts):
        return {"cfg": design.base_name, "attention": texts or None}
    text = yaml_text(design)
    folder = runs / MODELS
    folder.mkdir(parents=True, exist_ok=True)
    number = 1
    while (folder / f"model{number}.yaml").exists() and (folder / f"model{number}.yaml").read_text("utf-8") != text:
        number += 1
    (folder / f"model{number}.yaml").write_text(text, encoding="utf-8")
    return {"cfg": str(folder / f"model{number}.yaml")}


def train_flags(form: Mapping[str, Any], design: "Design | None", access: Access) -> dict[str, Any]:
    """Return the flags of train.py for what the form says.

    Args:
        form: weights, data, hyp, epochs, imgsz, batch, optimizer, seed, identity, attention_only, plots.
        design: the model; None for the one in the weights.
        access: what may be read.

    Raises:
        UsageError, DataError: if a path may not be read, or is none.
    """
    weights = str(form.get("weights") or "").strip()
    if not weights and design is None:
        raise PageError("no_model")
    hyp = str(form.get("hyp") or "").strip()
    return {
        **({} if design is None else model_flags(design, access.runs)),
        "weights": str(access.resolve(weights)) if weights else "",
        "data": check_data(str(form.get("data") or ""), access),
        "hyp": hyp if hyp in hyp_names() else str(access.resolve(hyp)),
        "epochs": _whole(form, "epochs"),
        "imgsz": _whole(form, "imgsz"),
        "batch": _whole(form, "batch"),
        "optimizer": str(form.get("optimizer") or OPTIMIZERS[0]),
        "seed": _whole(form, "seed"),
        "identity": bool(form.get("identity")),
        "train-only": "attention" if form.get("attention_only") else None,
        "noplots": not form.get("plots"),
    }


def _whole(form: Mapping[str, Any], name: str) -> int:
    """Return a number of the form.

    Raises:
        UsageError: if it is no whole number.
    """
    if form.get(name) in (None, ""):
        raise PageError("no_number", field=name)
    try:
        value = float(form[name])
        whole = int(value)
    except (KeyError, TypeError, ValueError, OverflowError):
        raise PageError("no_whole", field=name, value=f"{form.get(name)!r:.60}") from None
    if whole != value:
        raise PageError("no_whole", field=name, value=f"{form.get(name)!r:.60}")
    return whole
