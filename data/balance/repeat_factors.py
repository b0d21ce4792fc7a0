"""Repeat images of rare classes: by which factor, and how often in one epoch."""

from collections.abc import Sequence

import numpy as np

from data.records import Record


def trained_classes(record: Record) -> np.ndarray:
    """Return the class numbers (n,) of the boxes that training uses: those not marked crowd or difficult."""
    return record.classes[~(record.crowd | record.difficult)]


def class_frequencies(records: Sequence[Record], nc: int, single_class: bool = False) -> np.ndarray:
    """Return for each class the part of the images that show it, (nc,) in 0–1.

    Args:
        records: training images.
        nc: number of classes.
        single_class: all classes are one.
    """
    counts = np.zeros(nc)
    for present in _present(records, single_class):
        counts[present] += 1
    return counts / max(1, len(records))


def class_factors(frequencies: np.ndarray, threshold: float) -> np.ndarray:
    """Return the repeat factor of each class, max(1, √(threshold / frequency)); 1 for a class in no image.

    Args:
        frequencies: (nc,) as `class_frequencies` returns them.
        threshold: part of the images below which a class is rare.

    Source:
        Gupta et al., LVIS, CVPR 2019, arXiv:1908.03195, §5.
    """
    shown = np.where(frequencies > 0, frequencies, threshold)
    return np.maximum(1.0, np.sqrt(threshold / shown))


def image_factors(records: Sequence[Record], nc: int, threshold: float, single_class: bool = False) -> np.ndarray:
    """Return the repeat factor of each image, (n,) ≥ 1: the greatest of its classes'; 1 for one without objects."""
    factors = class_factors(class_frequencies(records, nc, single_class), threshold)
    return np.array([factors[present].max(initial=1.0) for present in _present(records, single_class)])


def epoch_size(factors: np.ndarray) -> int:
    """Return the samples of every epoch: the sum of the factors, rounded up."""
    return int(np.ceil(factors.sum() - 1e-9))


def draw_counts(factors: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw how often each image occurs in one epoch.

    An image occurs as often as its factor says, rounded up or down with the probability that makes the mean exact, and
    every epoch has the same size: images are lined up in random order, each as long as its factor, and a sample is
    taken at every whole number after a random start (systematic sampling).

    Args:
        factors: (n,) ≥ 1, as `image_factors` returns them.
        rng: of this epoch.

    Returns:
        (n,) int64 ≥ 1; their sum is `epoch_size(factors)`.
    """
    size = epoch_size(factors)
    order, start = rng.permutation(len(factors)), rng.random()
    ends = np.cumsum(factors[order])
    ends *= size / ends[-1]  # to a whole number; by less than one sample in all
    ends[-1] = size
    counts = np.empty(len(factors), np.int64)
    counts[order] = np.diff(np.floor(ends + start), prepend=np.floor(start)).astype(np.int64)
    return counts


def _present(records: Sequence[Record], single_class: bool) -> list[np.ndarray]:
    """Return for each image the numbers of the classes that it shows."""
    present = [np.unique(trained_classes(record)) for record in records]
    return [np.zeros(int(len(classes) > 0), np.int64) for classes in present] if single_class else present
