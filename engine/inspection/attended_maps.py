"""Say what one position of a map attends to, as a map."""

import cv2
import numpy as np

from engine.inspection.gate_values import Gate, Pairs

KINDS = ("pairs", "cross", "neighbours")  # of gates, that are shown for one position


def attended_map(gate: Gate, shape: tuple[int, ...], image: int, row: int, column: int) -> np.ndarray | None:
    """Return what a position attends to (h, w), mean over heads; None where it is not known where the keys lie.

    Args:
        gate: of one of KINDS.
        shape: (B, C, H, W) of the mechanism's input.
        image: of the batch.
        row: of the position, below H.
        column: of the position, below W.
    """
    if gate.pairs is not None:
        return _of_pairs(gate.pairs, shape, image, row * shape[3] + column)
    if gate.kind == "cross":
        return _of_cross(gate.values[image].cpu().numpy(), shape, row, column)
    return _of_neighbours(gate, shape, image, row, column)


def _of_pairs(pairs: Pairs, shape: tuple[int, ...], image: int, position: int) -> np.ndarray | None:
    batch, _, height, width = shape
    windows = pairs.windows
    if windows is None:
        if pairs.query.shape[0] != batch or pairs.query.shape[2] != height * width:
            return None
        return _at_keys(pairs.row(image, position).mean(0).cpu().numpy(), height, width)
    window, inside = (int(index) for index in np.argwhere(windows.queries == position)[0])
    attention = pairs.row(image * len(windows.queries) + window, inside).mean(0).cpu().numpy()
    keys = (windows.keys[image] if windows.keys.ndim == 3 else windows.keys)[window]
    whole = np.zeros(height * width)
    np.add.at(whole, keys[keys >= 0], attention[keys >= 0])
    return whole.reshape(height, width)


def _at_keys(attention: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return what is attended to as a map: keys are positions, or of the map pooled by 2 or another number."""
    for step in range(1, 17):
        for down in (lambda n: -(-n // step), lambda n: n // step):  # noqa: B023 - called at once
            tall, wide = down(height), down(width)
            if tall * wide == len(attention):
                return attention.reshape(tall, wide)
    return attention.reshape(1, -1)


def _of_cross(values: np.ndarray, shape: tuple[int, ...], row: int, column: int) -> np.ndarray:
    _, _, height, width = shape
    one = values[row * width + column]
    whole = np.zeros((height, width))
    whole[:, column] += one[:height]
    whole[row] += one[height:]
    return whole


def _of_neighbours(gate: Gate, shape: tuple[int, ...], image: int, row: int, column: int) -> np.ndarray:
    """Map the weights of neighbours: none outside the map, those of a pooled map spread over it."""
    _, _, height, width = shape
    weights = gate.values[image, :, :, row, column].mean(0).cpu().numpy()
    far = gate.pooled[0] * gate.pooled[1] if gate.pooled else 0
    near = len(weights) - far
    side = round(near**0.5)
    whole = np.zeros((height, width))
    for place, weight in enumerate(weights[:near]):
        down, right = (gate.dilation * (step - side // 2) for step in divmod(place, side))
        if 0 <= row + down < height and 0 <= column + right < width:
            whole[row + down, column + right] += weight
    if gate.pooled:
        cells = weights[near:].reshape(gate.pooled).astype(np.float64) * far / (height * width)
        whole += cv2.resize(cells, (width, height), interpolation=cv2.INTER_NEAREST)
    return whole
