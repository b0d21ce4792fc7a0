"""Count what makes a program wait for the GPU, with the place in the project that asked for it."""

import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]

waits: Counter[tuple[str, str]] = Counter()  # (kind, file:line of the project) → how often


def note(kind: str) -> None:
    """Count one wait of a kind."""
    waits[kind, _place()] += 1


def _place() -> str:
    frame = sys._getframe(2)
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(ROOT) and "site-packages" not in path.parts and "gpu/pretended" not in path.as_posix():
            return f"{path.relative_to(ROOT)}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return "elsewhere"
