"""Read a YAML file that may be hostile: plain types only, bounded in size, depth and expansion."""

import re
from pathlib import Path
from typing import Any

import yaml

from data.text_files import SAVE_AS_UTF8
from data.yaml_reader import LIBYAML_DEPTH, MAX_DEPTH, Loader, nesting, yaml_hint
from models.errors import SpecError

MAX_BYTES = 1_000_000  # the longest detection YAML in use has 12 kB
MAX_NODES = 100_000  # counted after aliases are expanded, so that an alias bomb is refused
MAX_INTEGER = 10**15  # above any count; longer ones cannot even be printed


class _UniqueKeyLoader(Loader):
    """Safe loader that refuses a mapping with the same key twice instead of keeping the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Build the mapping after checking its keys for repetition."""
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key '{key.value}' stands twice", key.start_mark
                    )
                seen.add(key.value)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        return mapping


# YAML 1.1, which PyYAML reads, takes 1e-4 for text, and everybody else, Python's own repr among them, for a number.
_UniqueKeyLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("+-.0123456789")
)


def read_yaml(path: Path, example: str = "") -> dict[str, Any]:
    """Read one YAML mapping.

    Args:
        path: file to read; nothing in it is executed.
        example: keys that such a file has, for messages; those of a model where it is empty.

    Returns:
        The mapping, of plain types.

    Raises:
        SpecError: if the file is missing, empty, unreadable, no mapping, too large or too deep; one line that names it.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise SpecError(f"{path}: cannot be read ({error.strerror or error}); check the path") from None
    if len(content) > MAX_BYTES:
        raise SpecError(
            f"{path}: larger than {MAX_BYTES} bytes, which no {'such file' if example else 'model description'} is"
        )
    return parse_yaml(content, str(path), example)


def parse_yaml(content: bytes | str, where: str, example: str = "") -> dict[str, Any]:
    """Parse YAML text into one mapping; see `read_yaml`, `where` names the text in errors."""
    try:
        _check_events(content, where)
        data = yaml.load(content, Loader=_UniqueKeyLoader)  # noqa: S506 - a subclass of the safe loader
    except SpecError:
        raise
    except yaml.YAMLError as error:
        if LIBYAML_DEPTH in str(error):
            raise _too_much(where) from None
        raise SpecError(f"{where}: not valid YAML: {_one_line(error)}{_hint(content)}") from None
    except (RecursionError, ValueError, TypeError, AttributeError, OverflowError) as error:
        raise SpecError(f"{where}: not valid YAML: {_one_line(error)}") from None
    if data is None:
        keys = example or "'base: yolov5n' or 'backbone: …'"
        raise SpecError(f"{where}: is empty; expected a mapping such as {keys}")
    if not isinstance(data, dict):
        keys = example or "'nc: 80'"
        expected = f"expected a mapping such as {keys}"
        raise SpecError(f"{where}: holds a {type(data).__name__}, {expected}{_hint(content)}")
    check_plain(data, where)
    return data


def _check_events(content: bytes | str, where: str) -> None:
    """Refuse, before anything is built, what would exhaust the stack or the memory while it is built.

    libyaml's composer recurses in C without a limit, and merge keys copy what they merge; both are seen in the events.
    """
    for nodes, (event, depth) in enumerate(nesting(content), 1):
        if isinstance(event, yaml.ScalarEvent) and event.value == "<<" and event.implicit[0]:
            raise SpecError(f"{where}: merge keys (<<) are not supported; write the values out, or use base")
        if depth > MAX_DEPTH or nodes > 2 * MAX_NODES:
            raise _too_much(where)


def _too_much(where: str) -> SpecError:
    return SpecError(f"{where}: more than {MAX_NODES} values or {MAX_DEPTH} levels, which no model description has")


def check_plain(data: object, where: str) -> None:
    """Refuse data that is too deep or, with aliases expanded, too large, or not of plain types.

    Raises:
        SpecError: naming the limit that is passed.
    """
    nodes = 0
    stack: list[tuple[object, int]] = [(data, 0)]
    while stack:
        item, depth = stack.pop()
        nodes += 1
        if nodes > MAX_NODES or depth > MAX_DEPTH:
            raise SpecError(f"{where}: more than {MAX_NODES} values or {MAX_DEPTH} levels once aliases are expanded")
        if isinstance(item, dict):
            stack.extend((value, depth + 1) for pair in item.items() for value in pair)
        elif isinstance(item, list | tuple):
            stack.extend((value, depth + 1) for value in item)
        elif isinstance(item, int) and abs(item) > MAX_INTEGER:
            raise SpecError(f"{where}: holds an integer beyond {MAX_INTEGER}; no setting of a model is that large")
        elif not isinstance(item, str | int | float | bool | type(None)):
            raise SpecError(f"{where}: holds a value of type {type(item).__name__}; write numbers, text and lists only")


def _hint(content: bytes | str) -> str:
    """Say what to write instead of a usual slip, or in which encoding."""
    try:
        return yaml_hint(content if isinstance(content, str) else content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return f"; {SAVE_AS_UTF8}"


def _one_line(error: Exception) -> str:
    """Return an error's text on one line, with the place that libyaml names."""
    text = re.sub(r'in "<(unicode|byte) string>",', "at", str(error))
    return " ".join(text.split())[:300]
