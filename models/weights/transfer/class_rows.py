"""Which rows of a detection head belong to which class, and where they go when the classes change."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Shape = tuple[int, ...]

_ANCHOR_ROWS = re.compile(r"(m|m2|im)\.\d+\.(weight|bias|implicit)")  # anchors × (4 box, objectness, classes)
# Class branches of decoupled heads: anchors × classes. Those of 256 channels are cut across classes, see their class.
_BRANCH_ROWS = re.compile(r"(m_cls\.\d+\.1|m\.\d+\.c3|im_cls\.\d+)\.(weight|bias|implicit)")
_STOCK_ROWS = re.compile(r"(one2one_)?cv3\.\d+\.2\.(weight|bias)")  # classes
_BOX_ROWS = 5


@dataclass(frozen=True)
class RowCopy:
    """Rows to copy along `dim`: target row new[k] = source row old[k]; `complete` if that fills the target."""

    dim: int
    old: tuple[int, ...]
    new: tuple[int, ...]
    complete: bool


@dataclass(frozen=True)
class ClassMap:
    """Classes of the new model that the old one has too: new index → old index.

    `known` is False when either model has no names of its own (generic ones: "0", "1", …); classes then correspond by
    position if their number is equal, and not at all otherwise.
    """

    pairs: Mapping[int, int]
    old_count: int
    new_count: int
    known: bool

    @property
    def unchanged(self) -> bool:
        """Whether every row stays where it is."""
        return self.old_count == self.new_count and all(old == new for new, old in self.pairs.items())


def map_classes(old_names: Mapping[int, str], new_names: Mapping[int, str]) -> ClassMap:
    """Pair classes by name (case and surrounding blanks aside).

    With equal counts and no common name the classes were renamed, not changed: they correspond by position.
    """
    count = len(old_names), len(new_names)
    known = not (_generic(old_names) or _generic(new_names))
    where: dict[str, int] = {}
    for index, name in old_names.items():
        where.setdefault(name.strip().casefold(), index)
    named = [(new, where.get(name.strip().casefold())) for new, name in new_names.items()]
    pairs = {new: old for new, old in named if old is not None} if known else {}
    if not pairs and count[0] == count[1]:
        pairs = {index: index for index in range(count[1])}
    return ClassMap(pairs, *count, known)


def head_rows(rest: str, old: Shape, new: Shape, anchors: int, classes: ClassMap) -> RowCopy | None:
    """Return the rows to copy for one tensor of a head.

    Args:
        rest: the tensor's name within the head, `m.0.weight`.
        old: its shape in the source.
        new: its shape in the target.
        anchors: anchors per cell; 0 for anchor-free heads.
        classes: what corresponds.

    Returns:
        None if the tensor has no rows per class, or its other sizes differ, or no class corresponds.
    """
    if anchors and _ANCHOR_ROWS.fullmatch(rest):
        groups, fixed, dim = anchors, _BOX_ROWS, 1 if rest.endswith("implicit") else 0
    elif anchors and _BRANCH_ROWS.fullmatch(rest):
        groups, fixed, dim = anchors, 0, 1 if rest.endswith("implicit") else 0
    elif not anchors and _STOCK_ROWS.fullmatch(rest):
        groups, fixed, dim = 1, 0, 0
    else:
        return None
    sizes = groups * (fixed + classes.old_count), groups * (fixed + classes.new_count)
    others = [shape[:dim] + shape[dim + 1 :] for shape in (old, new)]
    if (
        len(old) <= dim
        or len(new) <= dim
        or (old[dim], new[dim]) != sizes
        or others[0] != others[1]
        or not classes.pairs
    ):
        return None
    columns = [(index, index) for index in range(fixed)]
    columns += [(fixed + old_class, fixed + new_class) for new_class, old_class in sorted(classes.pairs.items())]
    rows = [
        (group * (fixed + classes.old_count) + column, group * (fixed + classes.new_count) + to)
        for group in range(groups)
        for column, to in columns
    ]
    return RowCopy(dim, tuple(row for row, _ in rows), tuple(to for _, to in rows), len(rows) == sizes[1])


def shared_names(classes: ClassMap, new_names: Mapping[int, str], most: int = 4) -> str:
    """Return the common classes in words, for reports."""
    found: Sequence[str] = [new_names[index] for index in sorted(classes.pairs)]
    return ", ".join(found[:most]) + (f" and {len(found) - most} more" if len(found) > most else "")


def _generic(names: Mapping[int, str]) -> bool:
    return all(name in (str(index), f"class{index}", f"class_{index}") for index, name in names.items())
