"""Read a user's YAML: nothing executed, everything bounded, every fault one line."""

import re
import reprlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from data.errors import DataError
from data.text_files import decode_text

_MAX_YAML = 4 << 20  # bytes; the largest published class lists take a tenth
MAX_DEPTH = 50
LIBYAML_DEPTH = "exceeded maximum nesting depth"  # from 0.2.6 it counts brackets itself, ahead of its events
# libyaml is seven times faster; a PyYAML built without it still works.
Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_WIDE = {"：": ":", "，": ",", "［": "[", "］": "]", "【": "[", "】": "]"}
_UNSEEN = {
    "\u00a0": "a no-break space",
    "\u3000": "a wide space",
    "\u200b": "a space of no width",
    "\ufeff": "a byte order mark",
}
_ESCAPES = "within double quotes \\ begins an escape such as \\n: write / instead, or single quotes"
_REPR = reprlib.Repr()
_REPR.maxlevel = 2  # aliases can make a value of a few lines endless when written out
_FOREIGN_TASKS = {
    "segment": "segmentation",
    "seg": "segmentation",
    "segmentation": "segmentation",
    "semantic": "segmentation",
    "pose": "pose",
    "keypoints": "pose",
    "classify": "classification",
    "cls": "classification",
    "classification": "classification",
    "obb": "oriented boxes",
    "depth": "depth",
}
_FOREIGN_KEYS = {
    "kpt_shape": "pose",
    "flip_idx": "pose",
    "kpt_names": "pose",
    "masks_dir": "segmentation",
    "max_depth": "depth",
    "depth_scale": "depth",
}
_FOREIGN_ENDINGS = ("-seg", "-pose", "-cls", "-obb", "_seg", "_pose", "_cls", "_obb")


def load_yaml(file: Path) -> dict[str, Any]:
    """Read a YAML that holds keys.

    Raises:
        DataError: if it is missing, too large, no YAML, nested absurdly, empty or no mapping.
    """
    try:
        if file.stat().st_size > _MAX_YAML:
            raise DataError(f"{file}: larger than {_MAX_YAML >> 20} MB; a data YAML is a short text file")
        text = decode_text(file.read_bytes(), file)
        if any(depth > MAX_DEPTH for _, depth in nesting(text)):
            raise _too_deep(file)
        content = yaml.load(text, Loader=Loader)  # noqa: S506 - a safe loader
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror or error}); check the path") from None
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{file}: cannot be read as text: {_one_line(error)}") from None
    except yaml.YAMLError as error:
        if LIBYAML_DEPTH in str(error):
            raise _too_deep(file) from None
        raise DataError(f"{file}: is not valid YAML: {_one_line(error)}{yaml_hint(text)}") from None
    if content is None:
        raise DataError(f"{file}: is empty; a data YAML needs path, train, val and names")
    if not isinstance(content, dict):
        keys = "not keys such as path, train, val, names"
        raise DataError(f"{file}: holds a {type(content).__name__}, {keys}{yaml_hint(text)}")
    _refuse_escapes(content, file)
    return content | _names_as_written(content.get("names"), text)


def _refuse_escapes(content: dict[str, Any], file: Path) -> None:
    """Refuse a path in which "C:\\new" in double quotes has become a line end.

    Raises:
        DataError: naming the key, and what to write.
    """
    for key in ("path", "train", "val", "test"):
        value = content.get(key)
        if isinstance(value, str) and any(0 < ord(letter) < ord(" ") for letter in value.strip()):
            raise DataError(f"{file}: key '{key}' is {shown(value)}; {_ESCAPES}")


def _names_as_written(names: Any, text: str) -> dict[str, Any]:
    """Return the key `names` with numbers as they are written: 012 and 2.50 are not 10 and 2.5. Empty without any."""
    values = list(names.values()) if isinstance(names, dict) else names if isinstance(names, list) else []
    if not any(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return {}
    root: Any = yaml.compose(text, Loader=Loader)
    node = next(value for key, value in reversed(root.value) if key.value == "names")
    nodes = [entry[1] if isinstance(names, dict) else entry for entry in node.value]
    if len(nodes) != len(values):
        return {}
    written = [
        node.value if isinstance(value, int | float) and not isinstance(value, bool) else value
        for node, value in zip(nodes, values, strict=True)
    ]
    return {"names": dict(zip(names, written, strict=True)) if isinstance(names, dict) else written}


def yaml_hint(text: str) -> str:
    """Say what to write instead of the usual slips that YAML's parser does not name; empty if there is none of them."""
    for number, line in enumerate(text.splitlines(), 1):
        code = line.split(" #")[0]
        unseen = next((letter for letter in _UNSEEN if letter in code), None)
        if unseen:
            return f"; line {number} has {_UNSEEN[unseen]} (U+{ord(unseen):04X}): write a plain space, or delete it"
        if re.search(r'"[^"]*\\[^"]*"', code):
            return f"; line {number}: {_ESCAPES}"
        if "\t" in code[: len(code) - len(code.lstrip())]:
            return f"; line {number} is indented by a tab: write spaces"
        wide = next((letter for letter in _WIDE if letter in code), None)
        if wide:
            return f"; line {number} has {wide!r}, a full-width sign: write {_WIDE[wide]!r} and a space behind it"
    return ""


def shown(value: Any) -> str:
    """Return a value as it may stand in a message: short, whatever it is."""
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


def refuse_other_tasks(content: dict[str, Any], file: Path) -> None:
    """Refuse the YAML of a data set for another task than detection.

    Raises:
        DataError: naming the task and what shows it.
    """
    task = str(content.get("task", "detect")).lower()
    task_name, why = None, ""
    if task not in ("detect", "detection"):
        task_name, why = _FOREIGN_TASKS.get(task, task[:40]), f"task: {task[:40]}"
    for key, meaning in _FOREIGN_KEYS.items():
        if task_name is None and key in content:
            task_name, why = meaning, f"key '{key}'"
    ending = next((end for end in _FOREIGN_ENDINGS if file.stem.lower().endswith(end)), None)
    if task_name is None and ending:
        task_name, why = _FOREIGN_TASKS[ending[1:]], f"the name ends in {ending}"
    if task_name is None and file.stem.lower() == "imagenet":
        task_name, why = "classification", "ImageNet"
    if task_name:
        needed = "this project detects: it needs boxes (YOLO, VOC, COCO)"
        raise DataError(f"{file}: is a {task_name} data set ({why}); {needed}")
