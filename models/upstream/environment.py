"""What must be settled before ultralytics is imported: no network, no installs, own folders, sensible threads.

The package prepares the process when any part of it is imported; this module imports neither torch nor ultralytics.
"""

import ctypes
import importlib.util
import json
import os
import shutil
import sys
from functools import cache
from pathlib import Path

from data.files import write_atomically
from data.folders import cache_folder

# Experiment loggers that may talk to a server run only when asked for by name: YOLO_ATTENTION_LOGGERS="wandb mlflow".
REMOTE_LOGGERS = ("clearml", "comet", "dvc", "mlflow", "raytune", "wandb")
SETTINGS_VERSION = (
    "0.0.8"  # the schema of the pinned ultralytics; tests/engine/runtime/test_ultralytics_contract.py watches it
)


CGROUP = Path("/sys/fs/cgroup")


def usable_cores() -> int:
    """Count the physical cores that this process may use, by affinity and by the container's share.

    joblib's `cpu_count` does the same; importing it would cost every start more than all the rest of the preparation.
    """
    try:
        allowed = os.sched_getaffinity(0)
    except AttributeError:  # not on macOS and Windows
        import psutil

        return max(1, psutil.cpu_count(logical=False) or os.cpu_count() or 1)
    cores = set()
    for cpu in allowed:
        topology = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology")
        try:
            cores.add(tuple((topology / part).read_text() for part in ("physical_package_id", "core_id")))
        except OSError:
            cores.add((str(cpu), ""))
    return max(1, min(len(cores), _cgroup_share(len(cores))))


def _cgroup_share(cores: int) -> int:
    """Return how many whole cores the container's CPU quota allows."""
    for files in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):  # cgroup v2, v1
        try:
            quota, period = " ".join((CGROUP / file).read_text() for file in files).split()
            return cores if quota in {"max", "-1"} else max(1, int(quota) // int(period))
        except (OSError, ValueError):
            continue
    return cores


def threads() -> int:
    """Return the number of compute threads: OMP_NUM_THREADS where the user set it, else the usable cores."""
    try:
        return max(1, int(os.environ["OMP_NUM_THREADS"].split(",")[0]))
    except (KeyError, ValueError):
        return usable_cores()


def _settings() -> dict[str, object]:
    """Return ultralytics' settings file as it should be: nothing sent anywhere, TensorBoard where it is installed."""
    wanted = set(os.environ.get("YOLO_ATTENTION_LOGGERS", "").replace(",", " ").split())
    own = cache_folder()
    return {
        "settings_version": SETTINGS_VERSION,
        "datasets_dir": str(own / "datasets"),
        "weights_dir": str(own / "weights"),
        "runs_dir": str(own / "runs"),
        "uuid": "",
        "sync": False,
        "api_key": "",
        "openai_api_key": "",
        **{name: name in wanted for name in REMOTE_LOGGERS},
        "tensorboard": importlib.util.find_spec("tensorboard") is not None,
        "vscode_msg": False,
        "openvino_msg": False,
    }


def _write_settings(folder: Path) -> None:
    """Put the settings file in place before ultralytics reads it, whole or not at all."""
    path = folder / "settings.json"
    text = json.dumps(_settings(), indent=2)
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return
    write_atomically(path, text.encode())


def _place_font(folder: Path) -> None:
    """Give ultralytics the font that matplotlib ships, under the name that it would otherwise download."""
    spec = importlib.util.find_spec("matplotlib")
    if spec is None or spec.origin is None:
        return
    font = Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
    for name in ("Arial.ttf", "Arial.Unicode.ttf"):
        if font.is_file() and not (folder / name).is_file():
            shutil.copyfile(font, folder / name)


def _keep_memory() -> None:
    """Tell glibc to keep freed memory: giving it back and asking again costs CPU inference a third of its time."""
    if not sys.platform.startswith("linux"):
        return
    if any(name.startswith("MALLOC_") for name in os.environ):  # the user's own choice
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return
    trim_threshold, mmap_threshold = -1, -3  # malloc.h; its third, top_pad, lets memory creep by 1 kB a video frame
    mallopt(mmap_threshold, 1 << 30)
    mallopt(trim_threshold, 1 << 30)


@cache
def prepare() -> None:
    """Prepare this process and its children for ultralytics; called again it does nothing."""
    own = cache_folder()
    os.environ["YOLO_OFFLINE"] = "1"
    os.environ["YOLO_AUTOINSTALL"] = "0"
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # onnxruntime would report every session to its makers
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # and OpenVINO every conversion; it does without
    os.environ["YOLO_CONFIG_DIR"] = str(own)
    os.environ.pop("ULTRALYTICS_API_KEY", None)  # its presence alone would upload the run
    os.environ.setdefault("MPLCONFIGDIR", str(own / "matplotlib"))
    os.environ.setdefault("MPLBACKEND", "Agg")
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(own / "inductor"))  # else below the temporary folder
    os.environ.setdefault("OMP_NUM_THREADS", str(threads()))  # ultralytics would set 1
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")  # what cannot be read is reported by us, once
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # likewise
    os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", "100000000")  # as in data/image_files/image_io.py
    folder = own / "Ultralytics"
    folder.mkdir(parents=True, exist_ok=True)
    _write_settings(folder)
    _place_font(folder)
    _keep_memory()
