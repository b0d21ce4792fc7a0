"""Build, in headless Chromium: place by clicking and by keys, see the costs, take the YAML, read a fork's."""

from pathlib import Path
from typing import Any

import pytest

from engine.cli.main import main as run_script
from models.network.cost import count_parameters, gflops
from models.network.detector import Detector
from models.spec.model_spec import read_spec
from models.weights.checkpoint import read_checkpoint
from tests.playground.browser.small_data import small_data
from tests.playground.test_design import fork_text


def ready(page: Any, model: str = "yolov5n") -> None:
    """Open Build and begin anew with a model."""
    page.goto("/?lang=en")
    page.wait_for_selector("#graph [data-layer='0']")
    choose(page, "Model", model)
    page.wait_for_function("name => document.querySelector('#state').innerText.startsWith(name + ':')", arg=model)
    page.wait_for_selector("#graph [data-layer='0']")


def choose(page: Any, label: str, option: str) -> None:
    field = page.get_by_label(label, exact=True)
    if field.input_value() != option:
        field.click()
        field.fill(option)
        page.get_by_role("option", name=option, exact=True).click()


NUMBERS = """() => [...document.querySelectorAll('#numbers tbody tr')].map(row => [
  row.querySelector('th').innerText, [...row.querySelectorAll('td')].map(cell => cell.innerText)])"""


def numbers(page: Any) -> dict[str, list[str]]:
    page.wait_for_selector("#numbers")
    return dict(page.evaluate(NUMBERS))  # all rows at once: the table is filled anew while it is read


def test_place_by_clicking(page: Any, root: Path, tmp_path: Path) -> None:
    ready(page)
    before = numbers(page)["Parameters"][0]
    page.click("#graph [data-layer='17']")
    choose(page, "Mechanism", "SKAttention")
    page.click("#place_it")
    page.wait_for_selector("#graph [data-layer='17+SKAttention']")
    spec = read_spec("yolov5n", ["SKAttention@neck.P3"])
    found = numbers(page)
    count = count_parameters(Detector(spec))
    assert before == "1,872,157"
    assert found["Parameters"] == [f"{count:,}", "1,872,157", f"+{count - 1_872_157:,}"]
    assert found["GFLOPs at 640 px"][0] == f"{gflops(Detector(spec)):.2f}"
    page.wait_for_selector(".kept")
    assert "kept 349 of the checkpoint's 349 tensors" in page.inner_text("#results")
    page.wait_for_function("document.querySelector('#numbers')?.innerText.includes('measuring') === false")
    assert float(numbers(page)["Latency, ms at 640 px"][0]) > 0
    assert page.inner_text("#command") == (
        'python train.py --cfg yolov5n --attention "SKAttention@neck.P3" --data data/digits.yaml'
    )
    with page.expect_download() as download:
        page.click("#download")
    download.value.save_as(tmp_path / "model.yaml")
    assert read_spec(tmp_path / "model.yaml").yaml["attention"] == spec.yaml["attention"]
    page.click("#undo")
    page.wait_for_selector("#graph [data-layer='17+SKAttention']", state="detached")
    assert numbers(page)["Parameters"][0] == before
    # what was downloaded trains from the command line
    flags = ["--cfg", str(tmp_path / "model.yaml"), "--data", str(small_data(tmp_path, images=4, size=64))]
    flags += ["--weights", str(root / "weights" / "yolov5n-digits.pt"), "--project", str(tmp_path), "--name", "trained"]
    assert run_script("train", [*flags, "--epochs", "1", "--imgsz", "64", "--noplots", "--device", "cpu"]) == 0
    trained = read_checkpoint(tmp_path / "trained" / "weights" / "last.pt")["weights"]
    expected = Detector(read_spec("yolov5n", ["SKAttention@neck.P3"], nc=10)).state_dict()
    assert {key: value.shape for key, value in trained.items()} == {key: v.shape for key, v in expected.items()}


def test_inside_and_between_by_clicking(page: Any) -> None:
    ready(page)
    page.click("#graph [data-inside='2']")
    choose(page, "Mechanism", "ECA")
    page.click("#place_it")
    page.wait_for_selector("text=ECA@inside:backbone.P2")
    page.locator("#graph [data-source='4'][data-reader='16'] path").last.dispatch_event("click")
    choose(page, "Mechanism", "SE")
    page.click("text=Options")
    page.get_by_label("reduction", exact=True).fill("8")
    page.click("#place_it")
    page.wait_for_selector("text=SE{reduction: 8}@between:backbone.P3,16")
    page.get_by_label("reduction", exact=True).fill("nothing")
    page.click("#place_it")
    page.wait_for_selector("#fault:has-text('reduction')")
    page.click("[aria-label='Remove 1']")
    page.wait_for_selector("text=ECA@inside:backbone.P2", state="detached")


def test_by_keys_alone(page: Any) -> None:
    ready(page)
    page.focus("#graph [data-layer='0']")
    for key in ("End", "ArrowUp", "ArrowUp", "Enter"):
        page.keyboard.press(key)
    mechanism = page.get_by_label("Mechanism", exact=True)
    mechanism.focus()
    page.keyboard.type("GAM")
    page.get_by_role("option", name="GAM", exact=True).wait_for()
    for key in ("ArrowDown", "Enter"):
        page.keyboard.press(key)
    page.wait_for_function("document.querySelector('#place').innerText.length > 0")
    page.focus("#place_it")
    page.keyboard.press("Enter")
    page.wait_for_selector("#graph [data-layer='22+GAM']")


def test_every_control_is_reached_by_tab(page: Any) -> None:
    ready(page)
    page.click("#graph [data-layer='9']")
    page.wait_for_selector("#place_it")
    page.evaluate("document.activeElement.blur(); window.scrollTo(0, 0)")
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.ariaLabel || ''"))
    assert {"language", "dark", "yaml", "download", "place_it", "explain"} <= reached


def test_the_largest_model_is_drawn_and_stays_usable(page: Any) -> None:
    ready(page)
    ready(page, "yolov7-e6e")
    assert page.locator("#graph [data-layer]").count() == len(read_spec("yolov7-e6e").layers)
    page.click("#graph [data-layer='40']")
    page.wait_for_selector("#place_it")
    ready(page)  # its numbers are not waited for


def test_a_text_that_is_too_long_is_said(page: Any) -> None:
    ready(page)
    page.focus(".paste textarea")
    page.keyboard.insert_text("é" * 251_000)
    page.click("#explain")
    page.wait_for_selector("#fork_fault:has-text('more than 250000 characters')")


def test_a_forks_yaml_is_explained(page: Any, root: Path) -> None:
    ready(page)
    page.locator(".paste textarea").fill(fork_text(root))
    page.click("#explain")
    page.wait_for_selector("#rows")
    assert "Nearest stock model: yolov5n" in page.inner_text("#explained")
    assert "CoordAtt" in page.inner_text("#rows tr:nth-child(11)")
    page.click("#go_on")
    page.wait_for_selector("#graph [data-layer^='9+Coord']")
    assert numbers(page)["Parameters"][1] == "1,872,157"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("base: !!python/object/apply:os.system [touch hacked]", "not valid YAML"),
        ("base: /etc/passwd", "--allow"),
        ("<img src=x onerror=window.hacked=1>", "expected a mapping"),
        ("base: '<img src=x onerror=window.hacked=1>'", "--allow"),
    ],
)
def test_bad_yaml_is_one_line_in_the_page(page: Any, text: str, line: str) -> None:
    ready(page)
    page.locator(".paste textarea").fill(text)
    page.click("#explain")
    page.wait_for_selector(f"#fork_fault:has-text('{line}')")
    assert page.evaluate("window.hacked") is None
