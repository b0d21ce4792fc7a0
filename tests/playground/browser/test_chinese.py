"""The Chinese pages speak Chinese: what they say, what their buttons are called, and their own errors."""

import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from data.digits import make_image
from tests.playground.browser.fault_line import fault_of_path
from tests.playground.test_design import fork_text

CHINESE = re.compile(r"[\u4e00-\u9fff]")
SENTENCE = re.compile(r"[A-Za-z]{2,}[ ,:;]+[A-Za-z]{2,}")  # two words of Latin letters
# Whatever can be read or is read aloud. Names of layers, commands and files stand in drawings and boxes of code; what
# the scripts and the documents of mechanisms say is marked as English.
SAID = """() => {
  const foreign = 'svg, pre, i, script, style, noscript, [lang=en], .entry, [data-run] .text';
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement;
    if (!e.closest(foreign)) found.push(walker.currentNode.data.trim());
  }
  for (const e of document.body.querySelectorAll('*')) {
    if (e.closest(foreign)) continue;
    for (const name of ['aria-label', 'alt', 'title']) if (e.getAttribute(name)) found.push(e.getAttribute(name));
  }
  return found.filter(Boolean);
}"""
BUTTONS = """() => [...document.querySelectorAll('button')].map(e => {
  const copy = e.cloneNode(true);
  copy.querySelectorAll('i').forEach(icon => icon.remove());
  return e.ariaLabel || copy.textContent.trim();
}).filter(Boolean)"""

ANOTHER_FAULT = "said => !['', said].includes(document.querySelector('#fork_fault').innerText)"


def check(page: Any) -> None:
    """Fail for a sentence or button without Chinese."""
    english = [text for text in page.evaluate(SAID) if SENTENCE.search(text) and not CHINESE.search(text)]
    assert english == []
    assert [text for text in page.evaluate(BUTTONS) if not CHINESE.search(text)] == []


def test_build(page: Any, root: Path) -> None:
    page.goto("/?lang=zh")
    page.click("#graph [data-layer='17']")
    page.click("#place_it")
    page.wait_for_selector("#graph [data-layer='17+CBAM']")
    page.click("#options")
    check(page)
    page.locator(".paste textarea").fill(fork_text(root))
    page.click("#explain")
    page.wait_for_selector("#rows")
    check(page)
    said = ""
    for text in ("base: /etc/passwd", "nc: 1"):
        page.locator(".paste textarea").fill(text)
        page.click("#explain")
        page.wait_for_function(ANOTHER_FAULT, arg=said)
        said = page.inner_text("#fork_fault")
        check(page)
    page.click("#undo")
    page.wait_for_selector("#graph [data-layer='17+CBAM']", state="detached")


def test_look(page: Any, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "digits.png"), make_image("test", np.random.default_rng(5))[0])
    page.goto("/look?lang=zh")
    page.set_input_files("#upload_image input[type=file]", str(tmp_path / "digits.png"))
    page.wait_for_selector("#boxes_baseline")
    check(page)
    page.click("#show_maps")
    page.wait_for_selector("#map_fault:has-text('程序提示')")
    check(page)


@pytest.mark.parametrize("path", ["/etc/passwd", "a/missing.jpg", "\0"])
def test_a_bad_path(page: Any, path: str) -> None:
    page.goto("/look?lang=zh")
    assert CHINESE.search(fault_of_path(page, "或输入本机路径并按 Enter", path))


@pytest.mark.parametrize(("label", "value"), [("训练轮数", "0"), ("训练名称", "../x"), ("批大小", "1.5")])
def test_train(page: Any, label: str, value: str) -> None:
    page.goto("/train?lang=zh")
    page.get_by_label(label, exact=True).fill(value)
    page.click("#start")
    page.wait_for_selector(f"#fault:visible:has-text('{value}')")
    assert CHINESE.search(page.inner_text("#fault"))
    check(page)


def test_browse(page: Any, server: Any) -> None:
    folder = server.folder / "runs" / "train" / "a run"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.csv").write_text("epoch,metrics/mAP50(B)\n1,0.1\n")
    page.goto("/browse?lang=zh")
    page.locator("[data-run='train/a run'] .q-checkbox").click()
    page.wait_for_selector("#metrics")
    page.locator("[data-run='train/a run']").get_by_role("button", name="删除").click()
    page.get_by_role("alertdialog").wait_for()
    check(page)
