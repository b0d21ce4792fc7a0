"""Parse one annotation file of PASCAL VOC: bounded, without entities, in whatever encoding it declares."""

import codecs
import re
from pathlib import Path
from xml.etree import ElementTree

from data.records import Issue
from data.text_files import SAVE_AS_UTF8, line_of

_MAX_XML = 16 << 20  # bytes of one annotation file
_DECLARATION = re.compile(rb"""\s*<\?xml[^>]{0,100}?encoding\s*=\s*["']([\w.:-]{1,40})["'][^>]{0,100}\?>""")
_MULTIBYTE = frozenset(
    "big5 big5hkscs cp932 cp949 cp950 euc_jp euc_kr gb18030 gb2312 gbk iso2022_jp johab shift_jis".split()
)
_MEANT = {
    **{"gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932", "euc_kr": "cp949"},  # by programs on Windows
    **dict.fromkeys(("utf-16", "utf-16-le", "utf-16-be"), "utf-8"),  # else the declaration would not be found
}


def parse_xml(file: Path, issues: list[Issue]) -> ElementTree.Element | None:
    """Return the root of an annotation file; None and an Issue if it is missing or malformed."""

    def skip(kind: str, text: str) -> ElementTree.Element | None:
        issues.append(Issue(file, None, kind, text, "image skipped"))
        return None

    try:
        if file.stat().st_size > _MAX_XML:
            return skip("unreadable-label", f"over {_MAX_XML >> 20} MB")
        content = file.read_bytes()
    except FileNotFoundError:
        return skip("no-label", "there is no such annotation file")
    except OSError as error:
        return skip("unreadable-label", error.strerror or str(error))
    try:
        text = _in_python(content)
    except UnicodeDecodeError as error:
        declared = _declared(content) or error.encoding
        what = f"line {line_of(content, error)} is not the {declared} that the file declares; {SAVE_AS_UTF8}"
        return skip("unreadable-label", what)
    if any(mark in content or mark.decode() in text for mark in (b"<!DOCTYPE", b"<!ENTITY")):
        return skip("unreadable-label", "declares a document type; annotation files need none")
    try:
        return ElementTree.fromstring(text or content)  # noqa: S314 - no entities, bounded size
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        return skip("unreadable-label", _wrong_encoding(content) or f"is not well-formed XML: {error}")


def _declared(content: bytes) -> str | None:
    """Name of the encoding in an XML's first line, as Python calls it; None where there is none that it knows."""
    written = _written(content)
    try:
        return codecs.lookup(written).name if written else None
    except LookupError:
        return None


def _written(content: bytes) -> str:
    """Name of the encoding in an XML's first line as it stands there; empty where there is none."""
    found = _DECLARATION.match(content)
    return found[1].decode() if found else ""


def _in_python(content: bytes) -> str:
    """Decode what the XML parser cannot, encodings of several bytes a character; empty for everything else."""
    if content.startswith(codecs.BOM_UTF8):
        content = content.removeprefix(codecs.BOM_UTF8)
        return _DECLARATION.sub(b"", content).decode() if _declared(content) else ""
    encoding = _declared(content)
    if encoding is None or encoding not in _MULTIBYTE | _MEANT.keys():
        return ""
    return _DECLARATION.sub(lambda found: b" " * len(found[0]), content).decode(_MEANT.get(encoding, encoding))


def _wrong_encoding(content: bytes) -> str:
    """Say what is wrong with the encoding of an XML that cannot be parsed; empty where it is something else."""
    written, declared = _written(content), _declared(content)
    if written and declared is None:
        return f"is not well-formed XML: it declares the encoding {written!r}, which is unknown; {SAVE_AS_UTF8}"
    if declared not in (None, "utf-8") or content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return ""
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        says = "which the file declares" if declared else "and the file declares no encoding"
        return f"line {line_of(content, error)} is not UTF-8, {says}; {SAVE_AS_UTF8}, or declare its encoding"
    return ""
