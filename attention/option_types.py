"""Check the values of a mechanism's options against the types that its constructor declares."""

import inspect
import math
from collections.abc import Mapping, Sequence
from types import UnionType
from typing import Any, Union, get_args, get_origin

_EXPECTED = {bool: "true or false", int: "a whole number", float: "a finite number", str: "text"}


def wrong_type(cls: type, options: Mapping[str, Any]) -> str:
    """Return what is wrong with the first option of another type than declared, "" if none is.

    Python takes any object for true or false, so that `bias="False"` would mean a bias; numbers written as text reach
    torch, whose messages do not name the option.

    Args:
        cls: the mechanism. A declaration other than bool, int, float, str, None, sequences and unions of these is not
            checked, and so is an option that declares nothing.
        options: option → value.
    """
    declared = inspect.signature(cls).parameters
    for key, value in options.items():
        wanted = declared[key].annotation if key in declared else Any
        if not _fits(value, wanted):
            return f"{key}={value!r}, expected {_described(wanted)}"
    return ""


def _alternatives(wanted: Any) -> tuple[Any, ...]:
    return get_args(wanted) if get_origin(wanted) in (UnionType, Union) else (wanted,)


def _fits(value: object, wanted: Any) -> bool:
    return any(_fits_one(value, one) for one in _alternatives(wanted))


def _fits_one(value: object, wanted: Any) -> bool:
    if wanted is bool:
        return isinstance(value, bool) or (isinstance(value, int) and value in (0, 1))
    if wanted is str:
        return isinstance(value, str)
    if wanted is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if wanted is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and _is_finite(value)
    if wanted is type(None):
        return value is None
    if get_origin(wanted) is Sequence and get_args(wanted):
        members = isinstance(value, Sequence) and not isinstance(value, str)
        return members and all(_fits(member, get_args(wanted)[0]) for member in value)  # type: ignore[attr-defined]
    return True


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number of more than 308 digits
        return False


def _described(wanted: Any) -> str:
    """Say in words what a declaration allows."""
    words = []
    for one in _alternatives(wanted):
        if get_origin(one) is Sequence:
            words.append(f"a list of {'whole numbers' if get_args(one)[0] is int else 'values'}")
        else:
            words.append("none" if one is type(None) else _EXPECTED[one])
    return " or ".join(words)
