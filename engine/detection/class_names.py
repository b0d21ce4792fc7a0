"""Class names that detections bear: the model's, or those of --data."""

from argparse import Namespace
from collections.abc import Sequence

from engine.errors import UsageError


def named_classes(names: dict[int, str], options: Namespace) -> dict[int, str]:
    """Return the class names of --data, or the model's where none is given.

    Args:
        names: the model's, class number → name.
        options: flags of detect.py: `data`, `data_root`.

    Raises:
        UsageError: if that data set has another number of classes than the model.
        DataError: if it cannot be read.
    """
    if not options.data:
        return names
    from data import read_config

    named = read_config(options.data, options.data_root).names
    if named is None:
        raise UsageError(f"--data {options.data}: lists no class names; add them under names, or leave it out")
    if len(named) != len(names):
        raise UsageError(
            f"--data {options.data}: has {len(named)} classes, the model has {len(names)}; "
            "leave it out, or give the data set that the model was trained on"
        )
    return dict(enumerate(named))


def check_classes(wanted: Sequence[int] | None, names: dict[int, str]) -> None:
    """Check the class numbers of --classes.

    Raises:
        UsageError: if the model has no such class.
    """
    unknown = [number for number in wanted or [] if number not in names]
    if unknown:
        raise UsageError(
            f"--classes {unknown[0]}: the model has classes 0 to {len(names) - 1} ({', '.join(names.values())})"
        )
