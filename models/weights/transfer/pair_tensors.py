"""Which tensor of one spelling of a layer is which of another: by order, shape and last name."""

from collections.abc import Iterable, Mapping

Shape = tuple[int, ...]

_LEAVES = frozenset({"weight", "bias", "running_mean", "running_var", "num_batches_tracked"})


def pair_left_overs(old: Mapping[str, Shape], new: Mapping[str, Shape]) -> dict[str, str]:
    """Pair the tensors of two layers that have no partner of their own name.

    They correspond only if there are as many, and each agrees in order with its partner in shape (but for axes of
    length 1: a linear layer and a 1 × 1 convolution are one thing) and in its last name, such as weight or running_var.
    Anything less is another structure, of which nothing is taken.

    Args:
        old: tensors of the source's layer, in the order of its state dict.
        new: tensors of the target's layer, in theirs.

    Returns:
        Target's name → source's name; empty where they do not correspond.
    """
    rest_old = [name for name in old if name not in new]
    rest_new = [name for name in new if name not in old]
    same = len(rest_old) == len(rest_new) and all(
        _signature(a, old[a]) == _signature(b, new[b]) for a, b in zip(rest_old, rest_new, strict=True)
    )
    return dict(zip(rest_new, rest_old, strict=True)) if same else {}


def same_structure(old: Mapping[str, Shape], new: Mapping[str, Shape]) -> bool:
    """Whether two layers have the same tensors, by name or in order and by shape."""
    shared = [name for name in new if name in old]
    if any(without_ones(old[name]) != without_ones(new[name]) for name in shared):
        return False
    return len(pair_left_overs(old, new)) + len(shared) == len(new) == len(old)


def without_ones(shape: Iterable[int]) -> Shape:
    """Return a shape without its axes of length 1."""
    return tuple(n for n in shape if n != 1)


def _signature(name: str, shape: Shape) -> tuple[str, Shape]:
    leaf = name.rpartition(".")[2]
    return (leaf if leaf in _LEAVES else "", without_ones(shape))


def signature(shapes: Mapping[str, Shape]) -> tuple[tuple[str, Shape], ...]:
    """Return what two spellings of one layer have in common: last names and shapes, in order."""
    return tuple(_signature(name, shape) for name, shape in shapes.items())
