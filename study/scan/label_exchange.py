"""Test whether a candidate helps an image by its own labels, or would help as much by those of another image.

With a candidate in the detector, trained on other images, the loss of held-out images falls by some amount. The same
outputs are held against labels that were exchanged between these images: what a candidate does alike for all images,
such as lowering every confidence, gains as much there or more. Where labels have nothing to do with images, every
exchange is as likely as the pairing that the data have, so the share of exchanges that gain as much is a p-value
whatever the detector and the candidate are.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from study.scan.frozen_detector import FrozenDetector
from study.scan.record import seed_of

EXCHANGES = 39


def exchanged_labels(numbers: np.ndarray, *label: object) -> list[list[int]]:
    """Return whose labels each image gets: first its own, then those of random exchanges, the same for all candidates.

    Args:
        numbers: of the images.
        label: what the draw is for.
    """
    random = np.random.default_rng(seed_of("exchange", *label))
    return [numbers.tolist(), *(random.permutation(numbers).tolist() for _ in range(EXCHANGES))]


@torch.no_grad()
def exchanged_losses(host: FrozenDetector, outputs: Any, labels: Sequence[Sequence[int]]) -> np.ndarray:
    """Return the loss of some outputs under every exchange of labels.

    Args:
        host: the detector, for its loss.
        outputs: of its images, joined.
        labels: from `exchanged_labels`.
    """
    return np.array([float(host.loss_of(outputs, numbers)) for numbers in labels])


def exchange_p(gains: np.ndarray) -> float:
    """Return the share of exchanges of labels that gain at least as much, the pairing as it is being one of them.

    Args:
        gains: (1 + exchanges,) that of the pairing as it is comes first.

    Returns:
        p, at least 1 / (1 + exchanges); NaN where a gain is no number.
    """
    if not np.isfinite(gains).all():
        return float("nan")
    return float(np.mean(gains >= gains[0] - 1e-9 * np.abs(gains).max()))
