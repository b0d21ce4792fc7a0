"""Choose run folders, and find the digits' weights and a run's latest checkpoint."""

from pathlib import Path

from data.folders import ROOT, expand_home
from engine.errors import UsageError

DIGITS_WEIGHTS = ROOT / "weights" / "yolov5n-digits.pt"
DIGITS_SIZE = 320  # pixels of the digits' images


def run_folder(project: str, name: str, exist_ok: bool) -> Path:
    """Choose a run's folder, project/name, then name2, name3 … as YOLOv5 does, and make sure that it can be written.

    Raises:
        UsageError: if it cannot.
    """
    base = expand_home(project).absolute() / name
    folder, number = base, 1
    while folder.exists() and not exist_ok:
        number += 1
        folder = base.with_name(f"{base.name}{number}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UsageError(f"--project {project} --name {name}: {folder} cannot be written: {error.strerror}") from None
    return folder


def latest_checkpoint(project: str) -> Path:
    """Return the newest last.pt below a folder of runs.

    Raises:
        UsageError: if there is none.
    """
    checkpoints = list(expand_home(project).glob("**/weights/last.pt"))
    if not checkpoints:
        raise UsageError(
            f"--resume: no last.pt below {Path(project).absolute()}; give the file: --resume RUN/weights/last.pt"
        )
    return max(checkpoints, key=lambda path: path.stat().st_mtime)
