"""Do the anchors fit the data? Measured before training, and new ones found where they do not.

The measure is the one that the loss matches by: an anchor can answer for a box if neither side differs by the factor
`ratio` (4) or more.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.cluster.vq import kmeans

GOOD_RECALL = 0.98  # above this, the anchors at hand are kept
MIN_SIDE = 2.0  # pixels; smaller boxes are left out of the clustering
GENERATIONS = 1000


class AnchorFit(NamedTuple):
    """How anchors fit boxes.

    Attributes:
        recall: share of boxes that at least one anchor can answer for (best possible recall).
        per_box: mean number of anchors that can.
        quality: mean over boxes of the closeness (0–1) of the best anchor, 0 where none can; what the search maximises.
    """

    recall: float
    per_box: float
    quality: float


def anchor_fit(anchors: np.ndarray, wh: np.ndarray, ratio: float = 4.0) -> AnchorFit:
    """Measure how anchors fit boxes.

    Args:
        anchors: (k, 2) width and height in pixels.
        wh: (n, 2) widths and heights of the boxes at the training size, in pixels.
        ratio: largest factor between the sides of a box and an anchor that can answer for it.
    """
    relative = wh[:, None] / anchors[None]
    closeness = np.minimum(relative, 1 / relative).min(2)  # (n, k)
    best = closeness.max(1)
    can = closeness > 1 / ratio
    return AnchorFit(float(can.any(1).mean()), float(can.sum(1).mean()), float((best * (best > 1 / ratio)).mean()))


def find_anchors(wh: np.ndarray, count: int, ratio: float = 4.0, seed: int = 0) -> np.ndarray:
    """Cluster boxes into anchors and refine them by random mutation.

    Args:
        wh: (n, 2) widths and heights at the training size, in pixels.
        count: how many anchors.
        ratio: as in `anchor_fit`.
        seed: of clustering and mutation.

    Returns:
        (count, 2) in pixels, by ascending area.

    Raises:
        ValueError: if fewer boxes than anchors have sides of 2 px or more.

    Source:
        k-means on box sizes as in Redmon and Farhadi, YOLO9000, arXiv:1612.08242, §2; the refinement as published
        with YOLOv5.
    """
    large = wh[(wh >= MIN_SIDE).all(1)].astype(np.float64)
    if len(large) < count:
        raise ValueError(f"{len(large)} boxes of {MIN_SIDE:g} px or more are too few for {count} anchors")
    rng = np.random.default_rng(seed)
    spread = large.std(0) + 1e-9
    centres, _ = kmeans(large / spread, count, iter=30, seed=rng)
    found = centres * spread
    if len(found) < count:  # equal boxes collapse into fewer clusters
        found = np.vstack([found, large[rng.choice(len(large), count - len(found))]])
    best = anchor_fit(found, large, ratio).quality
    for _ in range(GENERATIONS):
        change = np.where(rng.random(found.shape) < 0.9, 1 + 0.1 * rng.random() * rng.standard_normal(found.shape), 1.0)
        mutant = (found * change.clip(0.3, 3.0)).clip(min=MIN_SIDE)
        quality = anchor_fit(mutant, large, ratio).quality
        if quality > best:
            found, best = mutant, quality
    return found[np.argsort(found.prod(1))]


def check_anchors(detector: Any, wh: np.ndarray, ratio: float = 4.0, seed: int = 0) -> str:
    """Keep the detector's anchors if they fit, else replace them; in place.

    Args:
        detector: with an anchor head.
        wh: (n, 2) widths and heights at the training size, in pixels.
        ratio: as in `anchor_fit`.
        seed: of the search.

    Returns:
        One line that says what was found and done.
    """
    head = detector.model[-1]
    strides = head.stride.view(-1, 1, 1)
    pixels = (head.anchor_wh * strides).view(-1, 2).cpu().numpy()
    if not len(wh):
        return "anchors: no boxes to check them against"
    fit = anchor_fit(pixels, wh, ratio)
    found = f"anchors: best possible recall {fit.recall:.4f} (boxes that one can match), {fit.per_box:.2f} a box"
    if fit.recall > GOOD_RECALL:
        return f"{found}; kept"
    try:
        new = find_anchors(wh, len(pixels), ratio, seed)
    except ValueError as error:
        return f"{found}; kept, because {error}"
    better = anchor_fit(new, wh, ratio)
    if better.recall <= fit.recall:
        return f"{found}; kept, because a search found none better ({better.recall:.4f})"
    replaced = torch.as_tensor(new, dtype=head.anchor_wh.dtype, device=head.anchor_wh.device)
    head.anchor_wh.copy_(replaced.view_as(head.anchor_wh) / strides)
    listed = " ".join(f"{w:.0f},{h:.0f}" for w, h in new)
    return f"{found}; replaced by {listed} px with recall {better.recall:.4f}"
