"""Read the members of a large JSON object one element at a time: COCO's train2017 has 450 MB, as objects 3 GB.

The standard decoder does the work on a sliding window of the text, so it is as fast as json.load and memory stays at
the size of the window.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data.errors import DataError, NotUtf8Error
from data.text_files import SAVE_AS_UTF8, declared_encoding

_CHUNK = 1 << 20  # characters read at a time
_MAX_VALUE = 64 << 20  # characters of one element; an image-sized uncompressed mask takes 1 million
_SPACE = " \t\n\r"


def iter_members(file: Path) -> Iterator[tuple[str, Any]]:
    """Walk through a file that holds one JSON object.

    Returns:
        Pairs (key, element) for each element of a member that is an array, (key, value) for other members.

    Raises:
        DataError: if it cannot be read, is no JSON object, or one element is absurdly large.
    """
    try:
        with file.open("rb") as start:
            encoding = declared_encoding(start.read(4))
        with file.open(encoding=encoding) as handle:
            yield from _Window(handle, file).members()
    except UnicodeDecodeError:
        name = encoding.removesuffix("-sig").upper()
        raise NotUtf8Error(f"{file}: cannot be read as JSON text: it is not {name}; {SAVE_AS_UTF8}") from None
    except OSError as error:
        raise DataError(f"{file}: cannot be read as JSON text: {error.strerror}") from None


class _Window:
    """A part of the text and a position in it."""

    def __init__(self, handle: Any, file: Path) -> None:
        self._handle, self._file = handle, file
        self._decoder = json.JSONDecoder()
        self._text, self._at, self._passed, self._ended = "", 0, 0, False

    def members(self) -> Iterator[tuple[str, Any]]:
        self._expect("{", "a JSON object such as COCO's")
        if self._next() == "}":
            return
        while True:
            key = self._value()
            if not isinstance(key, str):
                raise self._fault("expected a key in quotes")
            self._expect(":", "':' after a key")
            if self._next() == "[":
                yield from ((key, element) for element in self._elements())
            else:
                yield key, self._value()
            if self._next() == "}":
                return
            self._expect(",", "',' or '}'")

    def _elements(self) -> Iterator[Any]:
        self._expect("[", "'['")
        if self._next() == "]":
            self._at += 1
            return
        while True:
            yield self._value()
            if self._next() == "]":
                self._at += 1
                return
            self._expect(",", "',' or ']'")

    def _more(self, size: int = _CHUNK) -> bool:
        """Drop what was passed, read on; False at the end of the file."""
        if not self._ended:
            new = self._handle.read(size)
            self._ended = not new
            self._passed += self._at
            self._text, self._at = self._text[self._at :] + new, 0
        return not self._ended

    def _next(self) -> str:
        """Return the next character that is no white space, not consumed; empty at the end."""
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in _SPACE:
                    return self._text[self._at]
                self._at += 1
            if not self._more():
                return ""

    def _expect(self, character: str, meaning: str) -> None:
        if self._next() != character:
            raise self._fault(f"expected {meaning}")
        self._at += 1

    def _value(self) -> Any:
        """Return the value that starts here; more text is read until it is complete."""
        self._next()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
                if end < len(self._text) or not self._more(len(self._text) + _CHUNK):
                    self._at = end if end < len(self._text) or self._ended else self._at
                    return value
            except RecursionError:
                raise self._fault("nested too deeply") from None
            except ValueError as error:
                if len(self._text) - self._at > _MAX_VALUE:
                    raise self._fault(f"malformed, or one element over {_MAX_VALUE >> 20} MB ({error})") from None
                if not self._more(max(_CHUNK, len(self._text) - self._at)):
                    raise self._fault(f"is malformed or cut off: {error}") from None

    def _fault(self, text: str) -> DataError:
        return DataError(f"{self._file}: character {self._passed + self._at}: {text}")
