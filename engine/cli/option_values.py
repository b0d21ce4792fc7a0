"""Check the values that a Python program gives for flags, by the rules of the command line."""

import argparse
from collections.abc import Mapping
from os import PathLike
from typing import Any

from engine.errors import UsageError

ANY_KIND = ("weights", "source", "data")  # models, images and data sets, which other code looks at
ALONE = (str, bytes, PathLike, Mapping)  # one value, though it can be walked through


def checked_values(parser: argparse.ArgumentParser, caller: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return values of options as the command line would hand them on.

    Args:
        parser: of the command.
        caller: name of the function, for messages.
        given: options that the parser knows, by the flag's name with underscores.

    Raises:
        UsageError: if a flag would not take its value.
    """
    actions = {action.dest: action for action in parser._actions}
    values = {}
    for name, value in given.items():
        try:
            values[name] = value if name in ANY_KIND else _value(actions[name], value)
        except (argparse.ArgumentTypeError, argparse.ArgumentError) as error:
            raise UsageError(f"{caller}(): {name}: {getattr(error, 'message', error)}") from None
    return values


def _value(action: argparse.Action, value: Any) -> Any:
    """Return what a flag makes of a value.

    Raises:
        ArgumentTypeError, ArgumentError: if it does not take it.
    """
    if value is action.default or (value is None and action.default in (None, "", [], False)):
        return action.default
    if action.nargs == 0:
        if str(value) in ("True", "False", "0", "1") and not isinstance(value, str):
            return bool(value)
        raise argparse.ArgumentTypeError(f"{value!r:.60} is neither True nor False")
    if action.nargs == "?" and isinstance(value, bool):
        return action.const if value else action.default  # the flag alone, or none
    entries = _entries(value)
    if isinstance(action.default, list) or isinstance(action, argparse._ExtendAction):
        return [_one(action, entry) for entry in ([value] if entries is None else entries)]
    if action.nargs == "+" and entries is not None:
        return _sides(action, [_one(action, entry) for entry in entries])
    return _one(action, value)


def _entries(value: Any) -> list[Any] | None:
    """Return what a list, tuple, array or the like holds; None for what is one value."""
    if isinstance(value, ALONE):
        return None
    try:
        return list(value)
    except TypeError:
        return None


def _sides(action: argparse.Action, sides: list[Any]) -> Any:
    """Return height and width as the flag's own action stores them.

    Raises:
        ArgumentError: if they differ where one number is meant.
    """
    if not sides:
        raise argparse.ArgumentTypeError("nothing is given")
    stored = argparse.Namespace()
    action(argparse.ArgumentParser(add_help=False), stored, sides)
    return getattr(stored, action.dest)


def _one(action: argparse.Action, value: Any) -> Any:
    """Return one value as the flag converts its text; a path stays a path.

    Raises:
        ArgumentTypeError: if the flag does not take it.
    """
    if action.type is None and action.choices is None:
        if action.dest == "device" and (isinstance(value, int) or type(value).__name__ == "device"):
            return str(value)  # a GPU's number, or torch.device("cuda:0")
        if not isinstance(value, str | PathLike):
            raise argparse.ArgumentTypeError(f"a {type(value).__name__} is no text")
        return value
    text = str(value.item() if hasattr(value, "detach") and value.ndim == 0 else value)  # a tensor of one number
    found = action.type(text) if callable(action.type) else text
    if action.choices is not None and found not in action.choices:
        raise argparse.ArgumentTypeError(f"'{text:.60}' is none of {', '.join(map(str, action.choices))}")
    return found
