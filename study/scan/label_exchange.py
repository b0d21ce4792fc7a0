"""Test whether a change of a map follows what the image's own labels ask for, or would do as well for another image.

g_i is the gradient of image i's loss with respect to a map of the frozen detector, δ_i what a candidate, trained on
other images, adds to that map. To first order the losses fall by −Σ⟨g_i, δ_i⟩. If the candidate's change has nothing to
do with the labels, it is as good when the gradients are exchanged between images: −Σ⟨g_π(i), δ_i⟩. What is the same for
all images, such as a fixed shift or a smaller scale everywhere, gains as much under every exchange, so it does not
count. The share of exchanges that gain as much is p.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from study.scan.frozen_detector import Maps
from study.scan.record import seed_of

EXCHANGES = 999
BATCH = 8


@torch.no_grad()
def gains(modules: nn.ModuleList, maps: Maps, numbers: np.ndarray) -> np.ndarray:
    """Return how far the loss of each image would fall, to first order, with the change made for each image.

    Args:
        modules: of one candidate, one a tap, trained on other images.
        maps: of its place.
        numbers: of the images.

    Returns:
        (n, n): −⟨g_i, δ_j⟩ in row i and column j.
    """
    modules.eval()
    total = np.zeros((len(numbers), len(numbers)))
    for module, (x, g) in zip(modules, maps, strict=True):
        part = x[numbers]
        change = torch.cat([module(some) - some for some in part.split(BATCH)])
        total -= (g[numbers].flatten(1) @ change.flatten(1).T).double().numpy()
    return total


def exchange_p(blocks: Sequence[np.ndarray], *label: object) -> float:
    """Return the share of exchanges of labels that gain at least as much, the pairing as it is being one of them.

    Args:
        blocks: gains (n, n) of each half of the images; labels are exchanged within a half.
        label: what the draw is for.

    Returns:
        p, at least 1 / (EXCHANGES + 1); uniform where changes have nothing to do with labels.
    """
    random = np.random.default_rng(seed_of("exchange", *label))
    own = sum(float(np.trace(block)) for block in blocks)
    drawn = np.zeros(EXCHANGES)
    for block in blocks:
        orders = random.permuted(np.tile(np.arange(len(block)), (EXCHANGES, 1)), axis=1)
        drawn += block[orders, np.arange(len(block))].sum(1)
    slack = 1e-9 * max(float(np.abs(block).max()) for block in blocks)  # of sums in another order
    return float((1 + (drawn >= own - slack).sum()) / (EXCHANGES + 1))
