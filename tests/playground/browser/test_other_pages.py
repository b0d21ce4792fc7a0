"""Look, Train and Browse in headless Chromium; both languages, small and dark; and who is let in."""

import base64
import csv
import os
import signal
import time
import urllib.error
import urllib.request
from importlib.util import find_spec
from pathlib import Path
from socket import create_connection
from typing import Any
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest

from data.digits import make_image
from engine.cli.main import main as run_script
from tests.playground.browser.fault_line import fault_of_path

LARGE = bytes(3 << 20)  # the server takes 2 MB
PAGES = ("/", "/look", "/train", "/browse")


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image with digits."""
    path = tmp_path_factory.mktemp("image") / "digits.png"
    cv2.imwrite(str(path), make_image("test", np.random.default_rng(5))[0])
    return path


def boxes(page: Any, name: str) -> list[list[str]]:
    rows = page.query_selector_all(f"#boxes_{name} tbody tr")
    return [[cell.inner_text() for cell in row.query_selector_all("th, td")] for row in rows]


def test_an_image_has_the_boxes_of_detect_py(page: Any, image: Path, root: Path, tmp_path: Path) -> None:
    weights = str(root / "weights" / "yolov5n-digits.pt")
    flags = ["--weights", weights, "--source", str(image), "--project", str(tmp_path), "--nosave", "--save-csv"]
    assert run_script("detect", flags) == 0
    with (tmp_path / "exp" / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    page.goto("/look?lang=en")
    page.set_input_files("#upload_image input[type=file]", str(image))
    page.wait_for_selector("#boxes_baseline")
    expected = [[row["Prediction"], *(f"{float(row[k]):.1f}" for k in ("x1", "y1", "x2", "y2"))] for row in rows]
    found = [[row[0], *row[2:6]] for row in boxes(page, "baseline")]
    assert len(found) == len(expected) > 3
    for one, other in zip(found, expected, strict=True):
        assert one[0] == other[0]
        assert [float(value) for value in one[1:]] == pytest.approx([float(value) for value in other[1:]], abs=0.11)
    page.get_by_label("Variant: attention besides").fill("SE@9")
    page.click("#detect")
    page.wait_for_selector("#boxes_variant")
    assert "lost" in page.inner_text("#found_state")
    page.get_by_role("slider", name="Confidence from").focus()
    for _ in range(30):
        page.keyboard.press("ArrowRight")
    page.wait_for_function("n => document.querySelectorAll('#boxes_baseline tbody tr').length < n", arg=len(found) + 1)
    page.wait_for_function("document.querySelector('#found_state').innerText.includes('lost')")
    assert all(float(row[1]) > 0.54 for row in boxes(page, "variant"))
    page.click("#show_maps")
    page.wait_for_selector("#map_fault:has-text('no attention')")


@pytest.mark.skipif(find_spec("pytorch_grad_cam") is None, reason="grad-cam is not installed")
def test_a_cam_is_the_sheet_of_detect_py(page: Any, image: Path, root: Path, tmp_path: Path) -> None:
    weights = str(root / "weights" / "yolov5n-digits.pt")
    flags = ["--weights", weights, "--source", str(image), "--project", str(tmp_path), "--nosave"]
    assert run_script("detect", [*flags, "--maps", "cam", "--layer", "neck.P3"]) == 0
    (sheet,) = (tmp_path / "exp" / "maps" / "cam").iterdir()
    page.goto("/look?lang=en")
    page.set_input_files("#upload_image input[type=file]", str(image))
    page.wait_for_selector("#boxes_baseline")
    page.get_by_label("Map", exact=True).click()
    page.get_by_role("option", name="what speaks for the boxes (CAM)").click()
    page.get_by_label("Layers (selectors)").fill("neck.P3")
    page.click("#show_maps")
    page.wait_for_selector("#maps img")
    (shown,) = [one.get_attribute("src") for one in page.query_selector_all("#maps img")]
    encoded = np.frombuffer(base64.b64decode(shown.partition("base64,")[2]), np.uint8)
    found, expected = cv2.imdecode(encoded, cv2.IMREAD_COLOR), cv2.imread(str(sheet))
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).mean() < 4  # of 255: the page shows a JPEG


@pytest.mark.parametrize("text", ["/etc/passwd", "../../etc/passwd", "http://169.254.169.254/x.jpg", "0"])
def test_a_path_of_others_is_refused_in_one_line(page: Any, text: str) -> None:
    page.goto("/look?lang=en")
    assert "\n" not in fault_of_path(page, "Or a path on this machine, then Enter", text)


def test_bad_files_and_numbers_are_one_line(page: Any, tmp_path: Path) -> None:
    page.goto("/look?lang=en")
    (tmp_path / "broken.mp4").write_bytes(os.urandom(5000))
    page.set_input_files("#upload_image input[type=file]", str(tmp_path / "broken.mp4"))
    page.wait_for_selector("#fault:has-text('cannot be used')")
    page.set_input_files("#upload_image input[type=file]", {"name": "x.png", "mimeType": "image/png", "buffer": LARGE})
    page.wait_for_selector("#fault:has-text('larger than 2 MB')")
    page.set_input_files("#upload_image input[type=file]", {"name": "x.exe", "mimeType": "", "buffer": b"MZ"})
    page.wait_for_selector("#fault:has-text('none of .jpg')")
    assert page.locator("#upload_image .q-uploader__file").count() == 0
    page.goto("/train?lang=en")
    page.get_by_label("Epochs", exact=True).fill("0")
    page.click("#start")
    page.wait_for_selector("#fault:has-text('at least 1')")


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="Windows cannot pause a process")
def test_the_answer_comes_after_the_server_was_held_up(page: Any, server: Any) -> None:
    """Loading torch from a cold disk does this to the first click."""
    page.goto("/train?lang=en")
    page.get_by_label("Epochs", exact=True).fill("0")
    os.kill(server.pid, signal.SIGSTOP)
    try:
        page.click("#start")
        time.sleep(10)  # NiceGUI forgets a page that did not come back within its own 3 seconds
    finally:
        os.kill(server.pid, signal.SIGCONT)
    page.wait_for_selector("#fault:has-text('at least 1')")


def test_runs_are_compared_and_deleting_asks_first(page: Any, server: Any) -> None:
    for name in ("first", "<b>second</b>"):
        folder = server.folder / "runs" / "train" / name
        folder.mkdir(parents=True)
        (folder / "results.csv").write_text("epoch,metrics/mAP50-95(B),metrics/mAP50(B)\n1,0.1,0.2\n2,0.3,0.4\n")
    page.goto("/browse?lang=en")
    page.locator("[data-run='train/first'] .q-checkbox").click()
    page.locator(".run", has_text="<b>second</b>").locator(".q-checkbox").click()
    page.wait_for_selector("#metrics tr:nth-child(4)")
    assert "0.3000" in page.inner_text("#metrics")
    report = page.get_by_role("link", name="Open the report").first.get_attribute("href")
    answer = page.request.get(report)
    assert answer.status == 200
    assert "sandbox" in answer.headers["content-security-policy"]
    assert page.request.get("/report?name=../../etc/passwd").status == 404
    for button, there in (("Keep it", True), ("Delete", False)):
        page.locator("[data-run='train/first']").get_by_role("button", name="Delete").click()
        page.get_by_role("alertdialog").get_by_role("button", name=button).click()
        page.get_by_role("alertdialog").wait_for(state="detached")
        assert (server.folder / "runs" / "train" / "first").exists() is there
    page.locator("[data-run='train/first']").wait_for(state="detached")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_small_dark_and_in_both_languages(page: Any, language: str) -> None:
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 390, "height": 844})
    for address in PAGES:
        page.goto(f"{address}?lang={language}")
        page.wait_for_selector("body.body--dark .panel")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, address
        assert page.evaluate("document.documentElement.lang") == {"en": "en", "zh": "zh-CN"}[language]
        assert ("搭建" in page.inner_text("nav")) is (language == "zh")
        unnamed = page.evaluate(
            "[...document.querySelectorAll('input:not([type=file]), textarea, button')]"
            ".filter(e => e.offsetParent && !(e.labels?.length || e.ariaLabel || e.innerText.trim()))"
            ".filter(e => !e.closest('label'))"
            ".map(e => e.outerHTML.slice(0, 200))"
        )
        assert unnamed == [], address
    page.click("#dark")
    page.goto("/train?lang=en")


@pytest.mark.parametrize(
    "headers",
    [{"Host": "attacker.example"}, {"Origin": "http://attacker.example"}, {"Sec-Fetch-Site": "cross-site"}],
)
def test_requests_of_others_are_refused(server: Any, headers: dict[str, str]) -> None:
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(urllib.request.Request(f"{server.address}/", headers=headers), timeout=20)


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("{own}", "http://{own}", "101"),
        ("{own}", "http://attacker.example", "403"),
        ("attacker.example", "http://attacker.example", "403"),
    ],
)
def test_websockets_of_others_are_refused(server: Any, host: str, origin: str, status: str) -> None:
    own = urlsplit(server.address).netloc
    key = base64.b64encode(os.urandom(16)).decode()
    request = (
        f"GET /_nicegui_ws/socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: {host.format(own=own)}\r\n"
        f"Origin: {origin.format(own=own)}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
    )
    with create_connection(("127.0.0.1", int(own.rpartition(":")[2])), 20) as connection:
        connection.sendall(request.encode())
        assert connection.recv(12).decode() == f"HTTP/1.1 {status}"


def test_an_upload_is_bounded(server: Any) -> None:
    own = urlsplit(server.address).netloc
    # Nothing of the body is sent: it is refused by its announced length, and whoever still sends may miss the answer.
    request = f"POST /_nicegui/client/x/upload/1 HTTP/1.1\r\nHost: {own}\r\nContent-Length: {3 << 20}\r\n\r\n"
    with create_connection(("127.0.0.1", int(own.rpartition(":")[2])), 20) as connection:
        connection.sendall(request.encode())
        assert connection.recv(12).decode() == "HTTP/1.1 413"
