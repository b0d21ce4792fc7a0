"""Read the splits of --data, and report their issues."""

from pathlib import Path
from typing import Any

from engine.errors import UsageError

LISTED = 5  # issues of a split named one by one; the rest is counted


def load_split(data: Any, split: str, data_root: str | None = None, download: bool = False) -> Any:
    """Read one split of a data set.

    Returns:
        `data.records.Split`.

    Raises:
        DataError: if the data set cannot be read.
    """
    from data import load_dataset

    return load_dataset(data, split=split, data_root=data_root, download=download)[split]


def load_data(
    data: Any,
    splits: tuple[str, ...],
    data_root: str | None = None,
    download: bool = False,
    single_cls: bool = False,
    *,
    stretch: bool = False,
) -> tuple[dict[int, str], dict[str, Any]]:
    """Read several splits of a data set, and log how much there is and what was repaired or left out.

    Args:
        data: the data set's YAML or name.
        splits: to read.
        data_root: where it lies, if not where its YAML says.
        download: fetch it where it is missing.
        single_cls: boxes of classes that it does not name are kept as the first.
        stretch: values of images of more than 8 bits are spread, so that nothing need be said of those that are dark.

    Returns:
        Class number → name, and split → `data.records.Split`.

    Raises:
        DataError: if the data set cannot be read.
        UsageError: if a split has no usable image.
    """
    from data import load_dataset
    from engine.runtime.log import LOGGER

    names: dict[int, str] = {}
    loaded: dict[str, Any] = {}
    for split in splits:
        dataset = load_dataset(data, split=split, data_root=data_root, download=download, single_class=single_cls)
        names, loaded[split] = dataset.names, dataset[split]
        if stretch:
            dataset[split].issues[:] = [issue for issue in dataset[split].issues if issue.kind != "deep"]
        LOGGER.info(f"{dataset.name} {dataset.summary()}")
        for issue in dataset[split].issues[:LISTED]:
            LOGGER.info(f"  {issue}")
        if len(dataset[split].issues) > LISTED:
            LOGGER.info(f"  and {len(dataset[split].issues) - LISTED} more: python -m data.doctor lists them")
        _check_not_empty(data, dataset[split])
    return names, loaded


def check_classes(weights: Any, known: dict[int, str] | None, data: Any, names: dict[int, str]) -> None:
    """Refuse to measure a model on classes that it does not know.

    Args:
        weights: what the user called the model, for the message; one in memory has no name.
        known: class number → name of the model; None if it does not say.
        data: what the user called the data set.
        names: class number → name of the data set.

    Raises:
        UsageError: if the numbers of classes differ.
    """
    if known is not None and len(known) != len(names):
        model = f"--weights {weights}" if isinstance(weights, str | Path) else "the model"
        raise UsageError(
            f"{model} knows {len(known)} classes ({', '.join(list(known.values())[:5])} …), "
            f"--data {data} has {len(names)} ({', '.join(list(names.values())[:5])} …); "
            "train on that data first, or choose the data that the weights were trained on"
        )


def _check_not_empty(data: Any, split: Any) -> None:
    """Refuse a split without images or labels: training and measuring would run to the end on nothing.

    Raises:
        UsageError: naming where was looked, and what lies nearby.
    """
    from data.formats.label_files import ELSEWHERE, USED

    if not len(split):
        first = f" ({split.issues[0]})" if split.issues else ""
        raise UsageError(f"--data {data}: the split '{split.name}' has no usable image{first}")
    elsewhere = next((issue.message for issue in split.issues if issue.kind == ELSEWHERE), None)
    without = [issue.file for issue in split.issues if issue.action == USED]
    if elsewhere is None and len(without) == len(split):
        looked = f"looked for {without[0]} and beside the image"
        elsewhere = f"none of {len(split)} images has a label file; {looked}; an image of nothing has an empty one"
    if elsewhere is not None:
        raise UsageError(f"--data {data}: the split '{split.name}' has no labels: {elsewhere}")
    lost = any(issue.action in ("dropped", "not used", "no boxes used") for issue in split.issues)
    if (split.name == "train" or lost) and not any(map(len, split.records)):
        faults = ", ".join(f"{number} {kind} ({action})" for (kind, action), number in split.summary().items())
        why = f"; {faults}; python -m data.doctor lists them" if faults else ": all label files are empty"
        raise UsageError(f"--data {data}: the split '{split.name}' has no box in {len(split)} images{why}")


def data_name(data: Any) -> str:
    """Return how a run's records call the data set."""
    return Path(data).stem if isinstance(data, str | Path) else "data"
