"""Read text files of other programs: UTF-8, or what a byte order mark declares."""

import codecs
from pathlib import Path

from data.errors import NotUtf8Error

_MARKS = (  # the mark of UTF-32 begins with that of UTF-16
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_QUOTES = ("\"'“‘", "\"'”’")  # before and behind a name
SAVE_AS_UTF8 = "save it as UTF-8"


def declared_encoding(content: bytes) -> str:
    """Return the encoding that a byte order mark declares; UTF-8 without one."""
    return next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")


def decode_text(content: bytes, file: Path) -> str:
    """Decode a text file.

    Raises:
        NotUtf8Error: if it is neither UTF-8 nor what its byte order mark says; the line says what to do.
    """
    encoding = declared_encoding(content)
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        name = encoding.removesuffix("-sig").upper()
        line = line_of(content, error)
        raise NotUtf8Error(f"{file}: cannot be read as text: line {line} is not {name}; {SAVE_AS_UTF8}") from None


def line_of(content: bytes, error: UnicodeDecodeError) -> int:
    """Return the number of the line, from 1, in which the bytes stand that could not be decoded."""
    return content.count(b"\n", 0, error.start) + 1


def without_quotes(entry: str) -> str:
    """Return an entry of a list without a comma behind it and quotes around it, as spreadsheets and programs write."""
    bare = entry.strip().rstrip(",;").strip()
    for first, last in zip(*_QUOTES, strict=True):
        if len(bare) > 2 and bare.startswith(first) and bare.endswith(last):
            return bare[1:-1].strip()
    return bare
