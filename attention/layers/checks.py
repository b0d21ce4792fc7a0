"""Check arguments and derive sizes from channels."""

import math
from collections.abc import Sequence

MOST_REDUCED = 65536  # channels of a bottleneck; more is a slip of the pen, and memory would not hold it


def positive(**values: object) -> None:
    """Check that arguments are whole numbers of at least 1.

    Args:
        **values: argument name → value.

    Raises:
        ValueError: naming the first argument that is not.
    """
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{name}={value!r}, expected a whole number of at least 1")


def odd(**values: int) -> None:
    """Check that kernel sizes are odd, so that the map keeps its size.

    Args:
        **values: argument name → value.

    Raises:
        ValueError: naming the first argument that is not a positive odd number.
    """
    positive(**values)
    for name, value in values.items():
        if value % 2 == 0:
            raise ValueError(f"{name}={value} is even, expected an odd number such as {value + 1}")


def one_of(value: object, allowed: Sequence[object], name: str) -> None:
    """Check that an option has one of its values.

    Args:
        value: what was given.
        allowed: what is possible.
        name: the option.

    Raises:
        ValueError: naming the possible values.
    """
    if value not in allowed:
        raise ValueError(f"{name}={value!r}, expected one of {', '.join(map(repr, allowed))}")


def reduced_channels(channels: int, reduction: float, minimum: int) -> int:
    """Return the channels of a bottleneck, never below a minimum: thin layers would otherwise get a width of 0.

    Args:
        channels: C.
        reduction: r.
        minimum: smallest width.

    Returns:
        max(C // r, minimum).

    Raises:
        ValueError: if an argument is not positive, or the bottleneck would be wider than any map.
    """
    positive(channels=channels, min_hidden=minimum)
    if not reduction > 0:
        raise ValueError(f"reduction={reduction!r}, expected a positive number")
    if channels / reduction > MOST_REDUCED:
        raise ValueError(f"reduction={reduction!r} would widen {channels} channels to more than {MOST_REDUCED}")
    return max(int(channels // reduction), minimum)


def largest_divisor(channels: int, most: int, name: str = "groups") -> int:
    """Return the largest number of equal groups that is at most the wanted one.

    Args:
        channels: what is divided.
        most: the number wanted.
        name: of the option that says it.

    Returns:
        The largest divisor of channels that does not exceed most.

    Raises:
        ValueError: if an argument is below 1.
    """
    positive(**{"channels": channels, name: most})
    return next(n for n in range(min(most, channels), 0, -1) if channels % n == 0)


def adaptive_kernel_size(channels: int, gamma: float = 2, b: float = 1) -> int:
    """Return the kernel of the paper's rule: the odd number nearest to |log₂(C)/γ + b/γ| from above, at least 3.

    Args:
        channels: C.
        gamma: γ.
        b: b.

    Returns:
        3 up to 64 channels, 5 up to 1024, 7 for 2048.
    """
    size = int(abs((math.log2(channels) + b) / gamma))
    return max(size if size % 2 else size + 1, 3)
