"""The process before ultralytics: variables, files, and what is not imported."""

import json
import os
import subprocess
import sys

import pytest

from models.upstream import environment


def run(root, code, **extra):
    environment = {key: value for key, value in os.environ.items() if key not in ("OMP_NUM_THREADS", "YOLO_CONFIG_DIR")}
    environment |= {key: str(value) for key, value in extra.items()}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_it_loads_neither_torch_nor_ultralytics(root, tmp_path):
    heavy = ("torch", "ultralytics", "cv2", "numpy")
    code = f"import sys, models.upstream.environment; print([m for m in {heavy} if m in sys.modules])"
    assert run(root, code, YOLO_ATTENTION_CACHE=tmp_path) == "[]\n"


@pytest.mark.parametrize("package", ["engine", "models", "attention", "data"])
def test_importing_a_package_does_not_load_ultralytics(root, tmp_path, package):
    code = f"import sys, {package}; print('ultralytics' in sys.modules)"
    assert run(root, code, YOLO_ATTENTION_CACHE=tmp_path) == "False\n"


@pytest.mark.parametrize("script", ["train", "val", "detect"])
def test_help_loads_nothing_heavy(root, tmp_path, script):
    code = (
        "import sys, runpy\n"
        f"sys.argv = ['{script}.py', '--help']\n"
        "try:\n"
        f"    runpy.run_path('{script}.py', run_name='__main__')\n"
        "except SystemExit as end:\n"
        "    print(end.code, [m for m in ('torch', 'ultralytics', 'cv2', 'numpy', 'yaml') if m in sys.modules])\n"
    )
    assert run(root, code, YOLO_ATTENTION_CACHE=tmp_path).endswith("0 []\n")


def test_files_and_variables(root, tmp_path):
    names = ("YOLO_OFFLINE", "YOLO_AUTOINSTALL", "OMP_NUM_THREADS")
    code = f"import models.upstream.environment, os; print(*(os.environ[name] for name in {names}))"
    out = run(root, code, YOLO_ATTENTION_CACHE=tmp_path, ULTRALYTICS_API_KEY="ul_1")
    assert out == f"1 0 {environment.usable_cores()}\n"
    settings = json.loads((tmp_path / "Ultralytics" / "settings.json").read_text())
    assert settings["sync"] is False
    assert settings["runs_dir"] == str(tmp_path / "runs")
    assert (tmp_path / "Ultralytics" / "Arial.ttf").stat().st_size > 100_000


def test_the_users_thread_number_is_kept(root, tmp_path):
    code = "import os; from models.upstream import environment as e; print(e.threads(), os.environ['OMP_NUM_THREADS'])"
    assert run(root, code, YOLO_ATTENTION_CACHE=tmp_path, OMP_NUM_THREADS=7) == "7 7\n"


def test_remote_loggers_are_on_only_by_name(root, tmp_path):
    code = "import models.upstream.environment as e; s = e._settings(); print([n for n in e.REMOTE_LOGGERS if s[n]])"
    assert run(root, code, YOLO_ATTENTION_CACHE=tmp_path) == "[]\n"
    assert (
        run(root, code, YOLO_ATTENTION_CACHE=tmp_path, YOLO_ATTENTION_LOGGERS="wandb, mlflow")
        == "['mlflow', 'wandb']\n"
    )


def test_a_cache_that_cannot_be_made_is_replaced(root, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    out = run(
        root,
        "import models.upstream.environment as e; print(e.cache_folder())",
        YOLO_ATTENTION_CACHE=blocked / "below",
    )
    assert "yolo-attention-" in out


def test_usable_cores_is_at_least_one_and_at_most_the_affinity():
    assert 1 <= environment.usable_cores() <= len(os.sched_getaffinity(0))


@pytest.mark.parametrize(("physical", "cores"), [(4, 4), (None, 8)])
def test_windows_and_macs_count_physical_cores_too(physical, cores, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr("psutil.cpu_count", lambda logical: 8 if logical else physical)
    assert environment.usable_cores() == cores
