"""A small data set, a study on it, and finished runs made up from known numbers."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import yaml

from metrics import Detections, evaluate
from metrics.inputs import Truths
from study.execute.local import Outcome, prepare
from study.plan.plan import Plan, address_runs, make_plan
from study.plan.run import Run, write_json
from study.plan.study_spec import read_study

SPEC = {
    "cfg": "yolov5n",
    "variants": {"se": "SE@neck.P3", "sk": {"attention": "SKAttention@neck.P3", "identity": True}},
    "controls": ["sk"],
    "seeds": 3,
    "budget": {"epochs": 2},
    "train": {"imgsz": 64, "batch_size": 4},
    "latency": 2,
    "resamples": 20,
    "images": 2,
}


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A YOLO data set of 6 + 6 + 8 images of 64×64, a bright box in each; returns its YAML."""
    root = tmp_path_factory.mktemp("tiny")
    draw = np.random.default_rng(0)
    for split, count in (("train", 6), ("val", 6), ("test", 8)):
        for folder in ("images", "labels"):
            (root / folder / split).mkdir(parents=True)
        for number in range(count):
            image = draw.integers(0, 60, (64, 64, 3), dtype=np.uint8)
            image[16:48, 20:44, number % 3] = 255
            cv2.imwrite(str(root / "images" / split / f"{split}{number}.png"), image)
            row = f"{number % 2} 0.5 0.5 0.375 0.5\n"
            (root / "labels" / split / f"{split}{number}.txt").write_text(row)
    content = {"path": str(root), "names": ["even", "odd"], **{s: f"images/{s}" for s in ("train", "val", "test")}}
    (root / "tiny.yaml").write_text(yaml.safe_dump(content))
    return root / "tiny.yaml"


def written(folder: Path, data: Path, changes: dict[str, Any]) -> Path:
    """Write the tiny study with some keys changed (None leaves a key out)."""
    content = {"data": str(data), **SPEC, **changes}
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump({key: value for key, value in content.items() if value is not None}))
    return path


def planned(spec: Path) -> Plan:
    """Plan a study beside its spec, and address its runs."""
    found = make_plan(read_study(spec), spec.parent / "runs")
    address_runs(found, dict.fromkeys(found.models, found.spec.epochs or 2))
    return found


@pytest.fixture
def write_spec(tmp_path: Path, tiny_data: Path) -> Callable[..., Path]:
    """Return a function that writes the tiny study with changes."""
    return lambda **changes: written(tmp_path, tiny_data, changes)


@pytest.fixture
def make(write_spec: Callable[..., Path]) -> Callable[..., Plan]:
    """Return a function that plans the tiny study with changes."""
    return lambda **changes: planned(write_spec(**changes))


def truths(images: int) -> Truths:
    """One box in each image, classes in turn."""
    image = np.arange(images)
    boxes = np.tile([20.0, 16.0, 24.0, 32.0], (images, 1))
    none = np.zeros(images, bool)
    return Truths(
        tuple(range(images)), (0, 1), ("even", "odd"), image, image % 2, boxes, boxes[:, 2] * boxes[:, 3], none, none
    )


def detections(images: int, shift: float, missed: int) -> Detections:
    """Boxes that lie `shift` pixels beside the truth; the first `missed` images have one elsewhere."""
    image = np.arange(images)
    boxes = np.tile([20.0 + shift, 16.0, 24.0, 32.0], (images, 1))
    boxes[:missed] = [0.0, 0.0, 6.0, 6.0]
    return Detections(image, image % 2, boxes, np.linspace(0.9, 0.5, images))


def finish(plan: Plan, run: Run, shift: float, missed: int = 0) -> None:
    """Leave behind what a finished run does, with boxes `shift` pixels off."""
    prepare(plan, run, 1)
    (run.folder / "train" / "weights").mkdir(parents=True, exist_ok=True)
    rows = ["epoch,time,metrics/mAP50(B),metrics/mAP50-95(B)"]
    rows += [f"{epoch},{2.0 * epoch},0.5,{0.1 * epoch + 0.01 * run.seed}" for epoch in (1, 2)]
    (run.folder / "train" / "results.csv").write_text("\n".join(rows) + "\n")
    write_json(run.folder / "trained.json", {"memory_mib": 100.0, "memory": "whole process", "threads": 1})
    test = sorted((Path(plan.spec.data).parent / "images" / "test").iterdir())
    for which in ("last", "best"):
        folder = run.folder / which
        folder.mkdir(exist_ok=True)
        found = detections(len(test), shift, missed)
        report = evaluate(truths(len(test)), found)
        report.matches.save(folder / "matches.npz")
        columns = {name: getattr(found, name) for name in ("image", "category", "boxes_xywh", "score")}
        np.savez_compressed(folder / "boxes.npz", position=np.arange(len(test)), **columns)
        write_json(folder / "metrics.json", report.to_dict())
    write_json(run.folder / "done.json", {"key": run.key, "eval_key": run.eval_key})


@pytest.fixture
def finish_run() -> Callable[..., None]:
    """Return a function that leaves behind what a finished run does."""
    return finish


@pytest.fixture(scope="session")
def study(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A finished study: se is better than the baseline with every seed, sk and its control are no different.

    Tests share it: they may write reports, but leave its runs alone.
    """
    plan = planned(written(tmp_path_factory.mktemp("study"), tiny_data, {}))
    for run in plan.runs:
        shift = {"baseline": 5.0, "se": 2.0, "sk": 5.0, "sk~control": 5.0}[run.variant] + 0.4 * run.seed
        if run.variant.startswith("sk"):
            shift += (-1.5, 1.2, 0.9)[run.seed]
        finish(plan, run, shift, missed=int(run.variant == "baseline"))
    return SimpleNamespace(plan=plan, outcome=Outcome(done=list(plan.runs)))
