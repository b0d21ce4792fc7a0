"""XML files and lists of PASCAL VOC in other encodings than UTF-8: read where declared, else named as the cause."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from data import DataError, load_dataset
from data.formats.voc_xml import parse_xml
from data.records import Issue


@pytest.fixture
def encoded(tmp_path: Path, image: Callable[..., Path], voc_xml: Callable[..., Path]) -> Callable[..., Path]:
    """Writes a VOC tree of one image whose XML has a first line and an encoding; returns its folder."""

    def write(first: str, encoding: str, name: str = "细胞", stem: str = "a") -> Path:
        image(tmp_path / "JPEGImages" / "b.jpg").rename(tmp_path / "JPEGImages" / f"{stem}.jpg")
        file = voc_xml(tmp_path / "Annotations" / f"{stem}.xml", [(name, 1, 1, 9, 9)])
        file.write_bytes(f"{first}\n{file.read_text(encoding='utf-8')}".encode(encoding))
        lists = tmp_path / "ImageSets" / "Main"
        lists.mkdir(parents=True)
        (lists / "train.txt").write_text(f"{stem}\n", encoding="utf-8")
        return tmp_path

    return write


FAULTS = [
    ("", "line 2 is not UTF-8, and the file declares no encoding; save it as UTF-8, or declare its encoding"),
    ('<?xml version="1.0" encoding="UTF-8"?>', "line 2 is not UTF-8, which the file declares; save it as UTF-8"),
    ('<?xml version="1.0" encoding="Big5"?>', "line 2 is not the big5 that the file declares; save it as UTF-8"),
    (
        '<?xml version="1.0" encoding="chinese-x"?>',
        "is not well-formed XML: it declares the encoding 'chinese-x', which is unknown; save",
    ),
]


@pytest.mark.parametrize(("first", "message"), FAULTS)
@pytest.mark.parametrize("names", [None, ["细胞"]])
def test_a_wrong_or_missing_declaration_is_the_cause(
    encoded: Callable[..., Path], first: str, message: str, names: list[str] | None
) -> None:
    content = {"path": str(encoded(first, "gb18030", "细胞㐀")), "train": "train"}
    if names is None:
        with pytest.raises(DataError, match=rf"a\.xml: {re.escape(message)}.*no class can be read"):
            load_dataset(content)
        return
    issues = load_dataset({**content, "names": names}).issues
    assert [(issue.file.name, issue.kind, issue.action) for issue in issues] == [
        ("a.xml", "unreadable-label", "image skipped")
    ]
    assert issues[0].message.startswith(message)


@pytest.mark.parametrize(
    ("declared", "encoding", "name"),
    [
        ("gb2312", "gbk", "镕"),  # a letter that GBK has and GB2312 has not
        ("gbk", "gb18030", "㐀"),
        ("Shift_JIS", "cp932", "①"),
        ("euc-kr", "cp949", "똠"),
        ("utf-16", "utf-8", "细胞"),  # as .NET writes text that it takes for a string
        ("gbk", "utf-8-sig", "细胞"),
    ],
)
def test_what_windows_writes_under_the_name_of_the_standard(
    encoded: Callable[..., Path], declared: str, encoding: str, name: str
) -> None:
    root = encoded(f'<?xml version="1.0" encoding="{declared}"?>', encoding, name)
    dataset = load_dataset({"path": str(root), "train": "train"})
    assert dataset.names == {0: name}
    assert [len(record) for record in dataset] == [1]


def test_one_readable_file_is_enough_for_the_classes(
    encoded: Callable[..., Path], image: Callable[..., Path], voc_xml: Callable[..., Path]
) -> None:
    root = encoded("", "gbk")
    image(root / "JPEGImages" / "b.jpg")
    voc_xml(root / "Annotations" / "b.xml", [("x", 1, 1, 9, 9)])
    (root / "ImageSets" / "Main" / "train.txt").write_text("a\nb\n")
    dataset = load_dataset({"path": str(root), "train": "train"})
    assert dataset.names == {0: "x"}
    assert [issue.kind for issue in dataset.issues] == ["unreadable-label"]


@pytest.mark.parametrize("form", [{"format": "voc"}, {}])
@pytest.mark.parametrize("names", [{"names": ["细胞"]}, {}])
@pytest.mark.parametrize("place", ["ImageSets/Main/train.txt", "train.txt"])
def test_a_list_of_chinese_ids_in_gbk_names_the_cause(
    encoded: Callable[..., Path], form: dict, names: dict, place: str
) -> None:
    root = encoded("", "utf-8", stem="细胞1")
    (root / place).write_bytes("细胞1\n".encode("gb18030"))
    with pytest.raises(DataError, match=r"train\.txt: cannot be read as text: line 1 is not UTF-8; save it as UTF-8"):
        load_dataset({"path": str(root), "train": place, **form, **names})
    (root / place).write_text("细胞1\n", encoding="utf-8")
    dataset = load_dataset({"path": str(root), "train": place, **form, **names})
    assert [(record.path.stem, len(record)) for record in dataset] == [("细胞1", 1)]


def test_other_faults_keep_the_parsers_words(tmp_path: Path) -> None:
    issues: list[Issue] = []
    (tmp_path / "a.xml").write_bytes(b'<?xml version="1.0" encoding="utf-8"?><annotation>')
    assert parse_xml(tmp_path / "a.xml", issues) is None
    assert issues[0].message.startswith("is not well-formed XML: no element found")
