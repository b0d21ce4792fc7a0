"""What scoring leaves of one candidate, and how draws of chance are made the same whatever was scored before."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch


@dataclass
class Record:
    """The scores of one candidate.

    Attributes:
        units: held-out score of each unit: an image, or a batch, see the method. More is better; all candidates of a
            scan have the same units.
        p: share of exchanges of labels between images that score as well, see `label_exchange`; NaN where not asked.
        rung: of successive halving that it reached; 0 elsewhere.
    """

    units: list[float]
    p: float = float("nan")
    rung: int = 0

    @property
    def finite(self) -> bool:
        """Whether every score is a number."""
        return bool(np.isfinite(self.units).all())

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def seed_of(*parts: object) -> int:
    """Return a seed that depends on what it is for and on nothing else, so that a resumed scan draws the same."""
    text = "\0".join(map(str, parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")


@contextmanager
def drawing(*parts: object) -> Iterator[None]:
    """Seed torch's generator for a block, and leave it afterwards as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(*parts))
        yield


def folds(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Divide images into two halves at random; each is scored with what was learned on the other.

    Args:
        count: of images, >= 4.
        seed: of the division.
    """
    order = np.random.default_rng(seed_of("folds", seed)).permutation(count)
    return np.sort(order[: count // 2]), np.sort(order[count // 2 :])
