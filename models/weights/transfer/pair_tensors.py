"""Which tensor of one spelling of a layer is which of another: by order, shape and last name."""

from collections.abc import Callable, Iterable, Mapping

Shape = tuple[int, ...]

_STATISTICS = frozenset({"running_mean", "running_var", "num_batches_tracked"})
_LEAVES = _STATISTICS | {"weight", "bias"}


def pair_left_overs(old: Mapping[str, Shape], new: Mapping[str, Shape]) -> dict[str, str]:
    """Pair the tensors of two layers that have no partner of their own name.

    They correspond only if all of them do: each in shape (but for axes of length 1: a linear layer and a 1 × 1
    convolution are one thing) and in order. The order is that of the tensors, where their last names (weight, bias,
    running_var, …) agree too; else that of the modules that hold equal tensors; else that of the tensors by
    shape alone. Anything less is another structure, of which nothing is taken.

    Args:
        old: tensors of the source's layer, in the order of its state dict.
        new: tensors of the target's layer, in theirs.

    Returns:
        Target's name → source's name; empty where they do not correspond.
    """
    rest_old = {name: shape for name, shape in old.items() if name not in new}
    rest_new = {name: shape for name, shape in new.items() if name not in old}
    if len(rest_old) != len(rest_new):
        return {}
    return (
        _in_order(rest_old, rest_new, _signature)
        or _by_module(rest_old, rest_new)
        or _in_order(rest_old, rest_new, _kind_and_shape)
    )


def _in_order(
    old: Mapping[str, Shape], new: Mapping[str, Shape], key: Callable[[str, Shape], tuple[str, Shape]]
) -> dict[str, str]:
    """Pair one by one, if every pair agrees."""
    same = all(key(*a) == key(*b) for a, b in zip(old.items(), new.items(), strict=True))
    return dict(zip(new, old, strict=True)) if same else {}


def _by_module(old: Mapping[str, Shape], new: Mapping[str, Shape]) -> dict[str, str]:
    """Pair modules that hold equal tensors, those of one kind in their order."""
    forms_old, forms_new = _modules(old), _modules(new)
    if {form: len(found) for form, found in forms_old.items()} != {
        form: len(found) for form, found in forms_new.items()
    }:
        return {}
    pairs = {}
    for form, modules in forms_new.items():
        for mine, theirs in zip(modules, forms_old[form], strict=True):
            pairs.update({f"{mine}{leaf}": f"{theirs}{leaf}" for leaf, _ in form})
    return pairs


def _modules(shapes: Mapping[str, Shape]) -> dict[frozenset[tuple[str, Shape]], list[str]]:
    """Return modules by their tensors' names and shapes, in order."""
    parts: dict[str, dict[str, Shape]] = {}
    for name, shape in shapes.items():
        prefix, dot, leaf = name.rpartition(".")
        parts.setdefault(prefix + dot, {})[leaf] = without_ones(shape)
    forms: dict[frozenset[tuple[str, Shape]], list[str]] = {}
    for prefix, tensors in parts.items():
        forms.setdefault(frozenset(tensors.items()), []).append(prefix)
    return forms


def without_ones(shape: Iterable[int]) -> Shape:
    """Return a shape without its axes of length 1."""
    return tuple(n for n in shape if n != 1)


def _signature(name: str, shape: Shape) -> tuple[str, Shape]:
    leaf = name.rpartition(".")[2]
    return (leaf if leaf in _LEAVES else "", without_ones(shape))


def signature(shapes: Mapping[str, Shape]) -> tuple[tuple[str, Shape], ...]:
    """Return what two spellings of one layer have in common: last names and shapes, in order."""
    return tuple(_signature(name, shape) for name, shape in shapes.items())


def _kind_and_shape(name: str, shape: Shape) -> tuple[str, Shape]:
    leaf = name.rpartition(".")[2]
    return (leaf if leaf in _STATISTICS else "", without_ones(shape))
