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
    data: Any, splits: tuple[str, ...], data_root: str | None = None, download: bool = False
) -> tuple[dict[int, str], dict[str, Any]]:
    """Read several splits of a data set, and log how much there is and what was repaired or left out.

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
        dataset = load_dataset(data, split=split, data_root=data_root, download=download)
        names, loaded[split] = dataset.names, dataset[split]
        LOGGER.info(f"{dataset.name} {dataset.summary()}")
        for issue in dataset[split].issues[:LISTED]:
            LOGGER.info(f"  {issue}")
        if len(dataset[split].issues) > LISTED:
            LOGGER.info(f"  and {len(dataset[split].issues) - LISTED} more: python -m data.doctor lists them")
        if not len(dataset[split]):
            raise UsageError(f"--data {data}: the split '{split}' has no usable image")
    return names, loaded


def data_name(data: Any) -> str:
    """Return how a run's records call the data set."""
    return Path(data).stem if isinstance(data, str | Path) else "data"
