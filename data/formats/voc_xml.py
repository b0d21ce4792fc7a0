"""Parse one annotation file of PASCAL VOC: bounded, without entities, in whatever encoding it declares."""

import codecs
import re
from pathlib import Path
from xml.etree import ElementTree

from data.records import Issue
from data.text_files import SAVE_AS_UTF8

_MAX_XML = 16 << 20  # bytes of one annotation file
_DECLARATION = re.compile(rb"""\s*<\?xml[^>]{0,100}?encoding\s*=\s*["']([\w.:-]{1,40})["'][^>]{0,100}\?>""")
_MULTIBYTE = frozenset(
    "big5 big5hkscs cp932 cp949 cp950 euc_jp euc_kr gb18030 gb2312 gbk iso2022_jp johab shift_jis".split()
)


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
        return skip("unreadable-label", f"is not the {error.encoding} text that it says; {SAVE_AS_UTF8}")
    if any(mark in content or mark.decode() in text for mark in (b"<!DOCTYPE", b"<!ENTITY")):
        return skip("unreadable-label", "declares a document type; annotation files need none")
    try:
        return ElementTree.fromstring(text or content)  # noqa: S314 - no entities, bounded size
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        if _declared(content) is None and not _is_utf8(content):
            return skip("unreadable-label", f"declares no encoding and is not UTF-8; {SAVE_AS_UTF8}")
        return skip("unreadable-label", f"is not well-formed XML: {error}")


def _declared(content: bytes) -> str | None:
    """Name of the encoding in an XML's first line, as Python calls it; None where there is none that it knows."""
    found = _DECLARATION.match(content)
    try:
        return codecs.lookup(found[1].decode()).name if found else None
    except LookupError:
        return None


def _in_python(content: bytes) -> str:
    """Decode what the XML parser cannot, encodings of several bytes a character; empty for everything else."""
    encoding = _declared(content)
    if encoding not in _MULTIBYTE:
        return ""
    return _DECLARATION.sub(b"", content).decode(encoding or "")


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return True
