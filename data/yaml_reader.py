"""Read a user's YAML: nothing executed, everything bounded, every fault one line."""

import reprlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from data.errors import DataError

_MAX_YAML = 4 << 20  # bytes; the largest published class lists take a tenth
MAX_DEPTH = 50
LIBYAML_DEPTH = "exceeded maximum nesting depth"  # from 0.2.6 it counts brackets itself, ahead of its events
# libyaml is seven times faster; a PyYAML built without it still works.
Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_REPR = reprlib.Repr()
_REPR.maxlevel = 2  # aliases can make a value of a few lines endless when written out


def load_yaml(file: Path) -> dict[str, Any]:
    """Read a YAML that holds keys.

    Raises:
        DataError: if it is missing, too large, no YAML, nested absurdly, empty or no mapping.
    """
    try:
        if file.stat().st_size > _MAX_YAML:
            raise DataError(f"{file}: larger than {_MAX_YAML >> 20} MB; a data YAML is a short text file")
        text = file.read_text(encoding="utf-8-sig")
        if any(depth > MAX_DEPTH for _, depth in nesting(text)):
            raise _too_deep(file)
        content = yaml.load(text, Loader=Loader)  # noqa: S506 - a safe loader
    except (OSError, UnicodeDecodeError, ValueError, RecursionError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{file}: cannot be read as text: {_one_line(error)}") from None
    except yaml.YAMLError as error:
        if LIBYAML_DEPTH in str(error):
            raise _too_deep(file) from None
        raise DataError(f"{file}: is not valid YAML: {_one_line(error)}") from None
    if content is None:
        raise DataError(f"{file}: is empty; a data YAML needs path, train, val and names")
    if not isinstance(content, dict):
        raise DataError(f"{file}: holds a {type(content).__name__}, not keys such as path, train, val, names")
    return content


def shown(value: Any) -> str:
    """A value as it may stand in a message: short, whatever it is."""
    return " ".join(_REPR.repr(value).split())[:100]


def nesting(content: bytes | str) -> Iterator[tuple[yaml.Event, int]]:
    """Yield the events of a YAML text with their depth, before anything is built.

    The loader's recursion would end the process, not raise: libyaml's composer recurses in C without a limit.
    """
    depth = 0
    for event in yaml.parse(content, Loader=Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        yield event, depth


def _too_deep(file: Path) -> DataError:
    return DataError(f"{file}: nested more than {MAX_DEPTH} deep; a data YAML has two or three levels")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
