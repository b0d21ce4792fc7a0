"""Balance classes in training as --oversample and --class-weights ask, and say what that comes to."""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from data.balance.class_weights import class_counts, class_weights
from data.balance.repeat_factors import class_factors, class_frequencies, epoch_size, image_factors
from engine.errors import UsageError
from engine.runtime.log import LOGGER

LISTED = 10  # classes named in a line


def check_oversampling(options: Namespace) -> None:
    """Refuse --oversample where batches are fixed by shape.

    Raises:
        UsageError: with --rect.
    """
    if options.oversample and options.rect:
        raise UsageError("--oversample draws samples anew for each epoch, --rect fixes them; leave one of them out")


def repeat_factors(records: Sequence[Any], info: Mapping[str, Any], options: Mapping[str, Any]) -> np.ndarray | None:
    """Return how often an epoch shows each image (n,), on average, and log it; None without --oversample.

    Args:
        records: training images.
        info: data dictionary from `engine.datasets.record_dataset.describe`.
        options: train.py's flags.
    """
    threshold = options.get("oversample", 0.0)
    if not threshold:
        return None
    single = bool(options.get("single_cls"))
    factors = image_factors(records, info["nc"], threshold, single)
    of_classes = class_factors(class_frequencies(records, info["nc"], single), threshold)
    rare = "; ".join(_greatest(of_classes, info["names"], 1.0)) or "no class is that rare"
    LOGGER.info(f"oversampling: {epoch_size(factors)} samples an epoch from {len(records)} images; factors: {rare}")
    return factors


def weigh_classes(model: Any, records: Sequence[Any], info: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    """Set the model's `class_weights` (nc,), which its loss multiplies the class terms with, and log them.

    Args:
        model: a Detector on its device.
        records: training images.
        info: data dictionary from `engine.datasets.record_dataset.describe`.
        options: train.py's flags.
    """
    power = options.get("class_weights", 0.0)
    if not power or info["nc"] == 1:
        return
    weights = class_weights(class_counts(records, info["nc"]), power)
    model.class_weights = torch.from_numpy(weights).float().to(next(model.parameters()).device)
    LOGGER.info(f"class weights: {'; '.join(_greatest(weights, info['names'], 0.0))}")


def _greatest(values: np.ndarray, names: Mapping[int, str], above: float) -> list[str]:
    """Return "name value" of the classes with the greatest values above a bound."""
    order = [int(number) for number in np.argsort(-values, kind="stable") if values[number] > above]
    more = [f"and {len(order) - LISTED} more"] if len(order) > LISTED else []
    return [f"{names[number]} {values[number]:.2f}" for number in order[:LISTED]] + more
