"""The page in a real browser: no errors, tables sort, plots are drawn, nothing sticks out on a telephone."""

import json
import os
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from study.execute.cost import Cost
from study.report.write import write_report

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
# Runs in the page after it was loaded, and leaves what it saw in the document.
LOOK = """
<script>
const column = (table, n) => [...table.tBodies[0].rows].map(row => row.cells[n].textContent);
const table = document.getElementById("verdict"), heads = [...table.tHead.rows[0].cells];
const click = n => heads[n].querySelector("button").click();
const seen = {before: column(table, 0)};
click(6); seen.down = column(table, 6); seen.aria = heads[6].getAttribute("aria-sort");
click(6); seen.up = column(table, 6);
click(0); seen.names = column(table, 0);
seen.plots = [...document.querySelectorAll("svg")].map(svg => [svg.getBoundingClientRect().width,
  svg.querySelectorAll("path").length]);
seen.clipped = [...document.querySelectorAll("svg")].flatMap(svg => {
  const frame = svg.getBoundingClientRect();
  return [...svg.querySelectorAll("text")].filter(text => { const place = text.getBoundingClientRect();
    return place.left < frame.left - 1 || place.right > frame.right + 1 || place.bottom > frame.bottom + 1;
  }).map(text => text.textContent);
});
const inside = element => element.getBoundingClientRect().right <= window.innerWidth;
seen.sticking = [...document.querySelectorAll("#verdict, #verdict td, h2, p, li, figure, summary")].filter(
  element => element.checkVisibility() && !inside(element)).map(element => element.textContent);
seen.images = [...document.images].map(image => image.naturalWidth);
seen.width = [document.documentElement.scrollWidth, window.innerWidth];
window.seen = JSON.stringify(seen);
</script>
"""
# Headless Chromium's window is never narrower than 500 pixels; a frame in it can be.
FRAME = """<!doctype html><title>frame</title><style>body { margin: 0 } iframe { border: 0 }</style>
<iframe id="frame" width="WIDTH" height="HEIGHT"></iframe><pre id="seen"></pre><script>
const frame = document.getElementById("frame");
frame.addEventListener("load", () => {
  document.getElementById("seen").textContent = frame.contentWindow.seen;
});
frame.srcdoc = TEXT;
</script>"""


@pytest.fixture(scope="module")
def browser() -> str:
    """A Chromium."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no Chromium here (Debian: apt install chromium)")
    return found


@pytest.fixture
def html(study: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    def costs(models: dict[str, Any], imgsz: int, rounds: int, *args: Any) -> tuple[dict[str, Cost], dict[str, Any]]:
        found = {name: Cost(1000 - 100 * i, 10**9 + i, (4.0 + i, 5.0 + i, 9.0)) for i, name in enumerate(models)}
        return found, {"imgsz": imgsz, "rounds": rounds, "device": "CPU", "threads": 1}

    monkeypatch.setattr("study.report.write.measure_costs", costs)
    write_report(study.plan, study.outcome)
    return (study.plan.folder / "report.html").read_text()


def visit(browser: str, page: Path, profile: Path) -> tuple[str, list[str]]:
    """Return the document after its scripts ran, and what the console said."""
    argv = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]
    argv += [f"--user-data-dir={profile}", "--window-size=1300,900", "--enable-logging=stderr", "--v=0"]
    argv += ["--virtual-time-budget=2000", "--dump-dom", page.as_uri()]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=180, check=False, env={**os.environ})
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def framed(html: str, width: int, height: int = 900) -> str:
    """Return a page that shows another one at some width."""
    text = json.dumps(html).replace("</", "<\\/")
    return FRAME.replace("WIDTH", str(width)).replace("HEIGHT", str(height)).replace("TEXT", text)


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_works(browser: str, html: str, tmp_path: Path, width: int) -> None:
    # The page's policy admits its own inline scripts only, of which this becomes one.
    page = tmp_path / "page.html"
    page.write_text(framed(html.replace("</body>", LOOK + "</body>"), width))
    document, console = visit(browser, page, tmp_path / "profile")
    assert console == []
    match = re.search(r'<pre id="seen">(\{.*?)</pre>', document)
    assert match, document[-2000:]
    seen = json.loads(unescape(match[1]))
    assert seen["before"] == ["baseline", "se", "sk", "sk~control"]
    assert seen["down"] == ["+0", "-100", "-200", "-300"]
    assert seen["up"] == seen["down"][::-1]
    assert seen["aria"] == "descending"
    assert seen["names"] == ["sk~control", "sk", "se", "baseline"]
    assert len(seen["plots"]) == 6
    assert all(wide > 200 and paths > 5 for wide, paths in seen["plots"])
    assert seen["clipped"] == []
    assert seen["sticking"] == []
    assert seen["images"]
    assert all(wide > 0 for wide in seen["images"])
    assert seen["width"] == [width, width]  # nothing sticks out


def test_an_error_in_the_page_would_be_seen(browser: str, tmp_path: Path) -> None:
    page = tmp_path / "broken.html"
    page.write_text("<!doctype html><title>x</title><script>missing()</script>")
    _, console = visit(browser, page, tmp_path / "profile")
    assert any("missing is not defined" in line for line in console)
