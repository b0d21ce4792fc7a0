"""Pair the rows of an edited model YAML with those of its base."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from models.alignment import heaviest_pairs
from models.spec.row import Row


@dataclass
class Pairing:
    """Which row is which.

    Attributes:
        old_of: row of the edited file → row of the base.
        new_of: the reverse.
        inserted: rows of the edited file that the base has not.
        replaced: inserted rows that stand in the place of one row of the base (also in old_of).
        removed: rows of the base that are gone.
        root_of: inserted row → the base's row whose map it passes on; -1 the image. Rows with one input only.
        parent: inserted row → the row of the edited file that it reads.
    """

    old_of: dict[int, int] = field(default_factory=dict)
    new_of: dict[int, int] = field(default_factory=dict)
    inserted: list[int] = field(default_factory=list)
    replaced: dict[int, int] = field(default_factory=dict)
    removed: list[int] = field(default_factory=list)
    root_of: dict[int, int] = field(default_factory=dict)
    parent: dict[int, int] = field(default_factory=dict)

    def reaches(self, target: int, old: int) -> bool:
        """Tell whether a row of the edited file gives the map of the base's row `old`, as it is or attended."""
        if old < 0:
            return target < 0
        return self.old_of.get(target) == old or self.root_of.get(target) == old

    def behind(self, target: int, index: int) -> bool:
        """Tell whether the map of row `target` passed through the inserted row `index`."""
        while target != index:
            if target not in self.parent:
                return False
            target = self.parent[target]
        return True

    def last_behind(self, old: int) -> int | None:
        """Return the row that stands for the base's row `old`: itself, or the last inserted one right after it."""
        start = self.new_of.get(old, -1 if old < 0 else None)
        if start is None:
            return None
        last = start
        while last + 1 in self.root_of and self.parent.get(last + 1) == last:
            last += 1
        return last


def absolute(row: Row) -> list[int]:
    """Return the rows that a row reads; -1 is the image, and rows that do not exist stay as they count out."""
    sources = row.source if isinstance(row.source, list) else [row.source]
    return [source if source >= 0 else row.index + source for source in sources]


def pair_rows(new: Sequence[Row], old: Sequence[Row]) -> Pairing:
    """Pair rows by the heaviest common subsequence of their modules, arguments and numbers."""
    pairing = Pairing()
    weights = {(i, j): _weight(row, other) for i, row in enumerate(new) for j, other in enumerate(old)}
    pairs = heaviest_pairs({pair: weight for pair, weight in weights.items() if weight}, len(new), len(old))
    bounds = [(-1, -1), *pairs, (len(new), len(old))]
    for (i, j), (k, m) in pairwise(bounds):
        gap_new, gap_old = list(range(i + 1, k)), list(range(j + 1, m))
        if gap_new and len(gap_new) == len(gap_old):
            pairing.replaced.update(zip(gap_new, gap_old, strict=True))
            pairing.old_of.update(zip(gap_new, gap_old, strict=True))
        else:
            pairing.inserted += gap_new
            pairing.removed += gap_old
    pairing.old_of.update(pairs)
    pairing.new_of.update({j: i for i, j in pairing.old_of.items()})
    for index in pairing.inserted:
        sources = absolute(new[index])
        if len(sources) == 1 and sources[0] < index:
            parent = sources[0]
            root = -1 if parent < 0 else pairing.old_of.get(parent, pairing.root_of.get(parent))
            pairing.parent[index] = parent
            if root is not None:
                pairing.root_of[index] = root
    return pairing


def _weight(new: Row, old: Row) -> float:
    """Return how well two rows agree; 0 if they are of different modules."""
    if new.module != old.module and not ("Detect" in new.module and "Detect" in old.module):
        return 0.0
    return 2.0 + 2.0 * (new.args == old.args) + 1.0 * (new.number == old.number) + 0.5 * (new.source == old.source)
