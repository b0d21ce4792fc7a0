"""Experiment loggers, offline: what a run writes for TensorBoard and for MLflow is what results.csv holds.

The run is a process of its own, because ultralytics' loggers do nothing below pytest.
"""

import csv
import os
import subprocess
import sys

import pytest

from engine.backends.base import installed
from tests.digit_images import SIZE, write_digits

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(tmp_path_factory, root):
    """Folder of a run of two epochs, and MLflow's store beside it."""
    folder = tmp_path_factory.mktemp("loggers")
    data = write_digits(folder / "data", train=8, val=4)
    argv = ["--data", data, "--cfg", "yolov5n", "--weights", "", "--img", SIZE, "--epochs", 2, "--batch", 4]
    argv += ["--workers", 0, "--noplots", "--noautoanchor", "--device", "cpu", "--project", folder / "runs", "--name"]
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    env |= {"MLFLOW_TRACKING_URI": (folder / "store").as_uri(), "MLFLOW_ALLOW_FILE_STORE": "true"}
    env |= {"YOLO_ATTENTION_LOGGERS": "mlflow" if installed("mlflow") else "", "MLFLOW_EXPERIMENT_NAME": "digits"}
    env["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    command = [sys.executable, str(root / "train.py"), *map(str, argv), "a"]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder / "runs" / "a"


def column(folder, name):
    """Values of a column of results.csv, epoch by epoch."""
    with (folder / "results.csv").open(newline="") as file:
        rows = [{key.strip(): value for key, value in row.items()} for row in csv.DictReader(file)]
    assert len(rows) == 2
    return [float(row[name]) for row in rows]


@pytest.mark.skipif(not installed("tensorboard"), reason="tensorboard is not installed")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_has_the_curves_of_the_table(run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run))
    events.Reload()
    for name in ("train/box_loss", "val/cls_loss"):
        logged = [event.value for event in events.Scalars(name)]
        assert logged[-2:] == pytest.approx(column(run, name), rel=1e-3, abs=1e-4)


@pytest.mark.skipif(not installed("mlflow"), reason="mlflow is not installed")
def test_mlflow_keeps_the_run_in_a_local_folder(run):
    losses = [path for path in (run.parents[1] / "store").rglob("box_loss") if path.parent.name == "train"]
    assert len(losses) == 1
    logged = [float(line.split()[1]) for line in losses[0].read_text().splitlines()]
    assert logged[-2:] == pytest.approx(column(run, "train/box_loss"), rel=1e-3)
