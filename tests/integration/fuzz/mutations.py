"""Mutations of valid files: trees of plain values (YAML, JSON), texts, and bytes."""

import copy
import struct
import zlib
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

from hypothesis import strategies as st

ODD_NUMBERS = [0, -1, 1, 2, 255, 65536, 2**31 - 1, 2**31, 2**63, 10**15, 10**16, 10**400, -(10**20)]
ODD_NUMBERS += [0.5, -0.0, 1e-320, 1e308, -1e308, float("nan"), float("inf"), float("-inf")]
ODD_TEXTS = [
    "",
    " ",
    "nc",
    "anchors",
    "None",
    "-1",
    "1e999",
    "0x10",
    "../x",
    "a/../../b",
    "nul\0",
    "\u202egpj",
    "é" * 300,
]
ODD_TEXTS += ["a" * 5000, "[" * 40, "{}", "!!python/object/apply:os.system [id]", "__import__('os')", "%s%n", "\n", "☃"]
ODD_VALUES: list[Any] = [None, True, False, [], {}, [[]], [None], [-1, -1], {"x": 1}, {1: 2}, [[[[[[1]]]]]], [0] * 300]
ODD = st.sampled_from([*ODD_NUMBERS, *ODD_TEXTS, *ODD_VALUES]) | st.integers() | st.floats() | st.text(max_size=8)
ODD_BYTES = [b"\0", b"\xff", b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x80\0\0\0"]
ODD_BYTES += [b"\xff\xd8", b"\xff\xd9", b"IEND", b"\xff\xc0", b"\x01\x00", b"\0\x01", b"\xff\xff", b"%PDF", b"GIF89a"]


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) in a tree."""
    if isinstance(tree, dict | list):
        for key, value in list(tree.items() if isinstance(tree, dict) else enumerate(tree)):
            yield tree, key
            yield from _places(value)


@st.composite
def trees(draw: st.DrawFn, tree: Any) -> Any:
    """A copy of a tree with one to four places changed: another value, dropped, doubled, wrapped, or moved."""
    tree = copy.deepcopy(tree)
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 4]))):
        places = list(_places(tree))
        if not places:
            return copy.deepcopy(draw(ODD))
        holder, key = draw(st.sampled_from(places))
        value = holder[key]
        change = draw(
            st.sampled_from(["odd", "odd", "number", "number", "drop", "double", "wrap", "elsewhere", "rename"])
        )
        if change == "number" and isinstance(value, int | float):
            half = value / 2 if isinstance(value, float) else value // 2  # a whole number may be too large for a float
            holder[key] = draw(st.sampled_from([-value, value + 1, value - 1, value * 2, value * 1000, half]))
        elif change == "drop":
            del holder[key]
        elif change == "double" and isinstance(holder, list):
            holder.insert(key, copy.deepcopy(value))
        elif change == "wrap":
            holder[key] = [value] if draw(st.booleans()) else {"x": value}
        elif change == "elsewhere":
            other, name = draw(st.sampled_from(places))
            if name in other if isinstance(other, dict) else name < len(other):
                holder[key] = copy.deepcopy(other[name])
        elif change == "rename" and isinstance(holder, dict):
            holder[draw(st.sampled_from([*holder, "nc", "path", ""]))] = holder.pop(key)
        else:
            holder[key] = copy.deepcopy(draw(ODD))
    return tree


@st.composite
def texts(draw: st.DrawFn, text: str) -> str:
    """A copy of a text with one to five words or lines changed."""
    for _ in range(draw(st.integers(1, 5))):
        lines = text.split("\n")
        row = draw(st.integers(0, len(lines) - 1))
        words = lines[row].split(" ")
        column = draw(st.integers(0, len(words) - 1))
        change = draw(
            st.sampled_from(["odd", "odd", "odd", "drop word", "double word", "drop line", "double line", "swap"])
        )
        if change == "odd":
            words[column] = str(draw(ODD))
        elif change == "drop word":
            del words[column]
        elif change == "double word":
            words.insert(column, words[column])
        if change == "drop line":
            del lines[row]
        elif change == "double line":
            lines.insert(row, lines[row])
        elif change == "swap":
            other = draw(st.integers(0, len(lines) - 1))
            lines[row], lines[other] = lines[other], lines[row]
        else:
            lines[row] = " ".join(words)
        text = "\n".join(lines)
    return text


@st.composite
def elements(draw: st.DrawFn, xml: str) -> bytes:
    """An XML with one to four elements changed: another text or name, dropped, doubled, or moved."""
    root = ElementTree.fromstring(xml)
    for _ in range(draw(st.integers(1, 4))):
        holders = [element for element in root.iter() if len(element)] or [root]
        holder = draw(st.sampled_from(holders))
        if not len(holder):
            holder.text = str(draw(ODD))
            continue
        element = draw(st.sampled_from(list(holder)))
        change = draw(st.sampled_from(["text", "text", "text", "name", "drop", "double", "move"]))
        if change == "text":
            element.text = str(draw(ODD))
        elif change == "name":
            element.tag = draw(st.sampled_from(["object", "name", "bndbox", "xmin", "size", "part", "x"]))
        elif change == "double":
            holder.append(copy.deepcopy(element))
        else:
            holder.remove(element)
            if change == "move":
                draw(st.sampled_from(holders)).append(copy.deepcopy(element))
    return ElementTree.tostring(root, encoding="unicode").encode("utf-8", "surrogatepass")


@st.composite
def contents(draw: st.DrawFn, content: bytes, most: int = 6) -> bytes:
    """A copy of a file's bytes with some places overwritten, cut out, doubled or swollen, or its end cut off."""
    data = bytearray(content)
    for _ in range(draw(st.integers(1, most))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        length = draw(st.integers(1, 64))
        change = draw(st.sampled_from(["odd", "odd", "random", "random", "flip", "cut out", "double", "end"]))
        if change == "odd":
            new = draw(st.sampled_from(ODD_BYTES))
            data[at : at + len(new)] = new
        elif change == "random":
            new = draw(st.binary(min_size=1, max_size=8))
            data[at : at + len(new)] = new
        elif change == "flip" and data:
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif change == "cut out":
            del data[at : at + length]
        elif change == "double":
            data[at:at] = data[at : at + length]
        elif change == "end":
            del data[at:]
    return bytes(data)


PNG = b"\x89PNG\r\n\x1a\n"


@st.composite
def images_of(draw: st.DrawFn, content: bytes) -> bytes:
    """Changed bytes of an image; of most PNGs inside the chunks, whose checksums are made good again."""
    if not content.startswith(PNG) or not draw(st.integers(0, 4)):
        return draw(contents(content, most=1))
    chunks, at = [], len(PNG)
    while at < len(content):
        (length,) = struct.unpack(">I", content[at : at + 4])
        chunks.append((content[at + 4 : at + 8], content[at + 8 : at + 8 + length]))
        at += 12 + length
    number = draw(st.integers(0, len(chunks) - 1))
    kind, inside = chunks[number]
    if kind == b"IDAT":
        inside = zlib.compress(draw(contents(zlib.decompress(inside))))
    else:
        inside = draw(contents(inside, most=2))
    chunks[number] = kind, inside
    if draw(st.booleans()):
        chunks.insert(draw(st.integers(0, len(chunks))), draw(st.sampled_from(chunks)))
    return PNG + b"".join(struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b)) for k, b in chunks)
