"""Bad and hostile input ends in one line for the page, quickly and without touching anything outside."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from playground.access import Access
from playground.design import Design, named, option_value, read_description
from playground.faults import MOST, line_of
from playground.fork import explain

DEEP = "a: " + "[" * 5000 + "]" * 5000
BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
ROWS = "backbone: [[-1, 1, Conv, [{width}, 3, 2]]]\nhead: [[[0], 1, Detect, [nc, anchors]]]\nanchors: [[1, 2]]\nnc: 1\n"

DESCRIPTIONS = {
    "nothing": b"",
    "a number": b"7",
    "a list": b"- 1\n- 2",
    "no model": b"nc: 80\nnames: [a]",
    "binary": bytes(range(256)),
    "a PNG": b"\x89PNG\r\n\x1a\n" + bytes(500),
    "UTF-16": "base: yolov5n".encode("utf-16-le"),
    "a tab": b"base:\tyolov5n\n\tx: 1",
    "a tag that runs": b"base: !!python/object/apply:os.system ['touch hacked']",
    "a tag that imports": b"!!python/module:os {}",
    "aliases that explode": BOMB.encode(),
    "an alias of itself": b"base: yolov5n\nattention: &a [*a]",
    "deep": DEEP.encode(),
    "merge keys": b"a: &a {b: 1}\nbase: yolov5n\n<<: *a",
    "a key twice": b"base: yolov5n\nbase: yolov5s",
    "an unknown base": b"base: yolov99",
    "a base outside": b"base: /etc/passwd",
    "a base above": b"base: ../../../../etc/hostname",
    "a base that is a list": b"base: [yolov5n]",
    "a base of itself": b"base: pasted.yaml",
    "attention that is text": b"base: yolov5n\nattention: CBAM@4",
    "attention at nothing": b"base: yolov5n\nattention: [{module: CBAM, at: neck.P9}]",
    "an unknown mechanism": b"base: yolov5n\nattention: [{module: __import__, at: 4}]",
    "code for an option": b"base: yolov5n\nattention: [{module: CBAM, at: 4, args: {kernel_size: exit()}}]",
    "a repeat without end": b"base: yolov5n\nattention: [{module: CBAM, at: 4, repeat: 1000000}]",
    "markup": b"base: <script>alert(1)</script>",
    "a wide row": ROWS.format(width=10**9).encode(),
    "a negative row": ROWS.format(width=-1).encode(),
    "code for a width": ROWS.format(width="\"__import__('os').system('touch hacked')\"").encode(),
    "a huge text": b"a: " + b"x" * 2_000_000,
}
NAMES = [
    "",
    " ",
    "..",
    "/etc/passwd",
    "~/.ssh/id_rsa",
    "../../x.yaml",
    "a\0b",
    "x" * 100_000,
    "-rf",
    "http://x/y.yaml",
    "CON:",
]
OPTIONS = ["[", "{a: *b}", "!!python/object:os.system x", "7\nx: 1", "x" * 10_000, "[" * 300]
UPLOADS = {
    "of another kind": ("run.sh", b"rm"),
    "without ending": ("x", b""),
    "too large": ("x.yaml", bytes((1 << 20) + 1)),
}
CHECKPOINTS = {
    "no checkpoint": b"hello",
    "a pickle that runs": b"cos\nsystem\n(S'touch hacked'\ntR.",
    "an empty file": b"",
    "half a zip": b"PK\x03\x04" + bytes(100),
}


def line(run: Callable[..., Any], *arguments: Any, capsys: pytest.CaptureFixture[str]) -> str:
    """Run what must fail; return the line that the page shows, which is no fault of the program."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the point is which line it becomes
        run(*arguments)
    text = line_of(caught.value)
    assert text
    assert len(text) <= MOST + 100
    assert "\n" not in text
    assert "a fault of this program" not in text, capsys.readouterr().err
    return text


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run in a folder of its own, in which nothing appears."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    yield
    assert not list(folder.iterdir())


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_a_pasted_description(name: str, access: Access, capsys: pytest.CaptureFixture[str]) -> None:
    def read() -> None:
        from playground.costs import count

        count(read_description(DESCRIPTIONS[name], "pasted.yaml", access).spec())

    text = line(read, capsys=capsys)
    assert "root:" not in text  # of /etc/passwd


@pytest.mark.parametrize("name", NAMES)
def test_a_name_of_a_model(name: str, access: Access, capsys: pytest.CaptureFixture[str]) -> None:
    line(named, name, access, capsys=capsys)
    line(access.resolve, name, capsys=capsys)


@pytest.mark.parametrize("text", OPTIONS)
def test_an_option(text: str, access: Access, capsys: pytest.CaptureFixture[str]) -> None:
    def place() -> None:
        Design().placed({"module": "CBAM", "at": 4, "args": {"kernel_size": option_value(text)}}).spec()

    line(place, capsys=capsys)


@pytest.mark.parametrize("name", UPLOADS)
def test_an_upload(name: str, access: Access, capsys: pytest.CaptureFixture[str]) -> None:
    line(access.store, *UPLOADS[name], "model", capsys=capsys)


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_a_checkpoint_of_a_fork(name: str, access: Access, capsys: pytest.CaptureFixture[str]) -> None:
    line(lambda: explain(access.store("x.pt", CHECKPOINTS[name], "model"), "x.pt"), capsys=capsys)
