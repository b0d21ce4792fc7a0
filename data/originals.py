"""Tell from their names which images are tiles or frames of one original, by a pattern of the data YAML.

`"{original}_*_*"` reads `field7_0_640.jpg` as a tile of `field7`: `{original}` stands for the original's name, `*` for
one character or more. The suffix is left out; with a `/` in the pattern folders count too: `"{original}/*"` takes the
folder of an image as its original. Every `*` takes as little as it can, so that `{original}` is as long as it can be.
"""

from pathlib import Path

MARK, ANYTHING = "{original}", "*"


def pattern_fault(pattern: object) -> str | None:
    """Say what is wrong with a pattern; None if nothing is."""
    if not isinstance(pattern, str) or pattern.count(MARK) != 1 or len(pattern) > 255:
        return f"write a pattern of image names with {MARK} in it once, such as '{MARK}_*_*' or '{MARK}/*'"
    if f"{ANYTHING}{MARK}" in pattern or f"{MARK}{ANYTHING}" in pattern or ANYTHING * 2 in pattern:
        return f"something has to stand between {ANYTHING} and {MARK}, such as '{MARK}_{ANYTHING}'"
    return None


def original_of(path: Path, pattern: str) -> str:
    """Return the name of an image's original; an image whose name does not fit is one of its own.

    Args:
        path: of the image.
        pattern: one without a fault.
    """
    name = "/".join(path.with_suffix("").parts[-1 - pattern.count("/") :])
    before, after = pattern.split(MARK)
    start = _end_of(before, name)
    reversed_end = _end_of(after[::-1], name[::-1])
    if start is None or reversed_end is None or start + reversed_end >= len(name):
        return str(path)
    folder = str(path.parents[pattern.count("/")]) if "/" in pattern else str(path.parent)
    return f"{folder}/{name[start : len(name) - reversed_end]}"


def _end_of(pattern: str, name: str) -> int | None:
    """Return where the shortest beginning of a name ends that a pattern fits; None if there is none."""
    first, *others = pattern.split(ANYTHING)
    if not name.startswith(first):
        return None
    end = len(first)
    for piece in others:
        found = name.find(piece, end + 1)
        if found < 0 or end >= len(name):
            return None
        end = found + len(piece)
    return end
