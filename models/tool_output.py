"""Print and write what a command of this package found."""

from pathlib import Path

from models.errors import SpecError


def say(text: str) -> None:
    """Print a command's output."""
    print(text)  # noqa: T201


def write_output(out: str, text: str, flag: str = "") -> None:
    """Write a text to a file and say so, or print it.

    Args:
        out: the file; - prints.
        text: what to write.
        flag: of the command, to be named where the file cannot be written.

    Raises:
        SpecError: if it cannot be written.
    """
    if out == "-":
        say(text.rstrip("\n"))
        return
    try:
        Path(out).write_text(text, encoding="utf-8")
    except OSError as error:
        raise SpecError(f"{flag} {out}: cannot be written ({error.strerror or error})".lstrip()) from None
    say(f"wrote {out}")
